//! Byte order of payload double words.
use crate::block::Block;
use crate::comment;
use num_bigint::BigUint;
use rust_hdl::prelude::*;

/// Turns the bytes of each double word round. Wires only.
#[derive(Block)]
pub struct SwapBytes<const W: usize> {
    /// Double words.
    pub from: Signal<In, Bits<W>>,
    /// The same, byte 0 of each where byte 3 was.
    pub to: Signal<Out, Bits<W>>,

    #[given]
    byte0: Constant<Bits<W>>,
    #[given]
    byte1: Constant<Bits<W>>,
    #[given]
    byte2: Constant<Bits<W>>,
    #[given]
    byte3: Constant<Bits<W>>,
}

impl<const W: usize> Default for SwapBytes<W> {
    fn default() -> Self {
        let mask = |byte: usize| {
            let lanes = (0..W / 32).map(|lane| BigUint::from(0xffu32) << (32 * lane + 8 * byte));
            Constant::new(lanes.sum::<BigUint>().into())
        };
        Self::with(SwapBytesGiven { byte0: mask(0), byte1: mask(1), byte2: mask(2), byte3: mask(3) })
    }
}

impl<const W: usize> Logic for SwapBytes<W> {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module swap_bytes: turns the bytes of each double word round; wires only");
        self.to.next = ((self.from.val() << 24) & self.byte3.val())
            | ((self.from.val() << 8) & self.byte2.val())
            | ((self.from.val() >> 8) & self.byte1.val())
            | ((self.from.val() >> 24) & self.byte0.val());
    }
}
