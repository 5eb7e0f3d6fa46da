//! Differential harness: runs a block in rust-hdl's own evaluator and in Verilator
//! with the same stimuli, and compares every output in every cycle.
use rust_hdl::prelude::*;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// xorshift64*: deterministic, no dependency.
#[derive(Clone)]
pub struct Rng(pub u64);
impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
    pub fn chance(&mut self, num: u64, den: u64) -> bool {
        self.below(den) < num
    }
}

/// Values the harness can randomise and print.
pub trait Port: Synth {
    fn random(r: &mut Rng) -> Self;
    fn hex(self) -> String;
}
impl<const N: usize> Port for Bits<N> {
    fn random(r: &mut Rng) -> Self {
        let mode = r.below(8);
        let mut words = vec![];
        for _ in 0..N.div_ceil(32) {
            words.push(match mode {
                0 => 0,
                1 => 0xffff_ffff,
                2 => r.below(4) as u32,
                _ => (r.next() >> 16) as u32,
            });
        }
        let mut v = num_bigint::BigUint::new(words);
        let m = (num_bigint::BigUint::from(1u32) << N) - 1u32;
        v &= m;
        v.into()
    }
    fn hex(self) -> String {
        format!("{:x}", self)
    }
}
impl Port for bool {
    fn random(r: &mut Rng) -> Self {
        r.below(2) == 1
    }
    fn hex(self) -> String {
        format!("{}", self as u8)
    }
}
impl<const N: usize> Port for Signed<N> {
    fn random(r: &mut Rng) -> Self {
        signed_cast(Bits::<N>::random(r))
    }
    fn hex(self) -> String {
        format!("{:x}", unsigned_cast(self))
    }
}

/// For blocks with several clocks: each clock is an ordinary input of the stimulus file.
impl Port for Clock {
    fn random(r: &mut Rng) -> Self {
        (r.below(2) == 1).into()
    }
    fn hex(self) -> String {
        format!("{}", self.clk as u8)
    }
}

#[derive(Debug, Clone)]
pub struct PortInfo {
    pub name: String,
    pub width: usize,
    pub input: bool,
}

#[derive(Default)]
struct PortProbe {
    depth: usize,
    namespaces: Vec<String>,
    ports: Vec<PortInfo>,
}
impl Probe for PortProbe {
    fn visit_start_scope(&mut self, _n: &str, _b: &dyn Block) {
        self.depth += 1;
    }
    fn visit_start_namespace(&mut self, name: &str, _b: &dyn Block) {
        self.namespaces.push(name.into());
    }
    fn visit_atom(&mut self, name: &str, a: &dyn Atom) {
        if self.depth == 1 && a.kind().is_parameter() {
            let mut path = self.namespaces.clone();
            path.push(name.into());
            self.ports.push(PortInfo {
                name: path.join("_"),
                width: a.bits(),
                input: a.kind() == AtomKind::InputParameter,
            });
        }
    }
    fn visit_end_namespace(&mut self, _n: &str, _b: &dyn Block) {
        self.namespaces.pop();
    }
    fn visit_end_scope(&mut self, _n: &str, _b: &dyn Block) {
        self.depth -= 1;
    }
}
pub fn ports<U: Block>(u: &U) -> Vec<PortInfo> {
    let mut p = PortProbe::default();
    u.accept("top", &mut p);
    p.ports
}

/// Writes a Verilator C++ driver: one line of hex input fields per cycle on stdin,
/// one line of hex output fields per cycle on stdout. `clock` is driven by the driver.
pub fn cpp_driver(ports: &[PortInfo]) -> String {
    let mut s = String::new();
    s += "#include <cstdio>\n#include <cstdint>\n#include <cstring>\n#include \"Vtop.h\"\n#include \"verilated.h\"\n";
    s += "static char buf[4096];\n";
    s += "template<class T> static void rd(T& t){ unsigned long long v; if(scanf(\"%llx\",&v)!=1) throw 1; t=(T)v; }\n";
    s += "static int hx(char c){ return c<='9'?c-'0':c-'a'+10; }\n";
    s += "template<size_t W> static void rd(VlWide<W>& t){ if(scanf(\"%4000s\",buf)!=1) throw 1; memset(t.m_storage,0,4*W); int n=strlen(buf); for(int i=0;i<n;i++){ int nib=n-1-i; t.m_storage[nib/8]|=(uint32_t)hx(buf[i])<<(4*(nib%8)); } }\n";
    s += "template<class T> static void wr(const T& t,int d){ printf(\"%0*llx \",d,(unsigned long long)t); }\n";
    s += "template<size_t W> static void wr(const VlWide<W>& t,int d){ for(int k=d-1;k>=0;k--) putchar(\"0123456789abcdef\"[(t.m_storage[k/8]>>(4*(k%8)))&15]); putchar(' '); }\n";
    s += "int main(int c,char**v){ Verilated::commandArgs(c,v); Vtop* t=new Vtop; try { for(;;){\n";
    for p in ports.iter().filter(|p| p.input && p.name != "clock") {
        let _ = writeln!(s, "  rd(t->{});", p.name);
    }
    let has_clock = ports.iter().any(|p| p.name == "clock");
    if has_clock {
        s += "  t->clock=0;\n";
    }
    s += "  t->eval();\n";
    for p in ports.iter().filter(|p| !p.input) {
        let _ = writeln!(s, "  wr(t->{},{});", p.name, p.width.div_ceil(4));
    }
    s += "  putchar('\\n');\n";
    if has_clock {
        s += "  t->clock=1; t->eval();\n";
    }
    s += " } } catch(int){} return 0; }\n";
    s
}

pub struct Diff {
    pub name: String,
    pub dir: PathBuf,
    pub stim: String,
    pub expect: String,
}

impl Diff {
    pub fn new(name: &str) -> Self {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("out").join(name);
        std::fs::create_dir_all(&dir).unwrap();
        Diff { name: name.into(), dir, stim: String::new(), expect: String::new() }
    }
    /// Verilates `verilog`, runs the recorded stimuli, returns per-output mismatch counts.
    pub fn run(&self, verilog: &str, ports: &[PortInfo], xargs: &[&str]) -> Vec<(String, usize, usize, String)> {
        std::fs::write(self.dir.join("top.v"), verilog).unwrap();
        std::fs::write(self.dir.join("drv.cpp"), cpp_driver(ports)).unwrap();
        std::fs::write(self.dir.join("stim.txt"), &self.stim).unwrap();
        std::fs::write(self.dir.join("expect.txt"), &self.expect).unwrap();
        let mut args = vec![
            "--cc",
            "--exe",
            "--build",
            "-O3",
            "-Wno-fatal",
            "-Wno-lint",
            "-Wno-style",
            "--top-module",
            "top",
            "-CFLAGS",
            "-O1",
            "--Mdir",
            "obj",
            "top.v",
            "drv.cpp",
        ];
        args.extend_from_slice(xargs);
        let o = Command::new("verilator").current_dir(&self.dir).args(&args).output().unwrap();
        assert!(o.status.success(), "verilator failed:\n{}", String::from_utf8_lossy(&o.stderr));
        let o = Command::new("sh")
            .current_dir(&self.dir)
            .arg("-c")
            .arg("./obj/Vtop < stim.txt > got.txt")
            .output()
            .unwrap();
        assert!(o.status.success());
        let got = std::fs::read_to_string(self.dir.join("got.txt")).unwrap();
        let outs: Vec<_> = ports.iter().filter(|p| !p.input).collect();
        let mut res: Vec<(String, usize, usize, String)> =
            outs.iter().map(|p| (p.name.clone(), 0, 0, String::new())).collect();
        let (g, e): (Vec<_>, Vec<_>) = (got.lines().collect(), self.expect.lines().collect());
        assert_eq!(g.len(), e.len(), "cycle counts differ");
        for (cyc, (gl, el)) in g.iter().zip(e.iter()).enumerate() {
            let gf: Vec<_> = gl.split_whitespace().collect();
            let ef: Vec<_> = el.split_whitespace().collect();
            assert_eq!(gf.len(), ef.len());
            for (i, (a, b)) in gf.iter().zip(ef.iter()).enumerate() {
                res[i].2 += 1;
                if a != b {
                    if res[i].1 == 0 {
                        res[i].3 = format!("cycle {cyc}: rust={b} verilog={a}");
                    }
                    res[i].1 += 1;
                }
            }
        }
        res
    }
}

/// drive_random!(uut, rng, line; a, b): randomise inputs and log them.
#[macro_export]
macro_rules! drive_random {
    ($u:expr, $r:expr, $l:expr; $($($p:ident).+),* $(,)?) => {{
        $( $u.$($p).+.next = $crate::testing::Port::random($r);
           $l.push_str(&$crate::testing::Port::hex($u.$($p).+.next)); $l.push(' '); )*
        $l.push('\n');
    }};
}
#[macro_export]
macro_rules! log_fields {
    ($u:expr, $l:expr; $($($p:ident).+),* $(,)?) => {{
        $( $l.push_str(&$crate::testing::Port::hex($u.$($p).+.val())); $l.push(' '); )*
        $l.push('\n');
    }};
}
