//! Messages: INTx, errors, the answer to PME_Turn_Off.
use virtio_hdl_rtl::pcie::FunctionMessages;
use virtio_hdl_rtl::testing::Bench;
use virtio_hdl_rtl::tlp::format::*;
use virtio_hdl_rtl::tlp::types::TransmitKind;

/// "INTx by assert/deassert message": in turn, and the receiver ends with the present level, whatever the pace.
#[test]
fn assert_and_deassert_alternate_and_end_with_the_present_level() {
    let mut bench = Bench::new("pcie_intx", FunctionMessages::default(), |uut| &mut uut.clock);
    bench.cycle(|uut, _| uut.reset.next = true, |_| ());
    let (mut told, mut messages) = (false, 0);
    for cycle in 0..4000 {
        bench.cycle(
            |uut, rng| {
                uut.reset.next = false;
                if rng.chance(1, [3, 20][cycle / 50 % 2]) && cycle % 50 < 35 {
                    uut.level.next = !uut.level.val();
                }
                uut.message.ready.next = rng.chance([8, 1][cycle / 100 % 2], 8) || cycle % 50 >= 35;
            },
            |uut| {
                if uut.message.valid.val() && uut.message.ready.val() {
                    let message = uut.message.data.val();
                    assert_eq!((message.kind, message.last), (TransmitKind::Message, true));
                    let code = if told { MESSAGE_DEASSERT_INTA } else { MESSAGE_ASSERT_INTA };
                    assert_eq!(message.message_code.to_u64(), u64::from(code));
                    told = !told;
                    messages += 1;
                }
                if cycle % 50 == 49 {
                    assert_eq!((told, uut.busy.val()), (uut.level.val(), false));
                }
            },
        );
    }
    assert!(messages > 300, "{messages}");
    bench.finish();
}

/// Each event is told at least once behind it, however the link stalls, and none that did not happen; PME_TO_Ack comes when nothing
/// else waits.
#[test]
fn errors_and_power_turn_off_are_told_while_intx_goes_on() {
    const CODES: [u32; 4] = [MESSAGE_ERR_COR, MESSAGE_ERR_NONFATAL, MESSAGE_ERR_FATAL, MESSAGE_PME_TO_ACK];
    let mut bench = Bench::new("pcie_messages", FunctionMessages::default(), |uut| &mut uut.clock);
    bench.cycle(|uut, _| uut.reset.next = true, |_| ());
    // events of each kind that no message has followed yet
    let (mut open, mut sent, mut told) = ([0u32; 4], [0u32; 4], false);
    let mut chosen_before: Option<(u64, [u32; 4])> = None;
    // `open` as it was when the cycle before began
    let (mut before, mut now) = ([0; 4], [0; 4]);
    for cycle in 0..6000 {
        let quiet = cycle % 100 >= 80;
        bench.cycle(
            |uut, rng| {
                uut.reset.next = false;
                let chance = [30, 6][cycle / 200 % 2];
                uut.error_correctable.next = !quiet && rng.chance(1, chance);
                uut.error_nonfatal.next = !quiet && rng.chance(1, chance);
                uut.error_fatal.next = !quiet && rng.chance(1, chance);
                uut.turn_off.next = !quiet && rng.chance(1, chance);
                if !quiet && rng.chance(1, 15) {
                    uut.level.next = !uut.level.val();
                }
                uut.message.ready.next = quiet || rng.chance([8, 1][cycle / 100 % 2], 8);
            },
            |uut| {
                (before, now) = (now, open);
                if uut.message.valid.val() {
                    let code = uut.message.data.val().message_code.to_u64();
                    // what was open when the message was chosen, a cycle before it was first on offer, has been told by it
                    let (same, then) = chosen_before.unwrap_or((code, before));
                    assert_eq!(code, same, "changed while it waits");
                    chosen_before = Some((code, then));
                    if uut.message.ready.val() {
                        chosen_before = None;
                        match CODES.iter().position(|known| u64::from(*known) == code) {
                            Some(kind) => {
                                assert!(then[kind] > 0, "{code:#x} for nothing");
                                open[kind] -= then[kind];
                                sent[kind] += 1;
                            }
                            None => {
                                let wanted = if told { MESSAGE_DEASSERT_INTA } else { MESSAGE_ASSERT_INTA };
                                assert_eq!(code, u64::from(wanted));
                                told = !told;
                            }
                        }
                    }
                }
                let events = [&uut.error_correctable, &uut.error_nonfatal, &uut.error_fatal, &uut.turn_off];
                open.iter_mut().zip(events).for_each(|(open, event)| *open += u32::from(event.val()));
                if cycle % 100 == 99 {
                    assert!(!uut.busy.val());
                    // an event in the cycle in which its message was chosen gets one of its own
                    assert_eq!((open, told), ([0; 4], uut.level.val()), "cycle {cycle}");
                }
            },
        );
    }
    assert!(sent.iter().all(|count| *count > 60), "{sent:?}");
    bench.finish();
}
