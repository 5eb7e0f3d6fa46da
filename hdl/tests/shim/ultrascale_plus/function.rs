//! Configuration ports, INTx, function-level reset, credits for reads.
use super::both;
use super::world::{Shim, World};
use crate::reference::packet_to_send;
use virtio_hdl_rtl::testing::Rng;
use virtio_hdl_rtl::tlp::types::TransmitKind;

both! {
    the_configuration_ports_say_what_the_function_may_do;
    intx_is_a_handshake_that_always_ends_at_the_present_level;
    a_function_level_reset_is_over_when_the_endpoint_has_drained;
    with_few_credits_reads_are_apart;
}

fn the_configuration_ports_say_what_the_function_may_do<S: Shim>() {
    let mut world = World::<S>::new("pcie_usp_function");
    let mut rng = Rng(41);
    for _ in 0..1000 {
        let (status, power) = (rng.next() & 0xffff, [0, 1, 2, 4][rng.below(4) as usize] | rng.next() & 0xff8);
        let (payload, read_request, bus, msix) =
            (rng.below(4), rng.below(8), rng.below(256), [0; 2].map(|_| rng.below(16)));
        let seen = world.cycle_with(|inputs| {
            inputs.status.next = status.into();
            inputs.power.next = power.into();
            inputs.payload.next = payload.into();
            inputs.read_request.next = read_request.into();
            inputs.bus.next = bus.into();
            inputs.msix.iter_mut().zip(msix).for_each(|(input, value)| input.next = value.into());
        });
        let flags = [status & 4 != 0, power & 7 == 4, status & 8 != 0, msix[0] & 1 == 1, msix[1] & 1 == 1, false];
        assert_eq!((seen.flags, seen.function_id), (flags, bus << 8));
        assert_eq!(seen.sizes, [payload.min(1), read_request.min(5)]);
    }
    world.bench.finish();
}

/// The level stays until the message has been accepted; the last one is the present one; only INTA, only function 0.
fn intx_is_a_handshake_that_always_ends_at_the_present_level<S: Shim>() {
    let mut world = World::<S>::new("pcie_usp_intx");
    let mut rng = Rng(42);
    let (mut level, mut shown, mut unsent, mut messages) = (false, 0, false, 0);
    for round in 0..3000 {
        let calm = round % 300 > 250;
        if !calm && rng.chance(1, 4) {
            level = !level;
        }
        let sent = unsent && rng.chance(1, 3);
        let seen = world.cycle_with(|inputs| {
            inputs.level.next = level;
            inputs.pending.next = level;
            inputs.sent.next = sent;
        });
        if seen.interrupt != shown {
            assert!(!unsent, "the level changes before the message was sent");
            (shown, unsent, messages) = (seen.interrupt, true, messages + 1);
        } else if sent {
            unsent = false;
        }
        assert!(seen.interrupt <= 1 && seen.interrupt_pending >= seen.interrupt, "pending as long as asserted");
        if round % 300 == 299 {
            assert_eq!((shown, seen.interrupt_pending, unsent), (level.into(), level.into(), false));
        }
    }
    assert!(messages > 200, "{messages}");
    world.bench.finish();
}

/// One pulse to the endpoint, one to the block when the endpoint no longer drains, and no more until the block is out of
/// the reset.
fn a_function_level_reset_is_over_when_the_endpoint_has_drained<S: Shim>() {
    let mut world = World::<S>::new("pcie_usp_flr");
    for (drain, end) in [(1, 1), (3, 5), (40, 2), (200, 20)] {
        let (mut told, mut done, mut drained) = (None, None, None);
        for cycle in 0..400u64 {
            let drains = told.is_some_and(|when: u64| cycle > when && cycle <= when + drain);
            let in_reset = done.is_none_or(|when: u64| cycle <= when + end);
            let seen = world.cycle_with(|inputs| {
                inputs.in_reset.next = u64::from(in_reset).into();
                inputs.quiescing.next = drains;
            });
            if seen.function_reset {
                assert!(told.replace(cycle).is_none(), "told twice");
            }
            if told.is_some_and(|when| cycle == when + drain) {
                drained = Some(cycle);
            }
            if seen.reset_done != 0 {
                assert_eq!(seen.reset_done, 1);
                assert!(drained.is_some_and(|when| cycle > when), "done in cycle {cycle}, drained {drained:?}");
                assert!(done.replace(cycle).is_none(), "done twice");
            }
            assert!(!in_reset || cycle == 0 || seen.busy);
        }
        assert!(told.is_some_and(|when| when <= 2) && done.is_some(), "{told:?} {done:?}");
    }
    world.bench.finish();
}

/// `pcie_tfc_nph_av` counts reads of the last eight cycles late.
fn with_few_credits_reads_are_apart<S: Shim>() {
    let mut world = World::<S>::new("pcie_usp_credits");
    let mut rng = Rng(44);
    for (credits, ready) in [(0, false), (1, true), (11, true), (12, true), (15, true)] {
        for _ in 0..20 {
            world.cycle_with(|inputs| inputs.credits.next = u64::into(credits));
        }
        assert_eq!(world.cycle().nonposted_ready, ready, "{credits} credits");
        world.transmit.values.extend(packet_to_send(TransmitKind::MemoryRead, 4, &mut rng));
        while !world.transmit.values.is_empty() {
            world.cycle();
        }
        let away = (0..20).take_while(|_| !world.cycle().nonposted_ready).count();
        match credits {
            0 => assert_eq!(away, 20),
            1..=11 => assert!((8..=12).contains(&away), "{credits} credits: {away}"),
            _ => assert_eq!(away, 0),
        }
    }
    world.bench.finish();
}
