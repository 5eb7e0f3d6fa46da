//! From the chains of the transmit queue to frames.
use super::transmit_checksum::TransmitChecksum;
use super::transmit_header::TransmitHeader;
use super::transmit_send::TransmitSend;
use super::types::*;
use crate::cells::{BlockRam, Reg, Sink, Source, Stage, StreamFifo};
use crate::comment;
use crate::dma::types::*;
use crate::virtio::types::*;
use rust_hdl::prelude::*;

/// Transmit side of the network device: frames are stored whole, then sent.
///
/// ```text
/// chain, bytes -> [header] -> words -> memory of 8 KiB -> [send] -> frame_out
///                               +--> [checksum] -> frames, 16 --^
/// ```
#[derive(LogicBlock, Default)]
pub struct Transmit {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
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

    header: TransmitHeader,
    checksum: TransmitChecksum,
    ram: BlockRam<128, 9>,
    /// The memory of `ready_frames` is read asynchronously.
    frame_stage: Stage<TransmitFrame>,
    ready_frames: StreamFifo<TransmitFrame, 4>,
    send: TransmitSend,
    // words written; those of the frame at hand begin at `begin`
    pointer: Reg<Bits<10>>,
    begin: Reg<Bits<10>>,
    // complete frames that have not been read
    frames: Reg<Bits<5>>,
    // seen one cycle ago, with what may have come in since
    room: Reg<Bit>,

    occupied: Signal<Local, Bits<10>>,
    store: Signal<Local, Bit>,
    commit: Signal<Local, Bit>,
    pointer_next: Signal<Local, Bits<10>>,
}

impl Logic for Transmit {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module net_transmit: from the chains of the transmit queue to frames");
        dff_setup!(self, clock, pointer, begin, frames, room);
        self.room.reset.next = self.reset.val();
        clock!(self, clock, header, checksum, ram, ready_frames, frame_stage, send);
        self.pointer.reset.next = self.reset.val();
        self.begin.reset.next = self.reset.val();
        self.frames.reset.next = self.reset.val();
        self.header.reset.next = self.reset.val();
        self.checksum.reset.next = self.reset.val();
        self.ready_frames.reset.next = self.reset.val();
        self.frame_stage.reset.next = self.reset.val();
        self.send.reset.next = self.reset.val();

        self.header.stop.next = self.stop.val();
        self.header.merge.next = self.merge.val();
        self.header.csum.next = self.csum.val();
        Sink::<Chain>::link(&mut self.chain, &mut self.header.chain);
        Sink::<ByteBeat>::link(&mut self.readable, &mut self.header.readable);
        Source::<ScatterCommand>::link(&mut self.scatter, &mut self.header.scatter);
        self.dropped.next = self.header.dropped.val();
        self.violation_valid.next = self.header.violation_valid.val();
        self.violation.next = self.header.violation.val();

        // words into the memory; those of a frame that is dropped are written over
        self.occupied.next = self.pointer.q.val() - self.send.read.val();
        self.room.d.next = (self.occupied.val() < bits::<10>(511)) & (self.frames.q.val() < 15);
        self.header.word.ready.next = self.room.q.val();
        self.store.next = self.header.word.valid.val() & self.room.q.val();
        self.commit.next = self.store.val() & self.header.word.data.val().last & !self.header.word.data.val().drop;
        self.pointer_next.next = self.pointer.q.val() + 1;
        self.ram.waddr.next = self.pointer.q.val().get_bits::<9>(0);
        self.ram.wdata.next = self.header.word.data.val().data;
        self.ram.wen.next = self.store.val();
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
        self.ram.raddr.next = self.send.address.val();
        self.send.data.next = self.ram.rdata.val();
        Source::<NetBeat>::link(&mut self.frame_out, &mut self.send.beat);
        self.quiet.next = self.send.quiet.val();
        self.idle.next =
            !self.chain.valid.val() & self.header.idle.val() & !self.frames.q.val().any() & self.send.quiet.val();
    }
}
