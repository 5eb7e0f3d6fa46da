//! A block from the empty file to the proof: the example of `docs/write-a-block.md`, which quotes this file.
#![allow(missing_docs, reason = "the document says it")]
use rust_hdl::prelude::*;
use std::fs;
use std::path::Path;
use virtio_hdl_rtl::block::Block;
use virtio_hdl_rtl::cells::{Reg, Sink, Source};
use virtio_hdl_rtl::testing::{accepted, moved, starts_known, Bench, Feed, Port};
use virtio_hdl_rtl::{comment, impl_port, verilog};

#[allow(dead_code, reason = "the proofs of the repository use more of it")]
#[path = "formal/sby.rs"]
mod sby;

/// One beat of a packet.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct Beat {
    pub data: Bits<8>,
    pub last: bool,
}

#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
enum State {
    Pass,
    Drop,
}

/// Cuts packets at a limit: the last beat that may pass gets `last`, the beats behind it are thrown away and counted.
///
/// A packet of exactly the limit is not cut. `packet.ready` follows `short.ready` in the same cycle.
#[derive(Block)]
pub struct PacketCutter {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// Packets of any length.
    pub packet: Sink<Beat>,
    /// Packets of at most the limit.
    pub short: Source<Beat>,
    /// One cycle: a packet that was cut has ended.
    pub lost_valid: Signal<Out, Bit>,
    /// Beats of it that were thrown away; 255 stands for all above.
    pub lost: Signal<Out, Bits<8>>,

    state: Reg<State>,
    /// Beats of this packet that have passed.
    passed: Reg<Bits<8>>,
    ended: Reg<Bit>,
    /// Means nothing before `ended`: needs no reset.
    thrown: DFF<Bits<8>>,

    #[given]
    last_place: Constant<Bits<8>>,
    at_limit: Signal<Local, Bit>,
}

impl PacketCutter {
    /// Lets `limit` beats of each packet pass.
    pub fn new(limit: u64) -> Self {
        assert!((1..=256).contains(&limit), "1 to 256 beats may pass, not {limit}");
        Self::with(PacketCutterGiven { last_place: Constant::new((limit - 1).into()) })
    }
}

impl Logic for PacketCutter {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module packet_cutter: packets of at most so many beats, the rest thrown away");
        self.at_limit.next = self.passed.q.val() == self.last_place.val();
        self.short.data.next.data = self.packet.data.val().data;
        self.short.data.next.last = self.packet.data.val().last | self.at_limit.val();
        self.short.valid.next = false;
        self.packet.ready.next = false;
        self.ended.d.next = false;
        match self.state.q.val() {
            State::Pass => {
                self.short.valid.next = self.packet.valid.val();
                self.packet.ready.next = self.short.ready.val();
                if self.packet.valid.val() & self.short.ready.val() {
                    self.passed.d.next = self.passed.q.val() + 1;
                    if self.packet.data.val().last {
                        self.passed.d.next = 0.into();
                    } else if self.at_limit.val() {
                        self.passed.d.next = 0.into();
                        self.thrown.d.next = 0.into();
                        self.state.d.next = State::Drop;
                    }
                }
            }
            State::Drop => {
                comment!("beats that go nowhere wait for nobody");
                self.packet.ready.next = true;
                if self.packet.valid.val() {
                    if !self.thrown.q.val().all() {
                        self.thrown.d.next = self.thrown.q.val() + 1;
                    }
                    if self.packet.data.val().last {
                        self.ended.d.next = true;
                        self.state.d.next = State::Pass;
                    }
                }
            }
        }
        self.lost_valid.next = self.ended.q.val();
        self.lost.next = self.thrown.q.val();
    }
}

impl_port!(Beat { data, last });

/// What the block must do, said in another way: by the place of each beat in its packet.
#[derive(Default)]
struct Model {
    place: u64,
    report: Option<u64>,
}

impl Model {
    /// A beat is taken: what must leave in the same cycle.
    fn take(&mut self, beat: Beat, limit: u64) -> Option<Beat> {
        self.place += 1;
        let leaves = (self.place <= limit).then_some(Beat { last: beat.last || self.place == limit, ..beat });
        if beat.last {
            self.report = (self.place > limit).then(|| (self.place - limit).min(255));
            self.place = 0;
        }
        leaves
    }
}

fn cuts_at(limit: u64) {
    let mut bench = Bench::new(&format!("packet_cutter_{limit}"), PacketCutter::new(limit), |uut| &mut uut.clock);
    let mut feed = Feed::new(3);
    let mut model = Model::default();
    let (mut packets, mut cut) = (0, 0);
    for cycle in 0..40_000 {
        if feed.values.is_empty() {
            let around = if bench.rng.chance(1, 20) { limit + 300 } else { 2 * limit };
            let beats = 1 + bench.rng.below(around);
            feed.values.extend((1..=beats).map(|n| Beat { data: Bits::random(&mut bench.rng), last: n == beats }));
            packets += 1;
        }
        let seldom = if cycle < 20_000 { 100 } else { 4000 };
        bench.uut.reset.next = bench.rng.chance(1, seldom);
        bench.uut.short.ready.next = bench.rng.chance(1, 2);
        feed.drive(&mut bench.uut.packet, &mut bench.rng);
        bench.low();
        let report = model.report.take();
        assert_eq!(bench.uut.lost_valid.val().then(|| bench.uut.lost.val().to_u64()), report, "cycle {cycle}");
        cut += u32::from(report.is_some());
        let drops = model.place >= limit;
        assert_eq!(bench.uut.packet.ready.val(), drops || bench.uut.short.ready.val(), "cycle {cycle}");
        let left = feed.take(&bench.uut.packet).and_then(|beat| model.take(beat, limit));
        assert_eq!(moved(&bench.uut.short), left, "cycle {cycle}");
        if bench.uut.reset.val() {
            model = Model::default();
        }
        bench.edge();
    }
    assert!(packets > 30 && cut > 5, "{packets} packets, {cut} of them cut: too few to say anything");
    bench.finish();
}

#[test]
fn packets_are_cut_at_the_limit_and_not_before() {
    cuts_at(5);
}

/// The ends of what `new` takes.
#[test]
fn the_least_and_the_greatest_limit() {
    cuts_at(1);
    cuts_at(256);
}

#[test]
fn the_tools_accept_it() {
    let mut uut = PacketCutter::new(5);
    uut.connect_all();
    check_all(&uut).unwrap();
    let design = verilog::print(&uut, "packet_cutter").unwrap();
    accepted(&design);
    starts_known(&design, &verilog::ports(&uut).unwrap());
}

fn claim() -> sby::Claim {
    sby::Claim::new("packet_cutter", PacketCutter::new(5), "localparam LIMIT = 5;\n", &["packet_cutter.sv"])
}

#[test]
fn no_packet_is_longer_than_the_limit() {
    claim().holds();
}

#[test]
fn a_cutter_that_counts_stalled_beats_is_found() {
    let (right, wrong) = ("if (packet_valid && short_ready) begin", "if (packet_valid) begin");
    claim().with_fault(right, wrong).is_refuted_by("is_cut_only_at_the_limit");
}

/// What the document shows is what is tested here.
#[test]
fn the_document_quotes_what_there_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |file: &str| fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let printed = |mut uut: PacketCutter| {
        uut.connect_all();
        verilog::print(&uut, "packet_cutter").unwrap().single_file()
    };
    let sources = [
        ("rust", read("tests/write_a_block.rs")),
        ("systemverilog", read("formal/packet_cutter.sv")),
        ("verilog", printed(PacketCutter::new(5))),
    ];
    let document = read("../docs/write-a-block.md");
    let mut quoted = [0; 3];
    for block in document.split("```").skip(1).step_by(2) {
        let (language, text) = block.split_once('\n').unwrap_or_default();
        let Some(place) = sources.iter().position(|(name, _)| *name == language) else {
            // commands, and what they say
            assert!(language.is_empty(), "a block of {language:?} is compared with nothing");
            continue;
        };
        // whole lines: a quote does not begin or end within one
        let whole = format!("\n{}", sources[place].1);
        assert!(whole.contains(&format!("\n{text}")), "this {language} is in the document only:\n{text}");
        quoted[place] += 1;
    }
    assert!(quoted[0] >= 6 && quoted[1] >= 1 && quoted[2] >= 1, "{quoted:?} blocks quoted");
}
