//! The register file against QEMU's own: the same accesses of BAR0, at every offset and of every width, to QEMU's legacy device
//! and to the endpoint, which sit side by side on the bus of one machine. They must answer alike, but for what [`DIFFERENCES`] lists.
use virtio_hdl::host::{Platform, Width};
use virtio_hdl::qtest::Chipset;
use virtio_hdl_rtl::pcie::layout as pci;
use virtio_hdl_rtl::testing::Rng;
use virtio_hdl_rtl::virtio::layout::*;
use virtio_hdl_tests::qtest::{slot, Kind, Rig, THEIR_FIXED_QUEUES};
use vm_memory::{Bytes, GuestAddress};

const WIDTHS: [Width; 3] = [Width::Byte, Width::Word, Width::Double];
/// QEMU's device and the endpoint.
const THEIRS: usize = 0;
const OURS: usize = 1;
/// What both have: QEMU's properties say what the example's configuration says.
const QUEUE_SIZE: u16 = 256;
const BLK: Kind = Kind::Theirs("queue-size=256,num-queues=1,seg-max-adjust=off,cyls=16383,heads=16,secs=63");
const BLK_QUEUES: Kind = Kind::Theirs("queue-size=256,num-queues=4,seg-max-adjust=off,cyls=16383,heads=16,secs=63");
const NET: Kind = Kind::TheirNet(
    "vectors=3,rx_queue_size=256,tx_queue_size=256,mac=52:54:00:12:34:56,ctrl_mac_addr=off,host_mtu=1500",
);
/// Where the ring of a request lies, of one device after the other: they have the same page frame. Random ones are elsewhere.
const RING: u64 = 0x200_0000;
const RING_BYTES: u64 = 0x1_0000;
/// A page of memory that nobody uses.
const PAGE: u32 = 0x3000;
/// Reads in which an interrupt that follows a used index has come: the endpoint runs at least ten cycles a read, however slowly, and
/// QEMU does both before it answers any.
const READS_TO_INTERRUPT: u32 = 32;

/// Of blk's device config: whether there is a write cache (CONFIG_WCE, bit 11).
const WRITEBACK: u32 = 32;

/// An answer that may differ.
struct Difference {
    reason: &'static str,
    /// Whether a read of this register may have these answers.
    allows: fn(&mut Pair, Read) -> bool,
}

/// A read, with both answers.
#[derive(Copy, Clone)]
struct Read {
    offset: u32,
    width: Width,
    theirs: u32,
    ours: u32,
}

/// All that may differ.
const DIFFERENCES: &[Difference] = &[
    Difference {
        reason: "they offer other features, which are in the configuration; a driver uses what both know",
        allows: |pair, read| {
            let common = !(pair.features[THEIRS] ^ pair.features[OURS]);
            matches!(read.offset, HOST_FEATURES | GUEST_FEATURES) && (read.theirs ^ read.ours) & common == 0
        },
    },
    Difference {
        reason: "QEMU's device config goes on with fields of features that we do not offer; ours has no such bytes",
        allows: |pair, read| {
            let end = device_config_offset(pair.msix) + pair.device.config_bytes;
            read.offset >= end && read.ours == read.width.ones()
        },
    },
    Difference {
        reason: "QEMU keeps a vector for each of 1024 queues, also for those that it does not have",
        allows: |pair, read| {
            let select = pair.select();
            pair.msix
                && read.offset == QUEUE_VECTOR
                && select >= pair.device.queues
                && read.ours == read.width.ones() & 0xffff
        },
    },
    Difference {
        reason: "QEMU's card and its console always have a control queue, whether it is offered or not; ours have none",
        allows: |pair, read| {
            let registers = [QUEUE_PFN, QUEUE_NUM];
            matches!(pair.device.class, Class::Net | Class::Console)
                && (2..4).contains(&pair.select())
                && registers.contains(&read.offset)
                && read.ours == 0
        },
    },
    Difference {
        reason: "QEMU's disk tells of its cache in front of num_queues, for a feature that we do not offer",
        allows: |pair, read| {
            let writeback = device_config_offset(pair.msix) + WRITEBACK;
            let place = writeback.checked_sub(read.offset).filter(|place| *place < bytes_of(read.width));
            let bit = place.map_or(0, |place| 1 << (8 * place));
            pair.device.queues > 1 && pair.device.class == Class::Blk && read.theirs ^ read.ours == bit
        },
    },
    Difference {
        reason: "QEMU's console interrupts for each kick, also where the queue is empty; ours for what it has used",
        allows: |pair, read| {
            pair.device.class == Class::Console && (read.offset, read.theirs, read.ours) == (ISR, ISR_QUEUE.into(), 0)
        },
    },
];

fn bytes_of(width: Width) -> u32 {
    width.bytes().into()
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Class {
    Blk,
    Net,
    Console,
    Balloon,
}

/// What the endpoint has.
#[derive(Copy, Clone, Debug)]
struct DeviceShape {
    class: Class,
    queues: u32,
    config_bytes: u32,
}

impl DeviceShape {
    fn queue_size(self) -> u16 {
        match self.class {
            Class::Console | Class::Balloon => THEIR_FIXED_QUEUES,
            Class::Blk | Class::Net => QUEUE_SIZE,
        }
    }
}

const ONE_QUEUE: DeviceShape = DeviceShape { class: Class::Blk, queues: 1, config_bytes: blk::CONFIG_BYTES };
const FOUR_QUEUES: DeviceShape = DeviceShape { class: Class::Blk, queues: 4, config_bytes: blk::CONFIG_NUM_QUEUES + 2 };
const CONSOLE: DeviceShape =
    DeviceShape { class: Class::Console, queues: 2, config_bytes: console::CONFIG_EMERG_WR + 4 };
const BALLOON: DeviceShape = DeviceShape { class: Class::Balloon, queues: 3, config_bytes: balloon::CONFIG_ACTUAL + 4 };
const CARD: DeviceShape = DeviceShape { class: Class::Net, queues: 2, config_bytes: net::CONFIG_BYTES };

/// Two devices that get the same accesses.
struct Pair {
    rig: Rig,
    device: DeviceShape,
    /// First ports of BAR0, and the bytes that both have.
    ports: [u16; 2],
    bytes: u32,
    /// Control register of MSI-X.
    msix_control: [u16; 2],
    msix: bool,
    features: [u32; 2],
    /// Which differences there were.
    seen: Vec<bool>,
    /// The latest accesses, for the one who looks for the reason.
    history: Vec<String>,
}

impl Pair {
    fn new(theirs: &Kind, ours: &Kind, device: DeviceShape) -> Self {
        let mut rig = Rig::new(Chipset::Q35, &[theirs, ours]);
        let functions = [THEIRS, OURS].map(|n| rig.bus.function(slot(n)).unwrap().clone());
        for function in &functions {
            function.enable(&mut rig.platform).unwrap();
            function.command(&mut rig.platform, pci::COMMAND_BUS_MASTER, 0);
        }
        let bars = functions.each_ref().map(|function| function.bar(0).unwrap());
        let mut pair = Pair {
            device,
            ports: bars.each_ref().map(|bar| bar.address as u16),
            bytes: bars[OURS].bytes.min(bars[THEIRS].bytes) as u32,
            msix_control: functions.map(|f| f.capability(pci::CAPABILITY_MSIX).unwrap() + pci::MSIX_CONTROL),
            msix: false,
            features: [0; 2],
            seen: vec![false; DIFFERENCES.len()],
            history: vec![],
            rig,
        };
        pair.features = [THEIRS, OURS].map(|n| pair.get(n, HOST_FEATURES, Width::Double));
        pair
    }

    fn get(&mut self, device: usize, offset: u32, width: Width) -> u32 {
        self.rig.platform.client().port_read(self.ports[device] + offset as u16, width).unwrap()
    }

    fn select(&mut self) -> u32 {
        self.get(OURS, QUEUE_SEL, Width::Word)
    }

    fn note(&mut self, what: String) {
        self.history.push(what);
        if self.history.len() > 40 {
            self.history.remove(0);
        }
    }

    fn msix(&mut self, enable: bool) {
        self.note(format!("MSI-X {enable}"));
        self.msix = enable;
        let control = if enable { pci::MSIX_CONTROL_ENABLE } else { 0 };
        for n in [THEIRS, OURS] {
            self.rig.platform.config_write(slot(n), self.msix_control[n], Width::Word, control.into());
        }
    }

    fn write(&mut self, offset: u32, width: Width, value: u32) {
        self.note(format!("write {offset:#x} {width:?} {value:#x}"));
        for n in [THEIRS, OURS] {
            let port = self.ports[n] + offset as u16;
            self.rig.platform.client().port_write(port, width, value & width.ones()).unwrap();
        }
        if matches!(offset, STATUS | QUEUE_PFN) {
            self.refresh();
        }
    }

    /// QEMU's card writes the bytes around one that is written as they were last read: as before a reset, if nobody has read them
    /// since. Its balloon keeps what the driver said of it when it is reset, which ours forgets.
    fn refresh(&mut self) {
        let config = device_config_offset(self.msix);
        self.get(THEIRS, config, Width::Double);
        let actual = config + balloon::CONFIG_ACTUAL;
        if self.device.class == Class::Balloon && self.get(OURS, actual, Width::Double) == 0 {
            self.rig.platform.client().port_write(self.ports[THEIRS] + actual as u16, Width::Double, 0).unwrap();
        }
    }

    /// Reads both; an error says how they differ.
    fn read(&mut self, offset: u32, width: Width) -> Result<(), String> {
        let [theirs, ours] = [THEIRS, OURS].map(|n| self.get(n, offset, width));
        self.note(format!("read {offset:#x} {width:?}: {theirs:#x}"));
        let read = Read { offset, width, theirs, ours };
        if theirs == ours {
            return Ok(());
        }
        for (n, difference) in DIFFERENCES.iter().enumerate() {
            if (difference.allows)(self, read) {
                if !std::mem::replace(&mut self.seen[n], true) {
                    println!("{offset:#x}: QEMU's {theirs:#x}, ours {ours:#x}: {}", difference.reason);
                }
                return Ok(());
            }
        }
        Err(format!(
            "{offset:#x} {width:?}: QEMU's {theirs:#x}, ours {ours:#x}, MSI-X {}\n{:#?}",
            self.msix, self.history
        ))
    }

    /// Compares all registers; the last clears the ISR.
    fn compare(&mut self) -> Result<(), String> {
        use Width::{Byte, Double, Word};
        for (offset, width) in [(QUEUE_PFN, Double), (QUEUE_NUM, Word), (QUEUE_SEL, Word), (STATUS, Byte)] {
            self.read(offset, width)?;
        }
        self.read(GUEST_FEATURES, Double)?;
        for offset in (CONFIG_VECTOR..device_config_offset(self.msix) + self.device.config_bytes).step_by(4) {
            if self.msix && offset == CONFIG_VECTOR {
                self.read(CONFIG_VECTOR, Word)?;
                self.read(QUEUE_VECTOR, Word)?;
            } else {
                self.read(offset, Double)?;
            }
        }
        self.read(ISR, Byte)
    }

    /// Both in the same state, with something to lose.
    fn prepare(&mut self, status: u8) {
        use Width::{Byte, Double, Word};
        self.write(STATUS, Byte, 0);
        self.write(GUEST_FEATURES, Double, 1 << FEATURE_RING_INDIRECT_DESC | 1 << FEATURE_NOTIFY_ON_EMPTY);
        self.write(QUEUE_PFN, Double, 0x1234);
        if self.msix {
            self.write(CONFIG_VECTOR, Word, 1);
            self.write(QUEUE_VECTOR, Word, 0);
        }
        self.write(STATUS, Byte, status.into());
    }

    /// Resets both, and has each do something that ends with an interrupt: the ISR is 1.
    fn request(&mut self) {
        use Width::{Byte, Double, Word};
        let (queue, bytes): (u32, &[(u32, u16)]) = match self.device.class {
            // a flush: header and status
            Class::Blk => (0, &[(blk::HEADER_BYTES, 0), (1, DESCRIPTOR_WRITE)]),
            // a frame behind its header
            Class::Net => (1, &[(net::HEADER_BYTES + 60, 0)]),
            // bytes to print
            Class::Console => (1, &[(20, 0)]),
            // a page to inflate
            Class::Balloon => (0, &[(balloon::FRAME_BYTES, 0)]),
        };
        self.note("a request".into());
        for n in [THEIRS, OURS] {
            let (available, used) =
                (RING + avail_offset(self.device.queue_size()), RING + used_offset(self.device.queue_size()));
            let data = RING + RING_BYTES / 2;
            let port = self.ports[n];
            let memory = self.rig.platform.memory();
            memory.write_slice(&[0; RING_BYTES as usize], GuestAddress(RING)).unwrap();
            for (index, (length, flags)) in bytes.iter().enumerate() {
                let more = index + 1 < bytes.len();
                let flags = flags | if more { DESCRIPTOR_NEXT } else { 0 };
                let at = GuestAddress(RING + 16 * index as u64);
                memory.write_obj((data + 256 * index as u64).to_le(), at).unwrap();
                memory.write_obj(length.to_le(), GuestAddress(at.0 + 8)).unwrap();
                memory.write_obj(flags.to_le(), GuestAddress(at.0 + 12)).unwrap();
                memory.write_obj(u16::from(more).to_le(), GuestAddress(at.0 + 14)).unwrap();
            }
            match self.device.class {
                Class::Blk => memory.write_obj(blk::TYPE_FLUSH.to_le(), GuestAddress(data)).unwrap(),
                Class::Balloon => memory.write_obj(PAGE.to_le(), GuestAddress(data)).unwrap(),
                Class::Net | Class::Console => {}
            }
            memory.write_obj(1u16.to_le(), GuestAddress(available + RING_INDEX)).unwrap();
            let client = self.rig.platform.client();
            for (offset, width, value) in [
                (STATUS, Byte, 0),
                (QUEUE_SEL, Word, queue),
                (QUEUE_PFN, Double, (RING >> QUEUE_PFN_SHIFT) as u32),
                (STATUS, Byte, 7),
                (QUEUE_NOTIFY, Word, queue),
            ] {
                client.port_write(port + offset as u16, width, value).unwrap();
            }
            let used_index = |pair: &Pair| -> u16 {
                u16::from_le(pair.rig.platform.memory().read_obj(GuestAddress(used + RING_INDEX)).unwrap())
            };
            let patience = std::time::Instant::now() + std::time::Duration::from_secs(20);
            while used_index(self) != 1 {
                assert!(std::time::Instant::now() < patience, "the request of device {n} does not end");
                std::thread::sleep(std::time::Duration::from_micros(200));
            }
        }
        self.refresh();
        for _ in 0..READS_TO_INTERRUPT {
            self.get(OURS, STATUS, Byte);
        }
    }

    /// QEMU may have complained of rings: those that it was given are not.
    fn finish(mut self) -> Vec<bool> {
        self.rig.platform.check().unwrap();
        self.rig.end();
        self.seen
    }
}

/// Values that mean something to one register or another.
const VALUES: [u32; 4] = [0, 1, 0x0001_0002, 0x4307_0003];

/// Every offset and width, read and written, with MSI-X and without, before DRIVER_OK and after.
fn every_access(pair: &mut Pair) -> Result<(), String> {
    for msix in [false, true] {
        pair.msix(msix);
        for status in [STATUS_ACKNOWLEDGE | STATUS_DRIVER, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_DRIVER_OK] {
            pair.prepare(status);
            for width in WIDTHS {
                for offset in 0..=pair.bytes - bytes_of(width) {
                    pair.read(offset, width)?;
                }
            }
            for width in WIDTHS {
                for offset in 0..=pair.bytes - bytes_of(width) {
                    // QEMU refuses what is not aligned, for both
                    let values = if offset % bytes_of(width) == 0 { VALUES.as_slice() } else { &VALUES[..1] };
                    for value in values {
                        pair.write(offset, width, *value);
                        pair.compare()?;
                        pair.prepare(status);
                    }
                }
            }
            pair.compare()?;
            // the ISR is cleared by a read of its own offset only
            for (offset, width) in
                [(0x10, Width::Double), (STATUS, Width::Word), (STATUS, Width::Byte), (0x10, Width::Word)]
            {
                pair.request();
                pair.read(offset, width)?;
                pair.read(ISR, Width::Byte)?;
                pair.read(ISR, Width::Byte)?;
            }
        }
    }
    Ok(())
}

/// A page frame from a random number: in memory that holds zeros, or where there is none. The firmware's would be rings.
fn page_frame(value: u32, width: Width) -> u32 {
    match (value & width.ones(), width) {
        (0, _) => 0,
        (value, Width::Byte) => value & 0x7f,
        (value, Width::Word) => value & 0xfff | 0x1000,
        (value, Width::Double) => value & 0xf000_0fff | 0x1000,
    }
}

/// Random accesses; most of them meet a register.
fn random_accesses(pair: &mut Pair, seed: u64, accesses: u64) -> Result<(), String> {
    let mut rng = Rng(0x5eed ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let registers =
        [GUEST_FEATURES, QUEUE_PFN, QUEUE_SEL, QUEUE_SEL, QUEUE_NOTIFY, STATUS, CONFIG_VECTOR, QUEUE_VECTOR];
    for _ in 0..accesses {
        if rng.chance(1, 100) {
            let enable = !pair.msix;
            pair.msix(enable);
        }
        if rng.chance(1, 200) {
            pair.request();
        }
        let width = WIDTHS[rng.below(3) as usize];
        let mut offset = rng.below(u64::from(pair.bytes - bytes_of(width)) + 1) as u32;
        if rng.chance(2, 3) {
            offset = registers[rng.below(8) as usize];
        }
        if rng.chance(1, 2) {
            pair.read(offset, width)?;
            continue;
        }
        let small = [0, 1, 2, 3, 7, 0x0b, 0x83, 0x3ff, 0x400, 0xffff];
        let value = match rng.below(4) {
            0 => rng.next() as u32,
            _ => small[rng.below(10) as usize] | if rng.chance(1, 4) { (rng.next() as u32) << 16 } else { 0 },
        };
        let value = if offset == QUEUE_PFN { page_frame(value, width) } else { value };
        pair.write(offset, width, value);
        if rng.chance(1, 4) {
            pair.compare()?;
        }
    }
    pair.compare()
}

fn compare_with_qemu(theirs: &Kind, ours: &Kind, device: DeviceShape) -> Vec<bool> {
    let mut pair = Pair::new(theirs, ours, device);
    every_access(&mut pair).unwrap_or_else(|difference| panic!("{difference}"));
    // SEED tries others
    let first = Rng::from_env().next() % 1000;
    for seed in first..first + 4 {
        random_accesses(&mut pair, seed, 1000).unwrap_or_else(|difference| panic!("seed {seed}: {difference}"));
    }
    pair.finish()
}

#[test]
fn registers_of_a_disk_answer_as_qemus() {
    let seen = compare_with_qemu(&BLK, &Kind::ours("blk"), ONE_QUEUE);
    assert_eq!(seen, [true, true, true, false, false, false], "a difference in the list that there is not");
}

#[test]
fn registers_of_a_disk_with_four_queues_answer_as_qemus() {
    let seen = compare_with_qemu(&BLK_QUEUES, &Kind::ours("blk-multiqueue"), FOUR_QUEUES);
    assert_eq!(seen, [true, true, true, false, true, false], "a difference in the list that there is not");
}

#[test]
fn registers_of_a_card_answer_as_qemus() {
    let seen = compare_with_qemu(&NET, &Kind::ours("net"), CARD);
    assert_eq!(seen, [true, false, true, true, false, false], "a difference in the list that there is not");
}

#[test]
fn registers_of_a_console_answer_as_qemus() {
    let seen = compare_with_qemu(&Kind::TheirConsole("vectors=3"), &Kind::ours("console"), CONSOLE);
    assert_eq!(seen, [true, false, true, true, false, true], "a difference in the list that there is not");
}

#[test]
fn registers_of_a_balloon_answer_as_qemus() {
    let seen = compare_with_qemu(&Kind::TheirBalloon("vectors=4,page-poison=off"), &Kind::ours("balloon"), BALLOON);
    assert_eq!(seen, [true, false, true, false, false, false], "a difference in the list that there is not");
}

/// The comparison of QEMU's disk with one that is a little different.
#[test]
fn a_register_that_differs_is_found() {
    for (other, register) in [
        (Kind::Theirs("queue-size=128,num-queues=1,seg-max-adjust=off,cyls=16383,heads=16,secs=63"), "0xc "),
        (Kind::Theirs("queue-size=256,num-queues=1,seg-max-adjust=off,cyls=16383,heads=15,secs=63"), "0x26 "),
        (Kind::Theirs("queue-size=256,num-queues=1,seg-max-adjust=off,cyls=16383,heads=16,secs=63,vectors=1"), "0x14 "),
    ] {
        let mut pair = Pair::new(&BLK, &other, ONE_QUEUE);
        let difference = every_access(&mut pair).expect_err("no difference found");
        assert!(difference.starts_with(register), "{difference}");
        pair.finish();
    }
}
