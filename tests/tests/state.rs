//! An endpoint that stands still on the modelled link, and what goes on in its place. Standstills under load: see events.rs.
use virtio_hdl::host::blk::{Operation, Options};
use virtio_hdl::host::virtio_pci::VectorPolicy;
use virtio_hdl::host::{Platform, Width};
use virtio_hdl::machine::{MachineOptions, SLOT};
use virtio_hdl::model::Stall;
use virtio_hdl::state::{State, StateError};
use virtio_hdl_rtl::config::{EndpointConfig, LinkInterface};
use virtio_hdl_rtl::pcie::layout as pci;
use virtio_hdl_rtl::pcie::registers::VENDOR_CAPABILITY;
use virtio_hdl_rtl::testing::Rng;
use virtio_hdl_rtl::virtio::layout;
use virtio_hdl_rtl::virtio::types::Violation;
use virtio_hdl_tests::blocks::behind;
use virtio_hdl_tests::rig::*;
use virtio_hdl_tests::{example, library};
use vm_memory::{Bytes, GuestAddress};

/// Stands still, is put aside for another instance, and goes on.
fn exchange(s: &mut Setup, config: &EndpointConfig, seed: u64) {
    s.machine.freeze().unwrap();
    s.machine.exchange(&library(config), seed).unwrap();
    s.machine.thaw().unwrap();
}

/// Config space without the counters.
fn config_space(s: &mut Setup) -> Vec<u32> {
    (0..VENDOR_CAPABILITY / 4).map(|word| s.machine.config_read(SLOT, 4 * word, Width::Double)).collect()
}

/// Random reads and writes in batches; all of the memory at the end.
fn memory_behind_a_run(standstills: bool) -> Vec<u8> {
    let config = example("blk");
    let stall = Stall { receive: 30, transmit: 30, device: 30 };
    let options = MachineOptions { stall, memory_bytes: 4 << 20, ..MachineOptions::default() };
    let mut s = setup_of(&config, &options, &Options::default());
    let library = library(&config);
    let mut work = Rng(5);
    let mut moments = Rng(6);
    for round in 0..80 {
        for _ in 0..1 + work.below(24) {
            let operation = if work.chance(1, 2) { Operation::In } else { Operation::Out };
            let n = work.below(200);
            s.submit(operation, n);
        }
        s.blk.kick(&mut s.machine).unwrap();
        if standstills {
            s.machine.run(moments.below(6_000));
            s.machine.freeze().unwrap();
            match round % 3 {
                0 => {}
                1 => {
                    let state = s.machine.save().unwrap();
                    s.machine.run(moments.below(500));
                    s.machine.restore(&State::from_text(&state.to_text()).unwrap()).unwrap();
                }
                _ => s.machine.exchange(&library, round).unwrap(),
            }
            s.machine.thaw().unwrap();
        }
        s.wait_all();
    }
    s.machine.run(LONG);
    s.machine.check().unwrap();
    let mut memory = vec![0; 4 << 20];
    s.machine.memory().read_slice(&mut memory, GuestAddress(0)).unwrap();
    memory
}

#[test]
fn a_run_with_standstills_ends_in_the_same_memory() {
    let (with, without) = (memory_behind_a_run(true), memory_behind_a_run(false));
    let differs = with.iter().zip(&without).position(|(with, without)| with != without);
    assert_eq!(differs, None, "the first byte that differs");
}

/// All of config space and of the registers is there again, set as no driver would.
#[test]
fn every_register_survives() {
    let config = example("blk");
    let mut s = default_setup();
    s.assert_works();
    let function = s.bus.function(SLOT).unwrap().clone();
    function.command(&mut s.machine, pci::COMMAND_INTX_DISABLE | 0x140, 0);
    s.machine.config_write(SLOT, pci::INTERRUPT_LINE, Width::Byte, 0x5b);
    s.machine.config_write(SLOT, pci::CACHE_LINE_SIZE, Width::Byte, 0x10);
    let msix = *s.blk.transport().msix().unwrap();
    msix.set_mask(&mut s.machine, 0, true);
    // unsupported requests: error bits in both status registers
    s.machine.mmio_read(function.bar(1).unwrap().address + 4096, Width::Double);
    s.blk.transport().write(&mut s.machine, layout::QUEUE_SEL, Width::Word, 3);
    s.blk.transport().write(&mut s.machine, layout::STATUS, Width::Byte, 0x87);
    let registers = |s: &mut Setup| -> Vec<u32> {
        let mut all = config_space(s);
        let transport = s.blk.transport();
        let words =
            [layout::GUEST_FEATURES, layout::QUEUE_PFN].map(|at| transport.read(&mut s.machine, at, Width::Double));
        all.extend(words);
        let halves = [layout::QUEUE_SEL, layout::QUEUE_VECTOR, layout::CONFIG_VECTOR];
        all.extend(halves.map(|at| transport.read(&mut s.machine, at, Width::Word)));
        all.push(transport.read(&mut s.machine, layout::STATUS, Width::Byte));
        let table = s.bus.function(SLOT).unwrap().bar(1).unwrap();
        all.extend((0..8).map(|word| table.read(&mut s.machine, 4 * word, Width::Double)));
        all
    };
    let before = registers(&mut s);
    exchange(&mut s, &config, 7);
    assert_eq!(registers(&mut s), before);
    s.blk.transport().write(&mut s.machine, layout::QUEUE_SEL, Width::Word, 0);
    s.assert_works();
}

/// An interrupt that waits behind a mask is delivered by the endpoint that has come in its place.
#[test]
fn a_pending_vector_is_delivered_later() {
    let config = example("blk");
    let mut s = default_setup();
    let msix = *s.blk.transport().msix().unwrap();
    msix.set_mask(&mut s.machine, 1, true);
    s.submit(Operation::In, 0);
    s.blk.kick(&mut s.machine).unwrap();
    s.machine.run(LONG);
    assert!(msix.is_pending(&mut s.machine, 1));
    exchange(&mut s, &config, 3);
    s.machine.run(LONG);
    assert!(msix.is_pending(&mut s.machine, 1));
    assert_eq!(s.machine.wait_interrupt(s.machine.now() + LONG), None);
    msix.set_mask(&mut s.machine, 1, false);
    assert!(s.machine.wait_interrupt(s.machine.now() + LONG).is_some());
    assert_eq!(s.blk.poll(&mut s.machine).unwrap().len(), 1);
    assert!(!msix.is_pending(&mut s.machine, 1));
}

/// The line stays up, and ISR says why.
#[test]
fn an_asserted_line_stays_asserted() {
    let config = example("blk");
    let driver = Options { policies: vec![VectorPolicy::Line], ..Options::default() };
    let mut s = setup_of(&config, &MachineOptions::default(), &driver);
    s.submit(Operation::In, 0);
    s.blk.kick(&mut s.machine).unwrap();
    s.machine.run(LONG);
    assert!(s.machine.root().intx());
    exchange(&mut s, &config, 3);
    s.machine.run(LONG);
    assert!(s.machine.root().intx());
    assert_eq!(s.blk.transport().read(&mut s.machine, layout::ISR, Width::Byte), 1);
    s.machine.run(LONG);
    assert!(!s.machine.root().intx(), "nobody asserts it any more");
    assert_eq!(s.blk.poll(&mut s.machine).unwrap().len(), 1);
    s.assert_works();
}

/// A queue that has stopped stays stopped until a reset.
#[test]
fn a_stopped_queue_stays_stopped() {
    let config = example("blk");
    let mut s = default_setup();
    s.offer(9999);
    s.blk.kick(&mut s.machine).unwrap();
    s.machine.run(LONG);
    assert_eq!(s.diagnostic(0) & 0xff, Violation::HeadRange as u32);
    s.machine.freeze().unwrap();
    s.machine.thaw().unwrap();
    assert_eq!(s.diagnostic(0) & 0xff, Violation::HeadRange as u32, "the same endpoint knows why");
    exchange(&mut s, &config, 3);
    s.machine.run(LONG);
    assert_eq!(s.diagnostic(0) & 0xff, Violation::Before as u32);
    s.probe_again().assert_works();
}

/// Behind a hard block another width of it goes on, while requests are under way.
#[test]
fn another_width_goes_on() {
    for (interface, narrow, wide) in [(LinkInterface::SevenSeries, 64, 128), (LinkInterface::UltraScalePlus, 128, 256)]
    {
        let widths = [narrow, wide].map(|bits| behind((interface, bits), "blk"));
        let mut s = setup_of(&widths[0], &MachineOptions::default(), &Options::default());
        for turn in 1..8 {
            s.begin_reads();
            exchange(&mut s, &widths[turn % 2], turn as u64);
            s.wait_all();
            s.expect_reads();
        }
        s.assert_works();
    }
}

/// One of another kind, and what has been changed by hand: refused, and the endpoint goes on as if nobody had asked.
#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let config = example("blk");
    let mut s = default_setup();
    s.begin_reads();
    s.machine.freeze().unwrap();
    let state = s.machine.save().unwrap();
    let changed = |change: &dyn Fn(&mut State)| {
        let mut state = state.clone();
        change(&mut state);
        state
    };
    for (wrong, why) in [
        (changed(&|state| state.device = 1), "the virtio device 1, the endpoint 2"),
        (changed(&|state| state.queues.push(state.queues[0])), "queues of [256, 256], the endpoint [256]"),
        (changed(&|state| state.queues[0].size = 128), "queues of [128], the endpoint [256]"),
        (changed(&|state| state.vectors.clear()), "vectors, so many: 0, the endpoint 2"),
        (changed(&|state| state.config[0] = 0x1000_1af4), "the PCI device 10001af4, the endpoint 10011af4"),
        (changed(&|state| state.config.truncate(3)), "config space of so many double words: 3"),
        (changed(&|state| state.features |= 1), "features that the endpoint does not offer: 0x00000001"),
        (changed(&|state| state.config[2] ^= 1), "config space at 4 * 2 is"),
        (changed(&|state| state.config_vector = 77), "the config vector is 0xffff, and was 0x4d"),
    ] {
        let told = s.machine.restore(&wrong).unwrap_err().to_string();
        assert!(told.contains(why), "{told}");
        assert_eq!(s.machine.save().unwrap(), state, "{why}: something has changed");
    }
    for (other, why) in [("net", "virtio device"), ("blk-multiqueue", "queues of"), ("blk-one-vector", "vectors")] {
        let told = s.machine.exchange(&library(&example(other)), 0).unwrap_err().to_string();
        assert!(told.contains(why), "{other}: {told}");
    }
    let link = s.machine.exchange(&library(&behind((LinkInterface::SevenSeries, 128), "blk")), 0).unwrap_err();
    assert!(link.to_string().contains("config space"), "{link}");
    assert_eq!(s.machine.save().unwrap(), state);
    s.machine.thaw().unwrap();
    s.wait_all();
    s.expect_reads();
    assert!(matches!(s.machine.save(), Err(StateError::Moves)));
    exchange(&mut s, &config, 1);
    s.assert_works();
}

/// Whoever waits for memory does not stand still, and goes on when it is told to.
#[test]
fn an_endpoint_that_cannot_end_what_it_has_begun_goes_on() {
    let mut s = default_setup();
    let function = s.bus.function(SLOT).unwrap().clone();
    s.submit(Operation::In, 0);
    s.blk.kick(&mut s.machine).unwrap();
    s.machine.run(300);
    function.set_power_state(&mut s.machine, 3).unwrap();
    s.machine.begin_freeze().unwrap();
    for _ in 0..100 {
        s.machine.run(LONG);
        assert!(!s.machine.stands_still().unwrap(), "it sleeps with a request at hand");
    }
    s.machine.thaw().unwrap();
    function.set_power_state(&mut s.machine, 0).unwrap();
    assert_eq!(s.wait_all().len(), 1);
    s.assert_works();
}
