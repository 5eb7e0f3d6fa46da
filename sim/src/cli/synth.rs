//! `virtio-hdl synth`
use super::output::outln;
use super::settings::Settings;
use crate::synth::{self, compare, tree, Design, Document, Done, Effort, Flow, Job, Outcome, Row, Tools};
use anyhow::{bail, Context};
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use virtio_hdl_rtl::config::LinkInterface;
use virtio_hdl_rtl::device;

/// Beside the examples: the same endpoints behind hard blocks.
const BEHIND_HARD_BLOCKS: [&str; 4] =
    ["blk@7-series-128", "net@7-series-128", "blk@ultrascale+-128", "net@ultrascale+-128"];
/// The designs whose modules are listed.
const TREES: [&str; 2] = ["blk@7-series-128", "net@7-series-128"];
/// What is kept of a run, for the user.
const FILES: [&str; 4] = ["harness.bit", "critical-path.txt", "nextpnr.txt", "stat.json"];

#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
enum Target {
    /// Lattice ECP5: synthesis, place and route, bitstream
    Ecp5,
    /// Xilinx 7 series: synthesis
    #[value(name = "7-series")]
    SevenSeries,
    /// Xilinx UltraScale+: synthesis
    #[value(name = "ultrascale+")]
    UltraScalePlus,
}

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    virtio-hdl synth\n  \
    virtio-hdl synth blk net --only ecp5 --check\n  \
    virtio-hdl synth blk@7-series-128 --only 7-series\n  \
    virtio-hdl synth blk --set queue_size=64 --only ecp5 --table build/short.md\n  \
    virtio-hdl synth my-card.toml --table build/my-card.md\n\n\
    CONFIG@INTERFACE-BITS stands for the configuration with that interface and data_bits in [link].\n\
    What was synthesised before is taken from the cache. The tools come with scripts/setup.sh synth.")]
pub(super) struct Arguments {
    /// TOML files, or names of examples; all examples if none is given
    #[arg(value_name = "CONFIG")]
    configs: Vec<String>,
    #[command(flatten)]
    settings: Settings,
    /// Folder for bitstreams, slowest paths and the tools' reports
    #[arg(long, default_value = "build/synth", value_name = "DIR")]
    out: PathBuf,
    /// The table with which the figures are compared, and into which they are written
    #[arg(long, default_value = "docs/resources.md", value_name = "FILE")]
    table: PathBuf,
    /// Only this target
    #[arg(long, value_enum)]
    only: Vec<Target>,
    /// Runs at once; as many as there are processors if not given
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Leave the table as it is, and fail if a figure is more than 5 % worse than in it; a row of the present text is not measured again
    #[arg(long)]
    check: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    fn wants(&self, flow: Flow) -> bool {
        self.only.is_empty()
            || self.only.iter().any(|target| match target {
                Target::Ecp5 => flow == Flow::Ecp5,
                Target::SevenSeries => flow == Flow::SevenSeries || flow == Flow::Modules && !self.check,
                Target::UltraScalePlus => flow == Flow::UltraScalePlus,
            })
    }
}

#[derive(Serialize)]
struct Figure {
    configuration: String,
    top: String,
    target: Flow,
    figures: serde_json::Map<String, serde_json::Value>,
    folder: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let examples: Vec<&str> = device::examples().map(|(name, _)| name).chain(BEHIND_HARD_BLOCKS).collect();
    let names = match arguments.configs.is_empty() {
        true => examples.iter().map(|name| name.to_string()).collect(),
        false => arguments.configs.clone(),
    };
    let designs = names.iter().map(|name| design(name, &arguments.settings)).collect::<anyhow::Result<Vec<_>>>()?;
    let committed = match fs::read_to_string(&arguments.table) {
        Ok(text) => Document::parse(&text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !arguments.check => Document::default(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", arguments.table.display())),
    };
    let mut jobs = vec![];
    for (design, interface) in &designs {
        let flows = targets(*interface).iter().copied().filter(|flow| arguments.wants(*flow));
        let flows = flows.filter(|flow| *flow != Flow::Modules || TREES.contains(&design.name.as_str()));
        let effort = effort(arguments.check, &committed, &design.name);
        jobs.extend(flows.map(|flow| Job { design, flow, effort }));
    }
    if arguments.check {
        jobs.retain(|job| {
            let known =
                committed.row(job.flow, &job.design.name).is_some_and(|row| row.text == job.flow.text(job.design));
            if known && !arguments.json {
                let (design, flow, table) = (&job.design.name, job.flow.name(), arguments.table.display());
                outln!("{design}, {flow}: the text whose figures are in {table}");
            }
            !known
        });
    }
    let done = measure(arguments, &jobs)?;
    let mut measured = Document::default();
    for (job, done) in jobs.iter().zip(&done) {
        enter(&mut measured, job, done);
        let folder = folder(&job.design.name, &arguments.settings);
        keep(&arguments.out.join(folder).join(job.flow.name().replace(' ', "-").to_lowercase()), &done.folder)?;
    }
    if arguments.json {
        outln!("{}", serde_json::to_string_pretty(&figures(&jobs, &done, &measured))?);
    } else if !jobs.is_empty() {
        outln!("\n{}", measured.table_text().trim_end());
    }
    let worse = compare(&committed, &measured);
    let worse: Vec<_> = worse.iter().filter(|worse| arguments.check || worse.before.is_some()).collect();
    for worse in &worse {
        note!("worse: {worse}");
    }
    let mut document = committed;
    if !arguments.check {
        document.merge(&measured);
        let mut order = examples.clone();
        order.extend(designs.iter().map(|(design, _)| design.name.as_str()));
        document.arrange(&order);
        fs::write(&arguments.table, document.markdown())
            .with_context(|| format!("cannot write {}; give another file with --table", arguments.table.display()))?;
    } else if !worse.is_empty() {
        bail!(
            "{} figures are more than {:.0} % worse than in {}; if that is meant, run make synth and commit the file",
            worse.len(),
            100.0 * synth::TOLERANCE,
            arguments.table.display()
        );
    }
    let outdated = outdated(&document, &examples)?;
    if !outdated.is_empty() {
        let table = arguments.table.display();
        note!(
            "{table}: {} rows are of an earlier text, make synth measures them: {}",
            outdated.len(),
            outdated.join(", ")
        );
    }
    Ok(())
}

/// What is made of an endpoint with this interface: a hard block is there on its own devices only.
fn targets(interface: LinkInterface) -> &'static [Flow] {
    match interface {
        LinkInterface::Tlp => &[Flow::Ecp5, Flow::SevenSeries, Flow::UltraScalePlus, Flow::Modules],
        LinkInterface::SevenSeries => &[Flow::Ecp5, Flow::SevenSeries, Flow::Modules],
        LinkInterface::UltraScalePlus => &[Flow::UltraScalePlus],
    }
}

/// The rows of these designs that are of another text than the present one.
fn outdated(document: &Document, names: &[&str]) -> anyhow::Result<Vec<String>> {
    let mut outdated = vec![];
    let known = |name: &str| document.tables.iter().flat_map(|table| &table.rows).any(|row| row.name == name);
    for name in names.iter().filter(|name| known(name)) {
        let (design, interface) = design(name, &Settings { set: vec![] })?;
        let rows = targets(interface).iter().filter_map(|flow| Some((*flow, document.row(*flow, name)?)));
        let rows = rows.filter(|(flow, row)| row.text != flow.text(&design));
        outdated.extend(rows.map(|(flow, _)| format!("{name} ({})", flow.name())));
    }
    Ok(outdated)
}

/// Runs the jobs, with a line for each.
fn measure(arguments: &Arguments, jobs: &[Job]) -> anyhow::Result<Vec<Done>> {
    if jobs.is_empty() {
        return Ok(vec![]);
    }
    let processors = || std::thread::available_parallelism().map_or(1, usize::from);
    let finished = |job: &Job, done: &Done, time: Duration| {
        if !arguments.json {
            outln!("{}", line(job, done, time));
        }
    };
    Ok(synth::run(jobs, &Tools::find()?, arguments.jobs.unwrap_or_else(processors), &finished)?)
}

/// The design of this configuration; its row names what is set beside it.
fn design(name: &str, settings: &Settings) -> anyhow::Result<(Design, LinkInterface)> {
    let config = settings.load(name)?;
    Ok((Design::of(&settings.name(name), &config)?, config.link.interface))
}

/// A check is content with what is as fast as it was, with the tolerance that it has; its seed comes first.
fn effort(check: bool, committed: &Document, name: &str) -> Effort {
    let speed = committed.row(Flow::Ecp5, name).and_then(Row::speed);
    match speed {
        Some((fmax, seed)) if check => Effort { seed, goal: fmax * (1.0 - synth::TOLERANCE) },
        _ => Effort::default(),
    }
}

/// What came of a job.
fn line(job: &Job, done: &Done, time: Duration) -> String {
    let figures = match &done.outcome {
        Outcome::Placed { placed, .. } => {
            format!("{} LUT4, {} FF, {} DP16KD, {:.1} MHz", placed.lut4, placed.ff, placed.dp16kd, placed.fmax)
        }
        Outcome::Mapped(area) => {
            format!("{} LUT, {} FF, {} RAMB36", area.packed(), area.ff, area.bram36)
        }
        Outcome::Modules(modules) => format!("{} modules", modules.len()),
    };
    let time = if done.cached { "known".into() } else { format!("{:.0} s", time.as_secs_f64()) };
    format!("{}, {}: {figures} ({time})", job.design.name, job.flow.name())
}

fn enter(document: &mut Document, job: &Job, done: &Done) {
    let (name, text) = (&job.design.name, job.flow.text(job.design));
    match &done.outcome {
        Outcome::Placed { placed, harness, seed } => {
            document.put(job.flow, Row::placed(name, &text, placed, *harness, *seed));
        }
        Outcome::Mapped(area) => document.put(job.flow, Row::mapped(name, &text, area)),
        Outcome::Modules(modules) => document.put_tree(name, tree(modules, &job.design.top)),
    }
}

/// The folder for this design's files.
fn folder(design: &str, settings: &Settings) -> String {
    let set = settings.name("");
    let config = Path::new(design.strip_suffix(&set).unwrap_or(design));
    format!("{}{}", config.file_stem().unwrap_or_default().to_string_lossy(), set.replace('/', "-"))
}

/// Copies what is of use from the cache.
fn keep(out: &Path, from: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(out)
        .with_context(|| format!("cannot make the folder {}; give another with --out", out.display()))?;
    for name in FILES {
        if from.join(name).exists() {
            let to = out.join(name);
            fs::copy(from.join(name), &to).with_context(|| format!("cannot write {}", to.display()))?;
        }
    }
    Ok(())
}

fn figures(jobs: &[Job], done: &[Done], document: &Document) -> Vec<Figure> {
    let rows = jobs.iter().zip(done).filter_map(|(job, done)| {
        let table = document.tables.iter().find(|table| table.flow == job.flow)?;
        let row = table.rows.iter().find(|row| row.name == job.design.name)?;
        let figures = table.columns().iter().zip(&row.values);
        Some(Figure {
            configuration: job.design.name.clone(),
            top: job.design.top.clone(),
            target: job.flow,
            figures: figures.map(|(column, value)| (column.title.to_string(), (*value).into())).collect(),
            folder: done.folder.clone(),
        })
    });
    rows.collect()
}
