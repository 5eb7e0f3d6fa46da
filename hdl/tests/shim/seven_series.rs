//! The 7-series shims (PG054), 64 and 128 bits.
use crate::packet::{any, beats, completion, dwords, request, with_payload};
use crate::reference::{any_packet_to_send, bar_hit, compare, packet_to_send, wire};
use rust_hdl::prelude::*;
use std::collections::VecDeque;
use virtio_hdl_rtl::cells::Sink;
use virtio_hdl_rtl::shim::{SevenSeries128, SevenSeries64};
use virtio_hdl_rtl::testing::{moved, Bench, Feed, Rng};
use virtio_hdl_rtl::tlp::format::*;
use virtio_hdl_rtl::tlp::types::{CompletionBeat, Request, TlpBeat, TransmitBeat, TransmitKind};

/// A beat of one of the two streams.
#[derive(Clone, Debug, Default)]
struct Beat {
    data: u128,
    keep: u32,
    last: bool,
    user: u32,
}

/// What the tests do with the shim of either width.
trait Shim: Block {
    /// Double words of a beat.
    const LANES: usize;
    fn make() -> Self;
    fn clock(&mut self) -> &mut Signal<In, Clock>;
    fn drive_rx(&mut self, beat: &Beat, valid: bool);
    fn rx_taken(&self) -> bool;
    fn tx(&self) -> Option<Beat>;
    fn tx_user(&self) -> u64;
    fn of(&mut self) -> Common<'_>;
    fn to_send(&self) -> &Sink<TransmitBeat>;
    fn seen(&self) -> Seen;
}

/// Ports that do not depend on the width.
struct Common<'a> {
    reset: &'a mut Signal<In, Bit>,
    tx_ready: &'a mut Signal<In, Bit>,
    buffers: &'a mut Signal<In, Bits<6>>,
    command: &'a mut Signal<In, Bits<16>>,
    device_control: &'a mut Signal<In, Bits<16>>,
    bus: &'a mut Signal<In, Bits<8>>,
    device: &'a mut Signal<In, Bits<5>>,
    function: &'a mut Signal<In, Bits<3>>,
    power: &'a mut Signal<In, Bits<2>>,
    msix: [&'a mut Signal<In, Bit>; 2],
    interrupt_ready: &'a mut Signal<In, Bit>,
    level: &'a mut Signal<In, Bit>,
    pending: [&'a mut Signal<In, Bit>; 2],
    reports: [&'a mut Signal<In, Bit>; 4],
    ready: [&'a mut Signal<In, Bit>; 2],
    transmit: &'a mut Sink<TransmitBeat>,
}

/// Outputs in a cycle.
struct Seen {
    request: Option<Request>,
    request_waits: bool,
    completion: Option<CompletionBeat>,
    malformed: bool,
    message: bool,
    busy: bool,
    stalled: bool,
    np_ok: bool,
    nonposted_ready: bool,
    /// `cfg_interrupt`, `cfg_interrupt_assert`, `cfg_interrupt_stat`.
    interrupt: (bool, bool, bool),
    trn_pending: bool,
    /// `cfg_err_ur`, `_cpl_timeout`, `_cpl_unexpect`.
    errors: [bool; 3],
    function_id: u64,
    /// Bus master, D3hot, INTx disable, MSI-X enable, function mask, extended tag, function reset.
    flags: [bool; 7],
    /// Payload, read request.
    sizes: [u64; 2],
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
            fn drive_rx(&mut self, beat: &Beat, valid: bool) {
                self.m_axis_rx_tdata.next = num_bigint::BigUint::from(beat.data).into();
                self.m_axis_rx_tkeep.next = u64::from(beat.keep).into();
                self.m_axis_rx_tlast.next = beat.last;
                self.m_axis_rx_tuser.next = u64::from(beat.user).into();
                self.m_axis_rx_tvalid.next = valid;
            }
            fn rx_taken(&self) -> bool {
                self.m_axis_rx_tvalid.val() && self.m_axis_rx_tready.val()
            }
            fn tx(&self) -> Option<Beat> {
                (self.s_axis_tx_tvalid.val() && self.s_axis_tx_tready.val()).then(|| Beat {
                    data: self.s_axis_tx_tdata.val().to_u128(),
                    keep: self.s_axis_tx_tkeep.val().to_u64() as u32,
                    last: self.s_axis_tx_tlast.val(),
                    user: 0,
                })
            }
            fn tx_user(&self) -> u64 {
                self.s_axis_tx_tuser.val().to_u64()
            }
            fn of(&mut self) -> Common<'_> {
                Common {
                    reset: &mut self.reset,
                    tx_ready: &mut self.s_axis_tx_tready,
                    buffers: &mut self.tx_buf_av,
                    command: &mut self.cfg_command,
                    device_control: &mut self.cfg_dcommand,
                    bus: &mut self.cfg_bus_number,
                    device: &mut self.cfg_device_number,
                    function: &mut self.cfg_function_number,
                    power: &mut self.cfg_pmcsr_powerstate,
                    msix: [&mut self.cfg_interrupt_msixenable, &mut self.cfg_interrupt_msixfm],
                    interrupt_ready: &mut self.cfg_interrupt_rdy,
                    level: &mut self.intx_level,
                    pending: [&mut self.intx_pending, &mut self.reads_pending],
                    reports: [
                        &mut self.request_unsupported,
                        &mut self.posted_unsupported,
                        &mut self.completion_timeout,
                        &mut self.completion_unexpected,
                    ],
                    ready: [&mut self.request.ready, &mut self.completion.ready],
                    transmit: &mut self.transmit,
                }
            }
            fn to_send(&self) -> &Sink<TransmitBeat> {
                &self.transmit
            }
            fn seen(&self) -> Seen {
                assert!(self.rx_np_req.val() && self.tx_cfg_gnt.val() && self.cfg_err_posted.val());
                let zeros = [self.cfg_interrupt_di.val().to_u64(), self.cfg_pciecap_interrupt_msgnum.val().to_u64()];
                assert_eq!(zeros, [0, 0]);
                Seen {
                    request: moved(&self.request),
                    request_waits: self.request.valid.val(),
                    completion: moved(&self.completion),
                    malformed: self.packet_malformed.val(),
                    message: self.packet_message.val(),
                    busy: self.link_busy.val(),
                    stalled: self.transmit_stalled.val(),
                    np_ok: self.rx_np_ok.val(),
                    nonposted_ready: self.nonposted_ready.val(),
                    interrupt: (
                        self.cfg_interrupt.val(),
                        self.cfg_interrupt_assert.val(),
                        self.cfg_interrupt_stat.val(),
                    ),
                    trn_pending: self.cfg_trn_pending.val(),
                    errors: [self.cfg_err_ur.val(), self.cfg_err_cpl_timeout.val(), self.cfg_err_cpl_unexpect.val()],
                    function_id: self.function_id.val().to_u64(),
                    flags: [
                        self.bus_master.val(),
                        self.d3hot.val(),
                        self.intx_disable.val(),
                        self.msix_enable.val(),
                        self.msix_function_mask.val(),
                        self.extended_tag.val(),
                        self.function_reset.val(),
                    ],
                    sizes: [self.max_payload.val().to_u64(), self.max_read_request.val().to_u64()],
                }
            }
        }
    };
}
shim!(SevenSeries64, 2);
shim!(SevenSeries128, 4);

/// A packet with its payload as the block has it: memory byte 0 in bits 31:24.
fn turned(packet: &[u32]) -> Vec<u32> {
    let header = header_dwords(FMT.get(packet));
    packet.iter().enumerate().map(|(n, dword)| if n < header { *dword } else { dword.swap_bytes() }).collect()
}

fn joined(dwords: &[u32]) -> u128 {
    dwords.iter().rev().fold(0, |data, dword| data << 32 | u128::from(*dword))
}

/// Puts packets on `m_axis_rx`.
struct Packer {
    lanes: usize,
    rng: Rng,
    beats: VecDeque<Beat>,
    /// At 128 bits: the upper half of the last beat is free, and the next packet may begin there.
    half: bool,
    straddled: usize,
}

impl Packer {
    const BEGINS: u32 = 1 << 14;
    const ENDS: u32 = 1 << 21;

    fn new(lanes: usize, seed: u64) -> Self {
        Self { lanes, rng: Rng(seed), beats: VecDeque::new(), half: false, straddled: 0 }
    }

    /// `straddle`: in how many of 8 cases a packet begins in the half that is free.
    fn push(&mut self, packet: &[u32], bar_hit: u64, bad_ecrc: bool, straddle: u64) {
        let words = turned(packet);
        let mut rest = &words[..];
        let hit = (bar_hit as u32 | (self.rng.next() as u32 & 0xfc)) << 2;
        // a beat that may be on the ports already stays as it is
        if self.half && self.beats.len() > 1 && self.rng.chance(straddle, 8) {
            let beat = self.beats.back_mut().unwrap();
            beat.data = beat.data & u128::from(u64::MAX) | joined(&rest[..2]) << 64;
            beat.user = beat.user & !0x3fc | hit | Self::BEGINS | 8 << 10;
            rest = &rest[2..];
            self.straddled += 1;
        }
        let begins = rest.len() == words.len();
        let count = rest.len().div_ceil(self.lanes);
        for (n, part) in rest.chunks(self.lanes).enumerate() {
            let noise = u128::from(self.rng.next()) << 64 | u128::from(self.rng.next());
            let used = (1u128 << (32 * part.len() - 1) << 1).wrapping_sub(1);
            let width = if self.lanes == 4 { u128::MAX } else { u128::from(u64::MAX) };
            let last = n + 1 == count;
            let mut beat = Beat { data: (joined(part) & used) | (noise & !used & width), user: hit, ..Beat::default() };
            beat.user |= u32::from(last && bad_ecrc);
            if self.lanes == 4 {
                // neither means anything at 128 bits
                (beat.keep, beat.last) = (self.rng.next() as u32 & 0xffff, self.rng.chance(1, 2));
                if n == 0 && begins {
                    beat.user |= Self::BEGINS;
                }
                if last {
                    beat.user |= Self::ENDS | (4 * part.len() as u32 - 1) << 17;
                }
            } else {
                (beat.keep, beat.last) = ((1 << (4 * part.len())) - 1, last);
                beat.user |= self.rng.next() as u32 & 0x3f_fc00;
            }
            self.beats.push_back(beat);
        }
        self.half = self.lanes == 4 && rest.len() % 4 <= 2 && rest.len() % 4 != 0;
    }
}

/// The shim between the two, with all that happens noted.
struct World<S: Shim> {
    bench: Bench<S>,
    packer: Packer,
    offered: bool,
    transmit: Feed<TransmitBeat>,
    requests: Vec<Request>,
    completions: Vec<CompletionBeat>,
    sent: Vec<Beat>,
    malformed: usize,
    messages: usize,
    refused: u64,
    /// Chances in 8: a beat offered, a request taken, a completion taken, a beat to send taken.
    pace: [u64; 4],
    last: Option<Seen>,
}

impl<S: Shim> World<S> {
    fn new(name: &str, seed: u64) -> Self {
        let name = format!("{name}_{}", 32 * S::LANES);
        let mut bench = Bench::new(&name, S::make(), S::clock);
        bench.cycle(|uut, _| uut.of().reset.next = true, |_| ());
        bench.uut.of().reset.next = false;
        bench.uut.of().buffers.next = 32.into();
        bench.uut.of().bus.next = 0x5a.into();
        bench.uut.of().device.next = 5.into();
        Self {
            bench,
            packer: Packer::new(S::LANES, seed),
            offered: false,
            transmit: Feed::new(4),
            requests: vec![],
            completions: vec![],
            sent: vec![],
            malformed: 0,
            messages: 0,
            refused: 0,
            pace: [8; 4],
            last: None,
        }
    }

    fn cycle(&mut self) -> &Seen {
        self.cycle_with(|_, _| ())
    }

    fn cycle_with(&mut self, drive: impl FnOnce(&mut S, &mut Rng)) -> &Seen {
        let Self { bench, packer, offered, transmit, pace, .. } = self;
        let front = packer.beats.front().cloned();
        let mut seen = None;
        let (mut taken, mut sent) = (false, None);
        let waiting = std::cell::RefCell::new(transmit);
        bench.cycle(
            |uut, rng| {
                *offered |= front.is_some() && rng.chance(pace[0], 8);
                uut.drive_rx(&front.unwrap_or_default(), *offered);
                let common = uut.of();
                common.ready.into_iter().zip(&pace[1..]).for_each(|(ready, pace)| ready.next = rng.chance(*pace, 8));
                common.tx_ready.next = rng.chance(pace[3], 8);
                waiting.borrow_mut().drive(common.transmit, rng);
                drive(uut, rng);
            },
            |uut| {
                assert_eq!(uut.tx_user(), 0);
                waiting.borrow_mut().take(uut.to_send());
                taken = uut.rx_taken();
                sent = uut.tx();
                seen = Some(uut.seen());
            },
        );
        let seen = seen.expect("checked");
        self.refused += u64::from(*offered && !taken);
        if taken {
            packer.beats.pop_front();
            *offered = false;
        }
        self.requests.extend(seen.request);
        self.completions.extend(seen.completion);
        self.malformed += usize::from(seen.malformed);
        self.messages += usize::from(seen.message);
        self.sent.extend(sent);
        self.last.insert(seen)
    }

    /// Runs until nothing is on its way.
    fn drain(&mut self) {
        self.pace = [8; 4];
        self.transmit.eager = 4;
        let mut idle = 0;
        while idle < 3 {
            let busy = self.cycle().busy;
            let waits = !self.packer.beats.is_empty() || !self.transmit.values.is_empty();
            idle = if waits || busy { 0 } else { idle + 1 };
        }
    }
}

/// Runs `$test::<S>` for both widths.
macro_rules! both {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        mod bits_64 {
            $(#[test] fn $name() { super::$name::<super::SevenSeries64>(); })*
        }
        mod bits_128 {
            $(#[test] fn $name() { super::$name::<super::SevenSeries128>(); })*
        }
    };
}
both! {
    every_received_packet_comes_out_as_what_it_is;
    a_packet_with_a_wrong_ecrc_is_malformed;
    full_completions_come_in_without_a_pause;
    completions_pass_requests_that_wait;
    every_packet_to_send_leaves_with_its_payload_turned_round;
    writes_leave_without_bubbles;
    intx_is_a_handshake_that_always_ends_at_the_present_level;
    the_configuration_ports_say_what_the_function_may_do;
    a_reset_forgets_the_packet_that_was_coming_in;
}

/// Packets as they come over a link, now and then with a mistake in the header, next to each other and straddled, with any
/// gaps and any backpressure.
fn every_received_packet_comes_out_as_what_it_is<S: Shim>() {
    let mut world = World::<S>::new("pcie_7series_receive", 1);
    let mut rng = Rng(0x7_5e41e5);
    let mut packets = vec![];
    for phase in 0..60 {
        let mut count = 0;
        while count < 20 {
            let packet = any(&mut rng);
            // the block delivers whole double words in a row
            let Some(words) = dwords(&packet).filter(|words| words.len() > 2) else { continue };
            world.packer.push(&words, bar_hit(&packet).to_u64(), false, [8, 4, 0][phase % 3]);
            packets.push(packet);
            count += 1;
        }
        world.pace = [[8, 8, 8, 8], [3, 8, 8, 8], [8, 2, 8, 8], [8, 8, 2, 8], [5, 5, 5, 8], [8, 1, 1, 8]][phase % 6];
        for _ in 0..120 {
            world.cycle();
        }
    }
    world.drain();
    let counts = compare(&packets, &world.requests, &world.completions);
    assert_eq!((world.malformed, world.messages), (counts.malformed, counts.messages));
    assert!(
        counts.malformed > 100 && counts.messages > 40 && counts.errors.iter().all(|count| *count > 0),
        "{counts:?}"
    );
    assert!(world.requests.len() > 200 && counts.cut > 0);
    assert_eq!(world.packer.straddled > 100, S::LANES == 4, "{}", world.packer.straddled);
    world.bench.finish();
}

/// `tuser[0]` at the end of a packet: it is counted and dropped, and a completion ends its tag with an error.
fn a_packet_with_a_wrong_ecrc_is_malformed<S: Shim>() {
    let mut world = World::<S>::new("pcie_7series_ecrc", 2);
    let mut rng = Rng(22);
    let mut packets: Vec<Vec<TlpBeat>> = vec![];
    for n in 0..400 {
        let words = match rng.below(2) {
            0 => completion(rng.below(12) as usize, &mut rng),
            _ => {
                let header = request(&mut rng);
                with_payload(header, &mut rng)
            }
        };
        let mut packet = beats(&words);
        let bad = n % 3 == 0;
        world.packer.push(&words, bar_hit(&packet).to_u64(), bad, 6);
        if bad {
            packet.last_mut().unwrap().keep = 0.into();
        }
        packets.push(packet);
    }
    world.pace = [7, 6, 6, 8];
    for _ in 0..2000 {
        world.cycle();
    }
    world.drain();
    let counts = compare(&packets, &world.requests, &world.completions);
    assert!(world.malformed >= 134 && counts.cut > 40, "{counts:?}");
    assert_eq!(world.malformed, counts.malformed);
    world.bench.finish();
}

/// At 128 bits each packet of 67 double words that begins in lane 2 takes one cycle more than it has beats.
fn full_completions_come_in_without_a_pause<S: Shim>() {
    let mut world = World::<S>::new("pcie_7series_rate", 3);
    let mut rng = Rng(3);
    for _ in 0..40 {
        world.packer.push(&completion(64, &mut rng), 0, false, 0);
    }
    let beats = world.packer.beats.len() as u64;
    let start = world.bench.cycles;
    while !world.packer.beats.is_empty() {
        world.cycle();
    }
    assert_eq!((world.bench.cycles - start, world.refused), (beats, 0));
    world.drain();
    assert_eq!(world.completions.len(), 40 * 16);
    world.bench.finish();
}

/// While a request waits, the block is asked to keep non-posted ones, and completions come in.
fn completions_pass_requests_that_wait<S: Shim>() {
    let mut world = World::<S>::new("pcie_7series_waiting", 4);
    let mut rng = Rng(4);
    world.cycle();
    assert!(world.cycle().np_ok, "nothing waits");
    for tag in 0..8 {
        let mut header = vec![0, 0x0100_000f, 0xfee0_0000];
        FMT.set(&mut header, FMT_3DW_DATA);
        LENGTH.set(&mut header, 1);
        TAG.set(&mut header, tag);
        world.packer.push(&with_payload(header, &mut rng), 1, false, 8);
    }
    world.packer.push(&completion(64, &mut rng), 0, false, 8);
    world.pace = [8, 0, 8, 8];
    for _ in 0..80 {
        world.cycle();
    }
    assert_eq!((world.requests.len(), world.completions.len()), (0, 16));
    let seen = world.cycle();
    assert!(seen.request_waits && !seen.np_ok && seen.busy);
    world.drain();
    assert!(world.cycle().np_ok);
    assert_eq!(world.requests.len(), 8);
    world.bench.finish();
}

/// The packets that left, header and payload as [`wire`] draws them.
fn sent_packets(sent: &[Beat], lanes: usize) -> Vec<Vec<u32>> {
    let packet = |beats: &[Beat]| {
        let mut words = vec![];
        for beat in beats {
            let count = (1..=lanes).find(|count| beat.keep == (1 << (4 * count)) - 1).expect("lanes in a row");
            assert!(beat.last || count == lanes, "only the last beat may be short");
            words.extend((0..count).map(|lane| (beat.data >> (32 * lane)) as u32));
        }
        turned(&words)
    };
    sent.split_inclusive(|beat| beat.last).map(packet).collect()
}

/// All kinds of packets the endpoint sends, any gaps and backpressure.
fn every_packet_to_send_leaves_with_its_payload_turned_round<S: Shim>() {
    let mut world = World::<S>::new("pcie_7series_transmit", 5);
    let mut rng = Rng(5);
    let mut want = vec![];
    let mut stalled = 0;
    for phase in 0..30 {
        for _ in 0..20 {
            let packet = any_packet_to_send(&mut rng);
            want.push(wire(&packet, 0x5a28));
            world.transmit.values.extend(packet);
        }
        (world.transmit.eager, world.pace[3]) = [(4, 8), (1, 8), (4, 3), (2, 4)][phase % 4];
        for _ in 0..120 {
            stalled += usize::from(world.cycle().stalled);
        }
    }
    world.drain();
    let got = sent_packets(&world.sent, S::LANES);
    for (n, (got, want)) in got.iter().zip(&want).enumerate() {
        assert_eq!(got, want, "packet {n}: {got:08x?} but want {want:08x?}");
    }
    assert_eq!(got.len(), want.len());
    assert!(stalled > 100);
    world.bench.finish();
}

fn writes_leave_without_bubbles<S: Shim>() {
    let mut world = World::<S>::new("pcie_7series_send_rate", 6);
    let mut rng = Rng(6);
    for _ in 0..20 {
        world.transmit.values.extend(packet_to_send(TransmitKind::MemoryWrite, 64, &mut rng));
    }
    while world.sent.is_empty() {
        world.cycle();
    }
    let start = world.bench.cycles;
    world.drain();
    let count = world.sent.len() as u64;
    let packets = sent_packets(&world.sent, S::LANES);
    let beats: usize = packets.iter().map(|packet| packet.len().div_ceil(S::LANES)).sum();
    assert_eq!((packets.len(), count), (20, beats as u64));
    // three idle cycles and those in which the last beats pass through the registers
    assert!(world.bench.cycles - start <= count + 8, "{} cycles for {count} beats", world.bench.cycles - start);
    world.bench.finish();
}

/// The request and its sense stay until it is granted; senses alternate; the last one is the level.
fn intx_is_a_handshake_that_always_ends_at_the_present_level<S: Shim>() {
    let mut world = World::<S>::new("pcie_7series_intx", 7);
    let mut rng = Rng(7);
    let (mut level, mut told, mut messages) = (false, false, 0);
    let mut asked: Option<bool> = None;
    for round in 0..3000 {
        let calm = round % 300 > 250;
        if !calm && rng.chance(1, 4) {
            level = !level;
        }
        let ready = rng.chance(1, 3);
        let seen = world.cycle_with(|uut, _| {
            uut.of().level.next = level;
            uut.of().pending[0].next = level;
            uut.of().interrupt_ready.next = ready;
        });
        let (ask, sense, _) = seen.interrupt;
        assert!(asked.is_none() || asked == Some(sense) && ask, "an unanswered request is withdrawn");
        asked = ask.then_some(sense);
        if ask && ready {
            assert_ne!(sense, told, "the same message twice");
            (told, messages, asked) = (sense, messages + 1, None);
        }
        if round % 300 == 299 {
            assert_eq!((told, seen.interrupt.0, seen.interrupt.2), (level, false, level));
        }
    }
    assert!(messages > 200, "{messages}");
    world.bench.finish();
}

fn the_configuration_ports_say_what_the_function_may_do<S: Shim>() {
    let mut world = World::<S>::new("pcie_7series_function", 8);
    let mut rng = Rng(8);
    for _ in 0..2000 {
        let [command, control, id] = [0; 3].map(|_| rng.next() & 0xffff);
        let (power, buffers) = (rng.below(4), rng.below(20));
        let bits = [0; 8].map(|_| rng.chance(1, 2));
        let drive = |uut: &mut S, _: &mut Rng| {
            let common = uut.of();
            common.command.next = command.into();
            common.device_control.next = control.into();
            common.bus.next = (id >> 8).into();
            common.device.next = (id >> 3 & 31).into();
            common.function.next = (id & 7).into();
            common.power.next = power.into();
            common.buffers.next = buffers.into();
            let inputs = common.msix.into_iter().chain(common.pending).chain(common.reports);
            inputs.zip(bits).for_each(|(input, bit)| input.next = bit);
        };
        // some outputs come from registers
        world.cycle_with(drive);
        let seen = world.cycle_with(drive);
        assert_eq!(seen.function_id, id);
        let bit = |value: u64, n: u32| value >> n & 1 == 1;
        let flags = [bit(command, 2), power == 3, bit(command, 10), bits[0], bits[1], bit(control, 8), false];
        assert_eq!(seen.flags, flags);
        assert_eq!(seen.sizes, [(control >> 5 & 7).min(1), (control >> 12 & 7).min(5)]);
        assert_eq!((seen.interrupt.2, seen.trn_pending), (bits[2], bits[3]));
        assert_eq!(seen.errors, [bits[4] || bits[5], bits[6], bits[7]]);
        assert_eq!(seen.nonposted_ready, buffers >= 8);
    }
    world.bench.finish();
}

/// A reset in the middle of a packet, straddled or not, leaves nothing of it behind.
fn a_reset_forgets_the_packet_that_was_coming_in<S: Shim>() {
    let mut world = World::<S>::new("pcie_7series_reset", 9);
    let mut rng = Rng(9);
    for cut in 1..30 {
        for _ in 0..2 {
            world.packer.push(&completion(15, &mut rng), 0, false, 8);
        }
        world.packer.beats.truncate(cut);
        world.packer.half = false;
        world.pace = [8, 8, 0, 8];
        for _ in 0..40 {
            world.cycle();
        }
        world.packer.beats.clear();
        world.offered = false;
        world.cycle_with(|uut, _| uut.of().reset.next = true);
        world.bench.uut.of().reset.next = false;
        (world.malformed, world.messages) = (0, 0);
        world.completions.clear();
        world.packer.push(&completion(5, &mut rng), 0, false, 0);
        world.drain();
        let got: Vec<_> = world.completions.drain(..).map(|beat| (beat.first, beat.last, beat.poisoned)).collect();
        assert_eq!((got.len(), world.malformed), (2, 0), "cut after {cut} beats");
        assert!(got[0].0 && got[1].1);
    }
    world.bench.finish();
}
