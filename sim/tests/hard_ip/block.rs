//! The block as a whole: order, sequence numbers, credits, INTx.
use super::user;
use std::collections::HashMap;
use virtio_hdl::host::pci::{Bus, Options};
use virtio_hdl::host::{Platform, Width};
use virtio_hdl::link::hard_ip::{Action, Beat, Family, FromEndpoint, HardIp, Settings, ToEndpoint};
use virtio_hdl::link::tlp::*;
use virtio_hdl::link::{answer, HostRequest, Interrupt, RootComplex, SLOT};
use virtio_hdl_rtl::config::EndpointConfig;
use virtio_hdl_rtl::endpoint::core::function_config;
use virtio_hdl_rtl::pcie::layout::COMMAND_INTX_DISABLE;
use vm_memory::GuestMemoryMmap;

pub fn settings(family: Family) -> Settings {
    let function = function_config(&EndpointConfig::blk());
    Settings { family, double_words: 4, function, seed: 1, bytes_per_cycle: None, hesitant: true }
}

/// A host at the block's link, with nothing behind the block: config requests are answered, others are kept.
pub struct Host {
    pub block: HardIp,
    pub beats: Vec<(ToEndpoint, Vec<Beat>)>,
    memory: GuestMemoryMmap,
    ports: HashMap<&'static str, u64>,
    levels: Vec<(u64, &'static str, u64)>,
    now: u64,
    sent: Vec<Tlp>,
}

impl Host {
    pub fn new(settings: Settings) -> Self {
        let mut host = Host {
            block: HardIp::new(settings),
            beats: Vec::new(),
            memory: GuestMemoryMmap::from_ranges(&[]).unwrap_or_default(),
            ports: HashMap::new(),
            levels: Vec::new(),
            now: 0,
            sent: Vec::new(),
        };
        host.run(1);
        host
    }

    /// What a driven port shows now.
    pub fn port(&self, name: &str) -> u64 {
        self.ports.get(name).copied().unwrap_or_else(|| panic!("{name} is not driven"))
    }

    /// When a port has these values from now on.
    fn changes(&self, name: &str) -> Vec<(u64, u64)> {
        let of_port = self.levels.iter().filter(|(_, port, _)| *port == name);
        of_port.map(|(cycle, _, value)| (*cycle, *value)).collect()
    }

    fn step(&mut self) {
        self.now += 1;
        self.block.advance(self.now).unwrap();
        while let Some(action) = self.block.take_action() {
            match action {
                Action::Beats { stream, beats, .. } => self.beats.push((stream, beats)),
                Action::Level { port, cycle, value } => self.levels.push((cycle, port, value)),
            }
        }
        self.levels.sort_by_key(|(cycle, ..)| *cycle);
        for (_, port, value) in self.levels.iter().filter(|(cycle, ..)| *cycle <= self.now) {
            self.ports.insert(port, *value);
        }
        while let Some(sent) = self.block.take_sent(self.now) {
            self.sent.push(Tlp::decode(&sent.dwords).unwrap());
        }
    }

    fn ask(&mut self, request: HostRequest) -> Option<Completion> {
        let tlp = request.tlp(RootComplex::ID, 7, 256).unwrap();
        self.block.receive(self.now, &tlp.encode()).unwrap();
        for _ in 0..100 {
            self.step();
            if let Some(Tlp { kind: Kind::Completion(completion), .. }) = self.sent.pop() {
                return Some(completion);
            }
        }
        None
    }

    fn read(&mut self, request: HostRequest, width: Width) -> u32 {
        let (offset, _) = request.read_span();
        match self.ask(request) {
            Some(completion) if completion.status == CompletionStatus::Successful => {
                completion.payload[0] >> (8 * offset) & width.ones()
            }
            _ => width.ones(),
        }
    }

    /// The endpoint sends a request, whose last beat moves now.
    fn send(&mut self, tlp: &Tlp, number: u8) {
        let beats = user::requester_request(tlp, number, 4);
        let first = self.now + 1 - beats.len() as u64;
        self.block.sent(FromEndpoint::RequesterRequest, first, self.now, &beats).unwrap();
    }
}

impl Platform for Host {
    fn config_read(&mut self, target: FunctionId, offset: u16, width: Width) -> u32 {
        match (target.bus(), target.device()) {
            (1, 0) => self.read(HostRequest::ConfigRead { target, offset, bytes: width.bytes() }, width),
            _ => width.ones(),
        }
    }

    fn config_write(&mut self, target: FunctionId, offset: u16, width: Width, value: u32) {
        let data = value.to_le_bytes()[..usize::from(width.bytes())].to_vec();
        self.ask(HostRequest::ConfigWrite { target, offset, data });
    }

    fn io_read(&mut self, port: u32, width: Width) -> u32 {
        self.read(HostRequest::IoRead { port, bytes: width.bytes() }, width)
    }

    fn io_write(&mut self, port: u32, width: Width, value: u32) {
        self.ask(HostRequest::IoWrite { port, data: value.to_le_bytes()[..usize::from(width.bytes())].to_vec() });
    }

    fn mmio_read(&mut self, address: u64, width: Width) -> u32 {
        self.read(HostRequest::MemoryRead { address, bytes: width.bytes().into() }, width)
    }

    fn mmio_write(&mut self, address: u64, width: Width, value: u32) {
        let data = value.to_le_bytes()[..usize::from(width.bytes())].to_vec();
        let tlp = HostRequest::MemoryWrite { address, data }.tlp(RootComplex::ID, 0, 256).unwrap();
        self.block.receive(self.now, &tlp.encode()).unwrap();
        self.run(10);
    }

    fn memory(&self) -> &GuestMemoryMmap {
        &self.memory
    }

    fn allocate(&mut self, _: u64, _: u64) -> Option<u64> {
        None
    }

    fn free(&mut self, _: u64, _: u64) {}

    fn wait_interrupt(&mut self, _: u64) -> Option<Interrupt> {
        None
    }

    fn now(&self) -> u64 {
        self.now
    }

    fn run(&mut self, cycles: u64) {
        (0..cycles).for_each(|_| self.step());
    }
}

/// A function that may do DMA.
fn enabled(family: Family) -> Host {
    let mut host = Host::new(settings(family));
    let bus = Bus::scan(&mut host, &Options::default()).unwrap();
    let function = bus.function(SLOT).unwrap();
    function.enable(&mut host).unwrap();
    function.set_master(&mut host);
    host.run(200);
    host
}

fn access(write: bool, tag: u8, bytes: u64) -> Tlp {
    let (enables, length) = ByteEnables::of(0x1000, bytes);
    let request = MemoryRequest { requester: SLOT, tag, address: 0x1000, length, enables };
    Tlp::from(match write {
        true => Kind::MemoryWrite { request, payload: vec![5; length.into()] },
        false => Kind::MemoryRead { request, locked: false },
    })
}

#[test]
fn sequence_numbers_come_back_in_order_and_behind_their_packets() {
    let mut host = enabled(Family::UltraScalePlus);
    let mut ends = Vec::new();
    for number in 0..60_u8 {
        host.run(if number % 3 == 0 { 4 } else { 1 });
        host.send(&access(true, 0, 4), number);
        ends.push(host.now());
    }
    host.run(3000);
    // Both ports, by cycle; the first of a cycle comes first.
    let mut returned: Vec<(u64, u8, u64)> = Vec::new();
    for (port, (valid, value)) in
        [("pcie_rq_seq_num_vld0", "pcie_rq_seq_num0"), ("pcie_rq_seq_num_vld1", "pcie_rq_seq_num1")].iter().enumerate()
    {
        let (valid, value) = (host.changes(valid), host.changes(value));
        let at = |changes: &[(u64, u64)], cycle: u64| {
            changes.iter().rev().find(|(from, _)| *from <= cycle).map_or(0, |(_, value)| *value)
        };
        for cycle in 0..host.now() {
            if at(&valid, cycle) == 1 {
                returned.push((cycle, port as u8, at(&value, cycle)));
            }
        }
    }
    returned.sort_unstable();
    assert_eq!(returned.len(), 60);
    assert!(returned.iter().any(|(_, port, _)| *port == 1), "the second port is used too");
    for (number, ((cycle, _, value), end)) in returned.iter().zip(&ends).enumerate() {
        assert_eq!(*value, number as u64);
        assert!(*cycle >= end + 4, "number {number} came back in cycle {cycle}, its packet ended in {end}");
    }
}

#[test]
fn a_completion_passes_a_write_unless_it_waits_for_the_sequence_number() {
    let mut passed = [0, 0];
    for _ in 0..40 {
        for waits in [false, true] {
            let mut host = enabled(Family::UltraScalePlus);
            let seed = passed.iter().sum::<u64>();
            host.run(seed % 7);
            let bar = Bus::scan(&mut host, &Options::default()).unwrap().function(SLOT).unwrap().bar(0).unwrap();
            host.config_write(SLOT, 4, Width::Word, 7);
            let request = HostRequest::IoRead { port: bar.address as u32, bytes: 1 };
            let tlp = request.tlp(RootComplex::ID, 9, 256).unwrap();
            let now = host.now();
            host.block.receive(now, &tlp.encode()).unwrap();
            host.run(300);
            host.sent.clear();
            host.send(&access(true, 0, 4), 1);
            if waits {
                while host.port("pcie_rq_seq_num_vld0") == 0 {
                    host.run(1);
                }
            }
            let completion = Completion {
                completer: SLOT,
                requester: RootComplex::ID,
                tag: 9,
                status: CompletionStatus::Successful,
                byte_count: 1,
                lower_address: 0,
                payload: vec![0],
                locked: false,
            };
            let beats = user::completer_completion(&Tlp::from(Kind::Completion(completion)), &[], 4);
            let now = host.now();
            host.block.sent(FromEndpoint::CompleterCompletion, now, now, &beats).unwrap();
            host.run(2000);
            let order: Vec<bool> = host.sent.iter().map(|tlp| matches!(tlp.kind, Kind::Completion(_))).collect();
            assert_eq!(order.len(), 2);
            passed[usize::from(waits)] += u64::from(order[0]);
        }
    }
    assert_eq!(passed[1], 0, "passed although it waited");
    assert!(passed[0] > 0, "never passed");
}

#[test]
fn reads_wait_for_credit_and_writes_pass_them() {
    let mut host = enabled(Family::UltraScalePlus);
    let now = host.now();
    host.block.set_credit(now, false, false);
    host.run(2);
    assert_eq!(host.port("pcie_tfc_nph_av"), 0);
    host.send(&access(false, 1, 64), 1);
    host.run(1);
    host.send(&access(true, 0, 64), 2);
    host.run(2000);
    assert!(matches!(host.sent[..], [Tlp { kind: Kind::MemoryWrite { .. }, .. }]), "{:?}", host.sent);
    let now = host.now();
    host.block.set_credit(now, true, true);
    host.run(50);
    assert_eq!(host.sent.len(), 1, "held");
    let now = host.now();
    host.block.set_credit(now, true, false);
    host.run(5);
    assert!(matches!(host.sent[1..], [Tlp { kind: Kind::MemoryRead { .. }, .. }]), "{:?}", host.sent);
    assert_eq!(host.port("pcie_tfc_nph_av"), 15);
}

fn codes(host: &Host) -> Vec<u8> {
    let code = |tlp: &Tlp| match &tlp.kind {
        Kind::Message(message) => Some(message.code),
        _ => None,
    };
    host.sent.iter().filter_map(code).collect()
}

#[test]
fn intx_of_ultrascale_plus_is_a_level_that_is_answered() {
    let mut host = enabled(Family::UltraScalePlus);
    for (level, expected) in [(1, vec![ASSERT_INTA]), (0, vec![ASSERT_INTA, DEASSERT_INTA])] {
        let now = host.now();
        host.block.changed("cfg_interrupt_int", now, level).unwrap();
        host.run(1);
        assert_eq!(host.port("cfg_interrupt_sent"), 0);
        host.run(30);
        assert_eq!(codes(&host), expected);
        assert_eq!(host.changes("cfg_interrupt_sent").iter().filter(|(_, value)| *value == 1).count(), expected.len());
    }
    let now = host.now();
    host.block.changed("cfg_interrupt_int", now, 1).unwrap();
    let early = host.block.changed("cfg_interrupt_int", now + 1, 0).unwrap_err();
    assert!(early.to_string().contains("cfg_interrupt_int: changed before cfg_interrupt_sent"), "{early}");
}

#[test]
fn intx_of_7_series_is_a_request_for_each_edge() {
    let mut host = enabled(Family::SevenSeries);
    for (assert, expected) in [(1, vec![ASSERT_INTA]), (0, vec![ASSERT_INTA, DEASSERT_INTA])] {
        let now = host.now();
        host.block.changed("cfg_interrupt_assert", now, assert).unwrap();
        host.block.changed("cfg_interrupt", now, 1).unwrap();
        while host.port("cfg_interrupt_rdy") == 0 {
            host.run(1);
        }
        let now = host.now();
        host.block.changed("cfg_interrupt", now + 1, 0).unwrap();
        host.run(30);
        assert_eq!(codes(&host), expected);
    }
    let now = host.now();
    host.block.changed("cfg_interrupt", now, 1).unwrap();
    let early = host.block.changed("cfg_interrupt", now + 1, 0).unwrap_err();
    assert!(early.to_string().contains("cfg_interrupt: withdrawn before cfg_interrupt_rdy"), "{early}");
}

#[test]
fn what_the_driver_does_not_allow_is_told() {
    let mut host = enabled(Family::UltraScalePlus);
    let mut fail = |tlp: &Tlp| {
        host.run(5000);
        let (now, beats) = (host.now(), user::requester_request(tlp, 0, 4));
        host.block.sent(FromEndpoint::RequesterRequest, now, now, &beats).unwrap_err().to_string()
    };
    assert!(fail(&access(true, 0, 260)).contains("s_axis_rq: payload of 260 bytes, Max_Payload_Size is 256"));
    assert!(fail(&access(false, 0, 516)).contains("read of 516 bytes, Max_Read_Request_Size is 512"));
    assert!(fail(&access(false, 40, 4)).contains("tag 40: only tags below 32 are there"));
    let mut host = enabled(Family::UltraScalePlus);
    host.config_write(SLOT, 4, Width::Word, (3 | COMMAND_INTX_DISABLE).into());
    host.run(10);
    host.send(&access(true, 0, 4), 0);
    host.run(5000);
    let (now, beats) = (host.now(), user::requester_request(&access(true, 0, 4), 0, 4));
    let late = host.block.sent(FromEndpoint::RequesterRequest, now, now, &beats).unwrap_err().to_string();
    assert!(late.contains("cycles after bus mastering was switched off"), "{late}");
    let asserted = host.block.changed("cfg_interrupt_int", now, 1).unwrap_err().to_string();
    assert!(asserted.contains("asserted while the driver has INTx disabled"), "{asserted}");
}

/// A guest may give the endpoint any address.
#[test]
fn a_read_that_ends_at_the_last_address_comes_to_its_end() {
    use virtio_hdl::link::hard_ip::reads::{error, Reads};
    let (bytes, id) = (64, FunctionId::new(1, 0, 0));
    let address = u64::MAX - (bytes - 1);
    let (enables, length) = ByteEnables::of(address, bytes);
    let request = MemoryRequest { requester: id, tag: 3, address, length, enables };
    let mut reads = Reads::default();
    reads.begin(Header::default(), &request, 1000);
    let data = [7; 64];
    let answers = answer(Header::default(), &request, FunctionId::new(0, 0, 0), Some(&data), 128);
    for (index, tlp) in answers.iter().enumerate() {
        let Kind::Completion(completion) = &tlp.kind else { panic!("{tlp:?}") };
        let outcome = reads.completion(&tlp.header, completion);
        assert_eq!((outcome.error, outcome.completed), (error::NONE, index + 1 == answers.len()));
    }
    assert_eq!(reads.deadline(), None);
}
