//! The disk in block RAM: random commands against a plain model, idle cycles and backpressure; a beat in every cycle.
use rust_hdl::prelude::*;
use std::collections::VecDeque;
use virtio_hdl_rtl::device::blk::ram_disk::RamDisk;
use virtio_hdl_rtl::testing::{narrow, wide, Bench, Rng};

/// 16 KiB: 32 sectors.
type Disk = RamDisk<10>;

const READ: u64 = 0;
const WRITE: u64 = 1;
const FLUSH: u64 = 2;
const GET_ID: u64 = 3;
const SERIAL: &str = "sixteen letters, 20";

#[derive(Clone, Debug)]
struct Command {
    operation: u64,
    sector: u64,
    length: u32,
    /// Data of a write.
    data: Vec<u8>,
    /// They end with an error.
    error: bool,
}

impl Command {
    fn new(operation: u64, sector: u64, length: u32) -> Self {
        Command { operation, sector, length, data: vec![], error: false }
    }

    fn random(rng: &mut Rng) -> Self {
        let operation = [READ, READ, READ, WRITE, WRITE, WRITE, FLUSH, GET_ID][rng.below(8) as usize];
        let mut command = Command::new(operation, rng.below(33), 0);
        match operation {
            READ | WRITE => command.length = 512 * (1 + rng.below(4) as u32),
            GET_ID => command.length = [20, 1, 16, 17, 5][rng.below(5) as usize],
            _ => {}
        }
        if rng.chance(1, 8) {
            command.sector = [u64::MAX, 1 << 31, 1 << 32, (1 << 55) + 1][rng.below(4) as usize];
        }
        if operation == WRITE {
            command.data = (0..command.length).map(|_| rng.next() as u8).collect();
            command.error = rng.chance(1, 8);
        }
        command
    }

    /// What a disk of this content answers: status and data.
    fn apply(&self, medium: &mut [u8]) -> (u8, Vec<u8>) {
        let place = self.sector.checked_mul(512).map(|first| first..first + u64::from(self.length));
        let place = place.filter(|place| place.end <= medium.len() as u64);
        let place = place.map(|place| place.start as usize..place.end as usize);
        match (self.operation, place) {
            (FLUSH, _) => (0, vec![]),
            (GET_ID, _) => {
                let mut name = SERIAL.as_bytes().to_vec();
                name.resize(self.length as usize, 0);
                (0, name)
            }
            (_, None) => (1, vec![]),
            (READ, Some(place)) => (0, medium[place].to_vec()),
            (_, Some(place)) => {
                medium[place].copy_from_slice(&self.data);
                (u8::from(self.error), vec![])
            }
        }
    }
}

/// Runs commands, compares all answers; gives the number of cycles.
fn run(name: &str, commands: Vec<Command>, eager: u64, patient: u64) -> u64 {
    let mut bench = Bench::new(name, Disk::new(SERIAL), |uut| &mut uut.clock);
    bench.cycle(|uut, _| uut.reset.next = true, |uut| assert_eq!(uut.blk_capacity.val(), 32));
    bench.uut.reset.next = false;
    let mut medium = vec![0; Disk::BYTES as usize];
    let mut statuses: VecDeque<u8> = VecDeque::new();
    // bytes, the last ones or not, of which command
    let mut reads: VecDeque<(Vec<u8>, bool, usize)> = VecDeque::new();
    let mut writes: VecDeque<(Bits<128>, bool, bool)> = VecDeque::new();
    for command in &commands {
        let (status, data) = command.apply(&mut medium);
        statuses.push_back(status);
        let beats = data.len().div_ceil(16);
        reads.extend(data.chunks(16).enumerate().map(|(n, chunk)| (chunk.to_vec(), n + 1 == beats, statuses.len())));
        let count = command.data.len() / 16;
        let beat =
            |(index, chunk): (usize, &[u8])| (wide(chunk), index + 1 == count, command.error && index + 1 == count);
        writes.extend(command.data.chunks(16).enumerate().map(beat));
    }
    let mut commands: VecDeque<Command> = commands.into();
    let (mut command_offered, mut write_offered, mut commanded, mut answered) = (false, false, 0u8, 0);
    let begin = bench.cycles;
    while !statuses.is_empty() || !reads.is_empty() {
        assert!(bench.cycles - begin < 100_000, "hangs");
        let (mut command_taken, mut write_taken, mut status, mut read) = (false, false, None, None);
        bench.cycle(
            |uut, rng| {
                command_offered |= !commands.is_empty() && rng.chance(eager, 4);
                uut.blk_command_valid.next = command_offered;
                if let Some(command) = commands.front().filter(|_| command_offered) {
                    uut.blk_command_operation.next = command.operation.into();
                    uut.blk_command_sector.next = command.sector.into();
                    uut.blk_command_length.next = u64::from(command.length).into();
                    uut.blk_command_tag.next = u64::from(commanded).into();
                }
                write_offered |= !writes.is_empty() && rng.chance(eager, 4);
                uut.blk_write_valid.next = write_offered;
                if let Some((data, last, error)) = writes.front().filter(|_| write_offered) {
                    uut.blk_write_data.next = *data;
                    uut.blk_write_last.next = *last;
                    uut.blk_write_error.next = *error;
                }
                uut.blk_status_ready.next = rng.chance(patient, 4);
                uut.blk_read_ready.next = rng.chance(patient, 4);
            },
            |uut| {
                command_taken = uut.blk_command_valid.val() && uut.blk_command_ready.val();
                write_taken = uut.blk_write_valid.val() && uut.blk_write_ready.val();
                status = (uut.blk_status_valid.val() && uut.blk_status_ready.val())
                    .then(|| (uut.blk_status.val(), uut.blk_status_tag.val()));
                read = (uut.blk_read_valid.val() && uut.blk_read_ready.val())
                    .then(|| (uut.blk_read_data.val(), uut.blk_read_last.val(), uut.blk_read_tag.val()));
            },
        );
        if command_taken {
            commands.pop_front();
            command_offered = false;
            commanded = commanded.wrapping_add(1);
        }
        if write_taken {
            writes.pop_front();
            write_offered = false;
        }
        if let Some((status, tag)) = status {
            assert_eq!(tag.to_u64() as u8, answered as u8);
            answered += 1;
            assert_eq!(Some(status.to_u64() as u8), statuses.pop_front());
        }
        if let Some((read, last, tag)) = read {
            let (bytes, wanted_last, command) = reads.pop_front().expect("data that nobody asked for");
            assert!(command <= answered, "data before the status");
            assert_eq!((last, tag.to_u64() as u8), (wanted_last, (command - 1) as u8));
            assert_eq!(narrow(read, bytes.len()), bytes);
        }
    }
    assert!(writes.is_empty() && commands.is_empty());
    let cycles = bench.cycles - begin;
    bench.finish();
    cycles
}

#[test]
fn ram_disk_does_what_a_disk_does() {
    let mut rng = Rng(0xd15c);
    let mut commands: Vec<Command> = vec![];
    // every sector once, so that the rest compares contents
    for sector in 0..32 {
        let data = (0..512).map(|_| rng.next() as u8).collect();
        commands.push(Command { data, ..Command::new(WRITE, sector, 512) });
    }
    commands.extend((0..150).map(|_| Command::random(&mut rng)));
    commands.push(Command::new(READ, 0, 32 * 512));
    for (eager, patient) in [(4, 4), (2, 3), (4, 1)] {
        run(&format!("ram_disk_{eager}_{patient}"), commands.clone(), eager, patient);
    }
}

#[test]
fn ram_disk_moves_a_beat_in_every_cycle() {
    let reads = (0..10).map(|index| Command::new(READ, index, 4096)).collect();
    let cycles = run("ram_disk_read_rate", reads, 4, 4);
    assert!(cycles <= 10 * (256 + 3) + 2, "{cycles} cycles for ten reads of 4 KiB");
    let write = |index| Command { data: vec![index; 4096], ..Command::new(WRITE, u64::from(index), 4096) };
    let cycles = run("ram_disk_write_rate", (0..10).map(write).collect(), 4, 4);
    assert!(cycles <= 10 * (256 + 2) + 2, "{cycles} cycles for ten writes of 4 KiB");
}
