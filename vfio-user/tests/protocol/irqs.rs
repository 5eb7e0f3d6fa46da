//! SET_IRQS: eventfds, masking of INTx, and every combination of flags.
use crate::fake::*;
use rustix::event::{eventfd, EventfdFlags};
use std::os::fd::{AsFd, OwnedFd};
use vfio_user_server::{irq, Errno};

const NONE: u32 = 1;
const BOOL: u32 = 2;
const EVENTFD: u32 = 4;
const MASK: u32 = 8;
const UNMASK: u32 = 16;
const TRIGGER: u32 = 32;

/// A server with eventfds for INTx and all vectors of MSI-X.
fn with_eventfds() -> (Setup, OwnedFd, Vec<OwnedFd>) {
    let mut setup = Setup::new();
    let intx = new_eventfd();
    setup.client.ask_with(SET_IRQS, &set_irqs(EVENTFD | TRIGGER, irq::INTX, 0, 1), &[intx.as_fd()]).unwrap();
    assert_eq!(setup.event(), Event::Unmasked);
    let msix: Vec<_> = (0..VECTORS).map(|_| new_eventfd()).collect();
    let descriptors: Vec<_> = msix.iter().map(AsFd::as_fd).collect();
    setup.client.ask_with(SET_IRQS, &set_irqs(EVENTFD | TRIGGER, irq::MSIX, 0, VECTORS), &descriptors).unwrap();
    (setup, intx, msix)
}

impl Setup {
    /// The device interrupts, and has done so on return.
    fn interrupt(&mut self, index: u32, vector: u32) {
        self.look(move |client| client.interrupt(index, vector));
    }

    fn set_irqs(&mut self, flags: u32, index: u32, start: u32, count: u32) -> Result<Vec<u8>, Errno> {
        self.client.ask(SET_IRQS, &set_irqs(flags, index, start, count))
    }
}

fn counts(eventfds: &[OwnedFd]) -> Vec<u64> {
    eventfds.iter().map(count).collect()
}

#[test]
fn each_vector_signals_its_eventfd() {
    let (mut setup, intx, msix) = with_eventfds();
    for vector in [0, 2, 2] {
        setup.interrupt(irq::MSIX, vector);
    }
    assert_eq!(counts(&msix), [1, 0, 2]);
    assert_eq!(count(&intx), 0);
    // Vectors that nobody waits for, or that are not there.
    for (index, vector) in [(irq::ERR, 0), (irq::MSIX, VECTORS), (irq::MSI, 0), (77, 77)] {
        setup.interrupt(index, vector);
    }
    assert_eq!(setup.statistics().eventfds_signalled, 3);
}

#[test]
fn eventfds_are_replaced_and_taken_away() {
    let (mut setup, _, msix) = with_eventfds();
    let other = new_eventfd();
    setup.client.ask_with(SET_IRQS, &set_irqs(EVENTFD | TRIGGER, irq::MSIX, 1, 1), &[other.as_fd()]).unwrap();
    setup.interrupt(irq::MSIX, 1);
    assert_eq!((counts(&msix), count(&other)), (vec![0, 0, 0], 1));
    // Without descriptors: QEMU's way to say -1.
    setup.set_irqs(EVENTFD | TRIGGER, irq::MSIX, 0, 2).unwrap();
    (0..VECTORS).for_each(|vector| setup.interrupt(irq::MSIX, vector));
    assert_eq!((counts(&msix), count(&other)), (vec![0, 0, 1], 0));
    // No vectors, no change.
    setup.set_irqs(EVENTFD | TRIGGER, irq::MSIX, 0, 0).unwrap();
    setup.interrupt(irq::MSIX, 2);
    assert_eq!(counts(&msix), [0, 0, 1]);
    // The whole index.
    setup.set_irqs(NONE | TRIGGER, irq::MSIX, 0, 0).unwrap();
    setup.interrupt(irq::MSIX, 2);
    assert_eq!(counts(&msix), [0, 0, 0]);
}

#[test]
fn replaced_and_refused_descriptors_are_closed() {
    let mut setup = Setup::new();
    let (first, first_end) = witness();
    setup.client.ask_with(SET_IRQS, &set_irqs(EVENTFD | TRIGGER, irq::MSIX, 0, 1), &[first.as_fd()]).unwrap();
    drop(first);
    assert!(!is_closed(&first_end));
    setup.set_irqs(NONE | TRIGGER, irq::INTX, 0, 0).unwrap();
    assert!(!is_closed(&first_end), "another index");
    setup.set_irqs(NONE | TRIGGER, irq::MSIX, 0, 0).unwrap();
    assert!(is_closed(&first_end));
    let (refused, refused_end) = witness();
    let body = set_irqs(EVENTFD | TRIGGER, irq::MSIX, 9, 1);
    setup.client.ask_with(SET_IRQS, &body, &[refused.as_fd()]).unwrap_err();
    drop(refused);
    setup.settle();
    assert!(is_closed(&refused_end));
}

#[test]
fn the_client_triggers_interrupts_itself() {
    let (mut setup, intx, msix) = with_eventfds();
    setup.set_irqs(NONE | TRIGGER, irq::MSIX, 1, 2).unwrap();
    assert_eq!(counts(&msix), [0, 1, 1]);
    let body = [set_irqs(BOOL | TRIGGER, irq::MSIX, 0, 3), vec![1, 0, 0xff]].concat();
    setup.client.ask(SET_IRQS, &body).unwrap();
    assert_eq!(counts(&msix), [1, 0, 1]);
    for _ in 0..2 {
        setup.set_irqs(NONE | TRIGGER, irq::INTX, 0, 1).unwrap();
    }
    assert_eq!(count(&intx), 1, "INTx masks itself");
    assert_eq!(setup.statistics().eventfds_signalled, 5);
}

#[test]
fn vectors_out_of_range_are_refused() {
    let mut setup = Setup::new();
    for flags in [NONE | TRIGGER, BOOL | TRIGGER, EVENTFD | TRIGGER] {
        for (index, start, count) in [
            (irq::MSIX, 0, VECTORS + 1),
            (irq::MSIX, VECTORS, 1),
            (irq::MSIX, VECTORS + 1, 0),
            (irq::MSIX, 1, u32::MAX),
            (irq::MSIX, u32::MAX, 1),
            (irq::MSI, 0, 1),
            (irq::INTX, 1, 1),
            (irq::COUNT, 0, 1),
            (u32::MAX, 0, 0),
        ] {
            let body = [set_irqs(flags, index, start, count), vec![1; 64]].concat();
            assert_eq!(setup.client.ask(SET_IRQS, &body), Err(Errno::INVAL), "{flags:#x} {index} {start} {count}");
        }
    }
}

#[test]
fn bodies_must_hold_what_they_promise() {
    let mut setup = Setup::new();
    assert_eq!(setup.client.ask(SET_IRQS, &words([20, NONE | TRIGGER, 0, 0])), Err(Errno::INVAL));
    assert_eq!(setup.client.ask(SET_IRQS, &words([19, NONE | TRIGGER, 0, 0, 1])), Err(Errno::INVAL));
    let short = [set_irqs(BOOL | TRIGGER, irq::MSIX, 0, 3), vec![1; 2]].concat();
    assert_eq!(setup.client.ask(SET_IRQS, &short), Err(Errno::INVAL));
    let eventfds: Vec<_> = (0..3).map(|_| new_eventfd()).collect();
    for (count, descriptors) in [(3, 2), (2, 3), (0, 1), (1, 2)] {
        let descriptors: Vec<_> = eventfds[..descriptors].iter().map(AsFd::as_fd).collect();
        let body = set_irqs(EVENTFD | TRIGGER, irq::MSIX, 0, count);
        assert_eq!(setup.client.ask_with(SET_IRQS, &body, &descriptors), Err(Errno::INVAL));
    }
    (0..VECTORS).for_each(|vector| setup.interrupt(irq::MSIX, vector));
    assert_eq!(counts(&eventfds), [0, 0, 0]);
}

#[test]
fn every_combination_of_flags_is_understood_or_refused() {
    let mut setup = Setup::new();
    for index in [irq::INTX, irq::MSIX] {
        for flags in (0..64).chain([0x40 | NONE | TRIGGER, u32::MAX]) {
            let expected = match (flags & 7, flags & !7) {
                (NONE | BOOL | EVENTFD, TRIGGER) => Ok(vec![]),
                (NONE | BOOL, MASK | UNMASK) | (EVENTFD, UNMASK) if index == irq::INTX => Ok(vec![]),
                (NONE | BOOL | EVENTFD, MASK | UNMASK) => Err(Errno::NOTSUP),
                _ => Err(Errno::INVAL),
            };
            let body = [set_irqs(flags, index, 0, 1), vec![1]].concat();
            assert_eq!(setup.client.ask(SET_IRQS, &body), expected, "flags {flags:#x} index {index}");
        }
    }
}

#[test]
fn intx_is_signalled_once_and_masked_until_the_client_unmasks_it() {
    let (mut setup, intx, _) = with_eventfds();
    for _ in 0..3 {
        setup.interrupt(irq::INTX, 0);
        assert!(setup.look(|client| client.intx_masked()));
    }
    assert_eq!(count(&intx), 1);
    setup.set_irqs(NONE | UNMASK, irq::INTX, 0, 1).unwrap();
    assert_eq!(setup.event(), Event::Unmasked);
    assert!(!setup.look(|client| client.intx_masked()));
    // It was not masked: nothing was lost.
    setup.set_irqs(NONE | UNMASK, irq::INTX, 0, 1).unwrap();
    setup.expect_no_event();
    setup.interrupt(irq::INTX, 0);
    assert_eq!(count(&intx), 1);
}

#[test]
fn intx_is_masked_on_demand() {
    let (mut setup, intx, msix) = with_eventfds();
    for (mask, unmask, data) in [(NONE | MASK, NONE | UNMASK, vec![]), (BOOL | MASK, BOOL | UNMASK, vec![1])] {
        let request = |flags| [set_irqs(flags, irq::INTX, 0, 1), data.clone()].concat();
        setup.client.ask(SET_IRQS, &request(mask)).unwrap();
        setup.interrupt(irq::INTX, 0);
        setup.interrupt(irq::MSIX, 0);
        assert_eq!((count(&intx), count(&msix[0])), (0, 1));
        setup.client.ask(SET_IRQS, &request(unmask)).unwrap();
        assert_eq!(setup.event(), Event::Unmasked);
        setup.interrupt(irq::INTX, 0);
        assert_eq!(count(&intx), 1);
        // Neither of these is about INTx's only vector.
        setup.set_irqs(NONE | UNMASK, irq::INTX, 0, 0).unwrap();
        setup.client.ask(SET_IRQS, &[set_irqs(BOOL | UNMASK, irq::INTX, 0, 1), vec![0]].concat()).unwrap();
        setup.expect_no_event();
        setup.set_irqs(NONE | UNMASK, irq::INTX, 0, 1).unwrap();
        assert_eq!(setup.event(), Event::Unmasked);
        setup.set_irqs(NONE | MASK, irq::INTX, 0, 0).unwrap();
        assert!(!setup.look(|client| client.intx_masked()));
    }
}

#[test]
fn intx_without_an_eventfd_is_lost_but_the_device_hears_when_there_is_one() {
    let mut setup = Setup::new();
    setup.interrupt(irq::INTX, 0);
    assert!(!setup.look(|client| client.intx_masked()));
    let intx = new_eventfd();
    let body = set_irqs(EVENTFD | TRIGGER, irq::INTX, 0, 1);
    setup.client.ask_with(SET_IRQS, &body, &[intx.as_fd()]).unwrap();
    assert_eq!(setup.event(), Event::Unmasked);
    setup.interrupt(irq::INTX, 0);
    assert_eq!(count(&intx), 1);
    // A new one starts unmasked.
    setup.client.ask_with(SET_IRQS, &body, &[intx.as_fd()]).unwrap();
    assert_eq!(setup.event(), Event::Unmasked);
    setup.interrupt(irq::INTX, 0);
    assert_eq!(count(&intx), 1);
}

#[test]
fn the_resample_eventfd_unmasks_intx() {
    let (mut setup, intx, _) = with_eventfds();
    let resample = new_eventfd();
    let body = set_irqs(EVENTFD | UNMASK, irq::INTX, 0, 1);
    setup.client.ask_with(SET_IRQS, &body, &[resample.as_fd()]).unwrap();
    for _ in 0..2 {
        setup.interrupt(irq::INTX, 0);
        assert_eq!(count(&intx), 1);
        setup.expect_no_event();
        rustix::io::write(&resample, &1u64.to_ne_bytes()).unwrap();
        assert_eq!(setup.event(), Event::Unmasked);
        assert_eq!(count(&resample), 0);
    }
    // Taken away again.
    setup.set_irqs(EVENTFD | UNMASK, irq::INTX, 0, 1).unwrap();
    setup.interrupt(irq::INTX, 0);
    rustix::io::write(&resample, &1u64.to_ne_bytes()).unwrap();
    setup.expect_no_event();
    assert!(setup.look(|client| client.intx_masked()));
}

#[test]
fn a_full_eventfd_does_not_block() {
    let mut setup = Setup::new();
    let full = eventfd(u32::MAX, EventfdFlags::CLOEXEC).unwrap();
    rustix::io::write(&full, &(u64::MAX - 1 - u64::from(u32::MAX)).to_ne_bytes()).unwrap();
    setup.client.ask_with(SET_IRQS, &set_irqs(EVENTFD | TRIGGER, irq::MSIX, 0, 1), &[full.as_fd()]).unwrap();
    setup.interrupt(irq::MSIX, 0);
    setup.settle();
}

#[test]
fn descriptors_that_are_no_eventfds_do_no_harm() {
    let (mut setup, intx, _) = with_eventfds();
    // The reading end cannot be signalled, and the writing end is full some day.
    let (read, write) = rustix::pipe::pipe().unwrap();
    setup.client.ask_with(SET_IRQS, &set_irqs(EVENTFD | TRIGGER, irq::MSIX, 0, 1), &[read.as_fd()]).unwrap();
    setup.client.ask_with(SET_IRQS, &set_irqs(EVENTFD | TRIGGER, irq::MSIX, 1, 1), &[write.as_fd()]).unwrap();
    setup.look(|client| (0..20_000).for_each(|_| client.interrupt(irq::MSIX, 1)));
    assert_eq!(setup.statistics().eventfds_signalled, 20_000);
    setup.interrupt(irq::MSIX, 0);
    // An end of file is always readable, as is a file. The first unmasks nothing.
    let ((_, end), file) = (witness(), memfd(4096));
    for descriptor in [end.as_fd(), file.as_fd()] {
        setup.interrupt(irq::INTX, 0);
        setup.client.ask_with(SET_IRQS, &set_irqs(EVENTFD | UNMASK, irq::INTX, 0, 1), &[descriptor]).unwrap();
        setup.settle();
    }
    assert_eq!(count(&intx), 1);
}
