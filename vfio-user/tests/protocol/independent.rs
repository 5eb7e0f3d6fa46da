//! A client that others wrote, of rust-vmm: it reads replies of the length that it expects, and nothing else.
use crate::fake::{memfd, new_eventfd};
use crate::timer::{Timer, DELAY};
use std::os::fd::{AsFd, AsRawFd};
use vfio_user::Client;
use vfio_user_server::{irq, region, Server, ServerOptions};

/// SET_IRQS with EVENTFD and TRIGGER.
const SET_EVENTFD: u32 = 0x24;

#[test]
fn the_client_of_rust_vmm_finds_the_regions_maps_memory_and_drives_registers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let mut server = Server::bind(&path, ServerOptions::default()).unwrap();
    let stop = new_eventfd();
    let stopped = stop.try_clone().unwrap();
    let serving = std::thread::spawn(move || server.serve(&mut Timer::at_rest(), stopped.as_fd()).unwrap());
    let mut client = Client::new(&path).unwrap();
    let size = |client: &Client, index| client.region(index).map(|region| region.size);
    assert_eq!(size(&client, region::CONFIG), Some(256));
    assert_eq!(size(&client, region::BAR0), Some(4096));
    assert_eq!(size(&client, region::BAR1), Some(0));
    assert_eq!(size(&client, region::ROM), Some(0));
    for (index, vectors) in [(irq::INTX, 1), (irq::MSI, 0), (irq::MSIX, 0), (irq::REQ, 1)] {
        assert_eq!(client.get_irq_info(index).unwrap().count, vectors);
    }
    let memory = memfd(1 << 20);
    client.dma_map(0, 0x10_0000, 1 << 20, memory.as_raw_fd()).unwrap();
    let eventfd = new_eventfd();
    client.set_irqs(irq::INTX, SET_EVENTFD, 0, 1, &[eventfd.as_raw_fd()]).unwrap();

    let mut id = [0; 4];
    client.region_read(region::CONFIG, 0, &mut id).unwrap();
    assert_eq!(id, [0x34, 0x12, 0x33, 0x71]);
    client.region_write(region::CONFIG, 0x04, &[2, 0]).unwrap();
    let mut delay = [0xff; 4];
    for value in [60_000_000_u32, 50_000_000] {
        client.region_write(region::BAR0, DELAY, &value.to_le_bytes()).unwrap();
        client.region_read(region::BAR0, DELAY, &mut delay).unwrap();
        assert_eq!(delay, value.to_le_bytes());
    }
    client.reset().unwrap();
    for (index, offset) in [(region::CONFIG, 0x04), (region::BAR0, DELAY)] {
        client.region_read(index, offset, &mut delay[..2]).unwrap();
        assert_eq!(delay[..2], [0, 0]);
    }
    client.dma_unmap(0x10_0000, 1 << 20).unwrap();
    client.shutdown().unwrap();
    rustix::io::write(&stop, &1u64.to_ne_bytes()).unwrap();
    serving.join().unwrap();
}
