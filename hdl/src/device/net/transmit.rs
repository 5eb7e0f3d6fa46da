//! From the chains of the transmit queue to frames.
use super::transmit_checksum::TransmitChecksum;
use super::transmit_header::TransmitHeader;
use super::transmit_port::TransmitPort;
use super::transmit_send::TransmitSend;
use super::types::*;
use crate::block::{list, Block};
use crate::cells::{BlockRam, Reg, Sink, Source, Stage, StreamFifo};
use crate::comment;
use crate::dma::types::*;
use crate::virtio::types::*;
use rust_hdl::prelude::*;

/// Transmit side of the network device: frames are stored whole, then sent.
///
/// ```text
/// chain, bytes -> [header] -> words -> memory -> [send] -> [port] -> frame_out
///                               +--> [checksum] -> frames, 16 --^
/// ```
#[derive(Block)]
pub struct Transmit {
    pub clock: Signal<In, Clock>,
    /// Of the endpoint and the wire.
    pub reset: Signal<In, Bit>,
    /// Of the device, in any cycle: all frames are forgotten, the one on its way to the wire is cut off.
    pub clear: Signal<In, Bit>,
    /// Take no chain and begin no frame; what is under way goes on.
    pub stop: Signal<In, Bit>,
    pub merge: Signal<In, Bit>,
    pub csum: Signal<In, Bit>,
    pub chain: Sink<Chain>,
    pub readable: Sink<ByteBeat>,
    pub scatter: Source<ScatterCommand>,
    pub frame_out: Source<NetBeat>,
    /// One cycle: a frame will not be sent.
    pub dropped: Signal<Out, Bit>,
    pub violation_valid: Signal<Out, Bit>,
    pub violation: Signal<Out, ViolationReport>,
    /// Nothing in it.
    pub idle: Signal<Out, Bit>,
    /// Between frames at the Ethernet side.
    pub quiet: Signal<Out, Bit>,

    #[given]
    header: TransmitHeader,
    #[given]
    checksum: TransmitChecksum,
    // one of both
    #[given]
    ram: Vec<BlockRam<128, 9>>,
    #[given]
    large_ram: Vec<BlockRam<128, 11>>,
    /// The memory of `ready_frames` is read asynchronously.
    frame_stage: Stage<TransmitFrame>,
    ready_frames: StreamFifo<TransmitFrame, 4>,
    #[given]
    send: TransmitSend,
    port: TransmitPort,
    // words written; those of the frame at hand begin at `begin`
    pointer: Reg<Bits<12>>,
    begin: Reg<Bits<12>>,
    // complete frames that have not been read
    frames: Reg<Bits<5>>,
    // seen one cycle ago, with what may have come in since
    room: Reg<Bit>,

    #[given]
    pointer_mask: Constant<Bits<12>>,
    #[given]
    nearly_full: Constant<Bits<12>>,

    // a reset forgets too
    forget: Signal<Local, Bit>,
    occupied: Signal<Local, Bits<12>>,
    store: Signal<Local, Bit>,
    at_rest: Signal<Local, Bit>,
    commit: Signal<Local, Bit>,
    pointer_next: Signal<Local, Bits<12>>,
}

impl Transmit {
    /// For frames of this size.
    pub fn new(sizes: FrameSizes) -> Self {
        Self::with(TransmitGiven {
            header: TransmitHeader::new(sizes),
            checksum: TransmitChecksum::new(sizes),
            ram: list(usize::from(!sizes.is_large())),
            large_ram: list(usize::from(sizes.is_large())),
            send: TransmitSend::new(sizes),
            pointer_mask: Constant::new(sizes.pointer_mask().into()),
            nearly_full: Constant::new((sizes.words() - 1).into()),
        })
    }
}

impl Logic for Transmit {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module net_transmit: from the chains of the transmit queue to frames");
        self.forget.next = self.reset.val() | self.clear.val();
        self.port.clear.next = self.clear.val();
        self.room.reset.next = self.forget.val();
        self.pointer.reset.next = self.forget.val();
        self.begin.reset.next = self.forget.val();
        self.frames.reset.next = self.forget.val();
        self.header.reset.next = self.forget.val();
        self.checksum.reset.next = self.forget.val();
        self.ready_frames.reset.next = self.forget.val();
        self.frame_stage.reset.next = self.forget.val();
        self.send.reset.next = self.forget.val();

        self.header.stop.next = self.stop.val();
        self.header.merge.next = self.merge.val();
        self.header.csum.next = self.csum.val();
        Sink::<Chain>::link(&mut self.chain, &mut self.header.chain);
        Sink::<ByteBeat>::link(&mut self.readable, &mut self.header.readable);
        Source::<ScatterCommand>::link(&mut self.scatter, &mut self.header.scatter);
        self.dropped.next = self.header.dropped.val();
        self.violation_valid.next = self.header.violation_valid.val();
        self.violation.next = self.header.violation.val();

        comment!("words into the memory; those of a frame that is dropped are written over");
        self.occupied.next = (self.pointer.q.val() - self.send.read.val()) & self.pointer_mask.val();
        self.room.d.next = (self.occupied.val() < self.nearly_full.val()) & (self.frames.q.val() < 15);
        self.header.word.ready.next = self.room.q.val();
        self.store.next = self.header.word.valid.val() & self.room.q.val();
        self.commit.next = self.store.val() & self.header.word.data.val().last & !self.header.word.data.val().drop;
        self.pointer_next.next = (self.pointer.q.val() + 1) & self.pointer_mask.val();
        self.send.data.next = 0.into();
        for i in 0..self.ram.len() {
            self.ram[i].waddr.next = self.pointer.q.val().get_bits::<9>(0);
            self.ram[i].wdata.next = self.header.word.data.val().data;
            self.ram[i].wen.next = self.store.val();
            self.ram[i].raddr.next = self.send.address.val().get_bits::<9>(0);
            self.send.data.next = self.ram[i].rdata.val();
        }
        for i in 0..self.large_ram.len() {
            self.large_ram[i].waddr.next = self.pointer.q.val().get_bits::<11>(0);
            self.large_ram[i].wdata.next = self.header.word.data.val().data;
            self.large_ram[i].wen.next = self.store.val();
            self.large_ram[i].raddr.next = self.send.address.val();
            self.send.data.next = self.large_ram[i].rdata.val();
        }
        if self.store.val() {
            self.pointer.d.next = self.pointer_next.val();
            if self.commit.val() {
                self.begin.d.next = self.pointer_next.val();
            } else if self.header.word.data.val().last {
                self.pointer.d.next = self.begin.q.val();
            }
        }
        if self.commit.val() != self.send.done.val() {
            self.frames.d.next = self.frames.q.val() + 1;
            if self.send.done.val() {
                self.frames.d.next = self.frames.q.val() - 1;
            }
        }

        self.checksum.word_valid.next = self.store.val();
        self.checksum.word.next = self.header.word.data.val();
        self.ready_frames.input.valid.next = self.checksum.frame_valid.val();
        self.ready_frames.input.data.next = self.checksum.frame.val();
        Source::<TransmitFrame>::join(&mut self.ready_frames.output, &mut self.frame_stage.input);
        Source::<TransmitFrame>::join(&mut self.frame_stage.output, &mut self.send.frame);

        self.send.stop.next = self.stop.val();
        Source::<NetBeat>::join(&mut self.send.beat, &mut self.port.beat);
        Source::<NetBeat>::link(&mut self.frame_out, &mut self.port.frame_out);
        self.at_rest.next = self.send.quiet.val() & !self.port.frame_out.valid.val();
        self.quiet.next = self.at_rest.val();
        self.idle.next =
            !self.chain.valid.val() & self.header.idle.val() & !self.frames.q.val().any() & self.at_rest.val();
    }
}
