//! Executes requests and answers them.
use super::register_bus::RegisterMaster;
use super::request_decode::{RequestDecode, Target};
use crate::block::{list, Block};
use crate::cells::{Reg, Sink, Source};
use crate::comment;
use crate::tlp::format;
use crate::tlp::types::{Request, TransmitBeat, TransmitKind};
use rust_hdl::prelude::*;

/// How far the completer is with a request.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum CompleterState {
    /// Waits for a request, and finds out what it is for.
    Idle,
    /// Decides what becomes of it.
    Decide,
    /// Register access of one double word after the other.
    Access,
    /// Sends the completion.
    Answer,
    /// Takes the request away.
    Done,
}

/// Takes one request after the other, carries it out on a register bus and sends the completion. The request
/// stays on its stream until it is done with.
///
/// | request | what happens |
/// |---|---|
/// | config, function 0 | access to config space, in any power state |
/// | BAR, read of up to four double words, write of up to two | as many accesses, from the first double word on |
/// | longer read / write of a BAR | completer abort / dropped |
/// | nowhere: no BAR there, space disabled, D3hot, other function, not supported | UR / dropped |
/// | poisoned write | UR / dropped |
/// | no byte enabled | answered without an access (config: accessed, changes nothing) |
///
/// Sixteen bytes are what a processor reads at once. Longer reads are against the programming model of registers, which a
/// device may answer with completer abort (PCI Express Base Specification, 2.3.1, implementation note on optimizations
/// based on a restricted programming model); MSI-X itself allows 4 and 8 bytes (PCI Local Bus Specification 3.0, 6.8.2).
///
/// Completions follow the PCI Express Base Specification, 2.2.9: byte count and lower address of a memory read
/// from its byte enables, 4 and 0 for all others.
#[derive(Block)]
pub struct Completer {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// Requests from the link.
    pub request: Sink<Request>,
    /// Completions to the link.
    pub completion: Source<TransmitBeat>,
    /// Config space.
    pub config_bus: RegisterMaster,
    /// {bus, device, function} that the config access was sent to.
    pub target: Signal<Out, Bits<16>>,
    /// Legacy registers.
    pub bar0_bus: RegisterMaster,
    /// MSI-X table.
    pub bar1_bus: RegisterMaster,
    /// The function sleeps: only config space answers.
    pub d3hot: Signal<In, Bit>,
    /// While high no request is carried out or answered.
    pub hold: Signal<In, Bit>,
    /// One cycle: a request was answered with UR.
    pub unsupported: Signal<Out, Bit>,
    /// One cycle: a write to nowhere was dropped.
    pub unsupported_posted: Signal<Out, Bit>,
    /// One cycle: a request was answered with completer abort.
    pub aborted: Signal<Out, Bit>,
    /// One cycle: a write that is longer than the registers take was dropped.
    pub dropped: Signal<Out, Bit>,
    /// One cycle: a poisoned write was not executed.
    pub poisoned: Signal<Out, Bit>,
    /// A request is being worked on.
    pub busy: Signal<Out, Bit>,
    /// It is being carried out or answered: `hold` comes too late for it.
    pub under_way: Signal<Out, Bit>,

    #[given]
    decode: RequestDecode,
    #[given]
    state: Reg<CompleterState>,
    bank: DFF<Target>,
    offset: DFF<Bits<12>>,
    access_enable: DFF<Bits<4>>,
    access_data: DFF<Bits<32>>,
    status: DFF<Bits<3>>,
    /// The double words read.
    #[given]
    read: Vec<DFF<Bits<32>>>,
    /// The double word at hand, and the last one.
    word: DFF<Bits<2>>,
    last_word: DFF<Bits<2>>,
    byte_count: DFF<Bits<12>>,
    lower_address: DFF<Bits<7>>,
    is_write: DFF<Bit>,
    poisoned_write: DFF<Bit>,
    memory: DFF<Bit>,
    first_byte: DFF<Bits<2>>,
    skipped: DFF<Bits<3>>,
    no_bytes: DFF<Bit>,
    too_long: DFF<Bit>,
    accesses: DFF<Bit>,
    has_data: DFF<Bit>,
    answers: DFF<Bit>,
    unsupported_pulse: Reg<Bit>,
    unsupported_posted_pulse: Reg<Bit>,
    aborted_pulse: Reg<Bit>,
    dropped_pulse: Reg<Bit>,
    poisoned_pulse: Reg<Bit>,

    length: Signal<Local, Bits<11>>,
    first_be: Signal<Local, Bits<4>>,
    data: Signal<Local, Bits<64>>,
    address: Signal<Local, Bits<64>>,
    bytes: Signal<Local, Bits<12>>,
    dword_address: Signal<Local, Bits<7>>,
    access: Signal<Local, Bit>,
    access_address: Signal<Local, Bits<12>>,
    access_done: Signal<Local, Bit>,
    access_read: Signal<Local, Bits<32>>,
    next_word: Signal<Local, Bits<2>>,
    lane: Signal<Local, Bits<32>>,
    payload: Signal<Local, Bits<128>>,

    #[given]
    status_unsupported: Constant<Bits<3>>,
    #[given]
    status_aborted: Constant<Bits<3>>,
}

impl Completer {
    /// A completer for a function with these BARs; sizes are powers of two in bytes, 0 for a BAR that is not there.
    pub fn new(bar0_size: u32, bar1_size: u32) -> Self {
        Self::with(CompleterGiven {
            decode: RequestDecode::new(bar0_size, bar1_size),
            state: Reg::new(CompleterState::Idle),
            read: list(4),
            status_unsupported: Constant::new(u64::from(format::STATUS_UNSUPPORTED_REQUEST).into()),
            status_aborted: Constant::new(u64::from(format::STATUS_COMPLETER_ABORT).into()),
        })
    }
}

impl Logic for Completer {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module pcie_completer: carries out requests on the register buses and answers them");
        self.unsupported_pulse.d.next = false;
        self.unsupported_posted_pulse.d.next = false;
        self.aborted_pulse.d.next = false;
        self.dropped_pulse.d.next = false;
        self.poisoned_pulse.d.next = false;

        self.decode.request.next = self.request.data.val();
        self.decode.d3hot.next = self.d3hot.val();
        self.length.next = self.request.data.val().length;
        self.first_be.next = self.request.data.val().first_be;
        self.data.next = self.request.data.val().data;
        self.address.next = self.request.data.val().address;
        self.bytes.next = bit_cast::<12, 10>(self.length.val().get_bits::<10>(0)) << 2;
        self.dword_address.next = bit_cast::<7, 5>(self.address.val().get_bits::<5>(2)) << 2;

        comment!("the access: held until done");
        self.access.next = self.state.q.val() == CompleterState::Access;
        self.access_address.next = self.offset.q.val();
        self.config_bus.valid.next = false;
        self.bar0_bus.valid.next = false;
        self.bar1_bus.valid.next = false;
        self.access_done.next = false;
        self.access_read.next = bits::<32>(0);
        match self.bank.q.val() {
            Target::ConfigSpace => {
                self.config_bus.valid.next = self.access.val();
                self.access_done.next = self.config_bus.done.val();
                self.access_read.next = self.config_bus.read_data.val();
            }
            Target::Bar0 => {
                self.bar0_bus.valid.next = self.access.val();
                self.access_done.next = self.bar0_bus.done.val();
                self.access_read.next = self.bar0_bus.read_data.val();
            }
            Target::Bar1 => {
                self.bar1_bus.valid.next = self.access.val();
                self.access_done.next = self.bar1_bus.done.val();
                self.access_read.next = self.bar1_bus.read_data.val();
            }
            _ => {}
        }
        self.config_bus.write.next = self.is_write.q.val();
        self.config_bus.address.next = self.access_address.val();
        self.config_bus.enable.next = self.access_enable.q.val();
        self.config_bus.write_data.next = self.access_data.q.val();
        self.target.next = self.address.val().get_bits::<16>(16);
        self.bar0_bus.write.next = self.is_write.q.val();
        self.bar0_bus.address.next = self.access_address.val();
        self.bar0_bus.enable.next = self.access_enable.q.val();
        self.bar0_bus.write_data.next = self.access_data.q.val();
        self.bar1_bus.write.next = self.is_write.q.val();
        self.bar1_bus.address.next = self.access_address.val();
        self.bar1_bus.enable.next = self.access_enable.q.val();
        self.bar1_bus.write_data.next = self.access_data.q.val();

        self.next_word.next = self.word.q.val() + bits::<2>(1);
        self.request.ready.next = false;
        self.completion.valid.next = false;
        match self.state.q.val() {
            CompleterState::Idle => {
                self.bank.d.next = self.decode.target.val();
                self.offset.d.next = self.decode.offset.val();
                self.is_write.d.next = self.decode.is_write.val();
                self.answers.d.next = self.decode.nonposted.val();
                self.poisoned_write.d.next = self.decode.is_write.val() & self.request.data.val().poisoned;
                self.memory.d.next = self.decode.memory.val();
                self.first_byte.d.next = self.decode.first_byte.val();
                self.skipped.d.next = self.decode.skipped.val();
                self.no_bytes.d.next = self.first_be.val() == bits::<4>(0);
                self.too_long.d.next = (self.length.val() > bits::<11>(4))
                    | (self.decode.is_write.val() & (self.length.val() > bits::<11>(2)));
                self.word.d.next = bits::<2>(0);
                self.last_word.d.next = self.length.val().get_bits::<2>(0) - bits::<2>(1);
                self.accesses.d.next =
                    (self.first_be.val() != bits::<4>(0)) | (self.decode.target.val() == Target::ConfigSpace);
                if self.request.valid.val() {
                    self.state.d.next = CompleterState::Decide;
                }
            }
            CompleterState::Decide => {
                comment!(
                    "a memory read without enabled bytes counts as one byte, all other requests as one double word"
                );
                self.byte_count.d.next = bits::<12>(4);
                self.lower_address.d.next = bits::<7>(0);
                if self.memory.q.val() {
                    self.byte_count.d.next = self.bytes.val() - bit_cast::<12, 3>(self.skipped.q.val());
                    self.lower_address.d.next = self.dword_address.val() | bit_cast::<7, 2>(self.first_byte.q.val());
                    if self.no_bytes.q.val() {
                        self.byte_count.d.next = bits::<12>(1);
                        self.lower_address.d.next = self.dword_address.val();
                    }
                }
                self.status.d.next = bits::<3>(0);
                self.has_data.d.next = !self.is_write.q.val();
                self.access_enable.d.next = self.first_be.val();
                self.access_data.d.next = self.data.val().get_bits::<32>(0);
                for i in 0..4 {
                    self.read[i].d.next = bits::<32>(0);
                }
                if self.answers.q.val() {
                    self.state.d.next = CompleterState::Answer;
                } else {
                    self.state.d.next = CompleterState::Done;
                }
                if self.poisoned_write.q.val() {
                    self.poisoned_pulse.d.next = true;
                    self.unsupported_pulse.d.next = self.answers.q.val();
                    self.status.d.next = self.status_unsupported.val();
                } else if self.bank.q.val() == Target::Nowhere {
                    self.unsupported_pulse.d.next = self.answers.q.val();
                    self.unsupported_posted_pulse.d.next = !self.answers.q.val();
                    self.status.d.next = self.status_unsupported.val();
                    self.has_data.d.next = false;
                } else if self.too_long.q.val() {
                    self.aborted_pulse.d.next = !self.is_write.q.val();
                    self.dropped_pulse.d.next = self.is_write.q.val();
                    self.status.d.next = self.status_aborted.val();
                    self.has_data.d.next = false;
                } else if self.accesses.q.val() {
                    self.state.d.next = CompleterState::Access;
                }
                if self.hold.val() {
                    self.state.d.next = CompleterState::Idle;
                    self.unsupported_pulse.d.next = false;
                    self.unsupported_posted_pulse.d.next = false;
                    self.aborted_pulse.d.next = false;
                    self.dropped_pulse.d.next = false;
                    self.poisoned_pulse.d.next = false;
                }
            }
            CompleterState::Access => {
                if self.access_done.val() {
                    for i in 0..4 {
                        if self.word.q.val() == i.to_bits::<2>() {
                            self.read[i].d.next = self.access_read.val();
                        }
                    }
                    self.offset.d.next = self.offset.q.val() + bits::<12>(4);
                    self.word.d.next = self.next_word.val();
                    self.access_enable.d.next = bits::<4>(15);
                    if self.next_word.val() == self.last_word.q.val() {
                        self.access_enable.d.next = self.request.data.val().last_be;
                    }
                    self.access_data.d.next = self.data.val().get_bits::<32>(32);
                    if self.word.q.val() == self.last_word.q.val() {
                        if self.answers.q.val() {
                            self.state.d.next = CompleterState::Answer;
                        } else {
                            self.state.d.next = CompleterState::Done;
                        }
                    }
                }
            }
            CompleterState::Answer => {
                self.completion.valid.next = true;
                if self.completion.ready.val() {
                    self.state.d.next = CompleterState::Done;
                }
            }
            CompleterState::Done => {
                self.request.ready.next = true;
                self.state.d.next = CompleterState::Idle;
            }
        }

        comment!("the completion");
        self.payload.next = bits::<128>(0);
        for i in 0..4 {
            self.lane.next = self.read[i].q.val();
            self.payload.next = self.payload.val() | (bit_cast::<128, 32>(self.lane.val()) << (i * 32).to_bits::<7>());
        }
        self.completion.data.next.data = bits::<128>(0);
        self.completion.data.next.kind = TransmitKind::Completion;
        self.completion.data.next.length = bits::<11>(0);
        if self.has_data.q.val() {
            self.completion.data.next.data = self.payload.val();
            self.completion.data.next.kind = TransmitKind::CompletionData;
            self.completion.data.next.length = self.length.val();
        }
        self.completion.data.next.last = true;
        self.completion.data.next.address = bits::<64>(0);
        self.completion.data.next.above_4g = false;
        self.completion.data.next.first_be = bits::<4>(0);
        self.completion.data.next.last_be = bits::<4>(0);
        self.completion.data.next.tag = self.request.data.val().tag;
        self.completion.data.next.requester_id = self.request.data.val().requester_id;
        self.completion.data.next.status = self.status.q.val();
        self.completion.data.next.byte_count = self.byte_count.q.val();
        self.completion.data.next.lower_address = self.lower_address.q.val();
        self.completion.data.next.attributes = self.request.data.val().attributes;
        self.completion.data.next.traffic_class = self.request.data.val().traffic_class;
        self.completion.data.next.message_code = bits::<8>(0);

        self.unsupported.next = self.unsupported_pulse.q.val();
        self.unsupported_posted.next = self.unsupported_posted_pulse.q.val();
        self.aborted.next = self.aborted_pulse.q.val();
        self.dropped.next = self.dropped_pulse.q.val();
        self.poisoned.next = self.poisoned_pulse.q.val();
        self.busy.next = self.request.valid.val() | (self.state.q.val() != CompleterState::Idle);
        self.under_way.next =
            (self.state.q.val() != CompleterState::Idle) & (self.state.q.val() != CompleterState::Decide);
    }
}
