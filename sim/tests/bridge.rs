//! The Verilated endpoint behind the bridge, against a client that answers DMA when it likes. QEMU does: while its CPU
//! waits for a register, it serves no DMA.
use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;
use virtio_hdl::backend::{Disk, DiskPort};
use virtio_hdl::bridge::{Bridge, BridgeOptions, Report};
use virtio_hdl::design;
use virtio_hdl::vfio_user::testing::*;
use virtio_hdl::vfio_user::{irq, region, Server, ServerOptions};
use virtio_hdl_rtl::config::EndpointConfig;
use virtio_hdl_rtl::pcie::layout as pci;
use virtio_hdl_rtl::virtio::layout;

const SECTORS: u64 = 64;
/// Where the test puts the ring, which begins a frame, and one request.
const RING: u64 = 0x1_0000;
const REQUEST: u64 = 0x2_0000;
const DATA: u64 = 0x2_1000;
const STATUS: u64 = 0x2_2000;
/// Where a request for all of the disk puts it: more writes than may wait for the client.
const LONG_DATA: u64 = 0x2_4000;
/// Two reads of the endpoint.
const DATA_BYTES: usize = 1024;
const QUEUE: u64 = 256;
/// The eventfd of INTx: SET_IRQS with EVENTFD and TRIGGER.
const SET_EVENTFD: u32 = 0x24;
/// SET_IRQS with NONE and UNMASK.
const UNMASK: u32 = 0x11;

/// The endpoint in a thread, a client with memory, and the DMA commands that it has not answered.
struct Rig {
    client: TestClient,
    memory: Vec<u8>,
    unanswered: VecDeque<Arrived>,
    bridge: JoinHandle<Report>,
}

impl Rig {
    fn new() -> Self {
        // Building the model takes longer than a client waits for an answer.
        design::library(&EndpointConfig::blk()).unwrap();
        let (stream, other) = UnixStream::pair().unwrap();
        let bridge = std::thread::spawn(move || {
            let config = EndpointConfig::blk();
            let library = design::library(&config).unwrap();
            let disk = Box::new(DiskPort::new(Disk::in_memory(SECTORS), 0));
            let mut bridge = Bridge::new(&library, disk, &BridgeOptions::default()).unwrap();
            let never = new_eventfd();
            Server::connected(other, ServerOptions::default()).serve(&mut bridge, never.as_fd()).unwrap();
            bridge.finish().unwrap();
            bridge.report()
        });
        let mut client = TestClient::new(stream);
        client.agree();
        Rig { client, memory: vec![0; 0x3_0000], unanswered: VecDeque::new(), bridge }
    }

    fn end(self) -> Report {
        drop(self.client);
        self.bridge.join().unwrap()
    }

    /// The reply to a register access; DMA that comes meanwhile waits.
    fn reply(&mut self, id: u16) -> Vec<u8> {
        loop {
            let message = self.client.receive().expect("the server has closed the connection");
            match message.command {
                DMA_READ | DMA_WRITE => self.unanswered.push_back(message),
                _ => {
                    assert_eq!((message.id, message.flags), (id, REPLY), "{message:?}");
                    return message.body;
                }
            }
        }
    }

    fn read(&mut self, region: u32, offset: u64, count: u32) -> Vec<u8> {
        let id = self.client.send(REGION_READ, 0, &access(offset, region, count), &[]);
        self.reply(id)[16..].to_vec()
    }

    fn write(&mut self, region: u32, offset: u64, data: &[u8]) {
        let body = [access(offset, region, data.len() as u32), data.to_vec()].concat();
        let id = self.client.send(REGION_WRITE, 0, &body, &[]);
        self.reply(id);
    }

    fn put(&mut self, address: u64, data: &[u8]) {
        self.memory[address as usize..][..data.len()].copy_from_slice(data);
    }

    /// The oldest DMA command that has no answer yet.
    fn next_dma(&mut self) -> Arrived {
        self.unanswered.pop_front().unwrap_or_else(|| self.client.receive().expect("the server has closed"))
    }

    /// Carries a DMA command out; a read is answered at once, a write when the caller says so.
    fn carry_out(&mut self, dma: &Arrived) {
        let word = |at: usize| u64::from_ne_bytes(dma.body[at..at + 8].try_into().unwrap());
        let (address, bytes) = (word(0), word(8) as usize);
        if address.checked_add(bytes as u64).is_none_or(|end| end > self.memory.len() as u64) {
            return self.client.reply_failure(dma.id, dma.command, 14);
        }
        match dma.command {
            DMA_READ => self.client.reply_read(dma.id, address, &self.memory[address as usize..][..bytes]),
            DMA_WRITE => self.memory[address as usize..][..bytes].copy_from_slice(&dma.body[16..]),
            _ => panic!("{dma:?}"),
        }
    }

    fn acknowledge(&self, write: &Arrived) {
        let word = |at: usize| u64::from_ne_bytes(write.body[at..at + 8].try_into().unwrap());
        self.client.reply_write(write.id, word(0), word(8) as usize);
    }

    /// What firmware and driver do until the queue is set up, with INTx.
    fn set_up(&mut self) -> OwnedFd {
        let intx = new_eventfd();
        let id = self.client.send(SET_IRQS, 0, &set_irqs(SET_EVENTFD, irq::INTX, 0, 1), &[intx.as_fd()]);
        self.reply(id);
        self.write(region::CONFIG, pci::BAR0.into(), &0xc000u32.to_le_bytes());
        let command = pci::COMMAND_IO | pci::COMMAND_MEMORY | pci::COMMAND_BUS_MASTER;
        self.write(region::CONFIG, pci::COMMAND.into(), &command.to_le_bytes());
        self.write(region::BAR0, layout::STATUS.into(), &[3]);
        self.write(region::BAR0, layout::QUEUE_PFN.into(), &((RING >> 12) as u32).to_le_bytes());
        self.write(region::BAR0, layout::STATUS.into(), &[7]);
        intx
    }

    /// The first request in the available ring, and the kick: a read of the first sector, or a write.
    fn request(&mut self, write: bool) {
        self.request_with(REQUEST, DATA, DATA_BYTES as u32, write);
    }

    /// The same with its header and data there.
    fn request_with(&mut self, header: u64, data: u64, bytes: u32, write: bool) {
        let descriptor = |address: u64, length: u32, flags: u16, next: u16| {
            [&address.to_le_bytes()[..], &length.to_le_bytes(), &flags.to_le_bytes(), &next.to_le_bytes()].concat()
        };
        let table = [
            descriptor(header, 16, 1, 1),
            descriptor(data, bytes, if write { 1 } else { 3 }, 2),
            descriptor(STATUS, 1, 2, 0),
        ]
        .concat();
        self.put(RING, &table);
        self.put(REQUEST, &[[u8::from(write), 0, 0, 0], [0; 4], [0; 4], [0; 4]].concat());
        self.put(RING + 16 * QUEUE, &[0, 0, 1, 0, 0, 0]);
        self.write(region::BAR0, layout::QUEUE_NOTIFY.into(), &[0, 0]);
    }

    /// Serves DMA until the first request is done.
    fn finish_request(&mut self) {
        for _ in 0..100 {
            let dma = self.next_dma();
            self.carry_out(&dma);
            if dma.command == DMA_WRITE {
                self.acknowledge(&dma);
            }
            if self.used_index() == 1 {
                return;
            }
        }
        panic!("the request does not come to its end");
    }

    fn reset(&mut self) {
        let id = self.client.send(RESET, 0, &[], &[]);
        self.reply(id);
    }

    /// Takes what comes, without an answer to writes, until nothing has come for a while. Returns the writes.
    fn listen(&mut self) -> Vec<Arrived> {
        let mut writes = Vec::new();
        let quiet = std::time::Duration::from_millis(300);
        loop {
            let dma = match self.unanswered.pop_front() {
                Some(dma) => dma,
                None => {
                    let mut ready = [rustix::event::PollFd::new(&self.client.stream, rustix::event::PollFlags::IN)];
                    let timeout = rustix::event::Timespec::try_from(quiet).unwrap();
                    if rustix::event::poll(&mut ready, Some(&timeout)).unwrap() == 0 {
                        return writes;
                    }
                    self.client.receive().expect("the server has closed the connection")
                }
            };
            self.carry_out(&dma);
            if dma.command == DMA_WRITE {
                writes.push(dma);
            }
        }
    }

    /// Offset of the PCI Express capability.
    fn express(&mut self) -> u64 {
        let mut at = u64::from(self.read(region::CONFIG, pci::CAPABILITY_POINTER.into(), 1)[0]);
        while self.read(region::CONFIG, at, 1) != [pci::CAPABILITY_EXPRESS] {
            at = u64::from(self.read(region::CONFIG, at + 1, 1)[0]);
            assert_ne!(at, 0, "no PCI Express capability");
        }
        at
    }

    fn function_reset(&mut self) {
        let control = self.express() + u64::from(pci::EXPRESS_DEVICE_CONTROL);
        let value = self.read(region::CONFIG, control, 2);
        let value = u16::from_le_bytes([value[0], value[1]]) | pci::EXPRESS_FUNCTION_RESET;
        self.write(region::CONFIG, control, &value.to_le_bytes());
    }

    fn used_index(&self) -> u16 {
        let used = (RING + 16 * QUEUE + 4 + 2 * QUEUE + 2).next_multiple_of(4096) as usize;
        u16::from_le_bytes([self.memory[used + 2], self.memory[used + 3]])
    }
}

#[test]
fn the_one_long_read_of_config_space_shows_no_capabilities() {
    let mut rig = Rig::new();
    let (status, pointer) = (u64::from(pci::STATUS), u64::from(pci::CAPABILITY_POINTER));
    let whole = rig.read(region::CONFIG, 0, 4096);
    assert_eq!(whole[..4], [0xf4, 0x1a, 0x01, 0x10]);
    assert_eq!((whole[status as usize] & 0x10, whole[pointer as usize]), (0, 0));
    for bytes in [1, 2, 4] {
        assert_ne!(rig.read(region::CONFIG, status, bytes)[0] & 0x10, 0);
        assert_ne!(rig.read(region::CONFIG, pointer, bytes)[0], 0);
    }
    rig.end();
}

#[test]
fn a_reset_is_answered_while_nobody_serves_the_reads_it_waits_for() {
    let mut rig = Rig::new();
    rig.set_up();
    rig.request(false);
    let index = rig.next_dma();
    assert_eq!(index.command, DMA_READ);
    // The reset lets the reads that are out come in first; here they never do.
    rig.write(region::BAR0, layout::STATUS.into(), &[0]);
    assert_eq!(rig.read(region::BAR0, layout::STATUS.into(), 1), [0]);
    // The late answer goes nowhere.
    rig.carry_out(&index);
    rig.set_up();
    rig.request(false);
    rig.finish_request();
    let report = rig.end();
    assert_eq!((report.unanswered_accesses, report.violations), (0, 0));
}

#[test]
fn an_interrupt_waits_until_what_it_announces_is_taken() {
    let mut rig = Rig::new();
    let intx = rig.set_up();
    rig.request(false);
    let mut writes = Vec::new();
    // Reads are answered, writes are not acknowledged. The ISR is that of before them, since a VMM may answer this read before it carries
    // them out.
    let mut reads_behind = 0;
    while reads_behind < 20 {
        assert_eq!(rig.read(region::BAR0, layout::ISR.into(), 1), [0]);
        while let Some(dma) = rig.unanswered.pop_front() {
            rig.carry_out(&dma);
            if dma.command == DMA_WRITE {
                writes.push(dma);
            }
        }
        reads_behind += u32::from(rig.used_index() == 1);
    }
    assert_eq!(count(&intx), 0);
    writes.extend(rig.unanswered.drain(..));
    for write in &writes {
        rig.acknowledge(write);
    }
    let begin = std::time::Instant::now();
    while count(&intx) == 0 {
        assert!(begin.elapsed().as_secs() < 10, "no interrupt");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert_eq!(rig.read(region::BAR0, layout::ISR.into(), 1), [1]);
    rig.end();
}

#[test]
fn a_line_that_is_still_asserted_is_signalled_again_when_it_is_unmasked() {
    let mut rig = Rig::new();
    let intx = rig.set_up();
    rig.request(false);
    rig.finish_request();
    let signalled = |rig: &mut Rig| {
        let begin = std::time::Instant::now();
        while begin.elapsed().as_secs() < 10 {
            if count(&intx) == 1 {
                return;
            }
            // Serves what the interrupt decision reads.
            rig.read(region::BAR0, layout::STATUS.into(), 1);
            while let Some(dma) = rig.unanswered.pop_front() {
                rig.carry_out(&dma);
                if dma.command == DMA_WRITE {
                    rig.acknowledge(&dma);
                }
            }
        }
        panic!("no interrupt");
    };
    signalled(&mut rig);
    for _ in 0..2 {
        let id = rig.client.send(SET_IRQS, 0, &set_irqs(UNMASK, irq::INTX, 0, 1), &[]);
        rig.reply(id);
        signalled(&mut rig);
    }
    assert_eq!(rig.read(region::BAR0, layout::ISR.into(), 1), [1]);
    let id = rig.client.send(SET_IRQS, 0, &set_irqs(UNMASK, irq::INTX, 0, 1), &[]);
    rig.reply(id);
    rig.read(region::BAR0, layout::STATUS.into(), 1);
    assert_eq!(count(&intx), 0);
    rig.end();
}

#[test]
fn a_bar_that_is_moved_is_found_again() {
    let mut rig = Rig::new();
    rig.set_up();
    for base in [0xd000u32, 0xe000] {
        rig.write(region::CONFIG, pci::BAR0.into(), &base.to_le_bytes());
        assert_eq!(rig.read(region::BAR0, layout::STATUS.into(), 1), [7]);
    }
    rig.end();
}

#[test]
fn a_reset_amid_a_write_leaves_nothing_of_it_behind() {
    let mut rig = Rig::new();
    rig.set_up();
    rig.put(DATA, &[0x11; DATA_BYTES]);
    rig.request(true);
    // All is answered but the read of the data's second half.
    loop {
        let dma = rig.next_dma();
        if dma.command == DMA_READ && dma.body[..8] == (DATA + 512).to_ne_bytes() {
            break;
        }
        rig.carry_out(&dma);
        if dma.command == DMA_WRITE {
            rig.acknowledge(&dma);
        }
    }
    // Time enough for the disk to be told of the write.
    for _ in 0..20 {
        rig.read(region::BAR0, layout::STATUS.into(), 1);
    }
    rig.reset();
    rig.unanswered.clear();
    assert_eq!(rig.read(region::CONFIG, pci::COMMAND.into(), 2), [0, 0]);
    rig.set_up();
    rig.put(DATA, &[0x22; DATA_BYTES]);
    rig.request(true);
    rig.finish_request();
    rig.reset();
    rig.unanswered.clear();
    rig.memory.fill(0);
    rig.set_up();
    rig.request(false);
    rig.finish_request();
    assert!(rig.memory[DATA as usize..][..DATA_BYTES] == [0x22; DATA_BYTES]);
    assert_eq!(rig.end().device_count("disk_commands"), 2);
}

/// A guest may say any address. Whoever is asked for the bytes may have them or not.
#[test]
fn a_descriptor_that_ends_at_the_last_address_hurts_nobody() {
    for answered in [false, true] {
        let mut rig = Rig::new();
        for (header, data) in [(u64::MAX - 15, DATA), (REQUEST, u64::MAX - 1023), (REQUEST, u64::MAX - 15)] {
            for write in [false, true] {
                rig.set_up();
                rig.request_with(header, data, DATA_BYTES as u32, write);
                for _ in 0..20 {
                    let status = rig.read(region::BAR0, layout::STATUS.into(), 1);
                    assert_ne!(status, [0xff], "the device is gone");
                    while let Some(dma) = rig.unanswered.pop_front() {
                        let address = u64::from_ne_bytes(dma.body[..8].try_into().unwrap());
                        let bytes = u64::from_ne_bytes(dma.body[8..16].try_into().unwrap()) as usize;
                        match (dma.command, address > 1 << 63 && answered) {
                            (DMA_READ, true) => rig.client.reply_read(dma.id, address, &vec![0; bytes]),
                            (DMA_WRITE, true) => rig.client.reply_write(dma.id, address, bytes),
                            _ => {
                                rig.carry_out(&dma);
                                if dma.command == DMA_WRITE && address < 1 << 63 {
                                    rig.acknowledge(&dma);
                                }
                            }
                        }
                    }
                }
                rig.reset();
                rig.unanswered.clear();
                rig.memory.fill(0);
            }
        }
        rig.set_up();
        rig.request(false);
        rig.finish_request();
        rig.end();
    }
}

/// A driver that has read back the end of a reset gives its buffers to others.
#[test]
fn no_write_is_sent_after_a_reset_was_answered() {
    type Reset = fn(&mut Rig);
    let resets: [(&str, Reset); 5] = [
        ("STATUS", |rig| {
            rig.write(region::BAR0, layout::STATUS.into(), &[0]);
            assert_eq!(rig.read(region::BAR0, layout::STATUS.into(), 1), [0]);
        }),
        ("PFN", |rig| {
            rig.write(region::BAR0, layout::QUEUE_PFN.into(), &[0; 4]);
            assert_eq!(rig.read(region::BAR0, layout::QUEUE_PFN.into(), 4), [0; 4]);
        }),
        ("DEVICE_RESET", |rig| rig.reset()),
        ("function-level reset", |rig| {
            rig.function_reset();
            rig.read(region::CONFIG, pci::COMMAND.into(), 2);
        }),
        ("Bus Master", |rig| {
            rig.write(region::CONFIG, pci::COMMAND.into(), &[3, 0]);
            assert_eq!(rig.read(region::CONFIG, pci::COMMAND.into(), 2), [3, 0]);
        }),
    ];
    for (name, reset) in resets {
        let mut rig = Rig::new();
        rig.set_up();
        rig.request_with(REQUEST, LONG_DATA, 0x8000, false);
        let mut writes = rig.listen();
        assert!(writes.len() >= 64, "{name}: {} writes", writes.len());
        reset(&mut rig);
        writes.extend(rig.unanswered.drain(..).filter(|dma| dma.command == DMA_WRITE));
        for write in &writes {
            rig.acknowledge(write);
        }
        // Time enough for more.
        let late = rig.listen();
        assert_eq!(late.len(), 0, "{name}: {} of {}", late.len(), late.len() + writes.len());
        rig.end();
    }
}

/// The endpoint has as much credit for posted writes as the client acknowledges; what it has not sent takes no memory.
#[test]
fn the_endpoint_waits_for_a_client_that_acknowledges_nothing() {
    let mut rig = Rig::new();
    rig.set_up();
    rig.request_with(REQUEST, LONG_DATA, 0x8000, false);
    let writes = rig.listen().len();
    assert!((64..96).contains(&writes), "{writes} writes");
    let report = rig.end();
    assert!(report.packets_from_device < 150, "{report:?}");
}

/// QEMU shows the guest base address registers of its own, which a function-level reset leaves as they are.
#[test]
fn base_addresses_survive_a_function_level_reset() {
    let mut rig = Rig::new();
    rig.set_up();
    rig.write(region::CONFIG, u64::from(pci::BAR0) + 4, &0xfe00_0000_u32.to_le_bytes());
    let bars = rig.read(region::CONFIG, pci::BAR0.into(), 4);
    for round in 0..2 {
        rig.function_reset();
        assert_eq!(rig.read(region::CONFIG, pci::BAR0.into(), 4), bars, "round {round}");
        assert_eq!(rig.read(region::CONFIG, u64::from(pci::BAR0) + 4, 4), 0xfe00_0000_u32.to_le_bytes());
        // The rest is as it comes up, and nobody is at home until the guest says so.
        assert_eq!(rig.read(region::CONFIG, pci::COMMAND.into(), 2), [0, 0]);
        assert_eq!(rig.read(region::BAR0, layout::STATUS.into(), 1), [0xff]);
        rig.write(region::CONFIG, pci::COMMAND.into(), &[7, 0]);
        assert_eq!(rig.read(region::BAR0, layout::STATUS.into(), 1), [0]);
        rig.write(region::BAR1, 0, &0xfee0_1000_u32.to_le_bytes());
        assert_eq!(rig.read(region::BAR1, 0, 4), 0xfee0_1000_u32.to_le_bytes());
        rig.write(region::BAR0, layout::STATUS.into(), &[3]);
        rig.write(region::BAR0, layout::QUEUE_PFN.into(), &((RING >> 12) as u32).to_le_bytes());
        rig.write(region::BAR0, layout::STATUS.into(), &[7]);
        rig.memory.fill(0);
        rig.request(false);
        rig.finish_request();
    }
    // A reset of the machine takes them away, as QEMU does.
    rig.reset();
    rig.unanswered.clear();
    assert_eq!(rig.read(region::CONFIG, u64::from(pci::BAR0) + 4, 4), [0; 4]);
    assert_eq!(rig.end().function_resets, 2);
}
