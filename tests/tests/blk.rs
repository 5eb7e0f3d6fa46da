//! virtio-blk on the Verilated endpoint, driven by the host model.
use virtio_hdl::backend::Disk;
use virtio_hdl::host::blk::{Blk, Options};
use virtio_hdl::host::pci::{Bus, Options as BusOptions};
use virtio_hdl::machine::{Machine, MachineOptions, SLOT};
use virtio_hdl_tests::{example, machine};

const SECTORS: u64 = 2048;

fn disk(options: &MachineOptions, driver: &Options) -> (Machine, Bus, Blk) {
    let config = example("blk");
    let disk = Disk::in_memory(SECTORS).with_serial(&config.blk.serial);
    let mut machine = machine(&config, disk, options);
    let mut bus = Bus::scan(&mut machine, &BusOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    let blk = Blk::probe(&mut machine, &mut bus, SLOT, driver).unwrap_or_else(|error| panic!("{error}"));
    (machine, bus, blk)
}

#[test]
fn reads_what_it_wrote() {
    let (mut machine, _, mut blk) = disk(&MachineOptions::default(), &Options::default());
    let data: Vec<u8> = (0..8192u32).map(|i| (i * 7 >> 3) as u8).collect();
    blk.write(&mut machine, 3, &data).unwrap();
    blk.flush(&mut machine).unwrap();
    let mut back = vec![0; data.len()];
    blk.read(&mut machine, 3, &mut back).unwrap();
    assert!(back == data);
    let mut behind = vec![0; data.len()];
    machine.disk().read(3, &mut behind).unwrap();
    assert!(behind == data, "the disk behind the device has it");
    assert_eq!(blk.id(&mut machine).unwrap(), "virtio-hdl");
    machine.check().unwrap();
}
