//! The table of figures in the README.
use super::alone::Alone;
use super::measure::{Bench, Row};
use super::LINKS;
use crate::scenario::latency::Spread;
use crate::scenario::limit::Heads;
use anyhow::{bail, Context};
use std::fs;
use std::path::Path;

/// The lines between which the table stands.
const BEGIN: &str = "<!-- bench -->\n";
const END: &str = "<!-- end of bench -->";

/// A text with a table, or a place for one.
pub(super) struct Document<'p> {
    path: &'p Path,
    before: String,
    table: String,
    after: String,
}

impl<'p> Document<'p> {
    pub fn read(path: &'p Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let parts = text.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?)));
        let Some((before, (table, after))) = parts else {
            bail!("{} has no lines `{}` and `{END}` for the table to stand between", path.display(), BEGIN.trim());
        };
        Ok(Document { path, before: before.into(), table: table.into(), after: after.into() })
    }

    /// Writes the table in place of the one that is there, whose columns of other links stay.
    pub fn update(&self, bench: &Bench) -> anyhow::Result<()> {
        let Document { path, before, table, after } = self;
        let text = format!("{before}{BEGIN}{}{END}{after}", markdown(bench, table));
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// One column of figures.
struct Column<'b> {
    rows: Vec<&'b Row>,
    alone: Vec<&'b Alone>,
}

/// A line of the table: what it is, and its figure.
type Line = (&'static str, fn(&Column) -> String);

/// The lines of the table, and what stands in them.
const LINES: &[Line] = &[
    ("net transmit, 64 / 512 / 1514 bytes", |c| c.shares("net transmit", &[64, 512, 1514])),
    ("net receive, 64 / 512 / 1514 bytes", |c| c.shares("net receive", &[64, 512, 1514])),
    ("net both ways, 64 / 1514 bytes", |c| c.shares("net both ways", &[64, 1514])),
    ("64 bytes, descriptors scattered: transmit / receive / both ways", |c| {
        let share = |what| percent(c.row(what, 64, Heads::Scattered).share);
        format!("{} / {} / {} %", share("net transmit"), share("net receive"), share("net both ways"))
    }),
    ("64 bytes, memory below 4 GiB: transmit / receive / both ways", |c| {
        let share = |what| percent(c.row(what, 64, Heads::Runs).share_below);
        format!("{} / {} / {} %", share("net transmit"), share("net receive"), share("net both ways"))
    }),
    ("millions of 64-byte frames per second: transmit / receive / both ways together", |c| {
        let rate = |what| c.row(what, 64, Heads::Runs).per_second / 1e6;
        format!("{:.1} / {:.1} / {:.1}", rate("net transmit"), rate("net receive"), rate("net both ways"))
    }),
    ("blk read, 512 bytes, 1 / 8 / 32 outstanding", |c| c.depths("read", 512)),
    ("blk write, 512 bytes, 1 / 8 / 32 outstanding", |c| c.depths("write", 512)),
    ("blk read, 4 KiB, 1 / 8 / 32 outstanding", |c| c.depths("read", 4096)),
    ("blk write, 4 KiB, 1 / 8 / 32 outstanding", |c| c.depths("write", 4096)),
    ("cycles from the notify to the first read (least possible: 1)", |c| {
        c.cycles("net transmit 64 B", |alone| alone.latency.first_read, |_| None)
    }),
    ("cycles from the used index to MSI-X (least possible)", |c| {
        c.cycles(
            "net transmit 64 B",
            |alone| alone.latency.used_to_interrupt,
            |alone| Some(alone.floor.used_to_interrupt),
        )
    }),
    ("cycles from a 64-byte frame on the wire to its write (least possible)", |c| {
        c.cycles("net receive 64 B, by wire", |alone| alone.latency.first_write, |alone| Some(alone.floor.first_write))
    }),
    ("cycles from a 64-byte frame on the wire to MSI-X (least possible)", |c| {
        c.cycles("net receive 64 B, by wire", |alone| alone.latency.interrupt, |alone| Some(alone.floor.interrupt))
    }),
    ("cycles from the notify to MSI-X, one 64-byte frame out", |c| {
        c.cycles("net transmit 64 B", |alone| alone.latency.interrupt, |_| None)
    }),
];

/// The cells of a line without the first, which says what it is.
fn cells(line: &str) -> (&str, Vec<&str>) {
    let mut cells = line.trim().trim_matches('|').split('|').map(str::trim);
    (cells.next().unwrap_or_default(), cells.collect())
}

fn markdown(bench: &Bench, old: &str) -> String {
    let old: Vec<_> = old.lines().map(cells).collect();
    let mut columns = vec![];
    for (link, speed) in LINKS {
        let rows: Vec<_> = bench.rows.iter().filter(|row| row.link == speed.name()).collect();
        let alone: Vec<_> = bench.alone.iter().filter(|alone| alone.link == speed.name()).collect();
        let head = format!("{}, {} MHz", speed.name(), link.clock_hz() / 1_000_000);
        if !rows.is_empty() {
            let column = Column { rows, alone };
            columns.push((head, LINES.iter().map(|(_, figure)| figure(&column)).collect::<Vec<_>>()));
        } else if let Some(place) = old.first().and_then(|(_, heads)| heads.iter().position(|old| *old == head)) {
            let kept = |what: &str| old.iter().find(|(old, _)| *old == what).and_then(|(_, cells)| cells.get(place));
            let figure = |(what, _): &Line| kept(what).map_or("-".to_string(), |cell| cell.to_string());
            columns.push((head, LINES.iter().map(figure).collect()));
        }
    }
    let heads: Vec<&str> = columns.iter().map(|(head, _)| head.as_str()).collect();
    let mut text = format!(
        "| share of the link's limit, and cycles | {} |\n|---|{}\n",
        heads.join(" | "),
        "---:|".repeat(heads.len())
    );
    for (place, (what, _)) in LINES.iter().enumerate() {
        let figures: Vec<&str> = columns.iter().map(|(_, figures)| figures[place].as_str()).collect();
        text += &format!("| {what} | {} |\n", figures.join(" | "));
    }
    text
}

fn percent(share: f64) -> String {
    format!("{:.0}", 100.0 * share)
}

impl Column<'_> {
    fn row(&self, what: &str, bytes: u32, heads: Heads) -> &Row {
        let case = |row: &&&Row| row.case.what == what && row.case.bytes == bytes && row.case.heads == heads;
        self.rows.iter().find(case).unwrap_or_else(|| panic!("the table has {what}, {bytes} bytes; it is not measured"))
    }

    fn shares(&self, what: &str, bytes: &[u32]) -> String {
        let shares: Vec<_> = bytes.iter().map(|bytes| percent(self.row(what, *bytes, Heads::Runs).share)).collect();
        shares.join(" / ") + " %"
    }

    fn depths(&self, name: &str, bytes: u32) -> String {
        let share = |depth| percent(self.row(&format!("blk {name}, depth {depth}"), bytes, Heads::Runs).share);
        format!("{} / {} / {} %", share(1), share(8), share(32))
    }

    fn cycles(&self, what: &str, spread: fn(&Alone) -> Spread, floor: fn(&Alone) -> Option<u64>) -> String {
        let alone = self.alone.iter().find(|alone| alone.what == what);
        let alone = alone.unwrap_or_else(|| panic!("the table has {what}; it is not measured"));
        let floor = floor(alone).map_or(String::new(), |floor| format!(" ({floor})"));
        format!("{}{floor}", spread(alone).median)
    }
}
