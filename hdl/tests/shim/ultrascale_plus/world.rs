//! The shim between a model of the block's streams and a test that is the endpoint.
use num_bigint::BigUint;
use rust_hdl::prelude::*;
use std::cell::RefCell;
use std::collections::VecDeque;
use virtio_hdl_rtl::cells::{Sink, Source};
use virtio_hdl_rtl::shim::{UltraScalePlus128, UltraScalePlus256};
use virtio_hdl_rtl::testing::{moved, Bench, Feed, Port, Rng};
use virtio_hdl_rtl::tlp::types::{CompletionBeat, Request, TransmitBeat};

/// A beat of one of the streams.
#[derive(Clone, Debug, Default)]
pub struct Beat {
    pub data: Vec<u32>,
    pub keep: u64,
    pub last: bool,
    pub user: u128,
}

/// Cuts a packet into beats; `user` is that of each beat, by its number and whether it is the last.
pub fn beats(words: &[u32], lanes: usize, rng: &mut Rng, user: impl Fn(usize, bool, u128) -> u128) -> Vec<Beat> {
    let count = words.len().div_ceil(lanes);
    let mut cut = vec![];
    for (n, part) in words.chunks(lanes).enumerate() {
        let mut data = part.to_vec();
        data.resize_with(lanes, || rng.next() as u32);
        let noise = u128::from(rng.next()) << 64 | u128::from(rng.next());
        let last = n + 1 == count;
        cut.push(Beat { data, keep: (1 << part.len()) - 1, last, user: user(n, last, noise) });
    }
    cut
}

/// The double words of a packet that left.
pub fn words(beats: &[Beat], lanes: usize) -> Vec<u32> {
    let mut words = vec![];
    for beat in beats {
        let count = (1..=lanes).find(|count| beat.keep == (1 << count) - 1).expect("lanes in a row");
        assert!(beat.last || count == lanes, "only the last beat may be short: {beats:x?}");
        words.extend(&beat.data[..count]);
    }
    words
}

/// Bits of a descriptor.
pub fn field(words: &[u32], low: usize, width: usize) -> u64 {
    (low..low + width).rev().fold(0, |value, bit| value << 1 | u64::from(words[bit / 32] >> (bit % 32) & 1))
}

/// Puts bits into a descriptor.
pub fn put(words: &mut [u32], low: usize, width: usize, value: u64) {
    for bit in 0..width {
        let (word, place) = ((low + bit) / 32, (low + bit) % 32);
        words[word] = words[word] & !(1 << place) | ((value >> bit & 1) as u32) << place;
    }
}

/// Configuration ports, and what the endpoint drives.
pub struct Inputs<'a> {
    pub reset: &'a mut Signal<In, Bit>,
    pub credits: &'a mut Signal<In, Bits<4>>,
    pub status: &'a mut Signal<In, Bits<16>>,
    pub power: &'a mut Signal<In, Bits<12>>,
    pub payload: &'a mut Signal<In, Bits<2>>,
    pub read_request: &'a mut Signal<In, Bits<3>>,
    pub bus: &'a mut Signal<In, Bits<8>>,
    pub msix: [&'a mut Signal<In, Bits<4>>; 2],
    pub sent: &'a mut Signal<In, Bit>,
    pub in_reset: &'a mut Signal<In, Bits<4>>,
    pub level: &'a mut Signal<In, Bit>,
    pub pending: &'a mut Signal<In, Bit>,
    pub quiescing: &'a mut Signal<In, Bit>,
    pub numbers: [&'a mut Signal<In, Bits<6>>; 2],
    pub number_valid: [&'a mut Signal<In, Bit>; 2],
    pub ready: [&'a mut Signal<In, Bits<4>>; 2],
    pub request: &'a mut Source<Request>,
    pub completion: &'a mut Source<CompletionBeat>,
    pub transmit: &'a mut Sink<TransmitBeat>,
}

/// Outputs in a cycle.
#[derive(Clone, Debug)]
pub struct Seen {
    pub malformed: bool,
    pub message: bool,
    pub busy: bool,
    pub stalled: bool,
    pub nonposted_ready: bool,
    pub function_id: u64,
    /// Bus master, D3hot, INTx disable, MSI-X enable, function mask, extended tag.
    pub flags: [bool; 6],
    pub sizes: [u64; 2],
    pub interrupt: u64,
    pub interrupt_pending: u64,
    pub reset_done: u64,
    pub function_reset: bool,
    pub completion_offered: bool,
}

/// What the tests do with the shim of either width.
pub trait Shim: Block {
    /// Double words of a beat.
    const LANES: usize;
    fn make() -> Self;
    fn clock(&mut self) -> &mut Signal<In, Clock>;
    fn inputs(&mut self) -> Inputs<'_>;
    fn drive(&mut self, stream: Stream, beat: &Beat, valid: bool);
    fn taken(&self, stream: Stream) -> bool;
    fn complete(&self) -> Option<Beat>;
    fn send(&self) -> Option<Beat>;
    fn request(&self) -> Option<Request>;
    fn completion(&self) -> Option<CompletionBeat>;
    fn transmit(&self) -> &Sink<TransmitBeat>;
    fn seen(&self) -> Seen;
}

/// Streams from the block.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Stream {
    /// `m_axis_cq`.
    Requests,
    /// `m_axis_rc`.
    Completions,
}

fn number(words: &[u32]) -> BigUint {
    BigUint::new(words.to_vec())
}

fn lanes<const W: usize>(data: Bits<W>) -> Vec<u32> {
    let mut words = BigUint::parse_bytes(data.hex().as_bytes(), 16).expect("hexadecimal").to_u32_digits();
    words.resize(W / 32, 0);
    words
}

macro_rules! shim {
    ($name:ident, $lanes:literal) => {
        impl Shim for $name {
            const LANES: usize = $lanes;
            fn make() -> Self {
                $name::new(1)
            }
            fn clock(&mut self) -> &mut Signal<In, Clock> {
                &mut self.clock
            }
            fn inputs(&mut self) -> Inputs<'_> {
                Inputs {
                    reset: &mut self.reset,
                    credits: &mut self.pcie_tfc_nph_av,
                    status: &mut self.cfg.function_status,
                    power: &mut self.cfg.function_power_state,
                    payload: &mut self.cfg.max_payload,
                    read_request: &mut self.cfg.max_read_req,
                    bus: &mut self.cfg.bus_number,
                    msix: [&mut self.cfg.interrupt_msix_enable, &mut self.cfg.interrupt_msix_mask],
                    sent: &mut self.cfg.interrupt_sent,
                    in_reset: &mut self.cfg.flr_in_process,
                    level: &mut self.intx_level,
                    pending: &mut self.intx_pending,
                    quiescing: &mut self.quiescing,
                    numbers: [&mut self.pcie_rq_seq_num0, &mut self.pcie_rq_seq_num1],
                    number_valid: [&mut self.pcie_rq_seq_num_vld0, &mut self.pcie_rq_seq_num_vld1],
                    ready: [&mut self.s_axis_cc_tready, &mut self.s_axis_rq_tready],
                    request: &mut self.request,
                    completion: &mut self.completion,
                    transmit: &mut self.transmit,
                }
            }
            fn drive(&mut self, stream: Stream, beat: &Beat, valid: bool) {
                let user = |bits: u32| BigUint::from(beat.user & ((1 << bits) - 1));
                match stream {
                    Stream::Requests => {
                        self.m_axis_cq_tdata.next = number(&beat.data).into();
                        self.m_axis_cq_tkeep.next = beat.keep.into();
                        self.m_axis_cq_tlast.next = beat.last;
                        self.m_axis_cq_tuser.next = user(88).into();
                        self.m_axis_cq_tvalid.next = valid;
                    }
                    Stream::Completions => {
                        self.m_axis_rc_tdata.next = number(&beat.data).into();
                        self.m_axis_rc_tkeep.next = beat.keep.into();
                        self.m_axis_rc_tlast.next = beat.last;
                        self.m_axis_rc_tuser.next = user(75).into();
                        self.m_axis_rc_tvalid.next = valid;
                    }
                }
            }
            fn taken(&self, stream: Stream) -> bool {
                match stream {
                    Stream::Requests => self.m_axis_cq_tvalid.val() && self.m_axis_cq_tready.val(),
                    Stream::Completions => self.m_axis_rc_tvalid.val() && self.m_axis_rc_tready.val(),
                }
            }
            fn complete(&self) -> Option<Beat> {
                (self.s_axis_cc_tvalid.val() && self.s_axis_cc_tready.val().get_bit(0)).then(|| Beat {
                    data: lanes(self.s_axis_cc_tdata.val()),
                    keep: self.s_axis_cc_tkeep.val().to_u64(),
                    last: self.s_axis_cc_tlast.val(),
                    user: self.s_axis_cc_tuser.val().to_u64().into(),
                })
            }
            fn send(&self) -> Option<Beat> {
                (self.s_axis_rq_tvalid.val() && self.s_axis_rq_tready.val().get_bit(0)).then(|| Beat {
                    data: lanes(self.s_axis_rq_tdata.val()),
                    keep: self.s_axis_rq_tkeep.val().to_u64(),
                    last: self.s_axis_rq_tlast.val(),
                    user: self.s_axis_rq_tuser.val().to_u64().into(),
                })
            }
            fn request(&self) -> Option<Request> {
                moved(&self.request)
            }
            fn completion(&self) -> Option<CompletionBeat> {
                moved(&self.completion)
            }
            fn transmit(&self) -> &Sink<TransmitBeat> {
                &self.transmit
            }
            fn seen(&self) -> Seen {
                assert_eq!(self.pcie_cq_np_req.val(), 1);
                Seen {
                    malformed: self.link.packet_malformed.val(),
                    message: self.link.packet_message.val(),
                    busy: self.link.busy.val(),
                    stalled: self.link.transmit_stalled.val(),
                    nonposted_ready: self.nonposted_ready.val(),
                    function_id: self.requester.function_id.val().to_u64(),
                    flags: [
                        self.function_status.bus_master.val(),
                        self.function_status.d3hot.val(),
                        self.function_status.intx_disable.val(),
                        self.function_status.msix_enable.val(),
                        self.function_status.msix_function_mask.val(),
                        self.requester.extended_tag.val(),
                    ],
                    sizes: [self.requester.max_payload.val().to_u64(), self.requester.max_read_request.val().to_u64()],
                    interrupt: self.cfg.interrupt_int.val().to_u64(),
                    interrupt_pending: self.cfg.interrupt_pending.val().to_u64(),
                    reset_done: self.cfg.flr_done.val().to_u64(),
                    function_reset: self.function_status.function_reset.val(),
                    completion_offered: self.s_axis_cc_tvalid.val(),
                }
            }
        }
    };
}
shim!(UltraScalePlus128, 4);
shim!(UltraScalePlus256, 8);

/// A stream from the block: beats that wait, and whether the first is on the ports.
#[derive(Default)]
pub struct From {
    pub beats: VecDeque<Beat>,
    offered: bool,
    /// Cycles in which the shim did not take the beat on the ports.
    pub refused: u64,
}

/// How often things happen, in 8.
#[derive(Copy, Clone, Debug)]
pub struct Pace {
    pub requests: u64,
    pub completions: u64,
    pub request_taken: u64,
    pub completion_taken: u64,
    pub complete: u64,
    pub send: u64,
}

impl Pace {
    pub const FULL: Pace =
        Pace { requests: 8, completions: 8, request_taken: 8, completion_taken: 8, complete: 8, send: 8 };

    pub fn any(rng: &mut Rng) -> Self {
        let mut one = || [8, 8, 5, 2][rng.below(4) as usize];
        Pace {
            requests: one(),
            completions: one(),
            request_taken: one(),
            completion_taken: one(),
            complete: one(),
            send: one(),
        }
    }
}

/// The shim with all that happens noted.
pub struct World<S: Shim> {
    pub bench: Bench<S>,
    pub from: [From; 2],
    pub transmit: Feed<TransmitBeat>,
    pub requests: Vec<Request>,
    pub completions: Vec<CompletionBeat>,
    pub completed: Vec<Beat>,
    pub sent: Vec<Beat>,
    pub malformed: usize,
    pub messages: usize,
    pub pace: Pace,
    /// Sequence numbers that come back in the next cycle.
    pub numbers: [Option<u64>; 2],
}

impl<S: Shim> World<S> {
    pub const BUS: u64 = 0x5a;

    pub fn new(name: &str) -> Self {
        let name = format!("{name}_{}", 32 * S::LANES);
        let mut bench = Bench::new(&name, S::make(), S::clock);
        bench.cycle(|uut, _| uut.inputs().reset.next = true, |_| ());
        let inputs = bench.uut.inputs();
        inputs.reset.next = false;
        inputs.bus.next = Self::BUS.into();
        inputs.credits.next = 15.into();
        Self {
            bench,
            from: Default::default(),
            transmit: Feed::new(4),
            requests: vec![],
            completions: vec![],
            completed: vec![],
            sent: vec![],
            malformed: 0,
            messages: 0,
            pace: Pace::FULL,
            numbers: [None; 2],
        }
    }

    pub fn cycle(&mut self) -> Seen {
        self.cycle_with(|_| ())
    }

    /// One cycle; `drive` sets what else is to be set.
    pub fn cycle_with(&mut self, drive: impl FnOnce(&mut Inputs)) -> Seen {
        let Self { bench, from, transmit, pace, numbers, .. } = self;
        assert!(bench.cycles < 50_000, "what the test waits for does not happen");
        let transmit = RefCell::new(transmit);
        let from = RefCell::new(from);
        let mut noted = None;
        bench.cycle(
            |uut, rng| {
                let streams = [(Stream::Requests, pace.requests), (Stream::Completions, pace.completions)];
                for (from, (stream, pace)) in from.borrow_mut().iter_mut().zip(streams) {
                    from.offered |= !from.beats.is_empty() && rng.chance(pace, 8);
                    let noise = Beat { data: vec![rng.next() as u32; S::LANES], ..Beat::default() };
                    uut.drive(stream, if from.offered { &from.beats[0] } else { &noise }, from.offered);
                }
                let mut inputs = uut.inputs();
                inputs.request.ready.next = rng.chance(pace.request_taken, 8);
                inputs.completion.ready.next = rng.chance(pace.completion_taken, 8);
                let paces = [pace.complete, pace.send];
                inputs.ready.iter_mut().zip(paces).for_each(|(ready, pace)| {
                    ready.next = if rng.chance(pace, 8) { 15.into() } else { 0.into() };
                });
                let given = std::mem::take(numbers);
                inputs.number_valid.iter_mut().zip(given).for_each(|(valid, number)| valid.next = number.is_some());
                let noise = rng.below(64);
                inputs.numbers.iter_mut().zip(given).for_each(|(to, number)| to.next = number.unwrap_or(noise).into());
                transmit.borrow_mut().drive(inputs.transmit, rng);
                drive(&mut inputs);
            },
            |uut| {
                transmit.borrow_mut().take(uut.transmit());
                for (from, stream) in from.borrow_mut().iter_mut().zip([Stream::Requests, Stream::Completions]) {
                    let taken = uut.taken(stream);
                    from.refused += u64::from(from.offered && !taken);
                    if taken {
                        from.beats.pop_front();
                        from.offered = false;
                    }
                }
                noted = Some((uut.seen(), uut.request(), uut.completion(), uut.complete(), uut.send()));
            },
        );
        let (seen, request, completion, complete, send) = noted.expect("checked");
        self.requests.extend(request);
        self.completions.extend(completion);
        self.completed.extend(complete);
        self.sent.extend(send);
        self.malformed += usize::from(seen.malformed);
        self.messages += usize::from(seen.message);
        seen
    }

    /// Runs at full pace until nothing is on its way.
    pub fn drain(&mut self) {
        self.pace = Pace::FULL;
        self.transmit.eager = 4;
        let mut idle = 0;
        while idle < 3 {
            let busy = self.cycle().busy;
            let waits = self.from.iter().any(|from| !from.beats.is_empty()) || !self.transmit.values.is_empty();
            idle = if waits || busy { 0 } else { idle + 1 };
        }
    }

    /// Packets that left, as double words, with the side band of their first beats.
    pub fn packets(beats: &[Beat]) -> Vec<(Vec<u32>, u128)> {
        beats.split_inclusive(|beat| beat.last).map(|packet| (words(packet, S::LANES), packet[0].user)).collect()
    }
}
