//! The device config that a program holds.
use crate::block::Block;
use crate::cells::Reg;
use crate::comment;
use crate::virtio::{DEVICE_CONFIG_BITS, DEVICE_CONFIG_BYTES};
use rust_hdl::prelude::*;

/// Words of the device config: the program writes them, the driver reads them. Only whole words, and a driver may read one between two
/// writes of the program: what must change together is in one word, or the program tells of the change behind it, as drivers expect.
#[derive(Block)]
pub struct ConfigWords {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high: they are as they were first.
    pub reset: Signal<In, Bit>,
    /// One cycle: a word is written.
    pub write: Signal<In, Bit>,
    /// Which of the program's registers, byte address.
    pub offset: Signal<In, Bits<8>>,
    /// What is written.
    pub write_data: Signal<In, Bits<32>>,
    /// What that word holds, 0 where there is none.
    pub read_data: Signal<Out, Bits<32>>,
    /// All of them, byte 0 in bits 7:0.
    pub device_config: Signal<Out, Bits<DEVICE_CONFIG_BITS>>,

    #[given]
    words: Vec<Reg<Bits<32>>>,
    word: Signal<Local, Bits<32>>,
    wide: Signal<Local, Bits<DEVICE_CONFIG_BITS>>,
    all: Signal<Local, Bits<DEVICE_CONFIG_BITS>>,
    found: Signal<Local, Bits<32>>,
}

impl ConfigWords {
    /// That begin as these.
    ///
    /// # Panics
    /// With none, or more than an endpoint has.
    pub fn new(words: &[u32]) -> Self {
        let most = DEVICE_CONFIG_BYTES as usize / 4;
        assert!((1..=most).contains(&words.len()), "{} words of device config", words.len());
        Self::with(ConfigWordsGiven { words: words.iter().map(|word| Reg::new(u64::from(*word).into())).collect() })
    }
}

impl Logic for ConfigWords {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module control_config_words: the device config that a program holds");
        self.all.next = 0.into();
        self.found.next = 0.into();
        for i in 0..self.words.len() {
            self.word.next = self.words[i].q.val();
            self.wide.next = bit_cast::<DEVICE_CONFIG_BITS, 32>(self.word.val());
            self.all.next = self.all.val() | (self.wide.val() << (i * 32).to_bits::<9>());
            if self.offset.val() == (i * 4 + 64).to_bits::<8>() {
                self.found.next = self.words[i].q.val();
                if self.write.val() {
                    self.words[i].d.next = self.write_data.val();
                }
            }
        }
        self.device_config.next = self.all.val();
        self.read_data.next = self.found.val();
    }
}
