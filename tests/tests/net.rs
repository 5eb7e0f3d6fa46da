//! The whole network endpoint under the host model: random frames both ways.
use virtio_hdl::backend::NetPort;
use virtio_hdl::host::net::{Net, Options, Outgoing};
use virtio_hdl::host::pci::Bus;
use virtio_hdl::host::{Platform, Width};
use virtio_hdl::link::{CompletionCut, LinkConfig};
use virtio_hdl::machine::{Machine, MachineOptions, SLOT};
use virtio_hdl::model::Stall;
use virtio_hdl::scenario::frames::{self, Report};
use virtio_hdl::scenario::wire::FarEnd;
use virtio_hdl_rtl::config::EndpointConfig;
use virtio_hdl_rtl::endpoint::diagnostics;
use virtio_hdl_rtl::pcie::registers::DIAGNOSTICS;
use virtio_hdl_tests::{example, jumbo_net, library};

const MAC: [u8; 6] = [0x52, 0x54, 0, 1, 2, 3];

struct Rig {
    machine: Machine,
    bus: Bus,
    net: Net,
    wire: FarEnd,
}

fn rig(name: &str, options: &MachineOptions, driver: &Options) -> Rig {
    rig_of(&example(name), options, driver)
}

fn rig_of(config: &EndpointConfig, options: &MachineOptions, driver: &Options) -> Rig {
    let wire = FarEnd::default();
    let port = Box::new(NetPort::new(wire.backend(), MAC, options.link.clock_hz));
    let mut machine = Machine::new(&library(config), port, options).unwrap_or_else(|error| panic!("{error}"));
    let mut bus = Bus::scan(&mut machine, &Default::default()).unwrap();
    let net = Net::probe(&mut machine, &mut bus, SLOT, driver).unwrap_or_else(|error| panic!("{error}"));
    Rig { machine, bus, net, wire }
}

fn exchange(name: &str, frames: u64, options: &MachineOptions, driver: &Options) -> Report {
    exchange_in(rig(name, options, driver), name, frames, options)
}

fn exchange_in(rig: Rig, name: &str, frames: u64, options: &MachineOptions) -> Report {
    let Rig { mut machine, mut bus, mut net, wire } = rig;
    let run = frames::Options { frames, depth: 48, seed: options.link.seed, clock_hz: options.link.clock_hz };
    let report = frames::run(&mut machine, &mut net, &wire, &run, &mut |_| {})
        .unwrap_or_else(|error| panic!("{name}, seed {}: {error}", options.link.seed));
    machine.check().unwrap();
    assert!(machine.root().violations().is_empty(), "{:?}", machine.root().violations());
    net.remove(&mut machine, &mut bus).unwrap();
    assert_eq!(machine.memory_in_use(), 0);
    report
}

fn random(seed: u64) -> MachineOptions {
    let cuts = [CompletionCut::Boundary, CompletionCut::MaxPayload, CompletionCut::Random];
    let stall = [0, 30, 90][seed as usize % 3];
    MachineOptions {
        link: LinkConfig { seed, completion_cut: cuts[seed as usize / 3 % 3], ..LinkConfig::default() },
        stall: Stall { receive: stall, transmit: stall, device: stall },
        ..MachineOptions::default()
    }
}

#[test]
fn fifty_thousand_random_frames_each_way_arrive_once_in_order_and_whole() {
    let report = exchange("net", 50_000, &random(1), &Options { scatter: Some(1), ..Options::default() });
    assert_eq!((report.sent_frames, report.received_frames), (50_000, 50_000));
    assert!(report.checksums > 10_000 && report.dropped_frames > 500, "{report:?}");
    assert!(report.buffers > report.received_frames, "frames were merged from several buffers: {report:?}");
}

#[test]
fn random_frames_on_every_example_with_every_way_of_cutting_completions() {
    for (seed, name) in (0..9).zip(["net", "net-plain", "net-intx"].into_iter().cycle()) {
        exchange(name, 1_000, &random(seed), &Options::default());
    }
}

/// Sends frames of these lengths out, and takes frames of the same lengths in; gives the lengths that arrived, out and in.
fn lengths_that_pass(rig: &mut Rig, lengths: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let Rig { machine, net, wire, .. } = rig;
    let (mut out, mut came) = (vec![], vec![]);
    for (number, bytes) in lengths.iter().enumerate() {
        // two tags: 88a8 and 8100
        let mut frame = numbered(number as u32, *bytes);
        frame[12..22].copy_from_slice(&[0x88, 0xa8, 0, 1, 0x81, 0, 0, 2, 0x08, 0]);
        net.provide(machine, net.header_bytes() + 9100, &[], Default::default()).unwrap();
        net.send(machine, &Outgoing { frame: frame.clone(), ..Outgoing::default() }).unwrap();
        net.kick(machine).unwrap();
        let now = machine.now() * 8;
        wire.put(std::time::Duration::from_nanos(now), frame.clone());
        machine.run(12_000);
        while let Some(sent) = wire.take() {
            assert!(sent == frame, "a sent frame of {bytes} bytes is damaged");
            out.push(sent.len());
        }
        while let Some(incoming) = net.poll(machine).unwrap() {
            assert!(incoming.frame == frame, "a received frame of {bytes} bytes is damaged");
            came.push(incoming.frame.len());
        }
    }
    (out, came)
}

/// Frames that were too long: to send, received.
fn too_long(machine: &mut Machine) -> (u32, u32) {
    let first = diagnostics::FIELDS.len() as u16;
    let mut field = |n: u16| machine.config_read(SLOT, DIAGNOSTICS + 4 * (first + n), Width::Double);
    (field(0), field(2))
}

#[test]
fn frames_with_two_vlan_tags_pass_both_ways() {
    let mut rig = rig("net", &MachineOptions::default(), &Options::default());
    assert_eq!(rig.net.longest_frame(&mut rig.machine), 1522);
    let (out, came) = lengths_that_pass(&mut rig, &[60, 1518, 1519, 1522, 1523, 64]);
    assert_eq!((&out[..], &came[..]), (&[60, 1518, 1519, 1522, 64][..], &[60, 1518, 1519, 1522, 64][..]));
    assert_eq!(too_long(&mut rig.machine), (1, 1));
}

#[test]
fn jumbo_frames_pass_both_ways_and_longer_ones_are_counted() {
    let config = jumbo_net();
    let mut rig = rig_of(&config, &MachineOptions::default(), &Options::default());
    assert_eq!(rig.net.longest_frame(&mut rig.machine), 9022);
    let (out, came) = lengths_that_pass(&mut rig, &[60, 9022, 1522, 2048, 9023, 4096, 9021]);
    assert_eq!((&out, &came[..]), (&came, &[60, 9022, 1522, 2048, 4096, 9021][..]));
    assert_eq!(too_long(&mut rig.machine), (1, 1));
    rig.net.remove(&mut rig.machine, &mut rig.bus).unwrap();
    let options = random(1);
    let report = exchange_in(rig_of(&config, &options, &Options::default()), "jumbo", 400, &options);
    assert!(report.received_bytes > 400 * 3000, "{report:?}");
}

#[test]
fn the_driver_reads_the_address_and_sees_the_link_change() {
    let Rig { mut machine, net, wire, .. } = rig("net", &MachineOptions::default(), &Options::default());
    let mut net = net;
    assert_eq!(net.mac(&mut machine), MAC);
    assert!(net.link_up(&mut machine));
    for up in [false, true] {
        wire.set_link(up);
        wire.put(std::time::Duration::ZERO, vec![0; 60]);
        let changes = net.interrupts().1;
        let deadline = machine.now() + 100_000;
        while net.interrupts().1 == changes {
            assert!(machine.now() < deadline, "no interrupt");
            net.wait(&mut machine, deadline).unwrap();
        }
        assert_eq!(net.link_up(&mut machine), up);
    }
}

/// A frame that says which it is.
fn numbered(number: u32, bytes: usize) -> Vec<u8> {
    let mut frame = vec![number as u8; bytes];
    frame[..4].copy_from_slice(&number.to_le_bytes());
    frame
}

#[test]
fn frames_without_a_buffer_are_dropped_and_the_next_ones_arrive() {
    for name in ["net", "net-plain"] {
        let Rig { mut machine, mut net, wire, .. } = rig(name, &MachineOptions::default(), &Options::default());
        let mut next = 0;
        for round in 0..20_u32 {
            // A burst that no store holds, while there is no buffer; then one frame more, when there are some again.
            let bytes = [1514, 64, 700][round as usize % 3];
            for number in 0..200 {
                wire.put(std::time::Duration::ZERO, numbered(next + number, bytes));
            }
            let last = next + 200;
            next = last + 1;
            machine.run(200 * 160);
            let mut seen = None;
            for wanted in [None, Some(last)] {
                if let Some(number) = wanted {
                    wire.put(std::time::Duration::ZERO, numbered(number, 60));
                }
                let deadline = machine.now() + 100_000;
                while machine.now() < deadline && (wanted.is_none() || seen != wanted) {
                    while net.receive_buffers() < 16 {
                        net.provide(&mut machine, net.header_bytes() + 1522, &[], Default::default()).unwrap();
                    }
                    net.kick(&mut machine).unwrap();
                    let Some(incoming) = net.wait(&mut machine, deadline).unwrap() else { continue };
                    let number = u32::from_le_bytes(incoming.frame[..4].try_into().unwrap());
                    assert!(incoming.frame == numbered(number, incoming.frame.len()), "{name}: {number} is damaged");
                    assert!(seen.is_none_or(|seen| seen < number), "{name}: frame {number} comes behind {seen:?}");
                    seen = Some(number);
                }
            }
            assert_eq!(seen, Some(last), "{name}, round {round}");
            machine.run(5_000);
            let clocked = machine.clocked();
            machine.run(100_000);
            assert!(machine.clocked() - clocked < 100, "{name}, round {round}: the endpoint does not rest");
        }
    }
}
