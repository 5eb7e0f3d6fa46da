//! From the chains of the statistics queue to numbers.
use super::types::BalloonStatistic;
use crate::block::Block;
use crate::cells::{Reg, Sink, Source};
use crate::comment;
use crate::dma::types::*;
use crate::virtio::types::*;
use rust_hdl::prelude::*;

/// What is done with the chain at hand.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum StatisticsState {
    /// Waits for a chain.
    Idle,
    /// Waits for 16 bytes of it.
    Read,
    /// Puts a number together.
    Shift,
    /// Offers it.
    Offer,
    /// Offers the end of the chain.
    End,
    /// Keeps the chain until newer numbers are wanted.
    Hold,
    /// Gives it back.
    Command,
}

/// Statistics of the guest: those of one chain, of ten bytes each, then its end. The chain is kept until newer ones are wanted: the driver
/// fills it again when it gets it back.
///
/// ```text
/// state    I R S S S S S O S S S R S S O E H H H H C I     I: Idle, R: Read, S: Shift, O: Offer, E: End, H: Hold, C: Command
/// stat                   n             n e
/// request                                        r
/// ```
/// Two bytes a cycle. What could not be read of a chain is not offered, nor is what is left of it behind the last ten bytes. A chain that
/// breaks a rule of the ring is not offered at all, and not kept. A drain cuts a chain short: its end is offered all the same.
#[derive(Block)]
pub struct Statistics {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Of the endpoint.
    pub reset: Signal<In, Bit>,
    /// Drain, or reset of the device: take no chain, give none back, keep none.
    pub stop: Signal<In, Bit>,
    /// Chains of the statistics queue.
    pub chain: Sink<Chain>,
    /// Bytes of their readable buffers.
    pub readable: Sink<ByteBeat>,
    /// They are used, with no bytes.
    pub command: Source<ScatterCommand>,
    /// Numbers, and the ends of chains.
    pub stat: Source<BalloonStatistic>,
    /// Newer numbers are wanted.
    pub request_valid: Signal<In, Bit>,
    /// The driver is asked for them.
    pub request_ready: Signal<Out, Bit>,
    /// One cycle: a part of a chain is not offered, as it could not be read.
    pub read_failed: Signal<Out, Bit>,
    /// One cycle: a chain ended within the ten bytes of a number.
    pub odd: Signal<Out, Bit>,
    /// Nothing moves before a chain comes or newer numbers are wanted.
    pub idle: Signal<Out, Bit>,

    state: Reg<StatisticsState>,
    head: DFF<Bits<16>>,
    broken: DFF<Bit>,
    // a drain has come: it is not kept
    cut: Reg<Bit>,
    // what is left of the beat at hand, the next bytes lowest; pairs of them
    word: DFF<Bits<128>>,
    left: DFF<Bits<4>>,
    // it is the chain's last, and ends with a single byte
    ends: DFF<Bit>,
    single: DFF<Bit>,
    // the number so far, and its pairs
    number: DFF<Bits<80>>,
    pairs: DFF<Bits<3>>,
    failed: Reg<Bit>,
    is_odd: Reg<Bit>,

    cuts: Signal<Local, Bit>,
    takes_beat: Signal<Local, Bit>,
    bad: Signal<Local, Bit>,
    count: Signal<Local, Bits<5>>,
    new_pairs: Signal<Local, Bits<4>>,
    wide: Signal<Local, Bits<128>>,
    low: Signal<Local, Bits<16>>,
    packed: Signal<Local, Bits<80>>,
    out_stat: Signal<Local, BalloonStatistic>,
    out_command: Signal<Local, ScatterCommand>,
}

impl Logic for Statistics {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module balloon_statistics: from the chains of the statistics queue to numbers");
        comment!("---- chains and their bytes");
        self.chain.ready.next = (self.state.q.val() == StatisticsState::Idle) & !self.stop.val();
        self.takes_beat.next = (self.state.q.val() == StatisticsState::Read) & !self.stop.val();
        self.readable.ready.next = self.takes_beat.val();
        self.bad.next = self.readable.data.val().error | self.broken.q.val();
        self.count.next = self.readable.data.val().count;
        self.new_pairs.next = self.count.val().get_bits::<4>(1);
        if self.bad.val() {
            self.new_pairs.next = 0.into();
        }

        comment!("---- numbers");
        self.wide.next = self.word.q.val();
        self.low.next = self.wide.val().get_bits::<16>(0);
        self.packed.next = self.number.q.val();
        self.out_stat.next.tag = self.packed.val().get_bits::<16>(0);
        self.out_stat.next.value = self.packed.val().get_bits::<64>(16);
        self.out_stat.next.last = self.state.q.val() == StatisticsState::End;
        self.stat.data.next = self.out_stat.val();
        self.stat.valid.next =
            (self.state.q.val() == StatisticsState::Offer) | (self.state.q.val() == StatisticsState::End);
        self.request_ready.next = (self.state.q.val() == StatisticsState::Hold) & !self.stop.val();

        comment!("---- the chain is used");
        self.out_command.next.skip = 0.into();
        self.out_command.next.length = 0.into();
        self.out_command.next.head = self.head.q.val();
        self.out_command.next.used_length = 0.into();
        self.out_command.next.drop = self.broken.q.val();
        self.out_command.next.more = false;
        self.out_command.next.soon = false;
        self.command.data.next = self.out_command.val();
        self.command.valid.next = (self.state.q.val() == StatisticsState::Command) & !self.stop.val();

        comment!("---- one chain after the other");
        self.failed.d.next = false;
        self.is_odd.d.next = false;
        self.cuts.next = self.cut.q.val() | self.stop.val();
        self.cut.d.next = self.cuts.val();
        match self.state.q.val() {
            StatisticsState::Idle => {
                self.cut.d.next = false;
                self.pairs.d.next = 0.into();
                self.head.d.next = self.chain.data.val().head;
                self.broken.d.next = self.chain.data.val().error;
                if self.chain.valid.val() & !self.stop.val() {
                    self.state.d.next = StatisticsState::Read;
                }
            }
            StatisticsState::Read => {
                if self.stop.val() {
                    self.state.d.next = StatisticsState::End;
                    if self.broken.q.val() {
                        self.state.d.next = StatisticsState::Idle;
                    }
                } else if self.readable.valid.val() {
                    self.word.d.next = self.readable.data.val().data;
                    self.left.d.next = self.new_pairs.val();
                    self.ends.d.next = self.readable.data.val().last;
                    self.single.d.next = self.count.val().get_bit(0) & !self.bad.val();
                    if self.new_pairs.val().any() {
                        self.state.d.next = StatisticsState::Shift;
                    } else if self.readable.data.val().last {
                        self.state.d.next = StatisticsState::End;
                        self.is_odd.d.next = (self.count.val().get_bit(0) | self.pairs.q.val().any()) & !self.bad.val();
                        if self.broken.q.val() {
                            self.state.d.next = StatisticsState::Command;
                        }
                    }
                    self.failed.d.next =
                        self.readable.data.val().last & self.readable.data.val().error & !self.broken.q.val();
                }
            }
            StatisticsState::Shift => {
                self.number.d.next = (self.number.q.val() >> 16) | (bit_cast::<80, 16>(self.low.val()) << 64);
                self.word.d.next = self.word.q.val() >> 16;
                self.left.d.next = self.left.q.val() - 1;
                self.pairs.d.next = self.pairs.q.val() + 1;
                if self.stop.val() {
                    self.state.d.next = StatisticsState::End;
                } else if self.pairs.q.val() == 4 {
                    self.pairs.d.next = 0.into();
                    self.state.d.next = StatisticsState::Offer;
                } else if self.left.q.val() == 1 {
                    self.state.d.next = StatisticsState::Read;
                    if self.ends.q.val() {
                        self.state.d.next = StatisticsState::End;
                        self.is_odd.d.next = true;
                    }
                }
            }
            StatisticsState::Offer => {
                if self.stat.ready.val() {
                    self.state.d.next = StatisticsState::Shift;
                    if self.cuts.val() {
                        self.state.d.next = StatisticsState::End;
                    } else if !self.left.q.val().any() {
                        self.state.d.next = StatisticsState::Read;
                        if self.ends.q.val() {
                            self.state.d.next = StatisticsState::End;
                            self.is_odd.d.next = self.single.q.val();
                        }
                    }
                }
            }
            StatisticsState::End => {
                if self.stat.ready.val() {
                    self.state.d.next = StatisticsState::Hold;
                    if self.cuts.val() {
                        self.state.d.next = StatisticsState::Idle;
                    }
                }
            }
            StatisticsState::Hold => {
                if self.stop.val() {
                    self.state.d.next = StatisticsState::Idle;
                } else if self.request_valid.val() {
                    self.state.d.next = StatisticsState::Command;
                }
            }
            StatisticsState::Command => {
                if self.stop.val() | self.command.ready.val() {
                    self.state.d.next = StatisticsState::Idle;
                }
            }
        }
        self.read_failed.next = self.failed.q.val();
        self.odd.next = self.is_odd.q.val();
        self.idle.next = (self.state.q.val() == StatisticsState::Idle)
            | ((self.state.q.val() == StatisticsState::Hold) & !self.request_valid.val());
    }
}
