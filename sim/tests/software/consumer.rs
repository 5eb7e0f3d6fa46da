//! The device's side of the ring and the disk behind it.
use super::Machine;
use virtio_hdl_rtl::virtio::layout::*;
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

#[derive(Copy, Clone, Debug)]
pub struct Piece {
    pub address: u64,
    pub bytes: u32,
    pub writable: bool,
}

fn read16(memory: &GuestMemoryMmap, address: u64) -> u16 {
    memory.read_obj(GuestAddress(address)).unwrap()
}

/// Follows a chain; panics when it breaks a rule, for the drivers must not write such chains.
pub fn walk(memory: &GuestMemoryMmap, queue: u64, size: u16, head: u16) -> Vec<Piece> {
    let (mut table, mut entries) = (queue, size);
    let (mut index, mut indirect) = (head, false);
    let mut pieces: Vec<Piece> = Vec::new();
    loop {
        assert!(index < entries, "descriptor {index} of {entries}");
        let place = table + 16 * u64::from(index);
        let address: u64 = memory.read_obj(GuestAddress(place)).unwrap();
        let bytes: u32 = memory.read_obj(GuestAddress(place + 8)).unwrap();
        let (flags, next) = (read16(memory, place + 12), read16(memory, place + 14));
        if flags & DESCRIPTOR_INDIRECT != 0 {
            assert!(!indirect && bytes % 16 == 0 && bytes > 0 && flags & DESCRIPTOR_NEXT == 0);
            (table, entries, index, indirect) = (address, (bytes / 16) as u16, 0, true);
            continue;
        }
        let writable = flags & DESCRIPTOR_WRITE != 0;
        assert!(writable || pieces.last().is_none_or(|last| !last.writable), "readable behind writable");
        pieces.push(Piece { address, bytes, writable });
        assert!(pieces.len() <= 256, "a loop");
        if flags & DESCRIPTOR_NEXT == 0 {
            return pieces;
        }
        index = next;
    }
}

impl Machine {
    /// Takes everything that is available, uses it, and interrupts if the driver wants that.
    pub(super) fn kicked(&mut self, index: usize) {
        let mut state = self.registers.queues[index];
        if state.frame == 0 || self.command() & 4 == 0 {
            return;
        }
        let (queue, size) = (u64::from(state.frame) << QUEUE_PFN_SHIFT, self.build.queue_size);
        let available = queue + avail_offset(size);
        let mut heads = Vec::new();
        while state.seen != read16(&self.memory, available + RING_INDEX) {
            let entry = available + RING_ENTRIES + 2 * u64::from(state.seen % size);
            heads.push(read16(&self.memory, entry));
            state.seen = state.seen.wrapping_add(1);
        }
        if self.build.reverse {
            heads.reverse();
        }
        let event_index = self.registers.features >> FEATURE_RING_EVENT_IDX & 1 == 1;
        let mut interrupt = false;
        for head in heads {
            let written = self.serve(&walk(&self.memory, queue, size, head));
            let old = state.used;
            let new = old.wrapping_add(1);
            let used = queue + used_offset(size);
            let entry = used + RING_ENTRIES + 8 * u64::from(old % size);
            self.memory.write_obj(u32::from(head), GuestAddress(entry)).unwrap();
            self.memory.write_obj(written, GuestAddress(entry + 4)).unwrap();
            self.memory.write_obj(new, GuestAddress(used + RING_INDEX)).unwrap();
            state.used = new;
            interrupt |= if event_index {
                needs_event(read16(&self.memory, queue + used_event_offset(size)), new, old)
            } else {
                read16(&self.memory, available) & AVAIL_NO_INTERRUPT == 0
            };
        }
        if event_index {
            self.memory.write_obj(state.seen, GuestAddress(queue + avail_event_offset(size))).unwrap();
        }
        self.registers.queues[index] = state;
        if interrupt {
            self.raise(state.vector, ISR_QUEUE);
        }
    }

    /// Carries out a disk request and returns the bytes written.
    fn serve(&mut self, pieces: &[Piece]) -> u32 {
        let mut input = Vec::new();
        for piece in pieces.iter().filter(|piece| !piece.writable) {
            let mut bytes = vec![0; piece.bytes as usize];
            self.memory.read_slice(&mut bytes, GuestAddress(piece.address)).unwrap();
            input.extend(bytes);
        }
        let room: usize = pieces.iter().filter(|piece| piece.writable).map(|piece| piece.bytes as usize).sum();
        let code = u32::from_le_bytes(input[0..4].try_into().unwrap());
        let start = u64::from_le_bytes(input[8..16].try_into().unwrap()) as usize * 512;
        let data = &input[16..];
        let mut output = vec![0; room - 1];
        let status = match code {
            blk::TYPE_IN if start + output.len() <= self.disk.len() => {
                output.copy_from_slice(&self.disk[start..start + room - 1]);
                blk::STATUS_OK
            }
            blk::TYPE_OUT if start + data.len() <= self.disk.len() => {
                self.disk[start..start + data.len()].copy_from_slice(data);
                blk::STATUS_OK
            }
            blk::TYPE_IN | blk::TYPE_OUT => blk::STATUS_IOERR,
            blk::TYPE_FLUSH => blk::STATUS_OK,
            blk::TYPE_GET_ID => {
                output[..13].copy_from_slice(b"software disk");
                blk::STATUS_OK
            }
            _ => blk::STATUS_UNSUPP,
        };
        output.push(status);
        let mut from = 0;
        for piece in pieces.iter().filter(|piece| piece.writable) {
            let to = from + piece.bytes as usize;
            self.memory.write_slice(&output[from..to], GuestAddress(piece.address)).unwrap();
            from = to;
        }
        room as u32
    }
}
