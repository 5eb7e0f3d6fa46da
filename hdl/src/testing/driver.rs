//! The ports of a block, and the C++ program that drives its Verilated model.
use rust_hdl::prelude::*;
use std::fmt::Write as _;

/// One port of a block, as the block's Rust source has it.
#[derive(Debug, Clone)]
pub struct PortInfo {
    /// Name in the Verilog: `interface_field`.
    pub name: String,
    /// Bits.
    pub width: usize,
    /// Input, else output.
    pub input: bool,
}

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

/// The ports of a block, in the order of its fields.
pub fn ports<U: Block>(uut: &U) -> Vec<PortInfo> {
    let mut ports = vec![];
    TopPorts::visit(uut, |namespaces, name, atom| {
        let name = namespaces.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join("_");
        ports.push(PortInfo { name, width: atom.bits(), input: atom.kind() == AtomKind::InputParameter });
    });
    ports
}

const PRELUDE: &str = r#"// Drives the model: per cycle one line of input values in, one line of output values out.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include "Vtop.h"
#include "verilated.h"
static char text[4096];
template<class T> static void get(T& port) { unsigned long long v; if (scanf("%llx", &v) != 1) throw 1; port = (T)v; }
static int digit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }
template<size_t W> static void get(VlWide<W>& port) {
    if (scanf("%4000s", text) != 1) throw 1;
    memset(port.m_storage, 0, 4 * W);
    int n = strlen(text);
    for (int i = 0; i < n; i++) { int k = n - 1 - i; port.m_storage[k / 8] |= (uint32_t)digit(text[i]) << (4 * (k % 8)); }
}
template<class T> static void put(const T& port, int digits) { printf("%0*llx ", digits, (unsigned long long)port); }
template<size_t W> static void put(const VlWide<W>& port, int digits) {
    for (int k = digits - 1; k >= 0; k--) putchar("0123456789abcdef"[(port.m_storage[k / 8] >> (4 * (k % 8))) & 15]);
    putchar(' ');
}
"#;

/// The C++ driver: per cycle it reads the inputs in the order of the ports (all but `clock`), evaluates with the
/// clock low, writes the outputs, and raises the clock.
pub fn cpp_driver(ports: &[PortInfo]) -> String {
    let mut text = String::from(PRELUDE);
    let clocked = ports.iter().any(|p| p.name == "clock");
    text += "int main() {\n    Vtop* top = new Vtop;\n    try { for (;;) {\n";
    for port in ports.iter().filter(|p| p.input && p.name != "clock") {
        let _ = writeln!(text, "        get(top->{});", port.name);
    }
    if clocked {
        text += "        top->clock = 0;\n";
    }
    text += "        top->eval();\n";
    for port in ports.iter().filter(|p| !p.input) {
        let _ = writeln!(text, "        put(top->{}, {});", port.name, port.width.div_ceil(4));
    }
    text += "        putchar('\\n');\n";
    if clocked {
        text += "        top->clock = 1;\n        top->eval();\n";
    }
    text += "    } } catch (int) {}\n    return 0;\n}\n";
    text
}
