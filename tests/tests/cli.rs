//! The command line, as a user meets it: figures, files, errors, exit codes.
use std::fs;
use std::path::Path;
use std::process::Output;
use virtio_hdl_rtl::config::{Device, EndpointConfig, EXAMPLES};
use virtio_hdl_tests::program;

fn run(arguments: &[&str]) -> Output {
    program().args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn refused(arguments: &[&str], message: &str) {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", text(&output.stderr));
    assert!(text(&output.stderr).contains(message), "{}", text(&output.stderr));
}

fn all_files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn generate_writes_the_same_files_twice() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = ["one", "two"].map(|name| folder.path().join(name));
    for out in [&one, &two] {
        let output = run(&["generate", "blk", "--out", &out.to_string_lossy()]);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let files = all_files(&one);
    assert!(files == all_files(&two));
    let list = fs::read_to_string(one.join("files.f")).unwrap();
    assert!(list.ends_with("virtio_blk_endpoint.v\n"));
    assert!(list.lines().all(|name| one.join(name).exists()));
    assert!(fs::read_to_string(one.join("registers.md")).unwrap().contains("| 0x10 | 2 | W | QUEUE_NOTIFY |"));
}

#[test]
fn mistakes_of_the_user_are_explained_and_exit_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    fs::write(path("wrong.toml"), "device = \"blk\"\nvectors = 12\n").unwrap();
    fs::write(path("odd.img"), [0; 700]).unwrap();
    refused(
        &["generate", &path("wrong.toml")],
        "wrong.toml:2:11: vectors = 12 is out of range; allowed: 0 (no MSI-X) to 8",
    );
    refused(&["generate", "blkk"], "give a TOML file or an example: blk, ");
    refused(&["generate", "blk", "--out", "/proc/no"], "cannot make the folder /proc/no; give another with --out");
    refused(&["sim", "blk", "--disk", &path("odd.img")], "has 700 bytes, which is not a multiple of 512");
    refused(&["sim", "blk", "--disk", &path("none.img")], "none.img: No such file");
    refused(&["sim", "blk"], "needs a disk image: --disk IMAGE");
}

#[test]
fn numbers_out_of_range_name_the_option_and_its_range() {
    let most = u64::MAX.to_string();
    for (option, value, range) in [
        ("--requests", "0", "1..=1000000000"),
        ("--requests", &most, "1..=1000000000"),
        ("--disk-latency", &most, "0..=2000000"),
        ("--depth", "0", "1..=64"),
        ("--vcd-from", &most, "0..=1000000000000"),
        ("--vcd-to", &most, "0..=1000000000000"),
    ] {
        for config in ["blk", "net"] {
            let output = run(&["sim", config, "--vcd", "/nowhere/x.vcd", option, value]);
            assert_eq!(output.status.code(), Some(2), "{option} {value}");
            let message = text(&output.stderr);
            assert!(message.contains(&format!("'{option} <")) && message.contains(range), "{message}");
        }
    }
}

/// Runs a scenario; its figures.
#[track_caller]
fn simulate(config: &str, arguments: &[&str]) -> String {
    let all = [&["sim", config, "--json"], arguments].concat();
    let output = run(&all);
    assert!(output.status.success(), "{all:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn every_example_runs_every_scenario_that_fits_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let content: Vec<u8> = (0..200 * 512u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    fs::write(path("disk.img"), &content).unwrap();
    let mut configs: Vec<String> = EXAMPLES.iter().map(|(name, _)| name.to_string()).collect();
    // and the shortest queues that are allowed
    for (name, text) in
        [("blk-4", "device = \"blk\"\nqueue_size = 4\n"), ("net-2", "device = \"net\"\nqueue_size = 2\n")]
    {
        fs::write(path(name), text).unwrap();
        configs.push(path(name));
    }
    for config in &configs {
        match EndpointConfig::load(config).unwrap().device {
            Device::Blk => {
                simulate(config, &["--disk", &path("disk.img"), "--to", &path("copy.img")]);
                assert!(fs::read(path("copy.img")).unwrap() == content, "{config}");
                simulate(config, &["--scenario", "random", "--requests", "60", "--seed", "1"]);
                simulate(config, &["--scenario", "random", "--requests", "1"]);
                simulate(config, &["--scenario", "depth", "--requests", "40"]);
            }
            Device::Net => {
                simulate(config, &["--scenario", "frames", "--requests", "60", "--seed", "1"]);
            }
        }
    }
}

#[test]
fn a_disk_of_one_sector_runs_what_fits_it() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("one.img").to_string_lossy().into_owned();
    fs::write(&image, [7; 512]).unwrap();
    simulate("blk", &["--disk", &image]);
    simulate("blk", &["--disk", &image, "--scenario", "random", "--requests", "200"]);
    refused(
        &["sim", "blk", "--disk", &image, "--scenario", "depth"],
        "the disk is smaller than a request of 4096 bytes",
    );
}

#[test]
fn missing_tools_for_synthesis_are_named_with_the_way_to_get_them() {
    let empty = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| program().args(arguments).env("XDG_CACHE_HOME", empty.path()).output().unwrap();
    let output = run(&["synth", "blk"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("run scripts/setup.sh synth, or make synth"), "{}", text(&output.stderr));
    assert!(text(&run(&["doctor"]).stdout).contains("run scripts/setup.sh synth, or make synth"));
    refused(&["synth", "blkk"], "give a TOML file or an example: blk, ");
    refused(&["synth", "blk@9-series"], "blk@9-series: 9-series is no interface; allowed: tlp-128, 7-series-64, ");
}

#[test]
fn a_missing_verilator_is_named_with_the_way_to_get_it() {
    let output = program().args(["doctor"]).env("PATH", "/nowhere").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("apt-get install verilator"));
    let output = program().args(["sim", "blk", "--scenario", "depth"]).env("PATH", "/nowhere").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("verilator cannot be started"), "{}", text(&output.stderr));
}

#[test]
fn an_image_is_copied_with_traces() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let content: Vec<u8> = (0..300 * 512u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    fs::write(path("disk.img"), &content).unwrap();
    let arguments = [
        "sim",
        "blk",
        "--disk",
        &path("disk.img"),
        "--to",
        &path("copy.img"),
        "--json",
        "--vcd",
        &path("x.vcd"),
        "--vcd-trigger",
        "notify",
        "--vcd-to",
        "500",
        "--tlp-log",
        &path("tlp.log"),
    ];
    let output = run(&arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(fs::read(path("copy.img")).unwrap() == content);
    assert!(text(&output.stdout).contains("\"name\": \"read back\""));

    let log = fs::read_to_string(path("tlp.log")).unwrap();
    assert!(log.contains("to device  IOWr"), "the notify is in the log");
    assert!(log.lines().filter(|line| line.contains("0xfee")).count() > 0, "an MSI-X message too");
    let vcd = fs::read_to_string(path("x.vcd")).unwrap();
    assert!(vcd.contains("$scope module rx_tlp $end") && vcd.contains("sIOWr:"), "the notify is decoded");
    let cycles = vcd.lines().filter(|line| line.starts_with('#')).count() / 2;
    assert!((300..=564).contains(&cycles), "{cycles} cycles around the notify");
}
