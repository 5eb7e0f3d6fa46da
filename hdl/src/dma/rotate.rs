//! Byte rotation of a 16-byte beat.
use crate::block::Block;
use crate::comment;
use rust_hdl::prelude::*;

/// Rotates 16 byte lanes left: lane `i` goes to lane `i + amount` modulo 16. Combinational, four levels of
/// two-way multiplexers. To rotate right, give the two's complement.
#[derive(Block)]
pub struct ByteRotate {
    pub data: Signal<In, Bits<128>>,
    pub amount: Signal<In, Bits<4>>,
    pub result: Signal<Out, Bits<128>>,
    by_one: Signal<Local, Bits<128>>,
    by_two: Signal<Local, Bits<128>>,
    by_four: Signal<Local, Bits<128>>,
}

impl Logic for ByteRotate {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module byte_rotate: rotates the 16 byte lanes of a beat to the left");
        self.by_one.next = self.data.val();
        if self.amount.val().get_bit(0) {
            self.by_one.next = (self.data.val() << 8) | (self.data.val() >> 120);
        }
        self.by_two.next = self.by_one.val();
        if self.amount.val().get_bit(1) {
            self.by_two.next = (self.by_one.val() << 16) | (self.by_one.val() >> 112);
        }
        self.by_four.next = self.by_two.val();
        if self.amount.val().get_bit(2) {
            self.by_four.next = (self.by_two.val() << 32) | (self.by_two.val() >> 96);
        }
        self.result.next = self.by_four.val();
        if self.amount.val().get_bit(3) {
            self.result.next = (self.by_four.val() << 64) | (self.by_four.val() >> 64);
        }
    }
}
