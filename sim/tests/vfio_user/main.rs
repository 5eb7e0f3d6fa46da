//! The vfio-user server, each command on its own over a socket pair, against a client that also misbehaves; and the bridge to
//! the Verilated endpoint against a client that does what QEMU does when it has no time.
mod bridge;
mod commands;
mod dma;
mod fake;
mod hostile;
mod independent;
mod irqs;
mod listener;
mod maps;
mod sharing;
