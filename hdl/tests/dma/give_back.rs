//! Chains that are given back without a byte in them: random buffers, commands and backpressure.
use std::cell::RefCell;
use virtio_hdl_rtl::dma::types::{BufferDescriptor, ScatterCommand, UsedElement};
use virtio_hdl_rtl::dma::GiveBack;
use virtio_hdl_rtl::testing::{moved, Bench, Feed};

/// Commands and buffers come in their own time; used elements must be those of the chains that are neither dropped nor broken.
#[test]
fn chains_of_which_nothing_is_written_are_given_back_in_their_order() {
    for (eager, patient) in [(4, 4), (1, 4), (3, 1)] {
        let name = format!("dma_give_back_{eager}_{patient}");
        let mut bench = Bench::new(&name, GiveBack::default(), |uut| &mut uut.clock);
        bench.cycle(|uut, _| uut.reset.next = true, |_| {});
        bench.uut.reset.next = false;
        let (mut buffers, mut commands) = (Feed::new(eager), Feed::new(eager));
        let mut expected = vec![];
        for head in 0..400u64 {
            let rng = &mut bench.rng;
            // what a driver gives though nobody asks for it
            for _ in 0..rng.below(3) * rng.below(2) {
                let (address, length) = (rng.next().into(), (1 + rng.below(5000)).into());
                buffers.values.push_back(BufferDescriptor { address, length, ..Default::default() });
            }
            let (error, drop) = (rng.chance(1, 8), rng.chance(1, 8));
            buffers.values.push_back(BufferDescriptor { end: true, error, ..Default::default() });
            let (more, soon) = (rng.chance(1, 4), rng.chance(1, 4));
            commands.values.push_back(ScatterCommand { head: head.into(), drop, more, soon, ..Default::default() });
            if !error && !drop {
                expected.push(UsedElement { head: head.into(), length: 0.into(), more, soon });
            }
        }
        let used = RefCell::new(vec![]);
        let (buffers, commands) = (RefCell::new(buffers), RefCell::new(commands));
        while used.borrow().len() < expected.len() && bench.cycles < 20_000 {
            bench.cycle(
                |uut, rng| {
                    buffers.borrow_mut().drive(&mut uut.buffers, rng);
                    commands.borrow_mut().drive(&mut uut.command, rng);
                    uut.used.ready.next = rng.chance(patient, 4);
                },
                |uut| {
                    buffers.borrow_mut().take(&uut.buffers);
                    commands.borrow_mut().take(&uut.command);
                    used.borrow_mut().extend(moved(&uut.used));
                },
            );
        }
        assert_eq!(used.into_inner(), expected);
        bench.finish();
    }
}
