//! MSI-X table and pending bits.
use super::entry_ram::EntryRam;
use super::register_bus::RegisterSlave;
use super::registers as at;
use crate::block::Block;
use crate::cells::{Reg, Sink, Source};
use crate::comment;
use crate::tlp::types::{TransmitBeat, TransmitKind};
use rust_hdl::prelude::*;

/// log2 of the entries of one RAM of the table.
const BANK_BITS: usize = 4;

/// The registers of BAR1, and the interrupts that they send (PCI Local Bus Specification 3.0, 6.8.2).
///
/// ```text
/// 0x000 table: per vector address, upper address, data, control (bit 0: masked)
/// 0x800 pending bit array
/// ```
/// A vector fired while it is masked, or while all are, is pending until it is unmasked and then sent; while
/// MSI-X is disabled it is dropped. A message is on offer two cycles after its vector was taken, three
/// when BAR1 is being accessed.
///
/// Reset masks all vectors and clears the pending bits. Addresses and data keep their contents until they are
/// written, as the specification leaves them undefined.
///
/// An access is taken into a register first: the completer may be far away.
#[derive(Block)]
pub struct MsixTable {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// Function-level reset, one cycle or more.
    pub function_reset: Signal<In, Bit>,
    /// One cycle: the driver reset the device; nothing stays pending.
    pub forget: Signal<In, Bit>,
    /// BAR1, from the completer.
    pub bus: RegisterSlave,
    /// The accesses are those of the state window: the pending bits can be written.
    pub frozen: Signal<In, Bit>,
    /// Vectors to send; numbers that the table does not have are dropped.
    pub fire: Sink<Bits<8>>,
    /// MSI-X is enabled.
    pub enable: Signal<In, Bit>,
    /// All vectors are masked.
    pub function_mask: Signal<In, Bit>,
    /// The interrupts: memory writes of one double word.
    pub message: Source<TransmitBeat>,
    /// A vector is on its way or could be: more will come without an input.
    pub busy: Signal<Out, Bit>,

    /// 16 entries each, one RAM per column.
    #[given]
    address_ram: Vec<EntryRam>,
    #[given]
    upper_ram: Vec<EntryRam>,
    #[given]
    data_ram: Vec<EntryRam>,
    #[given]
    masked: Reg<Bits<64>>,
    pending: Reg<Bits<64>>,
    /// The vector being looked at.
    chosen: DFF<Bits<6>>,
    chosen_valid: Reg<Bit>,
    /// The pending bit to look at next.
    scan: Reg<Bits<6>>,
    message_valid: Reg<Bit>,
    message_address: DFF<Bits<64>>,
    message_data: DFF<Bits<32>>,
    // the access of BAR1, one cycle later
    access: Reg<Bit>,
    write: DFF<Bit>,
    address: DFF<Bits<12>>,
    byte_enable: DFF<Bits<4>>,
    done: Reg<Bit>,
    read_data: DFF<Bits<32>>,

    clear: Signal<Local, Bit>,
    entry: Signal<Local, Bits<7>>,
    column: Signal<Local, Bits<2>>,
    in_table: Signal<Local, Bit>,
    index: Signal<Local, Bits<6>>,
    row: Signal<Local, Bits<4>>,
    bank: Signal<Local, Bits<2>>,
    address_read: Signal<Local, Bits<32>>,
    upper_read: Signal<Local, Bits<32>>,
    data_read: Signal<Local, Bits<32>>,
    current: Signal<Local, Bits<32>>,
    write_enable: Signal<Local, Bits<4>>,
    value: Signal<Local, Bits<32>>,
    pending_low: Signal<Local, Bits<32>>,
    pending_high: Signal<Local, Bits<32>>,
    fired: Signal<Local, Bits<6>>,
    fired_exists: Signal<Local, Bit>,
    chosen_masked: Signal<Local, Bit>,
    next_masked: Signal<Local, Bits<64>>,
    next_pending: Signal<Local, Bits<64>>,
    deliverable: Signal<Local, Bits<64>>,
    may_send: Signal<Local, Bit>,
    scan_hit: Signal<Local, Bit>,

    #[given]
    vectors: Constant<Bits<7>>,
    /// Bits of the vectors that there are: all others are constant, and take no flip-flops.
    #[given]
    exists: Constant<Bits<64>>,
    #[given]
    last_vector: Constant<Bits<6>>,
    #[given]
    pba_page: Constant<Bits<9>>,
}

impl MsixTable {
    /// A table of 1 to 64 vectors.
    pub fn new(vectors: u16) -> Self {
        assert!((1..=at::MAX_VECTORS).contains(&vectors), "{vectors} MSI-X vectors");
        let banks = usize::from(vectors).div_ceil(1 << BANK_BITS);
        let ram = || (0..banks).map(|_| EntryRam::default()).collect();
        let all = u64::MAX >> (64 - vectors);
        Self::with(MsixTableGiven {
            address_ram: ram(),
            upper_ram: ram(),
            data_ram: ram(),
            masked: Reg::new(all.into()),
            vectors: Constant::new(u64::from(vectors).into()),
            exists: Constant::new(all.into()),
            last_vector: Constant::new(u64::from(vectors - 1).into()),
            pba_page: Constant::new(u64::from(at::MSIX_PBA_OFFSET >> 3).into()),
        })
    }
}

impl Logic for MsixTable {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module pcie_msix_table: MSI-X table, pending bits, and the interrupt messages");
        self.clear.next = self.reset.val() | self.function_reset.val();
        self.masked.reset.next = self.clear.val();
        self.pending.reset.next = self.clear.val() | self.forget.val();
        self.chosen_valid.reset.next = self.clear.val() | self.forget.val();
        self.scan.reset.next = self.clear.val();
        self.message_valid.reset.next = self.clear.val();

        comment!("one read port for both: BAR1 goes first");
        self.access.d.next = self.bus.valid.val() & !self.access.q.val() & !self.done.q.val();
        self.write.d.next = self.bus.write.val();
        self.address.d.next = self.bus.address.val();
        self.byte_enable.d.next = self.bus.enable.val();
        self.done.d.next = self.access.q.val();
        self.entry.next = self.address.q.val().get_bits::<7>(4);
        self.column.next = self.address.q.val().get_bits::<2>(2);
        self.in_table.next = !self.address.q.val().get_bit(11) & (self.entry.val() < self.vectors.val());
        self.index.next = self.chosen.q.val();
        if self.access.q.val() {
            self.index.next = self.entry.val().get_bits::<6>(0);
        }
        self.row.next = self.index.val().get_bits::<4>(0);
        self.bank.next = self.index.val().get_bits::<2>(4);
        self.address_read.next = self.address_ram[0].read_data.val();
        self.upper_read.next = self.upper_ram[0].read_data.val();
        self.data_read.next = self.data_ram[0].read_data.val();
        for i in 0..self.address_ram.len() {
            self.address_ram[i].row.next = self.row.val();
            self.upper_ram[i].row.next = self.row.val();
            self.data_ram[i].row.next = self.row.val();
            if self.bank.val().index() == i {
                self.address_read.next = self.address_ram[i].read_data.val();
                self.upper_read.next = self.upper_ram[i].read_data.val();
                self.data_read.next = self.data_ram[i].read_data.val();
            }
        }

        comment!("BAR1: writes, byte by byte, and reads");
        self.write_enable.next = bits::<4>(0);
        if self.access.q.val() & self.write.q.val() & self.in_table.val() {
            self.write_enable.next = self.byte_enable.q.val();
        }
        for i in 0..self.address_ram.len() {
            self.address_ram[i].write_data.next = self.bus.write_data.val();
            self.address_ram[i].write_enable.next = bits::<4>(0);
            self.upper_ram[i].write_data.next = self.bus.write_data.val();
            self.upper_ram[i].write_enable.next = bits::<4>(0);
            self.data_ram[i].write_data.next = self.bus.write_data.val();
            self.data_ram[i].write_enable.next = bits::<4>(0);
            if self.bank.val().index() == i {
                match self.column.val().index() {
                    0 => self.address_ram[i].write_enable.next = self.write_enable.val(),
                    1 => self.upper_ram[i].write_enable.next = self.write_enable.val(),
                    2 => self.data_ram[i].write_enable.next = self.write_enable.val(),
                    _ => {}
                }
            }
        }
        self.next_masked.next = self.masked.q.val();
        if (self.column.val() == bits::<2>(3)) & self.write_enable.val().get_bit(0) {
            self.next_masked.next =
                self.masked.q.val().replace_bit(self.index.val().index(), self.bus.write_data.val().get_bit(0));
        }
        self.masked.d.next = self.next_masked.val() & self.exists.val();
        match self.column.val().index() {
            0 => self.current.next = self.address_read.val(),
            1 => self.current.next = self.upper_read.val(),
            _ => self.current.next = self.data_read.val(),
        }
        self.pending_low.next = self.pending.q.val().get_bits::<32>(0);
        self.pending_high.next = self.pending.q.val().get_bits::<32>(32);
        self.value.next = bits::<32>(0);
        if self.in_table.val() {
            self.value.next = self.current.val();
            if self.column.val() == bits::<2>(3) {
                self.value.next = bits::<32>(0).replace_bit(0, self.masked.q.val().get_bit(self.index.val().index()));
            }
        } else if self.address.q.val().get_bits::<9>(3) == self.pba_page.val() {
            self.value.next = self.pending_low.val();
            if self.address.q.val().get_bit(2) {
                self.value.next = self.pending_high.val();
            }
        }
        self.read_data.d.next = self.value.val();
        self.bus.done.next = self.done.q.val();
        self.bus.read_data.next = self.read_data.q.val();

        comment!("a vector is chosen: the one that is fired, else a pending one that is no longer masked");
        self.may_send.next = self.enable.val() & !self.function_mask.val();
        self.deliverable.next = self.pending.q.val() & !self.masked.q.val();
        self.scan_hit.next = self.deliverable.val().get_bit(self.scan.q.val().index());
        self.fired.next = self.fire.data.val().get_bits::<6>(0);
        self.fired_exists.next = self.fire.data.val() < bit_cast::<8, 7>(self.vectors.val());
        self.fire.ready.next = !self.chosen_valid.q.val();
        self.next_pending.next = self.pending.q.val();
        if !self.chosen_valid.q.val() {
            if self.fire.valid.val() {
                self.chosen.d.next = self.fired.val();
                self.chosen_valid.d.next = self.enable.val() & self.fired_exists.val();
            } else if self.may_send.val() {
                self.chosen.d.next = self.scan.q.val();
                self.chosen_valid.d.next = self.scan_hit.val();
                self.scan.d.next = self.scan.q.val() + bits::<6>(1);
                if self.scan.q.val() == self.last_vector.val() {
                    self.scan.d.next = bits::<6>(0);
                }
            }
        }

        comment!("then it is sent, or becomes pending");
        self.chosen_masked.next = self.function_mask.val() | self.masked.q.val().get_bit(self.chosen.q.val().index());
        if self.message_valid.q.val() & self.message.ready.val() {
            self.message_valid.d.next = false;
        }
        if self.chosen_valid.q.val() {
            if !self.enable.val() {
                self.chosen_valid.d.next = false;
            } else if self.chosen_masked.val() {
                self.chosen_valid.d.next = false;
                self.next_pending.next = self.next_pending.val().replace_bit(self.chosen.q.val().index(), true);
            } else if !self.access.q.val() & !self.message_valid.q.val() {
                self.chosen_valid.d.next = false;
                self.next_pending.next = self.next_pending.val().replace_bit(self.chosen.q.val().index(), false);
                self.message_valid.d.next = true;
                self.message_address.d.next = (bit_cast::<64, 32>(self.upper_read.val()) << 32)
                    | (bit_cast::<64, 30>(self.address_read.val().get_bits::<30>(2)) << 2);
                self.message_data.d.next = self.data_read.val();
            }
        }
        if self.access.q.val()
            & self.write.q.val()
            & self.frozen.val()
            & (self.address.q.val().get_bits::<9>(3) == self.pba_page.val())
        {
            self.next_pending.next =
                (bit_cast::<64, 32>(self.pending_high.val()) << 32) | bit_cast::<64, 32>(self.bus.write_data.val());
            if self.address.q.val().get_bit(2) {
                self.next_pending.next =
                    bit_cast::<64, 32>(self.pending_low.val()) | (bit_cast::<64, 32>(self.bus.write_data.val()) << 32);
            }
        }
        self.pending.d.next = self.next_pending.val() & self.exists.val();
        self.busy.next = self.chosen_valid.q.val()
            | self.message_valid.q.val()
            | (self.may_send.val() & (self.deliverable.val() != bits::<64>(0)));

        comment!("the message");
        self.message.valid.next = self.message_valid.q.val();
        self.message.data.next.data = bit_cast::<128, 32>(self.message_data.q.val());
        self.message.data.next.last = true;
        self.message.data.next.kind = TransmitKind::MemoryWrite;
        self.message.data.next.length = bits::<11>(1);
        self.message.data.next.address = self.message_address.q.val();
        self.message.data.next.above_4g = self.message_address.q.val().get_bits::<32>(32).any();
        self.message.data.next.first_be = bits::<4>(15);
        self.message.data.next.last_be = bits::<4>(0);
        self.message.data.next.tag = bits::<8>(0);
        self.message.data.next.requester_id = bits::<16>(0);
        self.message.data.next.status = bits::<3>(0);
        self.message.data.next.byte_count = bits::<12>(0);
        self.message.data.next.lower_address = bits::<7>(0);
        self.message.data.next.attributes = bits::<2>(0);
        self.message.data.next.traffic_class = bits::<3>(0);
        self.message.data.next.message_code = bits::<8>(0);
    }
}
