//! From the chains of the inflate and the deflate queue to pages.
use super::types::BalloonPage;
use crate::block::{list, Block};
use crate::cells::{Reg, Sink, Source};
use crate::comment;
use crate::dma::types::*;
use crate::virtio::types::*;
use rust_hdl::prelude::*;

/// What is done with the chain at hand.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum PagesState {
    /// Waits for a chain.
    Idle,
    /// Waits for 16 bytes of it.
    Read,
    /// Offers its pages.
    Offer,
    /// Offers its end.
    End,
    /// Waits for the answer.
    Answer,
    /// Gives it back.
    Command,
}

/// Pages of the balloon: those of one chain after the other, then its end; the chain is given back when that has been answered.
///
/// ```text
/// state   I R O O O O R O E A A A A C I      I: Idle, R: Read, O: Offer, E: End, A: Answer, C: Command
/// page      p p p p   p e
/// done                            d
/// ```
/// The two queues take turns. What could not be read of a chain is not offered, nor are the last bytes of one whose length is no multiple
/// of four. A chain that breaks a rule of the ring is not offered at all.
///
/// What has been begun is ended, whatever happens to the device: a drain cuts a chain short, offers its end and waits for the answer.
/// Where that comes later than the drain has patience, the next chain waits for it: an answer is never taken for that to another chain.
/// The driver has the answer to its reset before the drain has ended: what is behind the endpoint must be quick with a page that it has
/// taken, as the driver may use it again.
#[derive(Block)]
pub struct Pages {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Of the endpoint.
    pub reset: Signal<In, Bit>,
    /// Drain, or reset of the device: take no chain, give none back.
    pub stop: Signal<In, Bit>,
    /// Chains of the inflate queue, and of the deflate queue.
    #[given]
    pub chain: Vec<Sink<Chain>>,
    /// Of each, the bytes of the readable buffers.
    #[given]
    pub readable: Vec<Sink<ByteBeat>>,
    /// Of each: its chains are used, with no bytes.
    #[given]
    pub command: Vec<Source<ScatterCommand>>,
    /// Pages, and the ends of chains.
    pub page: Source<BalloonPage>,
    /// An end is answered.
    pub done_valid: Signal<In, Bit>,
    /// There is one that is not.
    pub done_ready: Signal<Out, Bit>,
    /// One cycle: a part of a chain is not offered, as it could not be read.
    pub read_failed: Signal<Out, Bit>,
    /// One cycle: a chain ended within a page's number.
    pub odd: Signal<Out, Bit>,
    /// No chain is at hand.
    pub idle: Signal<Out, Bit>,

    state: Reg<PagesState>,
    // of the chain at hand, or of the last one
    deflates: Reg<Bit>,
    head: DFF<Bits<16>>,
    broken: DFF<Bit>,
    // a drain has come: it is not given back
    cut: Reg<Bit>,
    // what is left of the beat at hand, the next number lowest
    word: DFF<Bits<128>>,
    left: DFF<Bits<3>>,
    // it is the chain's last
    ends: DFF<Bit>,
    failed: Reg<Bit>,
    is_odd: Reg<Bit>,

    cuts: Signal<Local, Bit>,
    inflate_here: Signal<Local, Bit>,
    deflate_here: Signal<Local, Bit>,
    deflate_next: Signal<Local, Bit>,
    takes_chain: Signal<Local, Bit>,
    next_chain: Signal<Local, Chain>,
    beat: Signal<Local, ByteBeat>,
    beat_here: Signal<Local, Bit>,
    takes_beat: Signal<Local, Bit>,
    bad: Signal<Local, Bit>,
    count: Signal<Local, Bits<5>>,
    numbers: Signal<Local, Bits<3>>,
    wide: Signal<Local, Bits<128>>,
    out_page: Signal<Local, BalloonPage>,
    out_command: Signal<Local, ScatterCommand>,
    gives_back: Signal<Local, Bit>,
    taken_back: Signal<Local, Bit>,
}

impl Default for Pages {
    fn default() -> Self {
        Self::with(PagesGiven { chain: list(2), readable: list(2), command: list(2) })
    }
}

impl Logic for Pages {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module balloon_pages: from the chains of the inflate and the deflate queue to pages");
        comment!("---- the queue whose turn it is, of those whose chain and its first bytes are there");
        self.inflate_here.next = self.chain[0].valid.val() & self.readable[0].valid.val();
        self.deflate_here.next = self.chain[1].valid.val() & self.readable[1].valid.val();
        self.deflate_next.next = self.deflate_here.val() & (!self.inflate_here.val() | !self.deflates.q.val());
        self.takes_chain.next = (self.state.q.val() == PagesState::Idle)
            & (self.inflate_here.val() | self.deflate_here.val())
            & !self.stop.val();
        self.chain[0].ready.next = self.takes_chain.val() & !self.deflate_next.val();
        self.chain[1].ready.next = self.takes_chain.val() & self.deflate_next.val();
        self.next_chain.next = self.chain[0].data.val();
        if self.deflate_next.val() {
            self.next_chain.next = self.chain[1].data.val();
        }

        comment!("---- its bytes");
        self.takes_beat.next = (self.state.q.val() == PagesState::Read) & !self.stop.val();
        self.readable[0].ready.next = self.takes_beat.val() & !self.deflates.q.val();
        self.readable[1].ready.next = self.takes_beat.val() & self.deflates.q.val();
        self.beat.next = self.readable[0].data.val();
        self.beat_here.next = self.readable[0].valid.val();
        if self.deflates.q.val() {
            self.beat.next = self.readable[1].data.val();
            self.beat_here.next = self.readable[1].valid.val();
        }
        self.bad.next = self.beat.val().error | self.broken.q.val();
        self.count.next = self.beat.val().count;
        self.numbers.next = self.count.val().get_bits::<3>(2);
        if self.bad.val() {
            self.numbers.next = 0.into();
        }

        comment!("---- pages");
        self.wide.next = self.word.q.val();
        self.out_page.next.data = self.wide.val().get_bits::<32>(0);
        self.out_page.next.deflate = self.deflates.q.val();
        self.out_page.next.last = self.state.q.val() == PagesState::End;
        self.page.data.next = self.out_page.val();
        self.page.valid.next = (self.state.q.val() == PagesState::Offer) | (self.state.q.val() == PagesState::End);
        self.done_ready.next = self.state.q.val() == PagesState::Answer;

        comment!("---- the chain is used");
        self.out_command.next.skip = 0.into();
        self.out_command.next.length = 0.into();
        self.out_command.next.head = self.head.q.val();
        self.out_command.next.used_length = 0.into();
        self.out_command.next.drop = self.broken.q.val();
        self.out_command.next.more = false;
        self.out_command.next.soon = false;
        self.command[0].data.next = self.out_command.val();
        self.command[1].data.next = self.out_command.val();
        self.gives_back.next = (self.state.q.val() == PagesState::Command) & !self.stop.val();
        self.command[0].valid.next = self.gives_back.val() & !self.deflates.q.val();
        self.command[1].valid.next = self.gives_back.val() & self.deflates.q.val();
        self.taken_back.next = self.command[0].ready.val();
        if self.deflates.q.val() {
            self.taken_back.next = self.command[1].ready.val();
        }

        comment!("---- one chain after the other");
        self.failed.d.next = false;
        self.is_odd.d.next = false;
        self.cuts.next = self.cut.q.val() | self.stop.val();
        self.cut.d.next = self.cuts.val();
        match self.state.q.val() {
            PagesState::Idle => {
                self.cut.d.next = false;
                if self.takes_chain.val() {
                    self.deflates.d.next = self.deflate_next.val();
                    self.head.d.next = self.next_chain.val().head;
                    self.broken.d.next = self.next_chain.val().error;
                    self.state.d.next = PagesState::Read;
                }
            }
            PagesState::Read => {
                if self.stop.val() {
                    self.state.d.next = PagesState::End;
                    if self.broken.q.val() {
                        self.state.d.next = PagesState::Idle;
                    }
                } else if self.beat_here.val() {
                    self.word.d.next = self.beat.val().data;
                    self.left.d.next = self.numbers.val();
                    self.ends.d.next = self.beat.val().last;
                    if self.numbers.val().any() {
                        self.state.d.next = PagesState::Offer;
                    } else if self.beat.val().last {
                        self.state.d.next = PagesState::End;
                        if self.broken.q.val() {
                            self.state.d.next = PagesState::Command;
                        }
                    }
                    self.failed.d.next = self.beat.val().last & self.beat.val().error & !self.broken.q.val();
                    self.is_odd.d.next =
                        self.beat.val().last & !self.bad.val() & self.count.val().get_bits::<2>(0).any();
                }
            }
            PagesState::Offer => {
                if self.page.ready.val() {
                    self.word.d.next = self.word.q.val() >> 32;
                    self.left.d.next = self.left.q.val() - 1;
                    if self.cuts.val() {
                        self.state.d.next = PagesState::End;
                    } else if self.left.q.val() == 1 {
                        self.state.d.next = PagesState::Read;
                        if self.ends.q.val() {
                            self.state.d.next = PagesState::End;
                        }
                    }
                }
            }
            PagesState::End => {
                if self.page.ready.val() {
                    self.state.d.next = PagesState::Answer;
                }
            }
            PagesState::Answer => {
                if self.done_valid.val() {
                    self.state.d.next = PagesState::Command;
                    if self.cuts.val() {
                        self.state.d.next = PagesState::Idle;
                    }
                }
            }
            PagesState::Command => {
                if self.stop.val() | self.taken_back.val() {
                    self.state.d.next = PagesState::Idle;
                }
            }
        }
        self.read_failed.next = self.failed.q.val();
        self.odd.next = self.is_odd.q.val();
        self.idle.next = self.state.q.val() == PagesState::Idle;
    }
}
