//! Machines that commands run.
use crate::backend::DiskPort;
use crate::host::blk::{self, Blk};
use crate::host::pci::{self, Bus};
use crate::machine::{Machine, MachineOptions, SLOT};
use crate::model::Library;

/// A machine with its driver bound to the disk.
pub(super) struct BoundDisk {
    pub machine: Machine,
    pub blk: Blk,
}

impl BoundDisk {
    pub fn start(library: &Library, disk: DiskPort, options: &MachineOptions) -> anyhow::Result<Self> {
        let mut machine = Machine::new(library, Box::new(disk), options)?;
        let mut bus = Bus::scan(&mut machine, &pci::Options::default())?;
        let probed = Blk::probe(&mut machine, &mut bus, SLOT, &blk::Options::default());
        let blk = outcome(&mut machine, probed)?;
        Ok(BoundDisk { machine, blk })
    }
}

/// What came of a run on a machine: what is wrong with the machine is told, rather than what followed from it.
pub(super) fn outcome<T, E: Into<anyhow::Error>>(machine: &mut Machine, result: Result<T, E>) -> anyhow::Result<T> {
    machine.check()?;
    result.map_err(Into::into)
}
