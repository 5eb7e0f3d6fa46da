//! Icarus Verilog: an event-driven simulator with X, in which registers begin unknown and nothing runs at time zero that does
//! not have to.
use super::build::{folder, hash, once, run, verilator};
use crate::verilog::{Design, Port};
use std::fmt::Write as _;

/// Runs a testbench, module `bench`, as Verilog-2005 and as SystemVerilog: its last line must be `passed`. Panics with what it
/// said otherwise.
pub fn icarus(design: &Design, bench: &str) {
    let text = format!("{}\n{bench}", design.single_file());
    // the version stands for the machine's tools
    let place = folder().join(format!("icarus-{:016x}", hash(&[&verilator().0, &text])));
    once(&place, |work| {
        std::fs::write(work.join("bench.v"), &text).expect("write to the target folder");
        for standard in ["2005", "2012"] {
            let (flag, program) = (format!("-g{standard}"), format!("bench{standard}"));
            run("iverilog", work, [&flag, "-o", &program, "-s", "bench", "bench.v"]);
            let said = run("vvp", work, ["-n", &program]);
            let last = said.lines().last();
            assert_eq!(last, Some("passed"), "iverilog {flag} in {}:\n{said}", work.display());
        }
    });
}

/// Out of reset every `valid`, `ready` and `busy` of a block is known: with inputs that are 0 from time zero on and never change,
/// and then with random ones. Panics with the first that is not.
pub fn starts_known(design: &Design, ports: &[Port]) {
    starts_known_where(design, ports, &[]);
}

/// As [`starts_known`], with inputs of one bit that are high at random only where an expression of the ports was.
pub fn starts_known_where(design: &Design, ports: &[Port], allowed: &[(&str, &str)]) {
    let Some(top) = design.modules.last() else { return };
    let mut bench = String::from(
        "`timescale 1ns/1ps\nmodule bench;\n    reg clock = 0, reset = 1;\n    always #4 clock = ~clock;\n",
    );
    let mut connections = vec![];
    let mut inputs = vec![];
    let mut known = vec![];
    for port in ports {
        for (name, _, width) in &port.nets {
            connections.push(format!(".{name}({name})"));
            if name == "clock" || name == "reset" {
                continue;
            }
            let range = format!("[{}:0]", width - 1);
            if port.input && (name.ends_with("_reset") || name == "clear") {
                let _ = writeln!(bench, "    wire {name} = reset;");
            } else if port.input {
                let _ = writeln!(bench, "    reg {range} {name} = 0;");
                inputs.push((name, width));
            } else {
                let _ = writeln!(bench, "    wire {range} {name};");
                if is_control(name) {
                    known.push(name.as_str());
                }
            }
        }
    }
    let random: String = inputs
        .iter()
        .map(|(name, width)| {
            let only = allowed
                .iter()
                .find(|(input, _)| input == name)
                .map(|(_, when)| format!(" & {when}"))
                .unwrap_or_default();
            format!("            {name} <= {{{}{{$random(seed)}}}}{only};\n", width.div_ceil(32))
        })
        .collect();
    let checks: String = known
        .iter()
        .map(|name| format!("        if (^{name} === 1'bx && !reset) begin $display(\"%0t: {name} is %b\", $time, {name}); $finish; end\n"))
        .collect();
    let _ = write!(
        bench,
        "    {top} uut ({connections});\n    integer seed = 1, cycle;\n    initial begin\n        \
         repeat (8) @(posedge clock);\n        reset <= 0;\n        \
         for (cycle = 0; cycle < 400; cycle = cycle + 1) begin\n            @(posedge clock);\n            \
         if (cycle > 40) begin\n{random}            end\n        end\n        \
         $display(\"passed\");\n        $finish;\n    end\n    always @(negedge clock) begin\n{checks}    end\nendmodule\n",
        top = top.name,
        connections = connections.join(", "),
    );
    icarus(design, &bench);
}

/// A port that says when something happens, rather than what.
pub fn is_control(name: &str) -> bool {
    ["valid", "ready", "busy"].iter().any(|word| name == *word || name.split('_').any(|part| part == *word))
}
