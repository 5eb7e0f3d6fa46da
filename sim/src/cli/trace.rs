//! What the commands that simulate can write down.
use super::files::Files;
use crate::trace::{TraceOptions, Trigger};
use clap::Args;
use std::path::PathBuf;

/// Last cycle that can be named: more than two years of simulation.
const MOST_CYCLES: u64 = 1_000_000_000_000;

#[derive(Args)]
pub(super) struct TraceArguments {
    /// Write a VCD of the ports and of decoded TLPs
    #[arg(long, value_name = "FILE")]
    vcd: Option<PathBuf>,
    /// First cycle of the VCD
    #[arg(long, value_name = "CYCLE", requires = "vcd", value_parser = clap::value_parser!(u64).range(..=MOST_CYCLES))]
    vcd_from: Option<u64>,
    /// Cycle that ends the VCD; with a trigger: how many cycles from it on
    #[arg(long, value_name = "CYCLE", requires = "vcd", value_parser = clap::value_parser!(u64).range(..=MOST_CYCLES))]
    vcd_to: Option<u64>,
    /// The VCD begins a little before this
    #[arg(long, value_enum, requires = "vcd")]
    vcd_trigger: Option<Trigger>,
    /// Write every TLP as a line of text
    #[arg(long, value_name = "FILE")]
    tlp_log: Option<PathBuf>,
}

impl TraceArguments {
    /// Adds the files that are written.
    pub fn add_to<'a>(&'a self, files: Files<'a>) -> Files<'a> {
        files.writes("--vcd", self.vcd.as_deref()).writes("--tlp-log", self.tlp_log.as_deref())
    }

    pub fn options(&self) -> TraceOptions {
        TraceOptions {
            vcd: self.vcd.clone(),
            from: self.vcd_from,
            to: self.vcd_to,
            trigger: self.vcd_trigger,
            tlp_log: self.tlp_log.clone(),
        }
    }
}
