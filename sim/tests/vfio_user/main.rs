//! The vfio-user server, each command on its own over a socket pair, against a client that also misbehaves.
mod commands;
mod dma;
mod fake;
mod hostile;
mod irqs;
mod listener;
mod maps;
mod sharing;
