//! Each command on its own over a socket pair, against a client that also misbehaves; and the example device.
mod commands;
mod dma;
mod example;
mod fake;
mod hostile;
mod independent;
mod irqs;
mod listener;
mod maps;
mod sharing;
// Its `main` is for QEMU.
#[allow(dead_code)]
#[path = "../../examples/timer.rs"]
mod timer;
