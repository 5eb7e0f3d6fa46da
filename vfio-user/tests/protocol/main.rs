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
#[allow(dead_code, reason = "its `main` is for QEMU")]
#[path = "../../examples/timer.rs"]
mod timer;
