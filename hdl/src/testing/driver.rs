//! The ports of a block, and the C++ program that drives its Verilated model.
use crate::verilog;
use rust_hdl::prelude::*;
use std::fmt::Write as _;

/// One port of a block.
pub use crate::verilog::Port as PortInfo;

/// Calls `$visit` for every port of the top block; everything below is passed over.
pub(super) struct TopPorts<F> {
    depth: usize,
    namespaces: Vec<String>,
    visit: F,
}

impl<F: FnMut(&[String], &str, &dyn Atom)> TopPorts<F> {
    pub(super) fn visit<U: Block>(uut: &U, visit: F) {
        uut.accept("top", &mut TopPorts { depth: 0, namespaces: vec![], visit });
    }
}

impl<F: FnMut(&[String], &str, &dyn Atom)> Probe for TopPorts<F> {
    fn visit_start_scope(&mut self, _name: &str, _block: &dyn Block) {
        self.depth += 1;
    }
    fn visit_start_namespace(&mut self, name: &str, _block: &dyn Block) {
        if self.depth == 1 {
            self.namespaces.push(name.into());
        }
    }
    fn visit_atom(&mut self, name: &str, atom: &dyn Atom) {
        if self.depth == 1 && atom.kind().is_parameter() {
            (self.visit)(&self.namespaces, name, atom);
        }
    }
    fn visit_end_namespace(&mut self, _name: &str, _block: &dyn Block) {
        if self.depth == 1 {
            self.namespaces.pop();
        }
    }
    fn visit_end_scope(&mut self, _name: &str, _block: &dyn Block) {
        self.depth -= 1;
    }
}

/// The ports of a block, in the order of its fields; panics if it cannot be printed.
pub fn ports<U: Block>(uut: &U) -> Vec<PortInfo> {
    verilog::ports(uut).unwrap_or_else(|error| panic!("{error}"))
}

const PRELUDE: &str = r#"// Drives the model: per cycle one line of input values in, one line of output values out.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include "Vtop.h"
#include "verilated.h"
// The value of one port, and all its bits where it has several nets.
static uint32_t value[256];
static char text[2100];
static int digit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }
static void read_value() {
    if (scanf("%2090s", text) != 1) throw 1;
    memset(value, 0, sizeof value);
    int n = strlen(text);
    for (int i = 0; i < n; i++) { int k = n - 1 - i; value[k / 8] |= (uint32_t)digit(text[i]) << (4 * (k % 8)); }
}
static void write_value(int digits) {
    for (int k = digits - 1; k >= 0; k--) putchar("0123456789abcdef"[(value[k / 8] >> (4 * (k % 8))) & 15]);
    putchar(' ');
}
static unsigned get_bit(int k) { return (value[k / 32] >> (k % 32)) & 1; }
static void set_bit(int k, unsigned b) { if (b) value[k / 32] |= 1u << (k % 32); }
template<class T> static void get(T& net, int offset, int width) {
    uint64_t v = 0;
    for (int i = 0; i < width; i++) v |= (uint64_t)get_bit(offset + i) << i;
    net = (T)v;
}
template<size_t W> static void get(VlWide<W>& net, int offset, int width) {
    memset(net.m_storage, 0, 4 * W);
    for (int i = 0; i < width; i++) net.m_storage[i / 32] |= get_bit(offset + i) << (i % 32);
}
template<class T> static void put(const T& net, int offset, int width) {
    for (int i = 0; i < width; i++) set_bit(offset + i, ((uint64_t)net >> i) & 1);
}
template<size_t W> static void put(const VlWide<W>& net, int offset, int width) {
    for (int i = 0; i < width; i++) set_bit(offset + i, (net.m_storage[i / 32] >> (i % 32)) & 1);
}
"#;

/// The C++ driver: per cycle it reads the inputs in the order of the ports (all but `clock`), evaluates with the
/// clock low, writes the outputs, and raises the clock.
pub fn cpp_driver(ports: &[PortInfo]) -> String {
    let mut text = String::from(PRELUDE);
    let clocked = ports.iter().any(|p| p.name == "clock");
    text += "int main() {\n    Vtop* top = new Vtop;\n    try { for (;;) {\n";
    for port in ports.iter().filter(|p| p.input && p.name != "clock") {
        text += "        read_value();\n";
        for (net, offset, width) in &port.nets {
            let _ = writeln!(text, "        get(top->{net}, {offset}, {width});");
        }
    }
    if clocked {
        text += "        top->clock = 0;\n";
    }
    text += "        top->eval();\n";
    for port in ports.iter().filter(|p| !p.input) {
        text += "        memset(value, 0, sizeof value);\n";
        for (net, offset, width) in &port.nets {
            let _ = writeln!(text, "        put(top->{net}, {offset}, {width});");
        }
        let _ = writeln!(text, "        write_value({});", port.width.div_ceil(4));
    }
    text += "        putchar('\\n');\n";
    if clocked {
        text += "        top->clock = 1;\n        top->eval();\n";
    }
    text += "    } } catch (int) {}\n    return 0;\n}\n";
    text
}
