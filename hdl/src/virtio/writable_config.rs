//! The part of the device config that the driver may write.
use crate::block::Block;
use crate::cells::Reg;
use crate::comment;
use rust_hdl::prelude::*;
use std::ops::Range;

/// Eight bytes of the device config as the driver reads them: those of the device, until it has written one of those that it may
/// write. From then on, and until the reset, these are its own.
#[derive(Block)]
pub struct WritableConfig {
    pub clock: Signal<In, Clock>,
    /// Everything is the device's again.
    pub reset: Signal<In, Bit>,
    /// One cycle: a write of the device config.
    pub write: Signal<In, Bit>,
    /// Which double word, which of its bytes, and what.
    pub dword: Signal<In, Bits<4>>,
    pub enable: Signal<In, Bits<4>>,
    pub data: Signal<In, Bits<32>>,
    /// What the device says.
    pub own: Signal<In, Bits<64>>,
    /// What the driver reads.
    pub shown: Signal<Out, Bits<64>>,
    /// One cycle: which of them the driver has written, as `shown` says from this cycle on.
    pub touched: Signal<Out, Bits<8>>,
    /// The driver has written something since the reset.
    pub is_written: Signal<Out, Bit>,

    written: Reg<Bit>,
    bytes: DFF<Bits<64>>,
    touched_reg: Reg<Bits<8>>,

    lanes: Signal<Local, Bits<32>>,
    lanes_64: Signal<Local, Bits<64>>,
    data_64: Signal<Local, Bits<64>>,
    mask: Signal<Local, Bits<64>>,
    own_or_written: Signal<Local, Bits<64>>,
    touched_now: Signal<Local, Bits<8>>,

    #[given]
    lower_dword: Constant<Bits<4>>,
    #[given]
    upper_dword: Constant<Bits<4>>,
    #[given]
    writable: Constant<Bits<64>>,
}

impl WritableConfig {
    /// These bytes of the device config may be written: all in one [`window`](Self::window).
    pub fn new(bytes: &Range<u16>) -> Self {
        let window = Self::window(bytes);
        assert!(!bytes.is_empty() && bytes.end <= window + 8, "{bytes:?} in the window at {window}");
        let writable = (bytes.start - window..bytes.end - window).fold(0, |mask, byte| mask | 0xff_u64 << (8 * byte));
        let dword = u64::from(window / 4);
        Self::with(WritableConfigGiven {
            lower_dword: Constant::new(dword.into()),
            upper_dword: Constant::new((dword + 1).into()),
            writable: Constant::new(writable.into()),
        })
    }

    /// Where the eight bytes begin that these are of: at a multiple of eight.
    pub fn window(bytes: &Range<u16>) -> u16 {
        bytes.start & !7
    }
}

impl Logic for WritableConfig {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module writable_config: device config that the driver may write");
        self.lanes.next = 0.into();
        for i in 0..4 {
            if self.enable.val().get_bit(i) {
                self.lanes.next = self.lanes.val() | (bits::<32>(0xff) << (i * 8).to_bits::<5>());
            }
        }
        self.lanes_64.next = bit_cast::<64, 32>(self.lanes.val());
        self.mask.next = 0.into();
        if self.write.val() {
            if self.dword.val() == self.lower_dword.val() {
                self.mask.next = self.lanes_64.val() & self.writable.val();
            }
            if self.dword.val() == self.upper_dword.val() {
                self.mask.next = (self.lanes_64.val() << 32) & self.writable.val();
            }
        }
        self.data_64.next = bit_cast::<64, 32>(self.data.val());
        self.own_or_written.next = self.own.val();
        if self.written.q.val() {
            self.own_or_written.next = self.bytes.q.val();
        }
        self.bytes.d.next = (self.own_or_written.val() & !self.mask.val())
            | (((self.data_64.val() << 32) | self.data_64.val()) & self.mask.val());
        if self.mask.val().any() {
            self.written.d.next = true;
        }
        self.touched_now.next = 0.into();
        for i in 0..8 {
            if self.mask.val().get_bit(i * 8) {
                self.touched_now.next = self.touched_now.val().replace_bit(i, true);
            }
        }
        self.touched_reg.d.next = self.touched_now.val();
        self.touched.next = self.touched_reg.q.val();
        self.is_written.next = self.written.q.val();
        self.shown.next = (self.bytes.q.val() & self.writable.val()) | (self.own.val() & !self.writable.val());
    }
}
