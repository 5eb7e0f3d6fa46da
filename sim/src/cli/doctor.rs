//! `virtio-hdl doctor`
use super::output::outln;
use crate::guest::{DebianOptions, Qemu};
use crate::synth::{self, Tools};
use anyhow::bail;
use clap::Args;
use serde::Serialize;
use std::process::Command;

#[derive(Args)]
#[command(
    after_help = "Examples:\n  virtio-hdl doctor\n  virtio-hdl doctor --json | jq '.[] | select(.state != \"ok\")'"
)]
pub(super) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A tool that some part of the project starts.
struct Tool {
    name: &'static str,
    version_option: &'static str,
    /// Oldest version that works.
    oldest: Option<(u32, u32)>,
    /// Without it `generate` works, but nothing else does.
    required: bool,
    /// None: part of every Debian.
    package: Option<&'static str>,
    purpose: &'static str,
}

const TOOLS: &[Tool] = &[
    Tool {
        name: "verilator",
        version_option: "--version",
        oldest: Some((5, 6)),
        required: true,
        package: Some("verilator"),
        purpose: "builds the models that `sim` runs",
    },
    Tool {
        name: "g++",
        version_option: "--version",
        oldest: Some((10, 0)),
        required: true,
        package: Some("g++"),
        purpose: "compiles the models",
    },
    Tool {
        name: "mkfs.ext4",
        version_option: "-V",
        oldest: Some((1, 43)),
        required: false,
        package: Some("e2fsprogs"),
        purpose: "makes the disk image of `make demo`",
    },
    Tool {
        name: "debugfs",
        version_option: "-V",
        oldest: None,
        required: false,
        package: Some("e2fsprogs"),
        purpose: "looks into that image",
    },
    Tool {
        name: "e2fsck",
        version_option: "-V",
        oldest: None,
        required: false,
        package: Some("e2fsprogs"),
        purpose: "checks that image",
    },
    Tool {
        name: "yosys",
        version_option: "-V",
        oldest: Some((0, 23)),
        required: false,
        package: Some("yosys"),
        purpose: "synthesis checks of the tests",
    },
    Tool {
        name: "iverilog",
        version_option: "-V",
        oldest: Some((11, 0)),
        required: false,
        package: Some("iverilog"),
        purpose: "portability checks of the tests",
    },
    Tool {
        name: "apt-get",
        version_option: "--version",
        oldest: None,
        required: false,
        package: None,
        purpose: "fetches a kernel for guests, and QEMU",
    },
    Tool {
        name: "dpkg-deb",
        version_option: "--version",
        oldest: None,
        required: false,
        package: None,
        purpose: "unpacks them",
    },
];

#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    Ok,
    TooOld,
    Missing,
}

#[derive(Serialize)]
struct Finding {
    tool: &'static str,
    state: State,
    version: Option<String>,
    required: bool,
    purpose: &'static str,
    remedy: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut findings: Vec<Finding> = TOOLS.iter().map(look).collect();
    let fetchable =
        ["apt-get", "dpkg-deb"].iter().all(|tool| findings.iter().any(|f| f.tool == *tool && f.state == State::Ok));
    findings.push(look_for_qemu(fetchable));
    findings.push(look_for_synthesis());
    if arguments.json {
        outln!("{}", serde_json::to_string_pretty(&findings)?);
    } else {
        findings.iter().for_each(print);
        match crate::model::cache_folder() {
            Ok(folder) => outln!("models are cached in {}", folder.display()),
            Err(error) => outln!("{error}"),
        }
    }
    let lacking: Vec<_> =
        findings.iter().filter(|finding| finding.required && finding.state != State::Ok).map(|f| f.tool).collect();
    if !lacking.is_empty() {
        bail!(
            "{} needed for `virtio-hdl sim`: {}",
            if lacking.len() == 1 { "a tool is" } else { "tools are" },
            lacking.join(", ")
        );
    }
    Ok(())
}

fn look(tool: &Tool) -> Finding {
    let said = Command::new(tool.name).arg(tool.version_option).output().ok().map(|output| {
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_string()
    });
    let found = said.as_deref().and_then(version);
    let state = match (&said, found, tool.oldest) {
        (None, _, _) => State::Missing,
        (_, Some(found), Some(oldest)) if found < oldest => State::TooOld,
        _ => State::Ok,
    };
    let remedy = match state {
        State::Ok => None,
        State::Missing => Some(match tool.package {
            Some(package) => format!("apt-get install {package}"),
            None => "this is no Debian system: give --qemu and --kernel yourself".into(),
        }),
        State::TooOld => {
            tool.oldest.map(|(major, minor)| format!("{} of at least {major}.{minor:03} is needed", tool.name))
        }
    };
    Finding { tool: tool.name, state, version: said, required: tool.required, purpose: tool.purpose, remedy }
}

/// QEMU with `vfio-user-pci`; nothing is fetched for this.
fn look_for_qemu(fetchable: bool) -> Finding {
    let options = DebianOptions::default();
    let found = Qemu::find_present(&options).map(|qemu| format!("{} ({})", qemu.version(), qemu.path().display()));
    let (state, remedy) = match (&found, Qemu::private_folder(&options)) {
        (Some(_), _) => (State::Ok, None),
        (None, Ok(folder)) if fetchable => (
            State::Ok,
            Some(format!("none with vfio-user-pci here; one is fetched on first use into {}", folder.display())),
        ),
        _ => (State::Missing, Some("install QEMU of at least 10.1, or give --qemu".into())),
    };
    Finding { tool: "QEMU", state, version: found, required: false, purpose: "runs guests", remedy }
}

/// What `scripts/setup.sh synth` installs.
fn look_for_synthesis() -> Finding {
    let found = Tools::find().map(|_| synth::versions().join(", "));
    let (state, version, remedy) = match found {
        Ok(versions) => (State::Ok, Some(versions), None),
        Err(error) => (State::Missing, None, Some(error.to_string())),
    };
    Finding { tool: "synthesis", state, version, required: false, purpose: "area and speed: `synth`", remedy }
}

/// The first two numbers of the last thing that looks like a version.
fn version(text: &str) -> Option<(u32, u32)> {
    text.split_whitespace().filter(|word| word.starts_with(|c: char| c.is_ascii_digit())).find_map(|word| {
        let mut numbers = word.split(|c: char| !c.is_ascii_digit());
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    })
}

fn print(finding: &Finding) {
    let mark = match finding.state {
        State::Ok => "ok",
        State::TooOld => "too old",
        State::Missing => "missing",
    };
    let version = finding.version.as_deref().unwrap_or("");
    outln!("{mark:<8} {:<10} {} {version}", finding.tool, finding.purpose);
    if let Some(remedy) = &finding.remedy {
        outln!("{:8} {:10} -> {remedy}", "", "");
    }
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions_are_found_in_what_tools_say() {
        assert_eq!(version("Verilator 5.006 2023-01-22 rev (Debian 5.006-3)"), Some((5, 6)));
        assert_eq!(version("g++ (Debian 12.2.0-14+deb12u1) 12.2.0"), Some((12, 2)));
        assert_eq!(version("mke2fs 1.47.0 (5-Feb-2023)"), Some((1, 47)));
        assert_eq!(version("Yosys 0.23 (git sha1 7ce5011c24b)"), Some((0, 23)));
        assert_eq!(version("Icarus Verilog version 11.0 (stable) ()"), Some((11, 0)));
        assert_eq!(version("no number"), None);
    }
}
