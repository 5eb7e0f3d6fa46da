//! What the text looks like.
use rust_hdl::prelude::*;
use virtio_hdl_rtl::cells::{Reg, Sink, Skid, Source};
use virtio_hdl_rtl::testing::accepted;
use virtio_hdl_rtl::verilog::{self, Design};

macro_rules! comment {
    ($($text:tt)*) => {};
}

#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
enum Phase {
    Idle,
    Busy,
    Done,
}

#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
struct Job {
    phase: Phase,
    table: Bits<5>,
    address: Bits<40>,
}

#[derive(LogicBlock)]
struct Engine {
    clock: Signal<In, Clock>,
    reset: Signal<In, Bit>,
    job: Sink<Job>,
    done: Signal<Out, Bit>,
    page: Signal<Out, Bits<28>>,
    address: Signal<Local, Bits<40>>,
    held: Reg<Job>,
    limit: Constant<Bits<5>>,
    fast: Constant<Bit>,
}

impl Engine {
    fn new(limit: u64, fast: bool) -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            job: Default::default(),
            done: Default::default(),
            page: Default::default(),
            address: Default::default(),
            held: Default::default(),
            limit: Constant::new(limit.into()),
            fast: Constant::new(fast),
        }
    }
}

impl Logic for Engine {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module job_engine: takes a job and counts its table down");
        dff_setup!(self, clock, held);
        self.held.reset.next = self.reset.val();
        comment!("a job is taken while none is held");
        self.job.ready.next = self.held.q.val().phase == Phase::Idle;
        match self.held.q.val().phase {
            Phase::Idle => {
                if self.job.valid.val() {
                    self.held.d.next = self.job.data.val();
                    self.held.d.next.phase = Phase::Busy;
                }
            }
            Phase::Busy => {
                self.held.d.next.table = self.held.q.val().table - 1;
                if self.fast.val() | (self.held.q.val().table == self.limit.val()) {
                    self.held.d.next.phase = Phase::Done;
                }
            }
            Phase::Done => self.held.d.next.phase = Phase::Idle,
        }
        self.done.next = self.held.q.val().phase == Phase::Done;
        self.address.next = self.held.q.val().address;
        self.page.next = self.address.val().get_bits::<28>(12);
    }
}

fn printed<U: Block>(mut uut: U) -> Design {
    uut.connect_all();
    check_all(&uut).unwrap();
    verilog::print(&uut, "top").unwrap()
}

#[test]
fn one_module() {
    let design = printed(Engine::new(3, false));
    accepted(&design);
    let expected = include_str!("engine.v");
    if design.single_file() != expected {
        let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("engine.v");
        std::fs::write(&file, design.single_file()).unwrap();
        panic!("the text has changed; if it is better, copy {} to hdl/tests/printer/engine.v", file.display());
    }
}

/// A constant that is true decides the branch: what is left out needs no name.
#[test]
fn constants_decide_branches() {
    let text = printed(Engine::new(3, true)).single_file();
    assert!(!text.contains("LIMIT") && !text.contains("FAST"), "{text}");
}

#[derive(LogicBlock)]
struct Several {
    clock: Signal<In, Clock>,
    reset: Signal<In, Bit>,
    job: Sink<Job>,
    word: Sink<Bits<16>>,
    job_out: Source<Job>,
    word_out: Source<Bits<16>>,
    done: Signal<Out, Bits<3>>,
    pages: Signal<Out, Bits<28>>,
    engines: Vec<Engine>,
    jobs: Skid<Job>,
    words: [Skid<Bits<16>>; 2],
}

impl Several {
    fn new(limits: [u64; 3]) -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            job: Default::default(),
            word: Default::default(),
            job_out: Default::default(),
            word_out: Default::default(),
            done: Default::default(),
            pages: Default::default(),
            engines: limits.iter().map(|limit| Engine::new(*limit, false)).collect(),
            jobs: Default::default(),
            words: Default::default(),
        }
    }
}

impl Logic for Several {
    #[hdl_gen]
    fn update(&mut self) {
        self.jobs.clock.next = self.clock.val();
        self.jobs.reset.next = self.reset.val();
        Sink::<Job>::link(&mut self.job, &mut self.jobs.input);
        Source::<Job>::link(&mut self.job_out, &mut self.jobs.output);
        Sink::<Bits<16>>::link(&mut self.word, &mut self.words[0].input);
        self.words[1].input.data.next = self.words[0].output.data.val();
        self.words[1].input.valid.next = self.words[0].output.valid.val();
        self.words[0].output.ready.next = self.words[1].input.ready.val();
        Source::<Bits<16>>::link(&mut self.word_out, &mut self.words[1].output);
        for i in 0..2 {
            self.words[i].clock.next = self.clock.val();
            self.words[i].reset.next = self.reset.val();
        }
        self.done.next = 0.into();
        self.pages.next = 0.into();
        for i in 0..3 {
            self.engines[i].clock.next = self.clock.val();
            self.engines[i].reset.next = self.reset.val();
            self.engines[i].job.data.next = self.job.data.val();
            self.engines[i].job.valid.next = self.job.valid.val() & self.engines[i].job.ready.val();
            if self.engines[i].done.val() {
                self.done.next = self.done.val().replace_bit(i, true);
                self.pages.next = self.pages.val() ^ self.engines[i].page.val();
            }
        }
    }
}

fn names(design: &Design) -> Vec<&str> {
    design.modules.iter().map(|module| module.name.as_str()).collect()
}

/// Equal blocks are one module; different ones that ask for the same name get names that do not depend on what else
/// is there; every module follows those it contains.
#[test]
fn modules() {
    let same = printed(Several::new([3, 3, 3]));
    accepted(&same);
    assert_eq!(names(&same), ["job_engine", "skid_buffer", "top"]);
    assert_eq!(same.file_list(), "job_engine.v\nskid_buffer.v\ntop.v\n");
    let different = printed(Several::new([3, 4, 3]));
    accepted(&different);
    assert_eq!(names(&different), ["job_engine_top_engines_0", "job_engine_top_engines_1", "skid_buffer", "top"]);
    // the unrelated module is the same to the letter
    assert_eq!(same.modules[1], different.modules[2]);
}

/// A cell is one module for all widths: each instance says its own, and a cell that is the top has what nobody else would give it.
#[test]
fn parameters() {
    let design = printed(Several::new([3, 3, 3]));
    let text = design.single_file();
    for instance in ["skid_buffer #(.WIDTH(47)) jobs (", "skid_buffer #(.WIDTH(16)) words_0 ("] {
        assert!(text.contains(instance), "{text}");
    }
    assert!(text.contains("module skid_buffer #(\n    // Bits of a beat.\n    parameter WIDTH = 8\n) ("), "{text}");
    let alone = printed(Skid::<Bits<16>>::default());
    accepted(&alone);
    assert!(alone.single_file().contains("module top #(\n    // Bits of a beat.\n    parameter WIDTH = 16\n) ("));
}

/// A cell whose author forgot a value.
#[derive(LogicBlock, Default)]
struct WithoutValue {
    clock: Signal<In, Clock>,
}

impl Logic for WithoutValue {
    fn update(&mut self) {}
    fn hdl(&self) -> Verilog {
        Verilog::Custom("// module: cell\n// parameter WIDTH: Bits of a beat.\n".into())
    }
}

#[test]
fn a_parameter_without_a_value_is_an_error() {
    let error = verilog::print(&WithoutValue::default(), "top").unwrap_err().to_string();
    assert_eq!(
        error,
        "top: `// parameter WIDTH: Bits of a beat.` is not `// parameter NAME is VALUE = DEFAULT: text` or \
                       `// ports A B [RANGE]`"
    );
}

#[test]
fn same_text_every_time() {
    let texts: Vec<_> = (0..5).map(|_| printed(Several::new([1, 2, 3])).single_file()).collect();
    assert!(texts.iter().all(|text| *text == texts[0]));
}

/// A port's nets are those of the text.
#[test]
fn ports() {
    let uut = Engine::new(3, false);
    let ports = verilog::ports(&uut).unwrap();
    let job = ports.iter().find(|port| port.name == "job_data").unwrap();
    let net = |name: &str, offset, width| (name.to_string(), offset, width);
    assert_eq!(job.nets, [net("job_phase", 0, 2), net("job_table", 2, 5), net("job_address", 7, 40)]);
    assert!(job.input && job.width == 47);
}

/// An output of constants alone is a continuous assignment: iverilog never runs an `always @*` without inputs.
#[derive(LogicBlock)]
struct Fixed {
    id: Signal<Out, Bits<8>>,
    both: Signal<Out, Bits<8>>,
    low: Constant<Bits<4>>,
    on: Constant<Bit>,
}

impl Logic for Fixed {
    #[hdl_gen]
    fn update(&mut self) {
        self.id.next = 0x21.into();
        if self.on.val() {
            self.id.next = self.id.val() | bit_cast::<8, 4>(self.low.val());
        }
        self.both.next = bit_cast::<8, 4>(self.low.val());
        self.both.next = (self.both.val() << 4) | self.both.val();
    }
}

#[test]
fn constants_alone() {
    let (low, on) = (Constant::new(6.into()), Constant::new(true));
    let design = printed(Fixed { id: Default::default(), both: Default::default(), low, on });
    accepted(&design);
    let text = design.single_file();
    assert!(!text.contains("always"), "{text}");
}
