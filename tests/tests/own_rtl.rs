//! RTL that is not generated here, in the kit: the example's copy device under the host model and under Linux, what a description may
//! say, what is wrong with one, and RTL that stops.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use virtio_hdl::bridge::{Bridge, BridgeError, BridgeOptions};
use virtio_hdl::design::OwnRtl;
use virtio_hdl::guest::vfio_user_pci;
use virtio_hdl::host::pci::{Bar, Bus, Function, Msix, MsixMessage};
use virtio_hdl::host::{Platform, Width};
use virtio_hdl::link::{Interrupt, LinkConfig};
use virtio_hdl::machine::{Machine, MachineOptions, SLOT};
use virtio_hdl::model::{Library, Model, Stall};
use virtio_hdl::trace::TraceOptions;
use virtio_hdl::vfio_user::ServerOptions;
use virtio_hdl_rtl::pcie::layout::COMMAND_BUS_MASTER;
use virtio_hdl_rtl::testing::Rng;
use virtio_hdl_tests::guest::bare_guest;
use virtio_hdl_tests::{check_sound, output, program, Served};
use vm_memory::{Bytes, GuestAddress};

const SOURCE: u32 = 0x08;
const DESTINATION: u32 = 0x10;
const LENGTH: u32 = 0x18;
const CONTROL: u32 = 0x1c;
const STATUS: u32 = 0x20;
const COPIED: u32 = 0x24;
const DONE: u32 = 2;
const FAILED: u32 = 4;
/// Cycles in which any copy of the tests ends, or fails.
const PATIENCE: u64 = 4_000_000;
/// The vector's message.
const MESSAGE: MsixMessage = MsixMessage { address: 0xfee0_0000, data: 0x41 };

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/own-rtl")
}

fn library(description: &Path) -> Library {
    let rtl = OwnRtl::load(description).unwrap_or_else(|error| panic!("{error}"));
    rtl.library(&|_| {}).unwrap_or_else(|error| panic!("{error}"))
}

/// The copy device in a machine, with memory for it.
struct Copier {
    machine: Machine,
    function: Function,
    bar: Bar,
    msix: Msix,
    memory: u64,
}

/// Bytes of that memory.
const MEMORY: u64 = 1 << 20;

impl Copier {
    fn new(options: &MachineOptions) -> Self {
        let library = library(&example().join("own.toml"));
        let mut machine = Machine::new(&library, Box::new(()), options).unwrap_or_else(|error| panic!("{error}"));
        let bus = Bus::scan(&mut machine, &Default::default()).unwrap();
        let function = bus.function(SLOT).unwrap().clone();
        assert_eq!((function.vendor, function.device), (0x1234, 0xc0de));
        let bar = function.bar(0).unwrap();
        assert_eq!(bar.bytes, 8192);
        function.enable(&mut machine).unwrap();
        function.set_master(&mut machine);
        let msix = Msix::of(&mut machine, &function).unwrap();
        assert_eq!(msix.vectors, 1);
        msix.enable(&mut machine, &function, &[MESSAGE]).unwrap();
        let memory = machine.allocate(MEMORY, 4096).unwrap();
        Copier { machine, function, bar, msix, memory }
    }

    fn write(&mut self, register: u32, value: u32) {
        self.bar.write(&mut self.machine, register, Width::Double, value);
    }

    fn read(&mut self, register: u32) -> u32 {
        self.bar.read(&mut self.machine, register, Width::Double)
    }

    fn start(&mut self, source: u64, destination: u64, bytes: u32) {
        for (register, address) in [(SOURCE, source), (DESTINATION, destination)] {
            self.write(register, address as u32);
            self.write(register + 4, (address >> 32) as u32);
        }
        self.write(LENGTH, bytes);
        self.write(CONTROL, 1);
    }

    /// Waits for the interrupt; the status, which is cleared.
    fn end(&mut self) -> u32 {
        let deadline = self.machine.now() + PATIENCE;
        let interrupt = self.machine.wait_interrupt(deadline);
        self.machine.check().unwrap_or_else(|error| panic!("{error}"));
        let Some(Interrupt::Message { address, data, .. }) = interrupt else { panic!("no interrupt: {interrupt:?}") };
        assert_eq!((address, data), (MESSAGE.address, MESSAGE.data));
        let status = self.read(STATUS);
        self.write(STATUS, DONE | FAILED);
        assert_eq!(self.read(STATUS), 0);
        status
    }

    fn content(&self) -> Vec<u8> {
        let mut content = vec![0; MEMORY as usize];
        self.machine.memory().read_slice(&mut content, GuestAddress(self.memory)).unwrap();
        content
    }

    fn check(&mut self) {
        self.machine.check().unwrap_or_else(|error| panic!("{error}"));
        assert!(self.machine.root().violations().is_empty(), "{:?}", self.machine.root().violations());
    }
}

#[test]
fn the_copy_device_copies_under_the_host_model() {
    let folder = tempfile::tempdir().unwrap();
    let (log, vcd) = (folder.path().join("tlp.log"), folder.path().join("own.vcd"));
    for seed in 0..4 {
        let first = seed == 0;
        let trace = TraceOptions {
            tlp_log: first.then(|| log.clone()),
            vcd: first.then(|| vcd.clone()),
            ..TraceOptions::default()
        };
        let share = if first { 0 } else { 80 };
        let options = MachineOptions {
            link: LinkConfig { seed, ..LinkConfig::default() },
            stall: Stall { receive: share, transmit: share, device: 0 },
            trace,
            ..MachineOptions::default()
        };
        let mut copier = Copier::new(&options);
        let mut rng = Rng(seed + 1);
        let mut expected: Vec<u8> = (0..MEMORY).map(|_| rng.next() as u8).collect();
        copier.machine.memory().write_slice(&expected, GuestAddress(copier.memory)).unwrap();
        for round in 0..12 {
            let bytes = match round {
                0 => 4,
                1 => 4096,
                _ => 4 * (1 + rng.below(600)),
            };
            let half = MEMORY / 2;
            let from = 4 * rng.below((half - bytes) / 4);
            let to = half + 4 * rng.below((half - bytes) / 4);
            copier.start(copier.memory + from, copier.memory + to, bytes as u32);
            assert_eq!(copier.end(), DONE, "seed {seed}, round {round}");
            assert_eq!(u64::from(copier.read(COPIED)), bytes);
            let (from, to, bytes) = (from as usize, to as usize, bytes as usize);
            expected.copy_within(from..from + bytes, to);
            assert!(
                copier.content() == expected,
                "seed {seed}, round {round}: {bytes} bytes from {from:#x} to {to:#x}"
            );
        }
        copier.check();
        copier.machine.finish().unwrap();
    }
    let log = fs::read_to_string(log).unwrap();
    for packet in ["CfgRd0", "MRd", "MWr", "CplD"] {
        assert!(log.contains(packet), "no {packet} in the log");
    }
    let vcd = fs::read_to_string(vcd).unwrap();
    assert!(vcd.contains("s_axis_tdata") && vcd.contains("rst_n"), "the VCD has other ports");
}

#[test]
fn the_copy_device_fails_without_bus_master_and_keeps_what_is_masked() {
    let mut copier = Copier::new(&MachineOptions::default());
    let (function, msix) = (copier.function.clone(), copier.msix);
    function.command(&mut copier.machine, 0, COMMAND_BUS_MASTER);
    let memory = copier.memory;
    copier.start(memory, memory + 4096, 64);
    copier.machine.run(10_000);
    assert_eq!(copier.read(STATUS), FAILED);
    assert_eq!(copier.machine.statistics().reads, 0);
    function.set_master(&mut copier.machine);
    assert_eq!(copier.end(), FAILED);
    msix.set_mask(&mut copier.machine, 0, true);
    copier.start(memory, memory + 4096, 64);
    copier.machine.run(10_000);
    assert!(msix.is_pending(&mut copier.machine, 0));
    assert_eq!(copier.read(STATUS), DONE);
    msix.set_mask(&mut copier.machine, 0, false);
    assert_eq!(copier.end(), DONE);
    assert!(!msix.is_pending(&mut copier.machine, 0));
    copier.check();
}

#[test]
fn linux_drives_the_copy_device_in_a_stock_qemu() {
    let job = fs::read_to_string(example().join("copy.sh")).unwrap();
    let served = Served::model(
        || library(&example().join("own.toml")),
        Box::new(()),
        BridgeOptions::default(),
        ServerOptions::default(),
    );
    let guest = bare_guest(&job).append("memmap=1M$0x8000000").device(vfio_user_pci(&served.socket(), &[]));
    let mut running = guest.start(|_| {}).unwrap();
    let ended = running.wait(Duration::from_secs(180)).unwrap_or_else(|error| panic!("{error}"));
    ended.job().unwrap_or_else(|error| panic!("{error}\n{}{}", ended.console, ended.errors));
    assert!(ended.console.contains("copied 0x000000C0 bytes, and the message came"), "{}", ended.console);
    let report = served.end();
    check_sound(&report);
    assert_eq!((report.vectors.len(), report.vectors[0].fired), (1, 1), "{report:?}");
}

#[test]
fn the_copy_device_passes_the_lint() {
    let rtl = example().join("rtl");
    let files = fs::read_dir(&rtl).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = files.filter(|path| path.extension().is_some_and(|extension| extension == "v")).collect();
    assert!(files.len() > 4, "{files:?}");
    let mut verilator = Command::new("verilator");
    verilator.args(["--lint-only", "-Wall", "--language", "1364-2005", "--top-module", "copy_device"]);
    let output = verilator.arg(format!("+incdir+{}", rtl.display())).args(files).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// An endpoint that answers nothing. It shows what came to it by the description, and stops when it is told to.
const SILENT: &str = r#"
`include "silent.vh"
module silent #(parameter LIMIT = 100, parameter [63:0] OTHER = 0) (
    input clk, input rst, input [7:0] bus_number, output reg [31:0] count,
    output [31:0] level, output [31:0] from_file, output [7:0] bus,
    input [31:0] rx, input rx_last, input rx_valid, output rx_ready,
    output [31:0] tx, output tx_last, output tx_valid, input tx_ready
);
    reg [31:0] memory [0:1];
    initial $readmemh("start.hex", memory);
    assign level = `LEVEL + `OFFSET + OTHER[31:0];
    assign from_file = memory[1];
    assign bus = bus_number;
    assign rx_ready = 1'b1;
    assign tx = 32'd0;
    assign tx_last = 1'b0;
    assign tx_valid = 1'b0;
    always @(posedge clk) begin
        count <= rst ? 32'd0 : count + 32'd1;
        if (!rst && count == LIMIT) `STOP;
    end
    wire unused = &{rx, rx_last, rx_valid, tx_ready};
endmodule
"#;

const SILENT_TOML: &str = r#"
[rtl]
top = "silent"
files = ["silent.v"]
include = ["headers"]
memory-files = ["start.hex"]
verilator = ["-Wno-width"]
defines = { LEVEL = 1000, STOP = "@STOP@" }
parameters = { LIMIT = 500, OTHER = "64'd7" }
[ports]
clock = "clk"
reset = "rst"
constants = { bus_number = 0x21 }
[ports.receive]
data = "rx"
last = "rx_last"
valid = "rx_valid"
ready = "rx_ready"
[ports.transmit]
data = "tx"
last = "tx_last"
valid = "tx_valid"
ready = "tx_ready"
"#;

/// The description of that endpoint, with what it stops with. In a folder that is the same each time: its name is in the text that
/// Verilator is given, and with another one the model would be built anew.
fn silent(name: &str, stop: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("own_rtl").join(name);
    let path = |name: &str| folder.join(name);
    fs::create_dir_all(path("headers")).unwrap();
    fs::write(path("headers/silent.vh"), "`define OFFSET 30\n").unwrap();
    fs::write(path("start.hex"), "11111111 22222222\n").unwrap();
    fs::write(path("silent.v"), SILENT).unwrap();
    fs::write(path("own.toml"), SILENT_TOML.replace("@STOP@", stop)).unwrap();
    path("own.toml")
}

#[test]
fn what_a_description_says_reaches_the_rtl() {
    let description = silent("stop", "$stop");
    let options = MachineOptions::default();
    let mut machine = Machine::new(&library(&description), Box::new(()), &options).unwrap();
    machine.run(100);
    let model = machine.endpoint().model();
    let level = |model: &mut Model, name: &str| model.get(model.level(name).unwrap());
    assert_eq!(level(model, "level"), 1037, "a macro, an include file, a parameter");
    assert_eq!(level(model, "from_file"), 0x2222_2222);
    assert_eq!(level(model, "bus"), 0x21);
    machine.check().unwrap();
}

#[test]
fn rtl_that_stops_ends_the_machine_with_the_place_and_not_the_process() {
    for (name, stop, words) in [
        ("fatal", r#"$fatal(1, \"the count is %0d\", count)"#, "the count is 500"),
        ("stop", "$stop", "$stop, $fatal or a failed assertion"),
        ("finish", "$finish", "$finish"),
        ("assert", "assert (count != LIMIT)", "$stop, $fatal or a failed assertion"),
    ] {
        let description = silent(name, stop);
        let mut machine = Machine::new(&library(&description), Box::new(()), &MachineOptions::default()).unwrap();
        machine.run(10_000);
        let error = machine.check().unwrap_err().to_string();
        assert!(error.contains("the RTL has stopped in cycle"), "{stop}: {error}");
        assert!(error.contains("silent.v:20") && error.contains(words), "{stop}: {error}");
    }
}

#[test]
fn an_endpoint_that_answers_nothing_is_said_to_be_silent() {
    let description = silent("goes_on", "$display");
    let Err(error) = Bridge::new(&library(&description), Box::new(()), &BridgeOptions::default()) else {
        panic!("it is bridged")
    };
    assert!(matches!(error, BridgeError::Silent), "{error}");
    let text = error.to_string();
    assert!(text.contains("does not answer a read of its configuration space") && text.contains("--vcd"), "{text}");
}

#[test]
fn a_mistake_in_a_description_is_named_with_what_would_be_right() {
    let folder = tempfile::tempdir().unwrap();
    let good = fs::read_to_string(example().join("own.toml")).unwrap();
    let good = good.replace("rtl/", &format!("{}/rtl/", example().display()));
    let good = good.replace(r#"["rtl"]"#, &format!(r#"["{}/rtl"]"#, example().display()));
    let refused = |from: &str, to: &str| {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from}");
        let path = folder.path().join("own.toml");
        fs::write(&path, text).unwrap();
        let loaded = OwnRtl::load(&path).and_then(|rtl| rtl.library(&|_| {}));
        loaded.map(|_| ()).unwrap_err().to_string()
    };
    for (from, to, words) in [
        ("clock = ", "clok = ", &["unknown field `clok`", "expected one of", "`reset-active`"][..]),
        ("\"low\"", "\"down\"", &["unknown variant `down`", "`high`", "`low`"]),
        ("[ports.transmit]", "[ports.transmitted]", &["unknown field `transmitted`", "`transmit`"]),
        (
            "\"clk\"",
            "\"clock\"",
            &["ports.clock = \"clock\"", "copy_device has no such port", "its inputs are clk, rst_n"],
        ),
        (
            "\"m_axis_tready\"",
            "\"m_axis_tvalid\"",
            &["ports.transmit.ready", "is an output, an input is needed", "m_axis_tready"],
        ),
        (
            "\"s_axis_tkeep\"",
            "\"s_axis_tlast\"",
            &["ports.receive.keep", "has 1 bits", "a bit per double word or per byte", "s_axis_tkeep[7:0]"],
        ),
        ("keep = \"s_axis_tkeep\"\n", "", &["ports.receive.data", "give the key keep"]),
        ("config_space.v", "missing.v", &["missing.v", "No such file"]),
        ("\"copy_device\"", "\"copy_devise\"", &["verilator failed", "copy_devise"]),
        ("DEVICE_ID", "DEVICE_IT", &["verilator failed", "DEVICE_IT"]),
        ("125_000_000", "0", &["rtl.clock-hz is 0"]),
    ] {
        let error = refused(from, to);
        for word in words {
            assert!(error.contains(word), "{from} -> {to}: no {word:?} in: {error}");
        }
    }
}

#[test]
fn serve_and_qemu_take_a_description_and_the_rest_says_so() {
    let own = example().join("own.toml");
    let said = |arguments: &[&str]| {
        let output = output(program().args(arguments).arg(&own));
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let errors = said(&["serve", "--socket", "/tmp/unused.sock", "--net", "peer"]);
    assert!(errors.contains("--net has no effect"), "{errors}");
    let errors = said(&["qemu"]);
    assert!(errors.contains("give --job FILE or --shell"), "{errors}");
    for command in ["sim", "generate"] {
        let errors = said(&[command]);
        assert!(errors.contains("describes RTL of your own: `serve` and `qemu` run it"), "{command}: {errors}");
    }
}
