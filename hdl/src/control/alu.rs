//! Arithmetic and comparisons.
use super::types::{Addend, Operation};
use crate::block::Block;
use crate::comment;
use rust_hdl::prelude::*;

/// One adder for everything: sums, differences, comparisons, addresses, the next pc; and the logic operations beside it. Combinational.
///
/// ```text
/// left -----------------+-> adder -> sum, carry -> less
/// right -> addend ------+     |
///          (right, -right,    +--> operation -> result
///           4, 0)     left, right ->
/// ```
/// The adder's result is for the address as well, past the choice of the operation. Shifts are not here: the operand register shifts.
#[derive(Block)]
pub struct Alu {
    /// Left operand.
    pub left: Signal<In, Bits<32>>,
    /// Right operand.
    pub right: Signal<In, Bits<32>>,
    /// What is added to the left operand.
    pub addend: Signal<In, Addend>,
    /// What the result is.
    pub operation: Signal<In, Operation>,
    /// Comparisons are those of unsigned numbers.
    pub unsigned: Signal<In, Bit>,
    /// Left operand and addend.
    pub sum: Signal<Out, Bits<32>>,
    /// Carry of the sum.
    pub carry: Signal<Out, Bit>,
    /// Of the operation.
    pub result: Signal<Out, Bits<32>>,
    /// Left is less than right, if the addend is [`Addend::Minus`].
    pub less: Signal<Out, Bit>,
    /// Left is right.
    pub equal: Signal<Out, Bit>,

    /// What is added to the left operand.
    added: Signal<Local, Bits<32>>,
    /// With a bit below for the carry into bit 0, and one above for that out of bit 31.
    wide_left: Signal<Local, Bits<34>>,
    /// Likewise, the carry into bit 0 included.
    wide_added: Signal<Local, Bits<34>>,
    /// Likewise.
    wide_sum: Signal<Local, Bits<34>>,
    /// The right operand is subtracted.
    minus: Signal<Local, Bit>,
    /// One is negative, and the other is not.
    signs_differ: Signal<Local, Bit>,
    /// The last four operations.
    is_logic: Signal<Local, Bit>,
    /// The second pair of four operations.
    is_second: Signal<Local, Bit>,
    /// The second one of a pair.
    is_odd: Signal<Local, Bit>,
}

impl Logic for Alu {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module control_alu: one adder, comparisons and logic operations");
        self.minus.next = self.addend.val() == Addend::Minus;
        self.added.next = 0.into();
        match self.addend.val() {
            Addend::Right => self.added.next = self.right.val(),
            Addend::Minus => self.added.next = !self.right.val(),
            Addend::Four => self.added.next = 4.into(),
            Addend::Zero => self.added.next = 0.into(),
        }
        self.wide_left.next = (bit_cast::<34, 32>(self.left.val()) << 1) | 1;
        self.wide_added.next = (bit_cast::<34, 32>(self.added.val()) << 1) | bit_cast::<34, 1>(self.minus.val().into());
        self.wide_sum.next = self.wide_left.val() + self.wide_added.val();
        self.sum.next = self.wide_sum.val().get_bits::<32>(1);
        self.carry.next = self.wide_sum.val().get_bit(33);
        self.equal.next = self.left.val() == self.right.val();
        self.signs_differ.next = (self.left.val().get_bit(31) ^ self.right.val().get_bit(31)) & !self.unsigned.val();
        self.less.next = !self.carry.val();
        if self.signs_differ.val() {
            self.less.next = self.left.val().get_bit(31);
        }
        comment!("three choices, one behind the other: one look-up table a bit");
        self.is_logic.next = (self.operation.val() == Operation::Xor)
            | (self.operation.val() == Operation::Or)
            | (self.operation.val() == Operation::And)
            | (self.operation.val() == Operation::AndNot);
        self.is_second.next = (self.operation.val() == Operation::Sum)
            | (self.operation.val() == Operation::Less)
            | (self.operation.val() == Operation::And)
            | (self.operation.val() == Operation::AndNot);
        self.is_odd.next = (self.operation.val() == Operation::Left)
            | (self.operation.val() == Operation::Less)
            | (self.operation.val() == Operation::Or)
            | (self.operation.val() == Operation::AndNot);
        if self.is_logic.val() {
            if self.is_second.val() {
                if self.is_odd.val() {
                    self.result.next = self.left.val() & !self.right.val();
                } else {
                    self.result.next = self.left.val() & self.right.val();
                }
            } else if self.is_odd.val() {
                self.result.next = self.left.val() | self.right.val();
            } else {
                self.result.next = self.left.val() ^ self.right.val();
            }
        } else if self.is_second.val() {
            if self.is_odd.val() {
                self.result.next = bit_cast::<32, 1>(self.less.val().into());
            } else {
                self.result.next = self.sum.val();
            }
        } else if self.is_odd.val() {
            self.result.next = self.left.val();
        } else {
            self.result.next = self.right.val();
        }
    }
}
