//! Turns a beat at a byte address into one write of a two-bank RAM.
use super::read_receive::PlacedBeat;
use super::rotate::ByteRotate;
use super::types::RamWrite;
use crate::cells::Reg;
use crate::comment;
use rust_hdl::prelude::*;

/// Rotates a beat to the lanes of its RAM address and shares it out to the banks, in two cycles.
///
/// Lane 0 lies at lane `A[3:0]` of word `A[..4]`. The lanes from there up belong to that word, those that
/// rotation has brought round belong to the next one, which is in the other bank: one beat is one write.
#[derive(LogicBlock, Default)]
pub struct BeatPlacer {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub beat: Signal<In, PlacedBeat>,
    pub beat_valid: Signal<In, Bit>,
    pub write: Signal<Out, RamWrite>,
    pub write_valid: Signal<Out, Bit>,
    held: DFF<PlacedBeat>,
    held_valid: Reg<Bit>,
    result: DFF<RamWrite>,
    result_valid: Reg<Bit>,
    rotate: ByteRotate,
    offset: Signal<Local, Bits<4>>,
    odd_word: Signal<Local, Bit>,
    index: Signal<Local, Bits<11>>,
    doubled: Signal<Local, Bits<32>>,
    here: Signal<Local, Bits<16>>,
    beyond: Signal<Local, Bits<16>>,
}

impl Logic for BeatPlacer {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module dma_beat_placer: rotates a beat to its RAM address and shares it out to two banks");
        dff_setup!(self, clock, held, held_valid, result, result_valid);
        self.held_valid.reset.next = self.reset.val();
        self.result_valid.reset.next = self.reset.val();
        self.held.d.next = self.beat.val();
        self.held_valid.d.next = self.beat_valid.val();

        self.offset.next = bit_cast::<4, 16>(self.held.q.val().address);
        self.odd_word.next = self.held.q.val().address.get_bit(4);
        self.index.next = self.held.q.val().address.get_bits::<11>(5);
        self.rotate.data.next = self.held.q.val().data;
        self.rotate.amount.next = self.offset.val();
        // the lanes shifted up: the lower half stays in the word, the upper half goes into the next
        self.doubled.next = bit_cast::<32, 16>(self.held.q.val().lanes) << self.offset.val();
        self.here.next = self.doubled.val().get_bits::<16>(0);
        self.beyond.next = self.doubled.val().get_bits::<16>(16);

        self.result.d.next.client = self.held.q.val().client;
        self.result.d.next.data = self.rotate.result.val();
        self.result.d.next.odd_index = self.index.val();
        if self.odd_word.val() {
            self.result.d.next.even_index = self.index.val() + 1;
            self.result.d.next.even_enable = self.beyond.val();
            self.result.d.next.odd_enable = self.here.val();
        } else {
            self.result.d.next.even_index = self.index.val();
            self.result.d.next.even_enable = self.here.val();
            self.result.d.next.odd_enable = self.beyond.val();
        }
        self.result_valid.d.next = self.held_valid.q.val();
        self.write.next = self.result.q.val();
        self.write_valid.next = self.result_valid.q.val();
    }
}
