//! The part of the device config that the driver may write.
use crate::block::Block;
use crate::cells::Reg;
use crate::comment;
use rust_hdl::prelude::*;

/// The first eight bytes of the device config as the driver reads them: those of the device, until it has written one of those
/// that it may write. From then on, and until the reset, these are its own.
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

    written: Reg<Bit>,
    bytes: DFF<Bits<64>>,

    lanes: Signal<Local, Bits<32>>,
    lanes_64: Signal<Local, Bits<64>>,
    data_64: Signal<Local, Bits<64>>,
    mask: Signal<Local, Bits<64>>,
    own_or_written: Signal<Local, Bits<64>>,

    #[given]
    writable: Constant<Bits<64>>,
}

impl WritableConfig {
    /// The first `length` bytes may be written, 1 to 8.
    pub fn new(length: u16) -> Self {
        assert!((1..=8).contains(&length));
        Self::with(WritableConfigGiven { writable: Constant::new((u64::MAX >> (64 - 8 * u32::from(length))).into()) })
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
            if self.dword.val() == 0 {
                self.mask.next = self.lanes_64.val() & self.writable.val();
            }
            if self.dword.val() == 1 {
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
        self.shown.next = (self.bytes.q.val() & self.writable.val()) | (self.own.val() & !self.writable.val());
    }
}
