//! virtio-rng's block: chains of the request queue are filled with words of the device side.
use rust_hdl::prelude::*;
use virtio_hdl_rtl::block::Block;
use virtio_hdl_rtl::cells::{Reg, Sink, Source, Stage};
use virtio_hdl_rtl::comment;
use virtio_hdl_rtl::dma::types::*;
use virtio_hdl_rtl::virtio::types::*;

/// What a chain needs of the device side.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct RngRequest {
    /// Words of 16 bytes.
    pub words: Bits<16>,
}

/// Random bytes.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct RngWord {
    /// Each bit is as likely as not.
    pub data: Bits<128>,
}

#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
enum State {
    /// Waits for a chain.
    Idle,
    /// Asks the device side.
    Request,
    /// Says what becomes of the chain.
    Command,
    /// Passes random bytes on.
    Data,
}

/// The entropy source between the rings and the device side.
///
/// ```text
///   chain                 -> [ one at a time ] -> rng_request -> device side
///   scatter command, bytes <-        +----------- rng_word <---------+
/// ```
/// A request is a wish: a device side that always has words need not look at it. Random words are all alike, so that none belongs to
/// a request: a reset of the device takes the chain away, and the words that come for it go to the next one.
#[derive(Block)]
pub struct RngSide {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// So many words are wanted, besides those that were.
    pub rng_request: Source<RngRequest>,
    /// Words, each used once.
    pub rng_word: Sink<RngWord>,

    pub device_features: Signal<Out, Bits<32>>,
    pub device_reset: Signal<In, Bit>,
    pub device_stop: Signal<In, Bit>,
    pub device_idle: Signal<Out, Bit>,
    #[given]
    pub chain: Vec<Sink<Chain>>,
    #[given]
    pub command: Vec<Source<ScatterCommand>>,
    #[given]
    pub data: Vec<Source<ByteBeat>>,
    #[given]
    pub device_events: Vec<Signal<Out, Bit>>,

    state: Reg<State>,
    head: DFF<Bits<16>>,
    /// The chain breaks a rule of the ring: nothing is written, and it is not given back.
    broken: DFF<Bit>,
    /// Bytes that are still to be written.
    length: DFF<Bits<32>>,
    // of the endpoint's reset alone: what the device side has been offered stays offered
    request: Stage<RngRequest>,

    nothing: Signal<Local, Bit>,
    last: Signal<Local, Bit>,
    rounded: Signal<Local, Bits<32>>,
    out_command: Signal<Local, ScatterCommand>,
    out_beat: Signal<Local, ByteBeat>,

    #[given]
    offered: Constant<Bits<32>>,
    #[given]
    max_bytes: Constant<Bits<32>>,
}

impl RngSide {
    /// Offers these features, and writes `max_bytes` into a chain at most.
    pub fn new(features: u32, max_bytes: u16) -> Self {
        Self::with(RngSideGiven {
            chain: vec![Default::default()],
            command: vec![Default::default()],
            data: vec![Default::default()],
            device_events: vec![Default::default()],
            offered: Constant::new(u64::from(features).into()),
            max_bytes: Constant::new(u64::from(max_bytes).into()),
        })
    }
}

impl Logic for RngSide {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module virtio_rng: random words of the device side for the driver's buffers");
        self.device_features.next = self.offered.val();
        self.device_idle.next = (self.state.q.val() == State::Idle) | self.device_stop.val();
        self.device_events[0].next = false;
        self.state.reset.next = self.reset.val() | self.device_reset.val();
        Source::<RngRequest>::link(&mut self.rng_request, &mut self.request.output);

        // ------------------------------------------------------------ what is written of a chain
        self.nothing.next = self.broken.q.val() | (self.length.q.val() == 0);
        self.last.next = self.length.q.val() <= bits::<32>(16);
        self.rounded.next = self.length.q.val() + 15;
        self.request.input.data.next.words = self.rounded.val().get_bits::<16>(4);
        self.out_command.next.skip = 0.into();
        self.out_command.next.length = self.length.q.val();
        self.out_command.next.head = self.head.q.val();
        self.out_command.next.used_length = self.length.q.val();
        self.out_command.next.drop = self.broken.q.val();
        self.out_command.next.more = false;
        self.out_command.next.soon = false;
        if self.broken.q.val() {
            self.out_command.next.length = 0.into();
        }
        self.command[0].data.next = self.out_command.val();
        self.out_beat.next.data = self.rng_word.data.val().data;
        self.out_beat.next.count = 16.into();
        if self.last.val() {
            self.out_beat.next.count = self.length.q.val().get_bits::<5>(0);
        }
        self.out_beat.next.last = self.last.val();
        self.out_beat.next.error = false;
        self.data[0].data.next = self.out_beat.val();

        // ------------------------------------------------------------ one chain after the other
        self.chain[0].ready.next = false;
        self.request.input.valid.next = false;
        self.command[0].valid.next = false;
        self.data[0].valid.next = false;
        self.rng_word.ready.next = false;
        match self.state.q.val() {
            State::Idle => {
                self.head.d.next = self.chain[0].data.val().head;
                self.broken.d.next = self.chain[0].data.val().error;
                self.length.d.next = self.chain[0].data.val().writable_length;
                if self.chain[0].data.val().writable_length > self.max_bytes.val() {
                    self.length.d.next = self.max_bytes.val();
                }
                if self.chain[0].valid.val() & !self.device_stop.val() {
                    self.chain[0].ready.next = true;
                    self.state.d.next = State::Request;
                }
            }
            State::Request => {
                self.request.input.valid.next = !self.nothing.val() & !self.device_stop.val();
                if self.nothing.val() | (self.request.input.ready.val() & !self.device_stop.val()) {
                    self.state.d.next = State::Command;
                }
            }
            State::Command => {
                self.command[0].valid.next = !self.device_stop.val();
                if self.command[0].ready.val() & !self.device_stop.val() {
                    self.state.d.next = State::Data;
                    if self.nothing.val() {
                        self.state.d.next = State::Idle;
                    }
                    self.device_events[0].next = self.nothing.val() & !self.broken.q.val();
                }
            }
            State::Data => {
                self.data[0].valid.next = self.rng_word.valid.val() & !self.device_stop.val();
                self.rng_word.ready.next = self.data[0].ready.val() & !self.device_stop.val();
                if self.rng_word.valid.val() & self.data[0].ready.val() & !self.device_stop.val() {
                    self.length.d.next = self.length.q.val() - 16;
                    if self.last.val() {
                        self.state.d.next = State::Idle;
                    }
                }
            }
        }
    }
}
