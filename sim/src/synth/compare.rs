//! Whether figures became worse than those that are committed.
use super::document::{Better, Document};
use std::fmt;

/// How much worse a figure may become, as a share.
pub const TOLERANCE: f64 = 0.05;
/// What is always allowed to be added: a share of a small number says nothing.
const SLACK: f64 = 20.0;

/// A figure that became worse.
#[derive(Clone, Debug, PartialEq)]
pub struct Regression {
    /// Target, design, figure: `ECP5: blk: LUT4`.
    pub what: String,
    /// As committed; none if there is no such row.
    pub before: Option<f64>,
    /// As measured.
    pub now: f64,
}

impl fmt::Display for Regression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.before {
            None => write!(f, "{}: {}, but the committed table has no such row", self.what, self.now),
            Some(before) => {
                let percent = 100.0 * (self.now - before) / before;
                write!(f, "{}: {before} before, {} now ({percent:+.1} %)", self.what, self.now)
            }
        }
    }
}

/// Every figure of `now` that is worse than in `before` by more than [`TOLERANCE`], and every row that is missing there.
pub fn compare(before: &Document, now: &Document) -> Vec<Regression> {
    let mut found = vec![];
    for table in &now.tables {
        for row in &table.rows {
            let committed = before.row(table.flow, &row.name);
            for (index, (column, now)) in table.columns().iter().zip(&row.values).enumerate() {
                let before = committed.map(|row| row.values[index]);
                let worse = match (before, column.better) {
                    (_, Better::Neither) => false,
                    (None, _) => index == 0,
                    (Some(before), Better::Less) => {
                        *now > before * (1.0 + TOLERANCE) && (column.small || *now > before + SLACK)
                    }
                    (Some(before), Better::More) => *now < before * (1.0 - TOLERANCE),
                };
                if worse {
                    let what = format!("{}: {}: {}", table.flow.name(), row.name, column.title);
                    found.push(Regression { what, before, now: *now });
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::document::{Document, Row, Table};
    use super::super::flow::Flow;
    use super::*;

    fn document(values: [f64; 6]) -> Document {
        let row = Row { name: "blk".into(), text: String::new(), values: values.to_vec(), note: String::new() };
        Document { tables: vec![Table { flow: Flow::Ecp5, rows: vec![row] }], trees: vec![] }
    }

    #[test]
    fn five_percent_are_allowed_both_ways() {
        let before = document([10_000.0, 5000.0, 30.0, 700.0, 1.0, 130.0]);
        assert_eq!(compare(&before, &document([10_500.0, 5250.0, 31.0, 900.0, 2.0, 123.5])), []);
        assert_eq!(compare(&before, &document([1.0, 1.0, 1.0, 1.0, 1.0, 200.0])), []);
        let found = compare(&before, &document([10_501.0, 5251.0, 32.0, 700.0, 1.0, 123.4]));
        let found: Vec<String> = found.iter().map(|regression| regression.to_string()).collect();
        assert_eq!(
            found,
            [
                "ECP5: blk: LUT4: 10000 before, 10501 now (+5.0 %)",
                "ECP5: blk: FF: 5000 before, 5251 now (+5.0 %)",
                "ECP5: blk: DP16KD: 30 before, 32 now (+6.7 %)",
                "ECP5: blk: Fmax, MHz: 130 before, 123.4 now (-5.1 %)",
            ]
        );
    }

    #[test]
    fn a_row_that_is_not_committed_is_reported_once() {
        let found = compare(&Document::default(), &document([10.0, 10.0, 1.0, 0.0, 1.0, 130.0]));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].to_string(), "ECP5: blk: LUT4: 10, but the committed table has no such row");
    }
}
