//! `docs/resources.md`: written from figures, and read back to compare with it or to replace some of its rows.
use super::count::Area;
use super::flow::{Flow, CLOCK_MHZ};
use super::timing::Placed;
use super::tools::versions;
use std::fmt::Write as _;

/// Which figure is the better one.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Better {
    /// Area.
    Less,
    /// Speed.
    More,
    /// It is only told.
    Neither,
}

/// A column of figures.
#[derive(Copy, Clone, Debug)]
pub struct Column {
    /// Its heading.
    pub title: &'static str,
    /// Which figure is the better one.
    pub better: Better,
    /// Its figures are small numbers of large things.
    pub small: bool,
}

const fn column(title: &'static str, better: Better, small: bool) -> Column {
    Column { title, better, small }
}

const FMAX: &str = "Fmax, MHz";
const SEED: &str = "seed";

const PLACED: &[Column] = &[
    column("LUT4", Better::Less, false),
    column("FF", Better::Less, false),
    column("DP16KD", Better::Less, true),
    column("FF of harness", Better::Neither, false),
    column(SEED, Better::Neither, false),
    column(FMAX, Better::More, false),
];

const MAPPED: &[Column] = &[
    column("LUT", Better::Less, false),
    column("LUT cells", Better::Less, false),
    column("of them memory", Better::Neither, false),
    column("FF", Better::Less, false),
    column("RAMB36", Better::Less, true),
    column("DSP", Better::Less, true),
];

/// The figures of one design on one target.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The design.
    pub name: String,
    /// What was synthesised: [`Flow::text`].
    pub text: String,
    /// One per column.
    pub values: Vec<f64>,
    /// What stands behind the figures.
    pub note: String,
}

impl Row {
    /// Of a placed design with so many flip-flops in its harness.
    pub fn placed(name: &str, text: &str, placed: &Placed, harness: u64, seed: u32) -> Self {
        let fmax = (placed.fmax * 10.0).floor() / 10.0;
        let values = [placed.lut4, placed.ff, placed.dp16kd, harness, u64::from(seed)].map(|value| value as f64);
        Row { name: name.into(), text: text.into(), values: [&values[..], &[fmax]].concat(), note: placed.route() }
    }

    /// Fmax and seed of a placed design, to reach it again.
    pub fn speed(&self) -> Option<(f64, u32)> {
        let value = |title: &str| {
            let index = PLACED.iter().position(|column| column.title == title)?;
            self.values.get(index).copied()
        };
        Some((value(FMAX)?, value(SEED)? as u32))
    }

    /// Of a design on a Xilinx device.
    pub fn mapped(name: &str, text: &str, area: &Area) -> Self {
        let Area { lut, lut_memory, ff, bram36, dsp, .. } = *area;
        let values = vec![area.packed() as f64, lut as f64, lut_memory as f64, ff as f64, bram36, dsp as f64];
        Row { name: name.into(), text: text.into(), values, note: String::new() }
    }
}

/// All designs on one target.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The target.
    pub flow: Flow,
    /// One per design.
    pub rows: Vec<Row>,
}

impl Table {
    const FLOWS: [Flow; 3] = [Flow::Ecp5, Flow::SevenSeries, Flow::UltraScalePlus];

    /// What the figures of each row are.
    pub fn columns(&self) -> &'static [Column] {
        columns(self.flow)
    }
}

fn columns(flow: Flow) -> &'static [Column] {
    match flow {
        Flow::Ecp5 => PLACED,
        _ => MAPPED,
    }
}

/// Heading of the last column.
fn note(flow: Flow) -> Option<&'static str> {
    (flow == Flow::Ecp5).then_some("slowest path")
}

fn title(flow: Flow) -> &'static str {
    match flow {
        Flow::Ecp5 => "ECP5 (LFE5U-45F, speed grade 8), placed and routed",
        Flow::SevenSeries => "Xilinx 7 series",
        Flow::UltraScalePlus => "Xilinx UltraScale+",
        Flow::Modules => "Where it goes",
    }
}

/// The figures of many designs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    /// One per target; none twice.
    pub tables: Vec<Table>,
    /// Designs, and their modules as a tree.
    pub trees: Vec<(String, String)>,
}

impl Document {
    /// The row of a design.
    pub fn row(&self, flow: Flow, name: &str) -> Option<&Row> {
        let table = self.tables.iter().find(|table| table.flow == flow)?;
        table.rows.iter().find(|row| row.name == name)
    }

    /// Adds a row, or replaces that of the same design.
    pub fn put(&mut self, flow: Flow, row: Row) {
        if !self.tables.iter().any(|table| table.flow == flow) {
            self.tables.push(Table { flow, rows: vec![] });
            self.tables.sort_by_key(|table| table.flow);
        }
        let Some(table) = self.tables.iter_mut().find(|table| table.flow == flow) else { return };
        match table.rows.iter_mut().find(|old| old.name == row.name) {
            Some(old) => *old = row,
            None => table.rows.push(row),
        }
    }

    /// Adds a tree, or replaces that of the same design.
    pub fn put_tree(&mut self, name: &str, tree: String) {
        match self.trees.iter_mut().find(|(old, _)| old == name) {
            Some((_, old)) => *old = tree,
            None => self.trees.push((name.into(), tree)),
        }
    }

    /// Takes over what another document says of its designs.
    pub fn merge(&mut self, other: &Document) {
        for table in &other.tables {
            for row in &table.rows {
                self.put(table.flow, row.clone());
            }
        }
        for (name, tree) in &other.trees {
            self.put_tree(name, tree.clone());
        }
    }

    /// Brings the designs into this order, and leaves out all others.
    pub fn arrange(&mut self, names: &[&str]) {
        let place = |name: &str| names.iter().position(|known| *known == name);
        for table in &mut self.tables {
            table.rows.retain(|row| place(&row.name).is_some());
            table.rows.sort_by_key(|row| place(&row.name));
        }
        self.trees.retain(|(name, _)| place(name).is_some());
        self.trees.sort_by_key(|(name, _)| place(name));
    }

    /// The tables, as they are printed.
    pub fn table_text(&self) -> String {
        self.tables.iter().map(|table| format!("## {}\n\n{}\n", title(table.flow), rows(table))).collect()
    }

    /// The whole file.
    pub fn markdown(&self) -> String {
        let mut text = format!(
            "# Area and speed

What each example configuration takes in open tools: {}. `make synth` runs them and writes this file; nothing here is
written by hand. The same RTL gives the same figures on every machine; \"text\" names the RTL (without its comments), the script and the
tools that a row is of, and a check takes a row of the present text as measured.

- **ECP5**: synthesis, place and route of the endpoint in a harness that puts it on three pins (a shift register in front of the inputs, a
  flip-flop and a parity tree behind the outputs), with one seed, and two more if that comes near {CLOCK_MHZ} MHz but not there:
  the user clock of a gen2 x4 block at 128 bits. Carry chains and memories count as LUT4; megahertz are rounded down. ECP5 has no PCIe block: it is the open stand-in that shows how fast
  the logic is.
- **Xilinx**: synthesis by yosys, flattened. \"LUT\" is what a device needs: yosys' estimate with two small look-up tables in one LUT6, as
  Vivado packs them, and those of memories and shift registers. \"LUT cells\" counts every LUT1 to LUT6 for itself. Half a RAMB36 is a
  RAMB18. The goal for a gen2 x4 endpoint behind a 128-bit 7-series block: 6,800 LUT, 6,300 FF, 4 RAMB36.

",
            versions().join(", ")
        );
        text += &self.table_text();
        if !self.trees.is_empty() {
            let _ = write!(
                text,
                "## {}\n\n7 series, LUT cells, modules kept apart, so that more is counted than above: nothing is optimised across their borders.\n\n",
                title(Flow::Modules)
            );
        }
        for (name, tree) in &self.trees {
            let _ = write!(text, "### {name}\n\n```text\n{tree}```\n\n");
        }
        text.truncate(text.trim_end().len());
        text + "\n"
    }

    /// Reads what [`Document::markdown`] wrote; what it does not know is passed over.
    pub fn parse(text: &str) -> Self {
        let mut document = Document::default();
        let mut flow = None;
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some(heading) = line.strip_prefix("## ") {
                flow = Table::FLOWS.into_iter().find(|flow| title(*flow) == heading);
            } else if let Some(name) = line.strip_prefix("### ") {
                let tree = lines.by_ref().skip_while(|line| *line != "```text").skip(1);
                let tree = tree.take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
                document.put_tree(name, tree);
            } else if let (Some(flow), Some(row)) = (flow, flow.and_then(|flow| row(flow, line))) {
                document.put(flow, row);
            }
        }
        document
    }
}

fn rows(table: &Table) -> String {
    let columns = table.columns();
    let mut text = String::from("| configuration | text |");
    columns.iter().for_each(|column| text += &format!(" {} |", column.title));
    text += &note(table.flow).map(|note| format!(" {note} |")).unwrap_or_default();
    text += "\n|---|---|";
    text += &"---:|".repeat(columns.len());
    text += if note(table.flow).is_some() { "---|\n" } else { "\n" };
    for row in &table.rows {
        let _ = write!(text, "| {} | `{}` |", row.name, row.text);
        for value in &row.values {
            let _ = write!(text, " {value} |");
        }
        if note(table.flow).is_some() {
            let _ = write!(text, " {} |", row.note);
        }
        text.push('\n');
    }
    text
}

/// Reads a line of a table.
fn row(flow: Flow, line: &str) -> Option<Row> {
    let mut cells = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim);
    let name = cells.next()?.to_string();
    let text = cells.next()?.trim_matches('`').to_string();
    let values: Vec<f64> = cells.by_ref().map_while(|cell| cell.parse().ok()).collect();
    let note = line.trim_end_matches('|').rsplit('|').next().filter(|_| note(flow).is_some());
    let row = Row { name, text, values, note: note.unwrap_or_default().trim().into() };
    (row.values.len() == columns(flow).len()).then_some(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Document {
        let mut document = Document::default();
        let area = Area { lut: 9428, lut_memory: 1300, ff: 8999, bram36: 14.5, dsp: 0, estimated_lc: 7757 };
        document.put(Flow::SevenSeries, Row::mapped("blk", "1234abcd", &area));
        let placed = Placed { lut4: 20342, ff: 9787, dp16kd: 30, fmax: 125.04, path: vec![] };
        document.put(Flow::Ecp5, Row::placed("blk", "0a", &placed, 700, 1));
        let mut row = Row::placed("net", "0b", &Placed { fmax: 131.26, ..placed }, 800, 3);
        row.note = "config_space > tags.stamp".into();
        document.put(Flow::Ecp5, row);
        document.put_tree("blk", "   LUT | module\n     9 | top\n".into());
        document
    }

    #[test]
    fn what_is_written_is_read_back() {
        let document = example();
        let text = document.markdown();
        assert!(
            text.contains("| net | `0b` | 20342 | 9787 | 30 | 800 | 3 | 131.2 | config_space > tags.stamp |\n"),
            "{text}"
        );
        assert!(text.contains("| blk | `1234abcd` | 9057 | 9428 | 1300 | 8999 | 14.5 | 0 |\n"), "{text}");
        assert_eq!(Document::parse(&text), document);
        assert_eq!(Document::parse(&text).markdown(), text);
    }

    #[test]
    fn rows_are_replaced_and_arranged() {
        let mut document = example();
        let mut other = Document::default();
        let placed = Placed { lut4: 1, ff: 2, dp16kd: 3, fmax: 4.0, path: vec![] };
        other.put(Flow::Ecp5, Row::placed("blk", "0c", &placed, 5, 2));
        other.put(Flow::Ecp5, Row::placed("gone", "0d", &placed, 5, 2));
        document.merge(&other);
        document.arrange(&["net", "blk"]);
        let names: Vec<&str> = document.tables[0].rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["net", "blk"]);
        assert_eq!(document.row(Flow::Ecp5, "blk").unwrap().values, [1.0, 2.0, 3.0, 5.0, 2.0, 4.0]);
        assert_eq!(document.row(Flow::Ecp5, "blk").unwrap().speed(), Some((4.0, 2)));
        assert_eq!(document.row(Flow::SevenSeries, "blk").unwrap().values[0], 9057.0);
    }
}
