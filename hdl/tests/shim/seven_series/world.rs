//! The shim between a model of the block's streams and a test that is the endpoint.
use rust_hdl::prelude::*;
use std::collections::VecDeque;
use virtio_hdl_rtl::cells::Sink;
use virtio_hdl_rtl::shim::{SevenSeries128, SevenSeries64};
use virtio_hdl_rtl::testing::{moved, Bench, Feed, Rng};
use virtio_hdl_rtl::tlp::format::*;
use virtio_hdl_rtl::tlp::types::{CompletionBeat, Request, TransmitBeat};

/// A beat of one of the two streams.
#[derive(Clone, Debug, Default)]
pub struct Beat {
    pub data: u128,
    pub keep: u32,
    pub last: bool,
    pub user: u32,
}

/// What the tests do with the shim of either width.
pub trait Shim: Block {
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
pub struct Common<'a> {
    pub reset: &'a mut Signal<In, Bit>,
    pub tx_ready: &'a mut Signal<In, Bit>,
    pub buffers: &'a mut Signal<In, Bits<6>>,
    pub command: &'a mut Signal<In, Bits<16>>,
    pub device_control: &'a mut Signal<In, Bits<16>>,
    pub device_control_2: &'a mut Signal<In, Bits<16>>,
    pub bus: &'a mut Signal<In, Bits<8>>,
    pub device: &'a mut Signal<In, Bits<5>>,
    pub function: &'a mut Signal<In, Bits<3>>,
    pub power: &'a mut Signal<In, Bits<2>>,
    pub msix: [&'a mut Signal<In, Bit>; 2],
    pub interrupt_ready: &'a mut Signal<In, Bit>,
    pub level: &'a mut Signal<In, Bit>,
    pub pending: [&'a mut Signal<In, Bit>; 2],
    pub reports: [&'a mut Signal<In, Bit>; 4],
    pub ready: [&'a mut Signal<In, Bit>; 2],
    pub transmit: &'a mut Sink<TransmitBeat>,
}

/// Outputs in a cycle.
pub struct Seen {
    pub request: Option<Request>,
    pub request_waits: bool,
    pub completion: Option<CompletionBeat>,
    pub malformed: bool,
    pub message: bool,
    pub busy: bool,
    pub stalled: bool,
    pub np_ok: bool,
    pub nonposted_ready: bool,
    /// `cfg_interrupt`, `cfg_interrupt_assert`, `cfg_interrupt_stat`.
    pub interrupt: (bool, bool, bool),
    pub trn_pending: bool,
    /// `cfg_err_ur`, `_cpl_timeout`, `_cpl_unexpect`.
    pub errors: [bool; 3],
    pub function_id: u64,
    /// Bus master, D3hot, INTx disable, MSI-X enable, function mask, extended tag, function reset, no completion timeout.
    pub flags: [bool; 8],
    /// Payload, read request.
    pub sizes: [u64; 2],
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
                    command: &mut self.cfg.command,
                    device_control: &mut self.cfg.dcommand,
                    device_control_2: &mut self.cfg.dcommand2,
                    bus: &mut self.cfg.bus_number,
                    device: &mut self.cfg.device_number,
                    function: &mut self.cfg.function_number,
                    power: &mut self.cfg.pmcsr_powerstate,
                    msix: [&mut self.cfg.interrupt_msixenable, &mut self.cfg.interrupt_msixfm],
                    interrupt_ready: &mut self.cfg.interrupt_rdy,
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
                let zeros = [self.cfg.interrupt_di.val().to_u64(), self.cfg.pciecap_interrupt_msgnum.val().to_u64()];
                assert_eq!(zeros, [0, 0]);
                Seen {
                    request: moved(&self.request),
                    request_waits: self.request.valid.val(),
                    completion: moved(&self.completion),
                    malformed: self.link.packet_malformed.val(),
                    message: self.link.packet_message.val(),
                    busy: self.link.busy.val(),
                    stalled: self.link.transmit_stalled.val(),
                    np_ok: self.rx_np_ok.val(),
                    nonposted_ready: self.nonposted_ready.val(),
                    interrupt: (
                        self.cfg.interrupt.val(),
                        self.cfg.interrupt_assert.val(),
                        self.cfg.interrupt_stat.val(),
                    ),
                    trn_pending: self.cfg.trn_pending.val(),
                    errors: [self.cfg_err_ur.val(), self.cfg_err_cpl_timeout.val(), self.cfg_err_cpl_unexpect.val()],
                    function_id: self.requester.function_id.val().to_u64(),
                    flags: [
                        self.function_status.bus_master.val(),
                        self.function_status.d3hot.val(),
                        self.function_status.intx_disable.val(),
                        self.function_status.msix_enable.val(),
                        self.function_status.msix_function_mask.val(),
                        self.requester.extended_tag.val(),
                        self.function_status.function_reset.val(),
                        self.requester.timeout_disable.val(),
                    ],
                    sizes: [self.requester.max_payload.val().to_u64(), self.requester.max_read_request.val().to_u64()],
                }
            }
        }
    };
}
shim!(SevenSeries64, 2);
shim!(SevenSeries128, 4);

/// A packet with its payload as the block has it: memory byte 0 in bits 31:24.
pub fn turned(packet: &[u32]) -> Vec<u32> {
    let header = header_dwords(FMT.get(packet));
    packet.iter().enumerate().map(|(n, dword)| if n < header { *dword } else { dword.swap_bytes() }).collect()
}

pub fn joined(dwords: &[u32]) -> u128 {
    dwords.iter().rev().fold(0, |data, dword| data << 32 | u128::from(*dword))
}

/// Puts packets on `m_axis_rx`.
pub struct Packer {
    pub lanes: usize,
    pub rng: Rng,
    pub beats: VecDeque<Beat>,
    /// At 128 bits: the upper half of the last beat is free, and the next packet may begin there.
    pub half: bool,
    pub straddled: usize,
}

impl Packer {
    const BEGINS: u32 = 1 << 14;
    const ENDS: u32 = 1 << 21;

    pub fn new(lanes: usize, seed: u64) -> Self {
        Self { lanes, rng: Rng(seed), beats: VecDeque::new(), half: false, straddled: 0 }
    }

    /// `straddle`: in how many of 8 cases a packet begins in the half that is free.
    pub fn push(&mut self, packet: &[u32], bar_hit: u64, bad_ecrc: bool, straddle: u64) {
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
pub struct World<S: Shim> {
    pub bench: Bench<S>,
    pub packer: Packer,
    pub offered: bool,
    pub transmit: Feed<TransmitBeat>,
    pub requests: Vec<Request>,
    pub completions: Vec<CompletionBeat>,
    pub sent: Vec<Beat>,
    pub malformed: usize,
    pub messages: usize,
    pub refused: u64,
    /// Chances in 8: a beat offered, a request taken, a completion taken, a beat to send taken.
    pub pace: [u64; 4],
    pub last: Option<Seen>,
}

impl<S: Shim> World<S> {
    pub fn new(name: &str, seed: u64) -> Self {
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

    pub fn cycle(&mut self) -> &Seen {
        self.cycle_with(|_, _| ())
    }

    pub fn cycle_with(&mut self, drive: impl FnOnce(&mut S, &mut Rng)) -> &Seen {
        let Self { bench, packer, offered, transmit, pace, .. } = self;
        assert!(bench.cycles < 50_000, "what the test waits for does not happen");
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
    pub fn drain(&mut self) {
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
