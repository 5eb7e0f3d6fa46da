//! The arbiters in front of the engines.
use std::collections::VecDeque;
use virtio_hdl_rtl::dma::types::{ReadRequest, WriteRequest};
use virtio_hdl_rtl::dma::{TurnArbiter, WriteArbiter};
use virtio_hdl_rtl::testing::Bench;

/// Random clients and a random engine; `$cycles` are those that a request takes when all ask and the engine takes them.
macro_rules! loses_nothing_keeps_order_per_client_and_starves_nobody {
    ($test:ident, $arbiter:ty, $request:ident, $cycles:literal) => {
        #[test]
        fn $test() {
            const CLIENTS: usize = 4;
            let mut b = Bench::new(stringify!($test), <$arbiter>::new(CLIENTS), |u| &mut u.clock);
            let mut sent = [0u64; CLIENTS];
            let mut taken = [0u64; CLIENTS];
            let mut offered = [false; CLIENTS];
            let mut waiting = [0; CLIENTS];
            let mut got = [0u64; CLIENTS];
            let mut grants = VecDeque::from([0; $cycles]);
            let mut order = VecDeque::new();
            b.uut.reset.next = true;
            b.low();
            b.edge();
            b.uut.reset.next = false;
            for cycle in 0..4000 {
                // busy, sparse, and one client alone
                let chance = [100, 20, 5, 60][cycle / 1000];
                let ready_chance = [100, 60, 100, 30][cycle / 1000];
                for i in 0..CLIENTS {
                    if !offered[i] && b.rng.below(100) < chance {
                        offered[i] = true;
                        sent[i] += 1;
                    }
                    b.uut.clients[i].valid.next = offered[i];
                    b.uut.clients[i].data.next = $request {
                        address: sent[i].into(),
                        length: ((sent[i] % 4096) + 1).into(),
                        client: (i as u64).into(),
                        ..Default::default()
                    };
                }
                b.uut.request.ready.next = b.rng.below(100) < ready_chance;
                b.low();
                grants.pop_front();
                grants.push_back(0);
                for i in 0..CLIENTS {
                    // only an engine that is always ready owes anyone a turn in time
                    waiting[i] = if ready_chance == 100 { waiting[i] + offered[i] as usize } else { 0 };
                    if offered[i] && b.uut.clients[i].ready.val() {
                        offered[i] = false;
                        taken[i] += 1;
                        order.push_back((i as u64, sent[i]));
                        grants[$cycles - 1] += 1;
                        waiting[i] = 0;
                    }
                    assert!(waiting[i] < $cycles * CLIENTS, "client {i} starves");
                }
                assert!(grants[$cycles - 1] <= 1);
                if chance == 100 {
                    assert_eq!(grants.iter().sum::<usize>(), 1, "a request in {} cycles when all ask", $cycles);
                }
                if b.uut.request.valid.val() && b.uut.request.ready.val() {
                    let r = b.uut.request.data.val();
                    let client = r.client.to_u64() as usize;
                    got[client] += 1;
                    assert_eq!(
                        Some((r.client.to_u64(), r.address.to_u64())),
                        order.pop_front(),
                        "leave as they were taken"
                    );
                    assert_eq!(r.address.to_u64(), got[client]);
                    assert_eq!(r.length.to_u64(), (got[client] % 4096) + 1);
                }
                b.edge();
            }
            assert!(taken.iter().all(|&n| n > 250), "{taken:?}");
            b.finish();
        }
    };
}

loses_nothing_keeps_order_per_client_and_starves_nobody!(
    turn_arbiter_loses_nothing_keeps_order_per_client_and_starves_nobody,
    TurnArbiter,
    ReadRequest,
    1
);
loses_nothing_keeps_order_per_client_and_starves_nobody!(
    write_arbiter_loses_nothing_keeps_order_per_client_and_starves_nobody,
    WriteArbiter,
    WriteRequest,
    2
);

/// A client that is reset while it has its turn, or that asks for nothing more.
#[test]
fn turn_arbiter_keeps_the_turn_while_nobody_else_asks_and_gives_on_one_that_is_withdrawn() {
    let mut b = Bench::new("dma_turn_arbiter_withdrawn", TurnArbiter::new(3), |u| &mut u.clock);
    for i in 0..3 {
        b.uut.clients[i].data.next = ReadRequest { client: (i as u64).into(), length: 1.into(), ..Default::default() };
    }
    let mut cycle = |reset: bool, valid: [bool; 3], ready: bool| {
        b.uut.reset.next = reset;
        for (client, valid) in b.uut.clients.iter_mut().zip(valid) {
            client.valid.next = valid;
        }
        b.uut.request.ready.next = ready;
        b.low();
        let offered = b.uut.request.valid.val().then(|| b.uut.request.data.val().client.to_u64());
        b.edge();
        offered
    };
    cycle(true, [false; 3], false);
    assert_eq!(cycle(false, [false, true, true], false), None, "the turn is client 0's");
    assert_eq!(cycle(false, [false, true, true], false), Some(1));
    assert_eq!(cycle(false, [false, false, true], false), None, "withdrawn: nothing is offered that nobody asks for");
    assert_eq!(cycle(false, [false, true, true], false), Some(2), "and the turn goes on");
    assert_eq!(cycle(false, [false, false, true], true), Some(2));
    assert_eq!(cycle(false, [false, false, true], true), Some(2), "the next one of the same client, at once");
    assert_eq!(cycle(false, [true, false, true], true), Some(2));
    assert_eq!(cycle(false, [true, false, true], true), Some(0), "but not when another asks");
    b.finish();
}
