//! Figures for the terminal.
use super::alone::Alone;
use super::measure::{Bench, Row, Stalls};
use crate::cli::output::outln;
use crate::scenario::latency::Spread;
use crate::scenario::limit::Heads;

/// Prints all of it.
pub(super) fn table(bench: &Bench) {
    outln!(
        "{:8} {:20} {:9} {:>5} {:>8} {:>7} {:>6} {:>6} {:>9} {:>7} {:>11} {:>12} {:>9} {:>9} {:>9}",
        "link",
        "",
        "heads",
        "bytes",
        "cycles",
        "limit",
        "share",
        "below",
        "kHz",
        "Gb/s",
        "link in/out",
        "reads, most",
        "no tag",
        "no credit",
        "link busy"
    );
    bench.rows.iter().for_each(row);
    outln!("\none alone, from the notify's arrival, or the frame's, until a packet leaves: cycles, least / median / 99 %, (floor)");
    bench.alone.iter().for_each(alone);
}

fn row(row: &Row) {
    let count = |of: fn(&Stalls) -> u64| row.stalls.as_ref().map_or("-".into(), |stalls| of(stalls).to_string());
    let heads = match row.case.heads {
        Heads::Runs => "runs",
        Heads::Scattered => "scattered",
    };
    outln!(
        "{:8} {:20} {heads:9} {:>5} {:>8.1} {:>7.1} {:>5.1}% {:>5.1}% {:>9.1} {:>7.2} {:>4.0}%/{:>4.0}% {:>7.1}/{:>4} {:>9} {:>9} {:>9}",
        row.link,
        row.case.what,
        row.case.bytes,
        row.cycles,
        row.limit,
        100.0 * row.share,
        100.0 * row.share_below,
        row.per_second / 1e3,
        row.gigabits,
        100.0 * row.to_device,
        100.0 * row.to_host,
        row.reads,
        row.most_reads,
        count(|stalls| stalls.no_tag),
        count(|stalls| stalls.no_credit),
        count(|stalls| stalls.link_busy)
    );
}

fn alone(alone: &Alone) {
    let Alone { latency, floor, .. } = alone;
    let spread = |s: Spread| format!("{:>4}/{:>4}/{:>4}", s.least, s.median, s.p99);
    let first = match alone.by_wire {
        true => format!("first write {} ({:>2})", spread(latency.first_write), floor.first_write),
        false => format!("first read  {} ({:>2})", spread(latency.first_read), floor.first_read),
    };
    let whole = if alone.by_wire { format!(" ({})", floor.interrupt) } else { String::new() };
    outln!(
        "{:8} {:28} {first}   used index {}   from it to the interrupt {} ({})   interrupt {}{whole}",
        alone.link,
        alone.what,
        spread(latency.used),
        spread(latency.used_to_interrupt),
        floor.used_to_interrupt,
        spread(latency.interrupt)
    );
}
