//! `virtio-hdl boards`
use super::output::outln;
use clap::Args;
use serde::Serialize;
use virtio_hdl_rtl::board::{Board, BOARDS};

#[derive(Args)]
#[command(
    after_help = "Example:\n  virtio-hdl boards\n  virtio-hdl generate blk --board vcu118\nPins and how to build: docs/boards.md"
)]
pub(super) struct Arguments {
    /// Print them as JSON
    #[arg(long)]
    json: bool,
}

/// A board, as it is shown.
#[derive(Serialize)]
struct Row {
    name: &'static str,
    title: &'static str,
    part: &'static str,
    hard_ip: &'static str,
    links: Vec<&'static str>,
}

impl From<&Board> for Row {
    fn from(board: &Board) -> Self {
        Row {
            name: board.name,
            title: board.title,
            part: board.part,
            hard_ip: board.hard_ip.catalogue_name(),
            links: board.links.iter().map(|link| link.name()).collect(),
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let rows: Vec<Row> = BOARDS.iter().map(Row::from).collect();
    if arguments.json {
        outln!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(());
    }
    for row in rows {
        outln!("{:<17} {}", row.name, row.title);
        outln!("{:<17} {}, {}; {}", "", row.part, row.hard_ip, row.links.join(", "));
    }
    Ok(())
}
