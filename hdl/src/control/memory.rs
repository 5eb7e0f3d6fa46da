//! The memory of the control processor, and who may use it when.
use super::bus::ProcessorSlave;
use super::mailbox::MemorySlave;
use crate::block::{list, Block};
use crate::cells::{ProgramRam, Reg};
use crate::comment;
use rust_hdl::prelude::*;

/// Program and data, shared by the processor and mailboxes: one access a cycle, those of mailboxes first, since the chains of a queue are
/// few and the program runs always.
///
/// ```text
/// clock            _/1\_/2\_/3\_/4\_/5\_
/// processor.valid  __/-----------\______   a read
/// (granted)        __/---\______________   or later, while mailboxes want the memory
/// processor.done   __________/---\______
/// ```
/// A write takes as long as a read. Behind the last word the first one comes again: who is here has been found to be inside.
#[derive(Block)]
pub struct ControlMemory {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high. Contents stay.
    pub reset: Signal<In, Bit>,
    /// The processor: bytes of a word.
    pub processor: ProcessorSlave,
    /// Mailboxes, the first one first.
    #[given]
    pub mailbox: Vec<MemorySlave>,

    #[given]
    ram: ProgramRam,
    // an access of the processor: in the RAM, and behind it
    begun: Reg<Bit>,
    ends: Reg<Bit>,
    // reads of mailboxes, one bit each
    read: Reg<Bits<4>>,
    read_done: Reg<Bits<4>>,

    taken: Signal<Local, Bit>,
    reads: Signal<Local, Bits<4>>,
    address: Signal<Local, Bits<32>>,
    word: Signal<Local, Bits<14>>,
}

impl ControlMemory {
    /// Of so many bytes, a power of two from 4 to 64 KiB, that begins as this image; for so many mailboxes, 1 to 4.
    ///
    /// # Panics
    /// With other numbers of bytes or mailboxes, or an image that is longer.
    pub fn new(bytes: u32, image: &[u8], mailboxes: usize) -> Self {
        assert!((4 << 10..=64 << 10).contains(&bytes) && bytes.is_power_of_two(), "{bytes} bytes of memory");
        assert!((1..=4).contains(&mailboxes), "{mailboxes} mailboxes");
        let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        let image: Vec<u32> = image.chunks(4).map(word).collect();
        Self::with(ControlMemoryGiven {
            mailbox: list(mailboxes),
            ram: ProgramRam::new(bytes as usize / 4, &image, true),
        })
    }
}

impl Logic for ControlMemory {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module control_memory: program and data of the control processor");
        comment!("---- mailboxes, the first one first");
        self.taken.next = false;
        self.reads.next = 0.into();
        self.address.next = self.processor.address.val();
        self.word.next = self.address.val().get_bits::<14>(2);
        self.ram.wdata.next = self.processor.write_data.val();
        self.ram.wen.next = 0.into();
        for i in 0..self.mailbox.len() {
            self.mailbox[i].grant.next = self.mailbox[i].valid.val() & !self.taken.val();
            self.mailbox[i].done.next = self.read_done.q.val().get_bit(i);
            self.mailbox[i].read_data.next = self.ram.rdata.val();
            if self.mailbox[i].valid.val() & !self.taken.val() {
                self.taken.next = true;
                self.word.next = self.mailbox[i].word.val();
                self.ram.wdata.next = self.mailbox[i].write_data.val();
                if self.mailbox[i].write.val() {
                    self.ram.wen.next = 15.into();
                } else {
                    self.reads.next = self.reads.val().replace_bit(i, true);
                }
            }
        }
        self.read.d.next = self.reads.val();
        self.read_done.d.next = self.read.q.val();

        comment!("---- the processor");
        self.begun.d.next = false;
        if self.processor.valid.val() & !self.taken.val() & !self.begun.q.val() & !self.ends.q.val() {
            self.begun.d.next = true;
            self.ram.wen.next = self.processor.enable.val();
        }
        self.ends.d.next = self.begun.q.val();
        self.processor.done.next = self.ends.q.val();
        self.processor.error.next = false;
        self.processor.read_data.next = self.ram.rdata.val();
        self.ram.raddr.next = self.word.val();
        self.ram.waddr.next = self.word.val();
    }
}
