//! Bytes and half words of a word.
use crate::block::Block;
use crate::comment;
use rust_hdl::prelude::*;

/// Puts what is stored into its place in the word, takes what is loaded out of its, and tells whether an address is aligned.
/// Combinational.
///
/// ```text
/// function3   0, 4 byte   1, 5 half word   2 word      4 and above: without sign
/// store       b b b b     h   h            w           and the enables of those that count
/// ```
#[derive(Block)]
pub struct Lanes {
    /// Size and sign, as in the instruction.
    pub function: Signal<In, Bits<3>>,
    /// Last bits of the address that is accessed next.
    pub store_place: Signal<In, Bits<2>>,
    /// What is stored, in its low bits.
    pub store: Signal<In, Bits<32>>,
    /// The word with it.
    pub store_word: Signal<Out, Bits<32>>,
    /// Bytes of the word that it is in.
    pub enable: Signal<Out, Bits<4>>,
    /// `store_place` is not a multiple of the size.
    pub misaligned: Signal<Out, Bit>,
    /// Last bits of the address that has been accessed.
    pub load_place: Signal<In, Bits<2>>,
    /// The word that was read.
    pub load_word: Signal<In, Bits<32>>,
    /// What is loaded, extended.
    pub load: Signal<Out, Bits<32>>,

    /// 0 byte, 1 half word, 2 word.
    size: Signal<Local, Bits<2>>,
    /// The byte that is stored.
    first: Signal<Local, Bits<8>>,
    /// The half word at the place.
    loaded_half: Signal<Local, Bits<16>>,
    /// The byte at the place.
    loaded_byte: Signal<Local, Bits<8>>,
    /// Sign of a half word.
    fill_half: Signal<Local, Bit>,
    /// Sign of a byte.
    fill_byte: Signal<Local, Bit>,
    /// Upper half of what is loaded.
    upper: Signal<Local, Bits<16>>,
    /// Second byte of what is loaded.
    middle: Signal<Local, Bits<8>>,
}

impl Logic for Lanes {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module control_lanes: bytes and half words of a word");
        self.size.next = self.function.val().get_bits::<2>(0);

        comment!("---- stores");
        self.first.next = self.store.val().get_bits::<8>(0);
        self.store_word.next = self.store.val();
        self.enable.next = 15.into();
        self.misaligned.next = self.store_place.val().any();
        if self.size.val() == bits::<2>(1) {
            self.store_word.next =
                (bit_cast::<32, 16>(self.store.val().get_bits::<16>(0)) << 16) | (self.store.val() & 0xffff);
            self.enable.next = bits::<4>(3) << (self.store_place.val() & 2);
            self.misaligned.next = self.store_place.val().get_bit(0);
        }
        if self.size.val() == bits::<2>(0) {
            self.store_word.next = (bit_cast::<32, 8>(self.first.val()) << 24)
                | (bit_cast::<32, 8>(self.first.val()) << 16)
                | (bit_cast::<32, 8>(self.first.val()) << 8)
                | bit_cast::<32, 8>(self.first.val());
            self.enable.next = bits::<4>(1) << self.store_place.val();
            self.misaligned.next = false;
        }

        comment!("---- loads");
        self.loaded_half.next = self.load_word.val().get_bits::<16>(0);
        if self.load_place.val().get_bit(1) {
            self.loaded_half.next = self.load_word.val().get_bits::<16>(16);
        }
        self.loaded_byte.next = self.loaded_half.val().get_bits::<8>(0);
        if self.load_place.val().get_bit(0) {
            self.loaded_byte.next = self.loaded_half.val().get_bits::<8>(8);
        }
        self.fill_byte.next = self.loaded_byte.val().get_bit(7) & !self.function.val().get_bit(2);
        self.fill_half.next = self.loaded_half.val().get_bit(15) & !self.function.val().get_bit(2);
        self.upper.next = self.load_word.val().get_bits::<16>(16);
        self.middle.next = self.loaded_half.val().get_bits::<8>(8);
        if !self.size.val().get_bit(1) {
            self.upper.next = 0.into();
            if (self.size.val().get_bit(0) & self.fill_half.val())
                | (!self.size.val().get_bit(0) & self.fill_byte.val())
            {
                self.upper.next = 0xffff.into();
            }
            if !self.size.val().get_bit(0) {
                self.middle.next = 0.into();
                if self.fill_byte.val() {
                    self.middle.next = 0xff.into();
                }
            }
        }
        self.load.next = (bit_cast::<32, 16>(self.upper.val()) << 16)
            | (bit_cast::<32, 8>(self.middle.val()) << 8)
            | bit_cast::<32, 8>(self.loaded_byte.val());
    }
}
