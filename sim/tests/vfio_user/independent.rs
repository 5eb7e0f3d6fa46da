//! A client that others wrote, of rust-vmm: it reads replies of the length that it expects, and nothing else.
use crate::fake::{memfd, new_eventfd};
use std::os::fd::{AsFd, AsRawFd};
use vfio_user::Client;
use virtio_hdl::backend::{Disk, DiskPort};
use virtio_hdl::bridge::{Bridge, BridgeOptions};
use virtio_hdl::design;
use virtio_hdl::vfio_user::{irq, region, Server, ServerOptions};
use virtio_hdl_rtl::config::EndpointConfig;
use virtio_hdl_rtl::pcie::layout as pci;
use virtio_hdl_rtl::virtio::layout;

/// SET_IRQS with EVENTFD and TRIGGER.
const SET_EVENTFD: u32 = 0x24;

#[test]
fn the_client_of_rust_vmm_finds_the_regions_maps_memory_and_drives_registers() {
    let config = EndpointConfig::blk();
    let library = design::library(&config).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let mut server = Server::bind(&path, ServerOptions::default()).unwrap();
    let stop = new_eventfd();
    let stopped = stop.try_clone().unwrap();
    let serving = std::thread::spawn(move || {
        let port = Box::new(DiskPort::new(Disk::in_memory(64), 0));
        let mut bridge = Bridge::new(&library, port, &BridgeOptions::default()).unwrap();
        server.serve(&mut bridge, stopped.as_fd()).unwrap();
        bridge.finish().unwrap();
        bridge.report()
    });
    let mut client = Client::new(&path).unwrap();
    let size = |client: &Client, index| client.region(index).map(|region| region.size);
    assert_eq!(size(&client, region::CONFIG), Some(4096));
    assert_eq!(size(&client, region::BAR0), Some(64));
    assert_eq!(size(&client, region::BAR1), Some(4096));
    assert_eq!(size(&client, region::ROM), Some(0));
    for (index, vectors) in [(irq::INTX, 1), (irq::MSI, 0), (irq::REQ, 1)] {
        assert_eq!(client.get_irq_info(index).unwrap().count, vectors);
    }
    let memory = memfd(1 << 20);
    client.dma_map(0, 0x10_0000, 1 << 20, memory.as_raw_fd()).unwrap();
    let eventfd = new_eventfd();
    client.set_irqs(irq::INTX, SET_EVENTFD, 0, 1, &[eventfd.as_raw_fd()]).unwrap();

    let mut id = [0; 4];
    client.region_read(region::CONFIG, pci::VENDOR_ID.into(), &mut id).unwrap();
    assert_eq!(id, [0xf4, 0x1a, 0x01, 0x10]);
    client.region_write(region::CONFIG, pci::BAR0.into(), &0xc000_u32.to_le_bytes()).unwrap();
    client.region_write(region::CONFIG, pci::COMMAND.into(), &[7, 0]).unwrap();
    let mut status = [0xff];
    for value in [1, 3] {
        client.region_write(region::BAR0, layout::STATUS.into(), &[value]).unwrap();
        client.region_read(region::BAR0, layout::STATUS.into(), &mut status).unwrap();
        assert_eq!(status, [value]);
    }
    client.reset().unwrap();
    client.region_read(region::CONFIG, pci::COMMAND.into(), &mut id[..2]).unwrap();
    assert_eq!(id[..2], [0, 0]);
    client.dma_unmap(0x10_0000, 1 << 20).unwrap();
    client.shutdown().unwrap();
    rustix::io::write(&stop, &1u64.to_ne_bytes()).unwrap();
    let report = serving.join().unwrap();
    assert_eq!((report.resets, report.unanswered_accesses, report.violations), (1, 0, 0));
}
