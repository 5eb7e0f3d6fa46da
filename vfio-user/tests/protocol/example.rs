//! The example device, as a VMM sees it.
use crate::fake::*;
use crate::timer::{Timer, DELAY, ID, ID_VALUE, STATUS};
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;
use vfio_user_server::{irq, region, Server, ServerOptions};

/// SET_IRQS with EVENTFD and TRIGGER.
const SET_EVENTFD: u32 = 0x24;
/// SET_IRQS with NONE and UNMASK.
const UNMASK: u32 = 0x11;
/// Configuration space: command and status.
const COMMAND: u64 = 0x04;
const COMMAND_INTX_DISABLE: u16 = 1 << 10;
const PCI_STATUS: u64 = 0x06;

/// The timer in a thread, its client, and the eventfd of INTx.
struct Rig {
    client: TestClient,
    intx: OwnedFd,
    server: Option<JoinHandle<()>>,
}

impl Rig {
    fn new() -> Self {
        let (stream, other) = UnixStream::pair().unwrap();
        let server = std::thread::spawn(move || {
            let never = new_eventfd();
            Server::connected(other, ServerOptions::default()).serve(&mut Timer::at_rest(), never.as_fd()).unwrap();
        });
        let mut client = TestClient::new(stream);
        client.agree();
        let intx = new_eventfd();
        client.ask_with(SET_IRQS, &set_irqs(SET_EVENTFD, irq::INTX, 0, 1), &[intx.as_fd()]).unwrap();
        Rig { client, intx, server: Some(server) }
    }

    fn read(&mut self, offset: u64) -> u32 {
        u32::from_le_bytes(self.client.read_region(region::BAR0, offset, 4).unwrap().try_into().unwrap())
    }

    fn write(&mut self, offset: u64, value: u32) {
        self.client.write_region(region::BAR0, offset, &value.to_le_bytes()).unwrap();
    }

    fn unmask(&mut self) {
        self.client.ask(SET_IRQS, &set_irqs(UNMASK, irq::INTX, 0, 1)).unwrap();
        // Interrupts of the call are signalled before the next answer.
        self.read(ID);
    }

    /// Waits for an interrupt.
    fn expect_interrupt(&self) {
        let patience = Timespec { tv_sec: 10, tv_nsec: 0 };
        let ready = poll(&mut [PollFd::new(&self.intx, PollFlags::IN)], Some(&patience)).unwrap();
        assert_eq!((ready, count(&self.intx)), (1, 1), "no interrupt");
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = self.client.stream.shutdown(std::net::Shutdown::Both);
        let ended = self.server.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking(), "the server has panicked");
    }
}

#[test]
fn the_timer_expires_and_interrupts_until_it_is_told_that_it_was_heard() {
    let mut rig = Rig::new();
    assert_eq!((rig.read(ID), rig.read(STATUS)), (ID_VALUE, 0));
    rig.write(DELAY, 2000);
    rig.expect_interrupt();
    assert_eq!((rig.read(STATUS), rig.read(DELAY)), (1, 2000));
    assert_eq!(rig.client.read_region(region::CONFIG, PCI_STATUS, 1), Ok(vec![1 << 3]));
    // Nobody has cleared it: the level stays.
    rig.unmask();
    assert_eq!(count(&rig.intx), 1);
    rig.write(STATUS, 0);
    assert_eq!(rig.read(STATUS), 1);
    rig.write(STATUS, 1);
    assert_eq!(rig.read(STATUS), 0);
    rig.unmask();
    assert_eq!(count(&rig.intx), 0);
    // One that was stopped never expires.
    rig.write(DELAY, 20_000);
    rig.write(DELAY, 0);
    std::thread::sleep(std::time::Duration::from_millis(40));
    assert_eq!((rig.read(STATUS), count(&rig.intx)), (0, 0));
}

#[test]
fn an_interrupt_that_is_disabled_comes_when_it_is_enabled() {
    let mut rig = Rig::new();
    rig.client.write_region(region::CONFIG, COMMAND, &COMMAND_INTX_DISABLE.to_le_bytes()).unwrap();
    rig.write(DELAY, 1);
    while rig.read(STATUS) == 0 {}
    assert_eq!(count(&rig.intx), 0);
    rig.client.write_region(region::CONFIG, COMMAND, &[0, 0]).unwrap();
    rig.expect_interrupt();
}

#[test]
fn config_space_keeps_what_is_not_to_be_written_and_all_starts_again_with_a_reset() {
    let mut rig = Rig::new();
    let before = rig.client.read_region(region::CONFIG, 0, 256).unwrap();
    rig.client.write_region(region::CONFIG, 0, &[0xff; 256]).unwrap();
    let after = rig.client.read_region(region::CONFIG, 0, 256).unwrap();
    let changed: Vec<_> = (0..256).filter(|at| before[*at] != after[*at]).collect();
    assert_eq!(changed, [0x04, 0x05, 0x11, 0x12, 0x13, 0x3c]);
    assert_eq!(after[0x10..0x14], [0x00, 0xf0, 0xff, 0xff], "4 KiB of memory");
    rig.write(DELAY, 77);
    rig.client.ask(RESET, &[]).unwrap();
    assert_eq!(rig.client.read_region(region::CONFIG, 0, 256).unwrap(), before);
    assert_eq!(rig.read(DELAY), 0);
}
