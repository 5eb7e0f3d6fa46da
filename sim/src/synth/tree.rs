//! Where the area of a design goes: its modules as a tree.
use super::count::{total, Area, Module};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What is smaller than this in look-up tables and in flip-flops, and has no block RAM, is not listed.
const LEAST: u64 = 20;

/// The tree below a module, in columns: all that it takes, what it takes without the modules inside, its name.
pub fn tree(modules: &BTreeMap<String, Module>, top: &str) -> String {
    let mut text = String::from("   LUT     FF RAMB36 | own LUT     FF RAMB36 | module\n");
    branch(modules, (top, 1), 0, &mut text);
    text
}

fn branch(modules: &BTreeMap<String, Module>, (name, times): (&str, u64), depth: usize, text: &mut String) {
    let Some(module) = modules.get(name) else { return };
    let mut all = Area::default();
    all.add(&total(modules, name), times);
    if all.lut < LEAST && all.ff < LEAST && all.bram36 == 0.0 {
        return;
    }
    let mut own = Area::default();
    own.add(&module.own, times);
    let indent = "  ".repeat(depth);
    let _ = write!(
        text,
        "{:6} {:6} {:6} |  {:6} {:6} {:6} | {indent}{name}",
        all.lut, all.ff, all.bram36, own.lut, own.ff, own.bram36
    );
    let _ = match times {
        1 => writeln!(text),
        _ => writeln!(text, ", {times} of them"),
    };
    let mut inside: Vec<_> =
        module.inside.iter().map(|(name, count)| (total(modules, name).lut * count, name, count)).collect();
    inside.sort_by_key(|(lut, name, _)| (std::cmp::Reverse(*lut), *name));
    for (_, name, count) in inside {
        branch(modules, (name, count * times), depth + 1, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_modules_come_first_and_small_ones_not_at_all() {
        let module = |lut, bram36, inside: &[(&str, u64)]| Module {
            own: Area { lut, bram36, ..Area::default() },
            inside: inside.iter().map(|(name, times)| (name.to_string(), *times)).collect(),
        };
        let modules = BTreeMap::from([
            ("top".to_string(), module(5, 0.0, &[("engine", 1), ("fifo", 3), ("small", 1)])),
            ("engine".to_string(), module(40, 0.0, &[("ram", 1)])),
            ("fifo".to_string(), module(30, 0.0, &[])),
            ("ram".to_string(), module(0, 1.5, &[])),
            ("small".to_string(), module(19, 0.0, &[])),
        ]);
        let expected = "   LUT     FF RAMB36 | own LUT     FF RAMB36 | module
   154      0    1.5 |       5      0      0 | top
    90      0      0 |      90      0      0 |   fifo, 3 of them
    40      0    1.5 |      40      0      0 |   engine
     0      0    1.5 |       0      0    1.5 |     ram
";
        assert_eq!(tree(&modules, "top"), expected);
    }
}
