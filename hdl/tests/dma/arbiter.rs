//! The request arbiter.
use virtio_hdl_rtl::dma::types::WriteRequest;
use virtio_hdl_rtl::dma::WriteArbiter;
use virtio_hdl_rtl::testing::Bench;

#[test]
fn arbiter_loses_nothing_keeps_order_per_client_and_starves_nobody() {
    const CLIENTS: usize = 5;
    let mut b = Bench::new("dma_arbiter", WriteArbiter::new(CLIENTS), |u| &mut u.clock);
    let mut sent = [0u64; CLIENTS];
    let mut taken = [0u64; CLIENTS];
    let mut offered = [false; CLIENTS];
    let mut waiting = [0; CLIENTS];
    let mut got = [0u64; CLIENTS];
    // the first turn takes a cycle
    let mut granted = 1;
    let mut order = std::collections::VecDeque::new();
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
            b.uut.clients[i].data.next = WriteRequest {
                address: sent[i].into(),
                length: ((sent[i] % 4096) + 1).into(),
                source: 0x1234.into(),
                client: (i as u64).into(),
            };
        }
        b.uut.request.ready.next = b.rng.below(100) < ready_chance;
        b.low();
        let mut grants = 0;
        for i in 0..CLIENTS {
            // only an engine that is always ready owes anyone a turn in time
            waiting[i] = if ready_chance == 100 { waiting[i] + offered[i] as usize } else { 0 };
            if offered[i] && b.uut.clients[i].ready.val() {
                offered[i] = false;
                taken[i] += 1;
                order.push_back((i as u64, sent[i]));
                grants += 1;
                waiting[i] = 0;
            }
            assert!(waiting[i] < 2 * CLIENTS, "client {i} starves");
        }
        assert!(grants <= 1);
        if chance == 100 {
            assert_eq!(grants + granted, 1, "a request every other cycle when all ask and the engine takes them");
        }
        granted = grants;
        if b.uut.request.valid.val() && b.uut.request.ready.val() {
            let r = b.uut.request.data.val();
            let client = r.client.to_u64() as usize;
            got[client] += 1;
            assert_eq!(Some((r.client.to_u64(), r.address.to_u64())), order.pop_front(), "leave as they were taken");
            assert_eq!(r.address.to_u64(), got[client]);
            assert_eq!(r.length.to_u64(), (got[client] % 4096) + 1);
        }
        b.edge();
    }
    assert!(taken.iter().all(|&n| n > 250), "{taken:?}");
    b.finish();
}

/// A client that is reset while it has its turn.
#[test]
fn arbiter_gives_on_the_turn_of_a_request_that_is_withdrawn() {
    let mut b = Bench::new("dma_arbiter_withdrawn", WriteArbiter::new(2), |u| &mut u.clock);
    b.uut.reset.next = true;
    b.low();
    b.edge();
    b.uut.reset.next = false;
    for i in 0..2 {
        b.uut.clients[i].data.next = WriteRequest { client: (i as u64).into(), length: 1.into(), ..Default::default() };
        b.uut.clients[i].valid.next = true;
    }
    let turns = |b: &Bench<WriteArbiter>| (b.uut.request.valid.val(), b.uut.request.data.val().client.to_u64());
    b.low();
    b.edge();
    b.low();
    assert_eq!(turns(&b), (true, 1), "the first behind client 0, which is as good as served by the reset");
    b.uut.clients[1].valid.next = false;
    b.low();
    assert!(!turns(&b).0, "nothing is offered that nobody asks for");
    b.edge();
    b.low();
    b.edge();
    b.low();
    assert_eq!(turns(&b), (true, 0));
    b.finish();
}
