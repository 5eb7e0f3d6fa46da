//! What the tools do with a design, for each target; and a cache of what they made.
//!
//! The cache's key is a hash of all that goes in: the RTL, the scripts, the options, the versions of the tools. Reports are kept
//! as the tools wrote them and read again each time.
use super::error::SynthError;
use super::harness::{self, harness};
use super::tools::{self, Tools};
use super::{count, timing, Area, Module, Placed};
use crate::cache;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use virtio_hdl_rtl::config::EndpointConfig;
use virtio_hdl_rtl::endpoint;
use virtio_hdl_rtl::verilog::{Port, PrintError};

/// Megahertz that every endpoint must reach: the user clock of a gen2 x4 block at 128 bits.
pub const CLOCK_MHZ: f64 = 125.0;
/// Seeds for placing.
const SEEDS: [u32; 3] = [1, 2, 3];
/// Share of the goal below which no other seed is tried: the same netlist comes out up to a fifth apart with another one.
const HOPELESS: f64 = 0.8;
/// The placer weighs timing more than by default (10): four fifths of a slow path are wires, and this shortens them by a tenth.
const NEXTPNR: &[&str] = &[
    "--45k",
    "--package",
    "CABGA554",
    "--speed",
    "8",
    "--freq",
    "125",
    "--placer-heap-timingweight",
    "40",
    "--timing-allow-fail",
    "--quiet",
];

/// What is made of a design.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flow {
    /// Synthesised, placed, routed, and a bitstream, on a Lattice ECP5.
    Ecp5,
    /// Synthesised for Xilinx 7 series.
    SevenSeries,
    /// Synthesised for Xilinx UltraScale+.
    UltraScalePlus,
    /// Synthesised for 7 series with its modules kept apart.
    Modules,
}

/// A design to synthesise.
#[derive(Clone, Debug)]
pub struct Design {
    /// What the user calls it.
    pub name: String,
    /// Its top module.
    pub top: String,
    verilog: String,
    ports: Vec<Port>,
}

impl Design {
    /// The endpoint of a configuration.
    pub fn of(name: &str, config: &EndpointConfig) -> Result<Self, PrintError> {
        let generated = endpoint::generate(config)?;
        Ok(Design {
            name: name.into(),
            top: endpoint::top_name(config),
            verilog: generated.design.single_file(),
            ports: generated.ports,
        })
    }
}

/// What came out.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Of [`Flow::Ecp5`].
    Placed {
        /// What the tool reports.
        placed: Placed,
        /// Flip-flops of the harness, which are among the design's.
        harness: u64,
        /// The seed with which it came out so.
        seed: u32,
    },
    /// Of [`Flow::SevenSeries`] and [`Flow::UltraScalePlus`].
    Mapped(Area),
    /// Of [`Flow::Modules`].
    Modules(BTreeMap<String, Module>),
}

/// When to be content with how fast a placed design is: a small change of the RTL moves the figure of one seed by several
/// percent, up or down.
#[derive(Copy, Clone, Debug)]
pub struct Effort {
    /// The seed that is tried first; the others follow while the goal is near but not reached, and the best counts.
    pub seed: u32,
    /// Megahertz.
    pub goal: f64,
}

impl Default for Effort {
    fn default() -> Self {
        Effort { seed: SEEDS[0], goal: CLOCK_MHZ }
    }
}

/// What came out, and where the files are.
#[derive(Clone, Debug)]
pub struct Done {
    /// The figures.
    pub outcome: Outcome,
    /// Folder in the cache.
    pub folder: PathBuf,
    /// It was there already.
    pub cached: bool,
}

const REPORT: &str = "report.json";
const STATISTICS: &str = "stat.json";
const HEADS: &str = "modules.il";

impl Flow {
    /// How a user calls it.
    pub fn name(self) -> &'static str {
        match self {
            Flow::Ecp5 => "ECP5",
            Flow::SevenSeries => "7 series",
            Flow::UltraScalePlus => "UltraScale+",
            Flow::Modules => "7 series, by module",
        }
    }

    fn script(self, top: &str) -> String {
        let xilinx = |first: &str, options: &str| {
            format!(
                "read_verilog design.v\n{first}synth_xilinx {options} -noiopad -top {top}\n\
                 tee -q -o {STATISTICS} stat -json -tech xilinx\n"
            )
        };
        match self {
            // of each module what stands in front of its nets: it is in the dump if some net of it is, here the clock, or
            // what a multiplexer selects with
            Flow::Modules => {
                xilinx(&format!("hierarchy -top {top}\ndump -m -o {HEADS} w:clock w:select\n"), "-family xc7")
            }
            Flow::Ecp5 => {
                format!("read_verilog design.v harness.v\nsynth_ecp5 -top {} -json netlist.json\n", harness::TOP)
            }
            Flow::SevenSeries => xilinx("", "-flatten -family xc7"),
            Flow::UltraScalePlus => xilinx("", "-flatten -family xcup"),
        }
    }

    /// All that the tools read of a design, by file name: they read nothing else.
    fn files(self, design: &Design) -> Vec<(&'static str, String)> {
        let mut files = vec![("design.v", design.verilog.clone())];
        if self == Flow::Ecp5 {
            files.push(("harness.v", harness(&design.top, &design.ports).text));
        }
        files.push(("script.ys", self.script(&design.top)));
        files
    }

    /// Eight digits that name all that goes into a run but the seed: the files without comments, options, and the tools' versions.
    /// The same text gives the same figures.
    pub fn text(self, design: &Design) -> String {
        let files = self.files(design);
        let tools = tools::key();
        let mut parts = vec![tools.as_str()];
        files.iter().for_each(|(_, text)| parts.extend(text.lines().filter_map(code)));
        if self == Flow::Ecp5 {
            parts.extend(NEXTPNR);
        }
        let mut text = cache::hash(&parts);
        text.truncate(8);
        text
    }

    /// Runs the tools on a design, or takes from the cache what they made of it before. `say` hears what is being done.
    pub fn run(self, design: &Design, effort: Effort, tools: &Tools, say: &dyn Fn(&str)) -> Result<Done, SynthError> {
        let job = Run { flow: self, design, tools, say };
        let top = &design.top;
        match self {
            Flow::Ecp5 => job.placed(effort),
            Flow::Modules => job.kept(|folder| {
                let modules = count::modules(&folder.join(STATISTICS))?;
                Ok(Outcome::Modules(count::with_parameters(modules, &folder.join(HEADS))?))
            }),
            Flow::SevenSeries | Flow::UltraScalePlus => {
                job.kept(|folder| Ok(Outcome::Mapped(count::total(&count::modules(&folder.join(STATISTICS))?, top))))
            }
        }
    }
}

/// One run of the tools.
struct Run<'a> {
    flow: Flow,
    design: &'a Design,
    tools: &'a Tools,
    say: &'a dyn Fn(&str),
}

impl Run<'_> {
    /// Synthesis alone.
    fn kept(&self, read: impl Fn(&Path) -> Result<Outcome, SynthError>) -> Result<Done, SynthError> {
        let files = self.flow.files(self.design);
        let (folder, cached) = self.cached(&files, &[], |work| self.synthesise(work))?;
        Ok(Done { outcome: read(&folder)?, folder, cached })
    }

    /// Synthesis, place and route, with one seed after the other.
    fn placed(&self, effort: Effort) -> Result<Done, SynthError> {
        let harness = harness(&self.design.top, &self.design.ports).flip_flops;
        let files = self.flow.files(self.design);
        // Synthesised for the first seed, kept for the others.
        let texts: Vec<&str> = files.iter().map(|(_, text)| text.as_str()).collect();
        let netlist = folder()?.join(format!("{}.netlist", cache::hash(&texts)));
        let mut best: Option<(f64, Done)> = None;
        let others = SEEDS.into_iter().filter(|seed| *seed != effort.seed);
        for seed in std::iter::once(effort.seed).chain(others) {
            let number = seed.to_string();
            let options = [NEXTPNR, &["--seed", &number]].concat();
            let (folder, cached) = self.cached(&files, &options, |work| self.place(work, seed, &options, &netlist))?;
            let placed = timing::placed(&folder.join(REPORT))?;
            let fmax = placed.fmax;
            if best.as_ref().is_none_or(|(best, _)| fmax > *best) {
                let outcome = Outcome::Placed { placed, harness, seed };
                best = Some((fmax, Done { outcome, folder, cached }));
            }
            if fmax >= effort.goal || fmax < effort.goal * HOPELESS {
                break;
            }
        }
        let _ = fs::remove_file(&netlist);
        best.map(|(_, done)| done).ok_or(SynthError::NoCache)
    }

    fn synthesise(&self, work: &Path) -> Result<(), SynthError> {
        (self.say)("synthesis");
        self.tools.run(&self.design.name, "yosys", &["-q", "-s", "script.ys"], work)
    }

    fn place(&self, work: &Path, seed: u32, options: &[&str], netlist: &Path) -> Result<(), SynthError> {
        let ours = work.join("netlist.json");
        if fs::hard_link(netlist, &ours).is_err() {
            self.synthesise(work)?;
            fs::hard_link(&ours, netlist).map_err(SynthError::file(netlist))?;
        }
        (self.say)(&format!("place and route, seed {seed}"));
        let files =
            ["--json", "netlist.json", "--textcfg", "harness.config", "--report", REPORT, "--log", "nextpnr.txt"];
        self.tools.run(&self.design.name, "nextpnr-ecp5", &[&files, options].concat(), work)?;
        (self.say)("bitstream");
        self.tools.run(&self.design.name, "ecppack", &["--compress", "harness.config", "harness.bit"], work)?;
        write(work, "critical-path.txt", &timing::placed(&work.join(REPORT))?.critical_path())?;
        // They are large, and quickly made again.
        for name in ["netlist.json", "harness.config"] {
            let _ = fs::remove_file(work.join(name));
        }
        Ok(())
    }

    /// The folder in the cache for these files and options, which `make` fills if there is none; whether there was one.
    fn cached(
        &self,
        files: &[(&str, String)],
        options: &[&str],
        make: impl FnOnce(&Path) -> Result<(), SynthError>,
    ) -> Result<(PathBuf, bool), SynthError> {
        let tools = tools::key();
        let mut key = vec![tools.as_str()];
        key.extend(files.iter().map(|(_, text)| text.as_str()));
        key.extend(options);
        let folder = folder()?.join(cache::hash(&key));
        if folder.exists() {
            return Ok((folder, true));
        }
        let lock = folder.with_extension("lock");
        (self.say)("waits for another process");
        let _lock = cache::lock(&lock).map_err(SynthError::file(&lock))?;
        if folder.exists() {
            return Ok((folder, true));
        }
        // A fixed name, so that nothing stays of a run that was interrupted; what failed can be looked at.
        let work = folder.with_extension("work");
        let _ = fs::remove_dir_all(&work);
        fs::create_dir_all(&work).map_err(SynthError::file(&work))?;
        for (name, text) in files {
            write(&work, name, text)?;
        }
        make(&work)?;
        fs::rename(&work, &folder).map_err(SynthError::file(&folder))?;
        Ok((folder, false))
    }
}

/// What of a line is neither comment nor indentation; our texts have comments to the end of a line only, and no such
/// strokes in strings.
fn code(line: &str) -> Option<&str> {
    let code = line.split("//").next().unwrap_or_default().trim();
    (!code.is_empty()).then_some(code)
}

/// Where all results are kept.
fn folder() -> Result<PathBuf, SynthError> {
    let folder = cache::folder().ok_or(SynthError::NoCache)?.join("synth");
    fs::create_dir_all(&folder).map_err(SynthError::file(&folder))?;
    Ok(folder)
}

fn write(folder: &Path, name: &str, text: &str) -> Result<(), SynthError> {
    let path = folder.join(name);
    fs::write(&path, text).map_err(SynthError::file(&path))
}
