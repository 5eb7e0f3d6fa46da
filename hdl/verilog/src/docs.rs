//! Doc comments of the Rust source, for the reader of the Verilog.
use super::text::comment;
use rust_hdl::prelude::{Block, Probe};
use std::collections::HashMap;

/// Stands in front of and behind a field's name in what [`describe`] tells (see [`doc_name`](crate::doc_name)); no identifier has it.
const DOC: char = '\u{1}';

/// Tells a probe the doc comments of a block or a bundle: those of its fields by name, its own without one. rust-hdl has no place
/// for them, so they go as names of empty namespaces, which its own probes pass over; the printer takes them.
pub fn describe<B: Block>(block: &B, docs: &[&str], probe: &mut dyn Probe) {
    for name in docs {
        probe.visit_start_namespace(name, block);
        probe.visit_end_namespace(name, block);
    }
}

/// One of the names that [`describe`] takes. A literal, since probes visit every block in every cycle of a test.
#[macro_export]
macro_rules! doc_name {
    ($field:literal, $text:literal) => {
        concat!("\u{1}", $field, "\u{1}", $text)
    };
}

/// The docs of a block and of its fields, by the field's name; the block's own are those of no name.
#[derive(Debug, Default)]
pub(super) struct Docs(HashMap<String, String>);

impl Docs {
    /// Takes what `derive(Block)` and `derive(Bundle)` have put in the name of a namespace, as [`describe`] does. Outside of it are those
    /// of the bundle.
    pub fn take(&mut self, outside: &[String], name: &str) {
        if let Some((field, text)) = name.strip_prefix(DOC).and_then(|rest| rest.split_once(DOC)) {
            let path: Vec<&str> = outside.iter().map(String::as_str).chain([field]).collect();
            self.0.insert(path.join(".").replace('$', "."), plain(text));
        }
    }

    /// What is said of the block.
    pub fn of_block(&self) -> Option<&str> {
        self.0.get("").map(String::as_str)
    }

    /// Writes what is said of a net's field, and of its port of a bundle, where the net before it, by its name in Rust, is not of the same.
    pub fn write_new(&self, net: &str, before: &str, pad: &str, out: &mut String) {
        let of = |name: &str, part: &str| {
            name.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let ends = net.match_indices('.').map(|(end, _)| end).chain([net.len()]);
        for part in ends.map(|end| &net[..end]).filter(|part| !of(before, part)) {
            self.write(part, pad, out);
        }
    }

    /// Writes what is said of a field.
    pub fn write(&self, field: &str, pad: &str, out: &mut String) {
        if let (Some(text), false) = (self.0.get(field), field.is_empty()) {
            comment(text, pad, out);
        }
    }
}

/// Markdown as plain text, a paragraph or an item of a list per line: links are what they name, fences are left out.
fn plain(markdown: &str) -> String {
    let mut lines: Vec<String> = vec![];
    let (mut fenced, mut open) = (false, false);
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            (fenced, open) = (!fenced, false);
            continue;
        }
        let line = if fenced { line.trim_end().to_string() } else { without_links(line.trim()) };
        let begins = ["- ", "* ", "| ", "# "].iter().any(|mark| line.starts_with(mark));
        match lines.last_mut().filter(|_| open && !begins && !line.is_empty()) {
            Some(last) => *last = format!("{last} {line}"),
            None => lines.push(line.clone()),
        }
        open = !fenced && !line.is_empty() && !line.starts_with("| ");
    }
    let end = lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
    lines[..end].join("\n")
}

/// `` [`a::B`] `` as `` `B` ``, `[text](target)` as `text`.
fn without_links(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(open) = rest.find('[') {
        out.push_str(&rest[..open]);
        rest = &rest[open + 1..];
        let (named, after) = match rest.split_once(']') {
            Some((named, after)) if named.starts_with('`') || after.starts_with('(') => (named, after),
            _ => {
                out.push('[');
                continue;
            }
        };
        match named.strip_prefix('`').and_then(|code| code.rsplit_once("::")) {
            Some((_, last)) => out += &format!("`{last}"),
            None => out.push_str(named),
        }
        rest = match after.strip_prefix('(').and_then(|target| target.split_once(')')) {
            Some((_, behind)) => behind,
            None => after,
        };
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_and_lists_are_lines_and_pictures_stay() {
        let text = "One\ntwo.\n\n- a\n  b\n- c\n\n```text\n a  -> b\n      -> c\n```\nEnd.\n\n";
        assert_eq!(plain(text), "One two.\n\n- a b\n- c\n\n a  -> b\n      -> c\nEnd.");
    }

    #[test]
    fn a_bundle_and_each_of_its_ports_are_described_once() {
        let mut docs = Docs::default();
        docs.take(&[], crate::doc_name!("bus", "A bus."));
        docs.take(&["bus".into()], crate::doc_name!("data", "What it carries."));
        let (mut out, mut before) = (String::new(), "");
        for net in ["clock", "bus.valid", "bus.data.low", "bus.data.high", "bus_2.data"] {
            docs.write_new(net, before, "", &mut out);
            out += &format!("{net}\n");
            before = net;
        }
        let told = "clock\n// A bus.\nbus.valid\n// What it carries.\nbus.data.low\nbus.data.high\nbus_2.data\n";
        assert_eq!(out, told);
    }

    #[test]
    fn links_are_what_they_name() {
        assert_eq!(without_links("see [`super::a::Block`], [b](c.md), [`d`](e.md)."), "see `Block`, b, `d`.");
        assert_eq!(without_links("bits [7:0] of `[blk] x` [and"), "bits [7:0] of `[blk] x` [and");
    }
}
