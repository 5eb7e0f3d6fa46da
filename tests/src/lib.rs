//! What the system tests share: machines with generated, Verilated endpoints.
pub mod blocks;
pub mod qtest;
pub mod rig;
pub mod serve;

use virtio_hdl::backend::{Disk, DiskPort};
use virtio_hdl::design;
use virtio_hdl::host::blk::{Blk, Options};
use virtio_hdl::host::pci::{Bus, Options as BusOptions};
use virtio_hdl::host::virtio_pci::VirtioPci;
use virtio_hdl::host::{Platform, Width};
use virtio_hdl::machine::{Machine, MachineOptions, SLOT};
use virtio_hdl::model::Library;
use virtio_hdl::scenario::events;
use virtio_hdl_rtl::config::EndpointConfig;
use virtio_hdl_rtl::device::net::NetOptions;
use virtio_hdl_rtl::virtio::layout::{avail_offset, QUEUE_PFN, QUEUE_PFN_SHIFT, QUEUE_SEL, RING_ENTRIES, RING_INDEX};
use vm_memory::{Bytes, GuestAddress};

pub mod controlled;
pub mod guest;
mod program;
mod served;

pub use program::{output, program};
pub use served::{check_clean, check_sound, Served};

/// The example configuration of this name.
pub fn example(name: &str) -> EndpointConfig {
    EndpointConfig::load(name).unwrap_or_else(|error| panic!("{error}"))
}

/// The same configuration, but that it gives a read up after 50 us, for what waits for that: the examples' 10 ms are millions of cycles.
pub fn impatient(mut config: EndpointConfig) -> EndpointConfig {
    config.completion_timeout_us = events::COMPLETION_TIMEOUT_US;
    config
}

/// The example `net` with the longest frames, and a vector too few for one of each queue's own: two tests share its model.
pub fn jumbo_net() -> EndpointConfig {
    let mut config = example("net");
    config.vectors = 2;
    config.options_mut::<NetOptions>().max_frame = 9022;
    config
}

/// The Verilated endpoint of a configuration, from the cache if it is there.
pub fn library(config: &EndpointConfig) -> Library {
    design::library(config).unwrap_or_else(|error| panic!("{error}"))
}

/// A machine with this endpoint and `disk`.
pub fn machine(config: &EndpointConfig, disk: Disk, options: &MachineOptions) -> Machine {
    let disk = DiskPort::new(disk, 0);
    Machine::new(&library(config), Box::new(disk), options).unwrap_or_else(|error| panic!("{error}"))
}

/// Offers a head of any number in a queue of this size, behind the driver's back, and kicks.
pub fn offer_head(machine: &mut Machine, transport: &VirtioPci, queue: u16, size: u16, head: u16) {
    transport.write(machine, QUEUE_SEL, Width::Word, queue.into());
    let ring = u64::from(transport.read(machine, QUEUE_PFN, Width::Double)) << QUEUE_PFN_SHIFT;
    let available = ring + avail_offset(size);
    let memory = machine.memory();
    let index: u16 = memory.read_obj(GuestAddress(available + RING_INDEX)).unwrap();
    memory.write_obj(head, GuestAddress(available + RING_ENTRIES + 2 * u64::from(index % size))).unwrap();
    memory.write_obj(index.wrapping_add(1), GuestAddress(available + RING_INDEX)).unwrap();
    transport.notify(machine, queue);
}

/// Changes the size that the disk's device side shows, in sectors.
pub fn show_sectors(machine: &mut Machine, sectors: u64) {
    let (port, endpoint) = machine.side_and_endpoint::<DiskPort>().expect("a disk");
    port.ports().unwrap().show(endpoint, sectors, false);
}

/// The endpoint in a machine, with the driver bound to it. The bus is set up for the link's packet sizes.
pub fn bound(config: &EndpointConfig, disk: Disk, options: &MachineOptions, driver: &Options) -> (Machine, Bus, Blk) {
    let mut machine = machine(config, disk, options);
    let bus_options = BusOptions {
        max_payload: options.link.max_payload,
        max_read_request: options.link.max_read_request,
        ..BusOptions::default()
    };
    let mut bus = Bus::scan(&mut machine, &bus_options).unwrap_or_else(|error| panic!("{error}"));
    let blk = Blk::probe(&mut machine, &mut bus, SLOT, driver).unwrap_or_else(|error| panic!("{error}"));
    (machine, bus, blk)
}
