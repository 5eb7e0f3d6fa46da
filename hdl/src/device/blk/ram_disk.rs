//! A disk in block RAM.
use super::types::BlkReadBeat;
use crate::block::Block;
use crate::cells::{BlockRam, Reg, Skid};
use crate::comment;
use num_bigint::BigUint;
use rust_hdl::prelude::*;

/// What the disk does.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum RamDiskState {
    /// Waits for a command.
    Idle,
    /// Takes the data of a write.
    Write,
    /// Offers the status.
    Status,
    /// Reads words, one a cycle.
    Read,
}

/// A disk of 2^AW words of 16 bytes behind the `blk_*` ports of an endpoint: its ports are theirs, in the other direction.
///
/// ```text
///  command -> state -> address -> RAM -> register that holds -> skid buffer -> blk_read
///  blk_write ---------- data ---> RAM
/// ```
/// One beat in every cycle; a command costs two more cycles, a read one on top. A command that goes beyond the medium is
/// answered by an error and changes nothing. Write data that end with an error are answered by an error; what came before it is
/// in the RAM already: sectors of a failed write hold anything, as on any disk. A flush has nothing to do.
#[derive(Block)]
pub struct RamDisk<const AW: usize> {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high; the contents stay.
    pub reset: Signal<In, Bit>,
    /// Sectors of 512 bytes: constant.
    pub blk_capacity: Signal<Out, Bits<64>>,
    /// Constant: it can be written.
    pub blk_read_only: Signal<Out, Bit>,
    /// Commands: operation 0 read, 1 write, 2 flush, 3 get id; first sector; bytes; a tag for the answer.
    pub blk_command_valid: Signal<In, Bit>,
    /// The command is taken.
    pub blk_command_ready: Signal<Out, Bit>,
    /// 0 read, 1 write, 2 flush, 3 get id.
    pub blk_command_operation: Signal<In, Bits<3>>,
    /// First sector.
    pub blk_command_sector: Signal<In, Bits<64>>,
    /// Bytes.
    pub blk_command_length: Signal<In, Bits<32>>,
    /// Comes back with the answer.
    pub blk_command_tag: Signal<In, Bits<8>>,
    /// Data of writes.
    pub blk_write_valid: Signal<In, Bit>,
    /// The beat is taken.
    pub blk_write_ready: Signal<Out, Bit>,
    /// 16 bytes, the first in bits 7:0.
    pub blk_write_data: Signal<In, Bits<128>>,
    /// Last beat of the command.
    pub blk_write_last: Signal<In, Bit>,
    /// The data could not be read: the command fails.
    pub blk_write_error: Signal<In, Bit>,
    /// One status for each command: 0, or 1 for an error.
    pub blk_status_valid: Signal<Out, Bit>,
    /// The status is taken.
    pub blk_status_ready: Signal<In, Bit>,
    /// 0, or 1 for an error.
    pub blk_status: Signal<Out, Bits<8>>,
    /// Tag of the command.
    pub blk_status_tag: Signal<Out, Bits<8>>,
    /// Data of reads and of get id, behind a status 0.
    pub blk_read_valid: Signal<Out, Bit>,
    /// The beat is taken.
    pub blk_read_ready: Signal<In, Bit>,
    /// 16 bytes, the first in bits 7:0.
    pub blk_read_data: Signal<Out, Bits<128>>,
    /// Last beat of the command.
    pub blk_read_last: Signal<Out, Bit>,
    /// Tag of the command.
    pub blk_read_tag: Signal<Out, Bits<8>>,

    ram: BlockRam<128, AW>,
    output: Skid<BlkReadBeat>,
    state: Reg<RamDiskState>,
    /// Next word: of the RAM, or of the name.
    address: DFF<Bits<32>>,
    /// The word that the RAM shows.
    shown: DFF<Bits<32>>,
    /// Words still to be read.
    remaining: DFF<Bits<28>>,
    get_id: DFF<Bit>,
    failed: DFF<Bit>,
    /// What the RAM shows is a word of a read, and its last one.
    filled: Reg<Bit>,
    final_word: DFF<Bit>,
    tag: DFF<Bits<8>>,

    #[given]
    capacity: Constant<Bits<64>>,
    #[given]
    sectors: Constant<Bits<32>>,
    #[given]
    name_first: Constant<Bits<128>>,
    #[given]
    name_rest: Constant<Bits<128>>,

    moves: Signal<Local, Bit>,
    issue: Signal<Local, Bit>,
    read_address: Signal<Local, Bits<32>>,
    ends: Signal<Local, Bits<32>>,
    high: Signal<Local, Bits<33>>,
    words: Signal<Local, Bits<33>>,
    fits: Signal<Local, Bit>,
    transfer: Signal<Local, Bit>,
    answers_data: Signal<Local, Bit>,
    beat: Signal<Local, BlkReadBeat>,
}

impl<const AW: usize> RamDisk<AW> {
    /// Bytes of the medium.
    pub const BYTES: u64 = 16 << AW;

    /// A disk of zeroes. `serial` is what it answers to get id, at most 20 ASCII characters.
    pub fn new(serial: &str) -> Self {
        assert!((5..=27).contains(&AW), "a disk of 2^{AW} words of 16 bytes: 2^5 to 2^27 are possible");
        let name = serial.as_bytes();
        let part = |range: std::ops::Range<usize>| {
            let bytes = name.get(range.start.min(name.len())..range.end.min(name.len())).unwrap_or_default();
            Constant::new(BigUint::from_bytes_le(bytes).into())
        };
        Self::with(RamDiskGiven {
            capacity: Constant::new((Self::BYTES / 512).into()),
            sectors: Constant::new((Self::BYTES / 512).into()),
            name_first: part(0..16),
            name_rest: part(16..20),
        })
    }
}

impl<const AW: usize> Logic for RamDisk<AW> {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module ram_disk: a disk in block RAM");
        self.blk_capacity.next = self.capacity.val();
        self.blk_read_only.next = false;

        comment!(
            "---- a new command \
             read and write carry sectors, get id a number of bytes"
        );
        self.transfer.next = !self.blk_command_operation.val().get_bit(1);
        self.high.next = self.blk_command_sector.val().get_bits::<33>(31);
        self.ends.next = self.blk_command_sector.val().get_bits::<32>(0) + (self.blk_command_length.val() >> 9);
        self.fits.next = !self.high.val().any() & (self.ends.val() <= self.sectors.val());
        self.words.next = bit_cast::<33, 32>(self.blk_command_length.val()) + 15;

        comment!(
            "---- words on their way out \
             the RAM shows a word until it is taken: it keeps being asked for it"
        );
        self.moves.next = !self.filled.q.val() | self.output.input.ready.val();
        self.issue.next = (self.state.q.val() == RamDiskState::Read) & self.remaining.q.val().any() & self.moves.val();
        self.read_address.next = self.shown.q.val();
        if self.issue.val() {
            self.read_address.next = self.address.q.val();
            self.shown.d.next = self.address.q.val();
            self.remaining.d.next = self.remaining.q.val() - 1;
        }
        if self.moves.val() {
            self.filled.d.next = self.issue.val();
            self.final_word.d.next = self.remaining.q.val() == 1;
        }
        self.output.input.valid.next = self.filled.q.val();
        self.beat.next.data = self.ram.rdata.val();
        if self.get_id.q.val() {
            self.beat.next.data = self.name_first.val();
            if self.shown.q.val().get_bit(0) {
                self.beat.next.data = self.name_rest.val();
            }
        }
        self.beat.next.last = self.final_word.q.val();
        self.beat.next.tag = self.tag.q.val();
        self.output.input.data.next = self.beat.val();
        self.blk_read_data.next = self.output.output.data.val().data;
        self.blk_read_last.next = self.output.output.data.val().last;
        self.blk_read_tag.next = self.output.output.data.val().tag;
        self.blk_read_valid.next = self.output.output.valid.val();
        self.output.output.ready.next = self.blk_read_ready.val();

        comment!("---- one command after the other");
        self.blk_command_ready.next = false;
        self.blk_write_ready.next = false;
        self.blk_status_valid.next = false;
        self.answers_data.next = self.remaining.q.val().any() & !self.failed.q.val();
        match self.state.q.val() {
            RamDiskState::Idle => {
                self.blk_command_ready.next = true;
                self.tag.d.next = self.blk_command_tag.val();
                self.address.d.next = self.blk_command_sector.val().get_bits::<32>(0) << 5;
                self.remaining.d.next = 0.into();
                self.get_id.d.next = self.blk_command_operation.val() == bits::<3>(3);
                self.failed.d.next = self.transfer.val() & !self.fits.val();
                if self.blk_command_valid.val() {
                    self.state.d.next = RamDiskState::Status;
                    if self.blk_command_operation.val() == bits::<3>(1) {
                        self.state.d.next = RamDiskState::Write;
                    } else if self.blk_command_operation.val() != bits::<3>(2) {
                        self.remaining.d.next = self.words.val().get_bits::<28>(4);
                    }
                    if !self.transfer.val() {
                        self.address.d.next = 0.into();
                    }
                }
            }
            RamDiskState::Write => {
                self.blk_write_ready.next = true;
                if self.blk_write_valid.val() {
                    self.address.d.next = self.address.q.val() + 1;
                    if self.blk_write_last.val() {
                        self.failed.d.next = self.failed.q.val() | self.blk_write_error.val();
                        self.state.d.next = RamDiskState::Status;
                    }
                }
            }
            RamDiskState::Status => {
                self.blk_status_valid.next = true;
                if self.blk_status_ready.val() {
                    self.state.d.next = RamDiskState::Idle;
                    if self.answers_data.val() {
                        self.state.d.next = RamDiskState::Read;
                    }
                }
            }
            RamDiskState::Read => {
                self.address.d.next = self.address.q.val();
                if self.issue.val() {
                    self.address.d.next = self.address.q.val() + 1;
                }
                comment!("not before the RAM's last word has gone: the next command may overwrite it");
                if !self.remaining.q.val().any() & self.moves.val() {
                    self.state.d.next = RamDiskState::Idle;
                }
            }
            _ => self.state.d.next = RamDiskState::Idle,
        }
        self.blk_status.next = bit_cast::<8, 1>(self.failed.q.val().into());
        self.blk_status_tag.next = self.tag.q.val();

        self.ram.raddr.next = bit_cast::<AW, 32>(self.read_address.val());
        self.ram.waddr.next = bit_cast::<AW, 32>(self.address.q.val());
        self.ram.wdata.next = self.blk_write_data.val();
        self.ram.wen.next =
            (self.state.q.val() == RamDiskState::Write) & self.blk_write_valid.val() & !self.failed.q.val();
    }
}
