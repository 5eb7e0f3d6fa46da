//! The read engine in single situations: speed, timeouts, stop.
use crate::beats::{beat, host_byte};
use std::collections::VecDeque;
use virtio_hdl_rtl::dma::types::{ReadRequest, ReadRetire};
use virtio_hdl_rtl::dma::SizedReadEngine;
use virtio_hdl_rtl::testing::Bench;
use virtio_hdl_rtl::tlp::types::{CompletionBeat, TransmitBeat};

/// What the engine did, each with its cycle.
struct Situation {
    bench: Bench<SizedReadEngine>,
    requests: VecDeque<ReadRequest>,
    beats: VecDeque<CompletionBeat>,
    reads: Vec<(u64, TransmitBeat)>,
    writes: Vec<u64>,
    retired: Vec<(u64, ReadRetire)>,
    timeouts: Vec<u64>,
    stalls: u64,
}

impl Situation {
    fn new(name: &str, timeout: u64, max_read_request: u64) -> Self {
        Self::with_tags(name, 32, timeout, max_read_request)
    }

    fn with_tags(name: &str, tags: u16, timeout: u64, max_read_request: u64) -> Self {
        let mut bench = Bench::new(name, SizedReadEngine::new(tags, timeout), |u| &mut u.clock);
        bench.uut.max_read_request.next = max_read_request.into();
        bench.uut.extended_tag.next = true;
        bench.uut.transmit.ready.next = true;
        bench.uut.reset.next = true;
        bench.low();
        bench.edge();
        bench.uut.reset.next = false;
        // no tag is given out before the marks of all have been cleared
        for _ in 0..tags + 2 {
            bench.low();
            bench.edge();
        }
        Situation {
            bench,
            requests: VecDeque::new(),
            beats: VecDeque::new(),
            reads: vec![],
            writes: vec![],
            retired: vec![],
            timeouts: vec![],
            stalls: 0,
        }
    }

    fn request(&mut self, address: u64, length: u64, destination: u64) {
        self.requests.push_back(ReadRequest {
            address: address.into(),
            length: length.into(),
            destination: destination.into(),
            client: 1.into(),
            slot: 7.into(),
        });
    }

    fn cycle(&mut self) {
        let b = &mut self.bench;
        b.uut.request.valid.next = !self.requests.is_empty();
        b.uut.request.data.next = self.requests.front().copied().unwrap_or_default();
        b.uut.completion.valid.next = !self.beats.is_empty();
        b.uut.completion.data.next = self.beats.front().copied().unwrap_or_default();
        b.low();
        let (u, now) = (&b.uut, b.cycles);
        if u.request.valid.val() && u.request.ready.val() {
            self.requests.pop_front();
        }
        if u.completion.ready.val() {
            self.beats.pop_front();
        }
        if u.transmit.valid.val() && u.transmit.ready.val() {
            self.reads.push((now, u.transmit.data.val()));
        }
        if u.returns.write_valid.val() {
            self.writes.push(now);
        }
        if u.returns.retire_valid.val() {
            self.retired.push((now, u.returns.retire.val()));
        }
        if u.timeout.val() {
            self.timeouts.push(now);
        }
        self.stalls += u.stall_no_tag.val() as u64;
        b.edge();
    }

    fn cycles(&mut self, count: u64) {
        (0..count).for_each(|_| self.cycle());
    }

    /// Reads of 64 bytes, answered one after the other.
    fn serve(&mut self, count: usize) {
        for _ in 0..count {
            self.request(0x1000, 64, 0);
            self.cycles(6);
            self.answer(self.reads.len() - 1, 64);
            self.cycles(12);
        }
    }

    /// Queues the answer to a read of whole beats, in pieces of `piece` bytes.
    fn answer(&mut self, read: usize, piece: u64) {
        let read = self.reads[read].1;
        let total = read.length.to_u64() * 4;
        for start in (0..total).step_by(piece as usize) {
            let length = piece.min(total - start);
            for j in 0..length / 16 {
                let address = read.address.to_u64() + start + 16 * j;
                let lanes: Vec<u8> = (0..16).map(|i| host_byte(address + i)).collect();
                self.beats.push_back(CompletionBeat {
                    data: beat(&lanes),
                    first: j == 0,
                    last: j == length / 16 - 1,
                    tag: read.tag,
                    byte_count: (total - start).into(),
                    lower_address: ((read.address.to_u64() + start) & 0x7F).into(),
                    length: (length / 4).into(),
                    ..Default::default()
                });
            }
        }
    }
}

#[test]
fn read_engine_issues_a_read_every_other_cycle_and_takes_completions_with_one_cycle_between() {
    let mut s = Situation::new("dma_read_speed", 10_000, 0);
    let begun = s.bench.cycles;
    // 32 reads of 128 bytes for one request, then no tag is left
    s.request(0x1000, 4096, 0x100);
    s.request(0x9000, 4096, 0x2105);
    s.cycles(90);
    assert_eq!(s.reads.len(), 32);
    assert_eq!(s.reads[31].0 - s.reads[0].0, 62, "one read in two cycles");
    assert_eq!(s.reads[0].0 - begun, 2, "the first read leaves two cycles behind its request");
    assert!(s.stalls > 0, "a read that waits for a tag is counted");
    // the pieces come without a pause, 64 bytes each; between two is the cycle that a header takes on the link
    (0..32).for_each(|read| s.answer(read, 64));
    let (beats, pieces) = (4096 / 16, 4096 / 64);
    s.cycles(beats + pieces + 8);
    assert_eq!(s.writes.len() as u64, beats);
    assert_eq!(s.writes[beats as usize - 1] - s.writes[0], beats + pieces - 2, "one write per cycle");
    assert_eq!(s.retired.len(), 1);
    assert!(s.retired[0].0 > s.writes[beats as usize - 1], "retired when the data are in the RAM");
    assert!(s.retired[0].0 <= s.writes[beats as usize - 1] + 3);
    // the second request has gone out as tags came back
    assert_eq!(s.reads.len(), 64);
    (32..64).for_each(|read| s.answer(read, 128));
    s.cycles(beats + pieces / 2 + 8);
    // at an odd alignment, each piece is in one word more, which takes the cycle between two pieces
    let words = beats + pieces / 2;
    assert_eq!(s.writes.len() as u64, beats + words);
    assert_eq!(s.writes[(beats + words) as usize - 1] - s.writes[beats as usize], words - 1);
    assert_eq!(s.retired.len(), 2);
    // small requests: two cycles each
    (0..24).for_each(|i| s.request(0x2_0000 + 64 * i, 64, 64 * i));
    s.cycles(60);
    assert_eq!(s.reads.len(), 88);
    assert_eq!(s.reads[87].0 - s.reads[64].0, 2 * 23);
    // single-beat completions, four of a tag: one in two cycles
    (64..88).rev().for_each(|read| s.answer(read, 16));
    s.cycles(24 * 8 + 8 + 24);
    assert_eq!(s.retired.len(), 26);
    assert!(s.retired.iter().all(|(_, retire)| !retire.error));
    assert!(s.bench.uut.idle.val());
    s.bench.finish();
}

#[test]
fn read_engine_timeouts_of_many_reads_run_at_the_same_time() {
    let timeout = 800;
    let mut s = Situation::new("dma_read_timeouts", timeout, 0);
    (0..20).for_each(|i| s.request(0x1000 * i, 100, 128 * i));
    s.cycles(2 * timeout);
    assert_eq!((s.timeouts.len(), s.retired.len()), (20, 20));
    for (i, &at) in s.timeouts.iter().enumerate() {
        let age = at - s.reads[i].0;
        assert!((timeout..=timeout * 9 / 8 + 60).contains(&age), "read {i} was given up after {age} cycles");
    }
    assert!(s.retired.iter().all(|(_, retire)| retire.error));
    assert!(s.bench.uut.idle.val());
    s.bench.finish();
}

#[test]
fn read_engine_writes_nothing_of_a_packet_whose_tag_expires_in_the_middle_of_it() {
    let timeout = 160;
    let mut s = Situation::new("dma_read_expiry", timeout, 0);
    // every phase between the packet and the timeout
    for phase in 0..60 {
        let first = s.reads.len();
        let (retired, writes) = (s.retired.len(), s.writes.len());
        s.request(0x4000, 128, 0x40);
        s.cycles(10);
        s.answer(first, 128);
        let rest: Vec<_> = s.beats.drain(4..).collect();
        s.cycles(timeout + phase / 2 - 20);
        // the second half comes around the time of the timeout
        s.beats.extend(rest);
        s.cycles(60);
        assert_eq!(s.retired.len(), retired + 1);
        let (at, retire) = s.retired[retired];
        assert!(s.writes[writes..].iter().all(|&write| write < at), "a write behind the retirement");
        assert_eq!(retire.error, s.writes.len() - writes < 8);
        assert!(s.bench.uut.idle.val());
    }
    let failed = s.retired.iter().filter(|(_, retire)| retire.error).count();
    assert!((5..=55).contains(&failed), "both outcomes are seen: {failed} of 60 failed");
    s.bench.finish();
}

#[test]
fn read_engine_stops_swallows_requests_drains_and_goes_on_after_that() {
    let mut s = Situation::new("dma_read_stop", 2000, 0);
    s.request(0x1000, 4096, 0);
    while s.reads.len() < 5 {
        s.cycle();
    }
    s.bench.uut.stop.next = true;
    (0..6).for_each(|i| s.request(0x9000 + 0x1000 * i, 300, 0x2000));
    s.cycles(20);
    assert!(s.reads.len() <= 6, "only what was offered already leaves");
    assert!(s.requests.is_empty(), "requests are swallowed");
    assert!(!s.bench.uut.idle.val());
    (0..s.reads.len()).for_each(|read| s.answer(read, 64));
    s.cycles(80);
    assert!(s.bench.uut.idle.val());
    assert!(s.retired.is_empty(), "nothing stopped is retired");
    s.bench.uut.stop.next = false;
    let next = s.reads.len();
    s.request(0x2000, 64, 0x80);
    s.cycles(10);
    assert_eq!(s.reads.len(), next + 1);
    s.answer(next, 64);
    s.cycles(20);
    assert_eq!(s.retired.len(), 1);
    assert!(!s.retired[0].1.error);
    assert!(s.bench.uut.idle.val());
    s.bench.finish();
}

#[test]
fn read_engine_counts_the_age_of_a_read_from_its_leaving() {
    let timeout = 160;
    let mut s = Situation::new("dma_read_age", timeout, 0);
    // one leaves, the other one may not: a sleep, or no credit
    s.request(0x1000, 128, 0);
    while s.reads.is_empty() {
        s.cycle();
    }
    s.bench.uut.transmit.ready.next = false;
    s.request(0x2000, 128, 0x100);
    s.cycles(5 * timeout);
    assert_eq!(s.timeouts.len(), 1, "the one that left is given up, the one that waits is not");
    assert_eq!((s.reads.len(), s.retired.len()), (1, 1));
    s.bench.uut.transmit.ready.next = true;
    s.cycles(timeout / 2);
    assert_eq!(s.reads.len(), 2);
    s.answer(1, 64);
    s.cycles(30);
    assert_eq!(s.retired.len(), 2);
    assert!(!s.retired[1].1.error, "answered in time");
    // at any phase of the clock that ages are counted with
    for phase in 0..12 {
        s.bench.uut.transmit.ready.next = false;
        let (read, given_up) = (s.reads.len(), s.timeouts.len());
        s.request(0x3000, 64, 0);
        s.cycles(3 * timeout + phase);
        s.bench.uut.transmit.ready.next = true;
        s.cycles(2 * timeout);
        let age = s.timeouts[given_up] - s.reads[read].0;
        assert!((timeout..=timeout * 9 / 8 + 12).contains(&age), "given up after {age} cycles");
    }
    s.bench.finish();
}

#[test]
fn read_engine_can_be_told_not_to_give_reads_up_until_it_stops() {
    let timeout = 160;
    let mut s = Situation::new("dma_read_patience", timeout, 0);
    s.bench.uut.timeout_disable.next = true;
    s.request(0x1000, 128, 0);
    s.cycles(6 * timeout);
    assert!(s.timeouts.is_empty());
    s.bench.uut.stop.next = true;
    s.cycles(2 * timeout);
    assert_eq!(s.timeouts.len(), 1, "a drain has an end");
    assert!(s.bench.uut.idle.val());
    s.bench.finish();
}

#[test]
fn read_engine_forgets_at_once_a_read_that_waits_when_it_stops() {
    let mut s = Situation::new("dma_read_withdraw", 100_000, 0);
    for others in 0..3 {
        // reads that have left, then one that may not
        let first = s.reads.len();
        s.bench.uut.stop.next = false;
        s.bench.uut.transmit.ready.next = true;
        (0..others).for_each(|_| s.request(0x1000, 128, 0));
        s.cycles(20);
        s.bench.uut.transmit.ready.next = false;
        s.request(0x2000, 4096, 0x100);
        s.cycles(20);
        s.bench.uut.stop.next = true;
        s.cycles(3);
        s.bench.uut.transmit.ready.next = true;
        s.cycles(3);
        assert_eq!(s.reads.len() as u64, first as u64 + others, "nothing leaves behind a stop");
        (first..s.reads.len()).for_each(|read| s.answer(read, 128));
        s.cycles(others * 10 + 10);
        assert!(s.bench.uut.idle.val(), "drained as soon as the host has answered what left");
    }
    assert!(s.timeouts.is_empty());
    // and works on
    s.bench.uut.stop.next = false;
    let (read, retired) = (s.reads.len(), s.retired.len());
    s.request(0x5000, 64, 0);
    s.cycles(10);
    s.answer(read, 64);
    s.cycles(20);
    assert!(s.retired.len() == retired + 1 && !s.retired[retired].1.error);
    s.bench.finish();
}

#[test]
fn read_engine_gives_a_tag_that_was_given_up_a_rest() {
    for extended in [false, true] {
        let timeout = 1600;
        let mut s = Situation::new("dma_read_rest", timeout, 0);
        s.bench.uut.extended_tag.next = extended;
        // a few before it, so that it is not the first tag
        let mut answered = 0;
        let mut serve = |s: &mut Situation, count: usize| {
            s.serve(count);
            answered += count;
            answered
        };
        serve(&mut s, 5);
        let silent = s.reads.len();
        s.request(0x1000, 64, 0);
        s.cycles(2 * timeout);
        let given_up = s.timeouts[0];
        let tag = s.reads[silent].1.tag.to_u64();
        // its answer comes late, and looks like that of any read since
        let mut late = 0;
        while s.bench.cycles < given_up + 3 * timeout {
            let done = serve(&mut s, 7);
            s.answer(silent, 64);
            s.cycles(12);
            late += 1;
            assert_eq!(s.retired.len(), done + 1, "late answer {late} ends no read");
            assert_eq!(s.writes.len(), 4 * done, "late answer {late} writes nothing");
        }
        assert!(s.retired.iter().filter(|(_, retire)| retire.error).count() == 1);
        let again = s.reads[silent + 1..].iter().find(|(_, read)| read.tag.to_u64() % 32 == tag % 32);
        let rest = again.expect("it comes back").0 - given_up;
        assert!((timeout..=5 * timeout / 2).contains(&rest), "rested for {rest} cycles");
        s.bench.finish();
    }
}

#[test]
fn read_engine_writes_nothing_of_a_tag_behind_a_completion_that_it_refused() {
    let mut s = Situation::new("dma_read_refused", 10_000, 0);
    for pause in 0..6 {
        let (read, retired) = (s.reads.len(), s.retired.len());
        s.request(0x4000, 64, 0x40);
        s.cycles(10);
        // the first of four lies; the others are what would follow it if it did not
        s.answer(read, 16);
        s.beats[0].lower_address = 4.into();
        let others = s.beats.split_off(1);
        s.cycles(1 + pause);
        s.beats = others;
        s.cycles(20);
        assert!(s.writes.is_empty(), "{pause} cycles between them");
        assert_eq!(s.retired.len(), retired + 1);
        assert!(s.retired[retired].1.error && s.bench.uut.idle.val());
    }
    s.bench.finish();
}

#[test]
fn read_engine_takes_no_answer_to_a_read_that_has_not_left() {
    let mut s = Situation::new("dma_read_answered_early", 100_000, 0);
    // what its answer will be like
    s.request(0x1000, 64, 0);
    s.cycles(10);
    s.answer(0, 64);
    let mut early: Vec<CompletionBeat> = s.beats.iter().copied().collect();
    s.cycles(20);
    s.bench.uut.transmit.ready.next = false;
    s.request(0x1000, 64, 0);
    s.cycles(10);
    early.iter_mut().for_each(|beat| beat.tag = 1u64.into());
    s.beats.extend(early);
    s.cycles(20);
    assert_eq!((s.retired.len(), s.writes.len()), (1, 4), "nobody takes it");
    s.bench.uut.transmit.ready.next = true;
    s.cycles(5);
    assert_eq!(s.reads[1].1.tag.to_u64(), 1);
    s.answer(1, 64);
    s.cycles(20);
    assert_eq!((s.retired.len(), s.writes.len()), (2, 8));
    s.bench.finish();
}

/// The read that waits is in front of a tag that rests: the circle goes on behind it, and it is as young as ever.
#[test]
fn read_engine_counts_no_age_of_a_read_that_waits_in_front_of_a_tag_that_rests() {
    let timeout = 1600;
    let mut s = Situation::new("dma_read_rest_waiting", timeout, 0);
    s.serve(5);
    s.request(0x1000, 64, 0);
    while s.timeouts.is_empty() {
        s.cycle();
    }
    // tags 6 to 31 and 0 to 3; the last time that tag 4 left is longer than the timeout ago
    s.serve(30);
    s.bench.uut.transmit.ready.next = false;
    s.request(0x2000, 64, 0);
    s.request(0x3000, 64, 0x40);
    s.cycles(300);
    assert_eq!(s.timeouts.len(), 1, "only the one that was never answered is given up");
    s.bench.uut.transmit.ready.next = true;
    s.cycles(20);
    let slots: Vec<u64> = s.reads[36..].iter().map(|(_, read)| read.tag.to_u64() % 32).collect();
    assert_eq!(slots, [4, 6], "tag 5 rests");
    s.answer(36, 64);
    s.answer(37, 64);
    s.cycles(30);
    assert_eq!(s.retired.len(), 38);
    assert!(s.retired[36..].iter().all(|(_, retire)| !retire.error));
    s.bench.finish();
}

#[test]
fn read_engine_ends_what_the_link_has_forgotten_at_once_and_its_tags_do_not_rest() {
    let timeout = 100_000;
    let mut s = Situation::new("dma_read_abandon", timeout, 0);
    s.bench.uut.extended_tag.next = false;
    for _ in 0..3 {
        let first = s.reads.len();
        // all tags
        s.request(0x1000, 4096, 0);
        while s.reads.len() < first + 32 {
            s.cycle();
        }
        s.bench.uut.stop.next = true;
        s.cycles(20);
        assert!(!s.bench.uut.idle.val());
        s.bench.uut.abandon.next = true;
        s.cycles(32 * 4);
        assert!(s.bench.uut.idle.val());
        s.bench.uut.abandon.next = false;
        s.bench.uut.stop.next = false;
    }
    assert!(s.timeouts.is_empty(), "no read was late");
    assert!(s.retired.iter().all(|(_, retire)| retire.error));
    let (read, retired) = (s.reads.len(), s.retired.len());
    s.request(0x5000, 64, 0);
    s.cycles(10);
    s.answer(read, 64);
    s.cycles(20);
    assert!(s.retired.len() == retired + 1 && !s.retired[retired].1.error);
    s.bench.finish();
}

/// Tags of 8 bits have to be allowed; what is in flight when they are, or are not any more, ends first.
#[test]
fn read_engine_has_64_reads_in_flight_with_extended_tags_and_32_without() {
    let mut s = Situation::with_tags("dma_read_64_tags", 64, 100_000, 0);
    let mut retired = 0;
    for (extended, in_flight) in [(true, 64), (false, 32), (true, 64)] {
        s.bench.uut.extended_tag.next = extended;
        s.cycles(4);
        let first = s.reads.len();
        for _ in 0..3 {
            s.request(0x1000, 4096, 0);
        }
        s.cycles(300);
        assert_eq!(s.reads.len() - first, in_flight);
        assert!(extended || s.reads[first..].iter().all(|(_, read)| read.tag.to_u64() < 32));
        let mut answered = first;
        while s.retired.len() < retired + 3 {
            (answered..s.reads.len()).for_each(|read| s.answer(read, 128));
            answered = s.reads.len();
            s.cycles(20);
        }
        retired += 3;
        assert_eq!(s.reads.len() - first, 3 * 32);
    }
    assert!(s.retired.iter().all(|(_, retire)| !retire.error));
    s.bench.finish();
}

/// The marks of tags are RAM, which a reset clears one after the other: nothing of the reads before is left, wherever it comes.
#[test]
fn read_engine_knows_nothing_of_its_reads_behind_a_reset_and_gives_tags_when_all_are_cleared() {
    for tags in [32, 64] {
        let timeout = 400;
        let mut s = Situation::with_tags(&format!("dma_read_reset_{tags}"), tags, timeout, 0);
        for again in 0..3 {
            // some rest, and all others are outstanding
            (0..5).for_each(|_| s.request(0x1000, 64, 0));
            s.cycles(2 * timeout);
            assert_eq!(s.timeouts.len(), 5);
            (0..tags).for_each(|_| s.request(0x1000, 64, 0));
            s.cycles(150);
            let old: Vec<_> = (0..s.reads.len()).collect();
            assert_eq!(old.len(), usize::from(tags), "five are passed over");
            s.requests.clear();
            s.bench.uut.reset.next = true;
            s.cycle();
            // and once more while they are being cleared
            s.bench.uut.reset.next = false;
            s.cycles(5 * again);
            s.bench.uut.reset.next = true;
            s.cycle();
            s.bench.uut.reset.next = false;
            s.retired.clear();
            // late answers, while tags are being cleared and when they have been
            old.iter().for_each(|read| s.answer(*read, 64));
            s.cycles(6 * u64::from(tags));
            assert_eq!((s.writes.len(), s.retired.len()), (0, 0), "nobody takes them");
            assert!(s.beats.is_empty() && s.bench.uut.idle.val());
            s.reads.clear();
            s.timeouts.clear();
            if again == 2 {
                break;
            }
            // a read in the first cycle waits
            s.bench.uut.reset.next = true;
            s.cycle();
            s.bench.uut.reset.next = false;
            s.request(0x1000, 64, 0);
            (1..tags).for_each(|_| s.request(0x1000, 64, 0));
            let begun = s.bench.cycles;
            s.cycles(4 * u64::from(tags));
            let given: Vec<_> = s.reads.iter().map(|(_, read)| read.tag.to_u64()).collect();
            assert_eq!(given, (0..u64::from(tags)).collect::<Vec<_>>(), "no tag rests");
            assert!((u64::from(tags)..u64::from(tags) + 8).contains(&(s.reads[0].0 - begun)));
            (0..given.len()).for_each(|read| s.answer(read, 64));
            s.cycles(6 * u64::from(tags));
            assert_eq!(s.retired.len(), given.len());
            assert!(s.retired.iter().all(|(_, retire)| !retire.error));
            s.reads.clear();
            s.writes.clear();
            s.retired.clear();
        }
        s.bench.finish();
    }
}
