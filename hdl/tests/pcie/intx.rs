//! INTx messages.
use virtio_hdl_rtl::pcie::IntxMessages;
use virtio_hdl_rtl::testing::Bench;
use virtio_hdl_rtl::tlp::format::{MESSAGE_ASSERT_INTA, MESSAGE_DEASSERT_INTA};
use virtio_hdl_rtl::tlp::types::TransmitKind;

/// "INTx by assert/deassert message": in turn, and the receiver ends with the present level, whatever the pace.
#[test]
fn assert_and_deassert_alternate_and_end_with_the_present_level() {
    let mut bench = Bench::new("pcie_intx", IntxMessages::default(), |uut| &mut uut.clock);
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
