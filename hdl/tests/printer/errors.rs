//! What cannot be printed is an error with the path of the block and the reason.
use rust_hdl::prelude::ast::{
    VerilogBlockOrConditional, VerilogConditional, VerilogExpression as Tree, VerilogOp, VerilogStatement as Statement,
};
use rust_hdl::prelude::*;
use virtio_hdl_rtl::cells::{Sink, Skid, Source};
use virtio_hdl_rtl::verilog::{self, PrintError};

/// A block whose code is given, with a register bank and a constant.
#[derive(Default)]
struct Subject {
    select: Signal<In, Bits<2>>,
    value: Signal<In, Bits<8>>,
    local: Signal<Local, Bits<8>>,
    result: Signal<Out, Bits<8>>,
    code: Vec<Statement>,
}

impl Logic for Subject {
    fn update(&mut self) {}
    fn hdl(&self) -> Verilog {
        Verilog::Combinatorial(self.code.clone())
    }
}

impl Block for Subject {
    fn connect_all(&mut self) {}
    fn update_all(&mut self) {}
    fn has_changed(&self) -> bool {
        false
    }
    fn accept(&self, name: &str, probe: &mut dyn Probe) {
        probe.visit_start_scope(name, self);
        self.select.accept("select", probe);
        self.value.accept("value", probe);
        self.local.accept("local", probe);
        self.result.accept("result", probe);
        probe.visit_end_scope(name, self);
    }
}

fn signal(name: &str) -> Tree {
    Tree::Signal(name.into())
}
fn assign(target: &str, value: Tree) -> Statement {
    Statement::Assignment(signal(&format!("{target}$next")), value)
}
fn when(test: Tree, then: Vec<Statement>) -> Statement {
    Statement::If(VerilogConditional { test, then, otherwise: VerilogBlockOrConditional::None })
}
fn test_bit() -> Tree {
    Tree::Index(Box::new(signal("select")), Box::new(Tree::Literal(0u32.into())))
}

fn refused(code: Vec<Statement>) -> PrintError {
    match verilog::print(&Subject { code, ..Default::default() }, "top") {
        Err(error) => error,
        Ok(design) => panic!("printed:\n{}", design.single_file()),
    }
}

#[track_caller]
fn expect(code: Vec<Statement>, words: &[&str]) {
    let error = refused(code);
    assert_eq!(error.path, "top");
    for word in words {
        assert!(error.reason.contains(word), "`{word}` is not in: {error}");
    }
}

#[test]
fn latch() {
    expect(vec![when(test_bit(), vec![assign("result", signal("value"))])], &["`result`", "every path", "latch"]);
    // half of the bits are assigned
    let half = Statement::SliceAssignment {
        base: signal("result"),
        width: 4,
        offset: Tree::Literal(0u32.into()),
        replacement: Tree::Literal(1u32.into()),
    };
    expect(vec![half], &["`result`", "every path"]);
}

#[test]
fn read_before_write() {
    expect(
        vec![assign("result", signal("local")), assign("local", signal("value"))],
        &["`local`", "read before it is assigned"],
    );
    // written before, but only in one branch
    let code = vec![
        when(test_bit(), vec![assign("local", signal("value")), assign("result", signal("local"))]),
        assign("result", signal("local")),
        assign("local", signal("value")),
    ];
    expect(code, &["read before it is assigned"]);
}

#[test]
fn itself() {
    let value = Tree::Binary(Box::new(signal("result")), VerilogOp::Add, Box::new(Tree::Literal(1u32.into())));
    expect(vec![assign("result", value)], &["`result`", "read before"]);
}

#[test]
fn never_assigned() {
    expect(vec![], &["`result` is never assigned"]);
    expect(vec![assign("result", signal("local"))], &["`local` is never assigned"]);
}

#[test]
fn input_assigned() {
    expect(
        vec![assign("value", Tree::Literal(1u32.into())), assign("result", signal("local"))],
        &["`value` is assigned, but is an input"],
    );
}

#[test]
fn unknown_names() {
    expect(vec![assign("result", signal("LIMIT"))], &["`LIMIT`", "`Constant` field"]);
    expect(vec![assign("absent", signal("value"))], &["`absent`", "not a signal"]);
    expect(vec![assign("result[select.val()]", signal("value"))], &["index of `result", "multiplexer"]);
}

#[test]
fn widths() {
    expect(vec![assign("result", signal("select"))], &["2 bits assigned to `result` of 8 bits"]);
    let sum = Tree::Binary(Box::new(signal("select")), VerilogOp::Add, Box::new(signal("value")));
    expect(vec![assign("result", sum)], &["`+` of 2 and 8 bits"]);
    let far = Tree::Index(Box::new(signal("select")), Box::new(Tree::Literal(2u32.into())));
    expect(vec![when(far, vec![])], &["bit 2 of a value of 2 bits"]);
}

/// Everything below the top, with its path.
#[derive(LogicBlock, Default)]
struct Outer {
    value: Signal<In, Bits<8>>,
    inner: [Inner; 2],
}
#[derive(LogicBlock, Default)]
struct Inner {
    value: Signal<In, Bits<8>>,
    result: Signal<Out, Bits<8>>,
}
impl Logic for Inner {
    fn update(&mut self) {
        self.result.next = self.value.val();
    }
}
impl Logic for Outer {
    #[hdl_gen]
    fn update(&mut self) {
        for i in 0..2 {
            self.inner[i].value.next = self.value.val();
        }
    }
}

#[test]
fn path_of_the_block() {
    let error = verilog::print(&Outer::default(), "device").unwrap_err();
    assert_eq!(error.path, "device.inner$0");
    assert!(error.to_string().contains("`#[hdl_gen]`"), "{error}");
}

/// A signal of an enum with one value has no bits.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
enum Single {
    Only,
}
#[derive(LogicBlock, Default)]
struct NoBits {
    single: Signal<Out, Single>,
}
impl Logic for NoBits {
    #[hdl_gen]
    fn update(&mut self) {
        self.single.next = Single::Only;
    }
}

#[test]
fn no_bits() {
    let error = verilog::print(&NoBits::default(), "top").unwrap_err();
    assert!(error.reason.contains("`single`"), "{error}");
}

/// A stream's two ends both drive the payload.
#[derive(LogicBlock, Default)]
struct TwoDrivers {
    clock: Signal<In, Clock>,
    reset: Signal<In, Bit>,
    up: Sink<Bits<8>>,
    skid: Skid<Bits<8>>,
    down: Source<Bits<8>>,
}
impl Logic for TwoDrivers {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, skid);
        self.skid.reset.next = self.reset.val();
        Sink::<Bits<8>>::link(&mut self.up, &mut self.skid.input);
        Source::<Bits<8>>::link(&mut self.down, &mut self.skid.output);
        self.down.data.next = 5.into();
    }
}

#[test]
fn two_drivers() {
    let error = verilog::print(&TwoDrivers::default(), "top").unwrap_err();
    assert!(error.reason.contains("`down.data` has two drivers"), "{error}");
}
