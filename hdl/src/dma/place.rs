//! Turns beats at a byte address into writes of a RAM of 16-byte words.
use super::read_receive::PlacedBeat;
use super::rotate::ByteRotate;
use super::types::RamWrite;
use crate::block::Block;
use crate::cells::Reg;
use crate::comment;
use rust_hdl::prelude::*;

/// Rotates the beats of a packet to the lanes of their RAM address and makes words of them, in two cycles.
///
/// Lane 0 lies at lane `A[3:0]` of word `A[..4]`. The lanes from there up belong to that word; those that rotation has
/// brought round belong to the next one and are carried over to the next beat, which fills the rest of that word:
///
/// ```text
/// beat 0    write word W      lanes A[3:0] and up           of beat 0
/// beat 1    write word W+1    lanes below A[3:0] of beat 0, the others of beat 1
/// (bubble)  write word W+2    lanes below A[3:0] of beat 1
/// ```
/// The last write needs the cycle that the receiver leaves between two packets. What a packet without a last beat has
/// carried over is dropped.
#[derive(Block)]
pub struct BeatPlacer {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub beat: Signal<In, PlacedBeat>,
    /// Not in the cycle after the last beat of a packet.
    pub beat_valid: Signal<In, Bit>,
    pub write: Signal<Out, RamWrite>,
    pub write_valid: Signal<Out, Bit>,
    // the beat, rotated; kept after the last one of a packet
    rotated: DFF<Bits<128>>,
    lanes: DFF<Bits<16>>,
    address: DFF<Bits<16>>,
    client: DFF<Bits<4>>,
    first: DFF<Bit>,
    last: DFF<Bit>,
    valid: Reg<Bit>,
    // what belongs to the next word, in its lanes
    carry: DFF<Bits<128>>,
    carry_lanes: DFF<Bits<16>>,
    // the packet is over, but not what it has carried over
    rest: Reg<Bit>,
    result: DFF<RamWrite>,
    result_valid: Reg<Bit>,
    rotate: ByteRotate,
    doubled: Signal<Local, Bits<32>>,
    here: Signal<Local, Bits<16>>,
    beyond: Signal<Local, Bits<16>>,
    carried: Signal<Local, Bits<16>>,
    carried_bits: Signal<Local, Bits<128>>,
    word: Signal<Local, Bits<12>>,
}

impl Logic for BeatPlacer {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module dma_beat_placer: rotates the beats of a packet to their RAM address and makes words of them");
        comment!("first stage: rotation");
        self.rotate.data.next = self.beat.val().data;
        self.rotate.amount.next = bit_cast::<4, 16>(self.beat.val().address);
        self.valid.d.next = self.beat_valid.val();
        if self.beat_valid.val() {
            self.rotated.d.next = self.rotate.result.val();
            self.lanes.d.next = self.beat.val().lanes;
            self.address.d.next = self.beat.val().address;
            self.client.d.next = self.beat.val().client;
            self.first.d.next = self.beat.val().first;
            self.last.d.next = self.beat.val().last;
        }

        comment!(
            "second stage: the lanes shifted up; the lower half stays in the word, the upper half goes into the next"
        );
        self.doubled.next = bit_cast::<32, 16>(self.lanes.q.val()) << bit_cast::<4, 16>(self.address.q.val());
        self.here.next = self.doubled.val().get_bits::<16>(0);
        self.beyond.next = self.doubled.val().get_bits::<16>(16);
        if self.valid.q.val() {
            self.carry.d.next = self.rotated.q.val();
            self.carry_lanes.d.next = self.beyond.val();
        }
        self.rest.d.next = self.valid.q.val() & self.last.q.val() & self.beyond.val().any();

        comment!("with what the packet's beat before this one has left for this word");
        self.carried.next = self.carry_lanes.q.val();
        if self.valid.q.val() & self.first.q.val() {
            self.carried.next = 0.into();
        }
        self.carried_bits.next = 0.into();
        for i in 0..16 {
            if self.carried.val().get_bit(i) {
                self.carried_bits.next = self.carried_bits.val() | (bits::<128>(0xFF) << (i * 8).to_bits::<7>());
            }
        }
        self.word.next = self.address.q.val().get_bits::<12>(4);
        self.result.d.next.client = self.client.q.val();
        self.result.d.next.data =
            (self.rotated.q.val() & !self.carried_bits.val()) | (self.carry.q.val() & self.carried_bits.val());
        self.result.d.next.word = self.word.val();
        self.result.d.next.enable = self.here.val() | self.carried.val();
        if self.rest.q.val() {
            self.result.d.next.word = self.word.val() + 1;
            self.result.d.next.enable = self.carried.val();
        }
        self.result_valid.d.next = self.valid.q.val() | self.rest.q.val();
        self.write.next = self.result.q.val();
        self.write_valid.next = self.result_valid.q.val();
    }
}
