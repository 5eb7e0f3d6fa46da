//! One column of the MSI-X table.
use crate::block::Block;
use crate::cells::LutRam;
use crate::comment;
use rust_hdl::prelude::*;

/// 16 words of 32 bits in distributed RAM, one RAM per byte: a byte is written without reading the word.
#[derive(Block)]
pub struct EntryRam {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Word to read and write.
    pub row: Signal<In, Bits<4>>,
    /// Bytes to write.
    pub write_enable: Signal<In, Bits<4>>,
    /// Data to write; seen from the next cycle on.
    pub write_data: Signal<In, Bits<32>>,
    /// The word, in the same cycle.
    pub read_data: Signal<Out, Bits<32>>,

    #[given]
    lanes: Vec<LutRam<8, 4>>,
    lane: Signal<Local, Bits<8>>,
    word: Signal<Local, Bits<32>>,
}

impl Default for EntryRam {
    fn default() -> Self {
        Self::with(EntryRamGiven { lanes: (0..4).map(|_| LutRam::default()).collect() })
    }
}

impl Logic for EntryRam {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module msix_entry_ram: a column of the MSI-X table, written byte by byte");
        self.word.next = 0.into();
        for i in 0..4 {
            self.lanes[i].raddr.next = self.row.val();
            self.lanes[i].waddr.next = self.row.val();
            self.lanes[i].wdata.next = self.write_data.val().get_bits::<8>(i * 8);
            self.lanes[i].wen.next = self.write_enable.val().get_bit(i);
            self.lane.next = self.lanes[i].rdata.val();
            self.word.next = self.word.val() | (bit_cast::<32, 8>(self.lane.val()) << (i * 8).to_bits::<5>());
        }
        self.read_data.next = self.word.val();
    }
}
