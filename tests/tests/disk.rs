//! The machine as a whole: driver, root complex, Verilated endpoint, disk.
use virtio_hdl::backend::Disk;
use virtio_hdl::design;
use virtio_hdl::host::blk::{Blk, Options};
use virtio_hdl::host::pci::{self, Bus};
use virtio_hdl::machine::{Machine, MachineOptions, SLOT};
use virtio_hdl_rtl::config::EndpointConfig;

#[test]
fn a_sector_written_is_read_back() {
    let config = EndpointConfig::blk();
    let library = design::library(&config).unwrap_or_else(|error| panic!("{error}"));
    let disk = Disk::in_memory(64).with_serial("a serial");
    let mut machine = Machine::new(&library, disk, &MachineOptions::default()).unwrap();
    let mut bus = Bus::scan(&mut machine, &pci::Options::default()).unwrap();
    let mut blk = Blk::probe(&mut machine, &mut bus, SLOT, &Options::default()).unwrap();
    assert_eq!(blk.capacity(&mut machine), 64);
    let written: Vec<u8> = (0..4096).map(|index| (index * 7 + index / 256) as u8).collect();
    blk.write(&mut machine, 3, &written).unwrap();
    let mut read = vec![0; 4096];
    blk.read(&mut machine, 3, &mut read).unwrap();
    assert!(read == written);
    assert_eq!(blk.id(&mut machine).unwrap(), "a serial");
    machine.check().unwrap();
    assert_eq!(machine.root().violations(), []);
}
