//! The command line `virtio-hdl`.
use crate::design::OwnRtl;
use clap::{Parser, Subcommand};
use signal_hook::consts::SIGPIPE;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

mod bench;
mod boards;
mod ctl;
mod device;
mod doctor;
mod endpoint;
mod files;
mod generate;
mod machine;
mod output;
mod progress;
mod qemu;
mod report;
mod serve;
mod settings;
mod sim;
mod speed;
mod stop;
mod summary;
mod synth;
mod trace;

#[derive(Parser)]
#[command(
    name = "virtio-hdl",
    version,
    about = "A virtio PCIe endpoint: generate its Verilog, simulate it, measure it",
    after_help = "CONFIG is a TOML file, or the name of an example: net, net-intx, net-plain, blk, \
                  blk-multiqueue, blk-memory-bar, blk-one-vector, blk-intx, blk-plain.\n\
                  CONFIG@INTERFACE-BITS, as blk@7-series-128, is the same behind that interface: tlp-128, 7-series-64, \
                  7-series-128, ultrascale+-128, ultrascale+-256.\n\
                  --set KEY=VALUE sets any key of it, as in virtio-hdl generate blk --set queue_size=64 --set blk.queues=2.\n\
                  RUST_LOG=debug shows what happens inside."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write the Verilog of an endpoint: one file per module, file list, register map, resource summary
    Generate(generate::Arguments),
    /// The cards that `generate --board` knows
    Boards(boards::Arguments),
    /// Run the host model against the Verilated endpoint
    Sim(sim::Arguments),
    /// Count how near the endpoint comes to what its link allows
    Bench(bench::Arguments),
    /// Synthesise, place and route in open tools: area, speed, and whether they became worse
    Synth(synth::Arguments),
    /// Offer the endpoint to any QEMU through a vfio-user socket
    Serve(serve::Arguments),
    /// Boot a stock QEMU with a small Linux on the endpoint
    Qemu(qemu::Arguments),
    /// Ask an endpoint that `serve` or `qemu` runs, or change what is at its device side
    Ctl(ctl::Arguments),
    /// Which tools are there, which versions, what is missing and how to get it
    Doctor(doctor::Arguments),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(error) = stop::install() {
        note!("error: cannot handle signals: {error}");
        return ExitCode::FAILURE;
    }
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,virtio_hdl::bridge=info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time();
    // Standard error may be closed.
    let log = log.log_internal_errors(false);
    log.with_ansi(std::io::stderr().is_terminal()).init();
    let done = match cli.command {
        Command::Generate(arguments) => generate::run(&arguments),
        Command::Boards(arguments) => boards::run(&arguments),
        Command::Sim(arguments) => sim::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Synth(arguments) => synth::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Qemu(arguments) => qemu::run(&arguments),
        Command::Ctl(arguments) => ctl::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
    };
    match output::failure() {
        // As any program that writes where nobody reads.
        Some(error) if error.kind() == std::io::ErrorKind::BrokenPipe => stop::end(SIGPIPE),
        Some(error) => note!("error: cannot write to standard output: {error}"),
        None => {}
    }
    match done {
        Ok(()) if output::failure().is_none() => return ExitCode::SUCCESS,
        Ok(()) => {}
        Err(error) => note!("error: {error:#}"),
    }
    ExitCode::FAILURE
}

/// Refuses a path that cannot be among QEMU's options.
fn for_qemu(path: &std::path::Path) -> anyhow::Result<()> {
    match path.to_str() {
        Some(_) => Ok(()),
        None => anyhow::bail!("QEMU takes paths in UTF-8 only, and {} is not: choose another", path.display()),
    }
}

/// The file, if that is one which describes RTL of the user's own.
fn own_rtl(name: &str) -> Option<&std::path::Path> {
    Some(std::path::Path::new(name)).filter(|path| OwnRtl::is_described_by(path))
}
