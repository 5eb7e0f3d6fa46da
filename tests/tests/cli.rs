//! The command line, as a user meets it: figures, files, errors, exit codes.
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Output, Stdio};
use virtio_hdl_rtl::config::EndpointConfig;
use virtio_hdl_rtl::device;
use virtio_hdl_tests::{output, program};

fn run(arguments: &[&str]) -> Output {
    output(program().args(arguments))
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
    let list = fs::read_to_string(one.join("virtio_blk_endpoint.f")).unwrap();
    assert!(list.ends_with("virtio_blk_endpoint.v\n"));
    assert!(list.lines().all(|name| one.join(name).exists()));
    assert!(fs::read_to_string(one.join("virtio_blk_registers.md"))
        .unwrap()
        .contains("| 0x10 | 2 | W | QUEUE_NOTIFY |"));
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
fn every_command_that_takes_a_configuration_takes_settings_too() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_string_lossy().into_owned();
    let set = ["--set", "queue_size=64", "--set", "blk.queues=2", "--set", "queue_size=128"];
    let output = run(&[&["generate", "blk", "--out", &out], set.as_slice()].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let file = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert!(
        file("virtio_blk_endpoint.v").contains("blk queue_size=64 blk.queues=2 queue_size=128"),
        "the head says so"
    );
    assert!(file("virtio_blk_registers.md").contains("128"), "the last one counts");
    refused(&["generate", "blk", "--out", &out], "or --set generate.prefix=second_, or another folder with --out");
    for command in [
        ["generate", "blk"].as_slice(),
        &["sim", "blk"],
        &["serve", "blk", "--socket", "/nowhere/socket"],
        &["qemu", "blk"],
        &["bench", "blk"],
        &["synth", "blk"],
    ] {
        let refused = |setting: &str, message: &str| refused(&[command, &["--set", setting]].concat(), message);
        refused("colour=1", "--set colour=1: unknown key colour at the top; allowed: device, ");
        refused("vectors=\"2\"", "--set vectors=\"2\": vectors must be a number, not a text");
        refused("blk.queues=9", "--set blk.queues=9: blk.queues = 9 is out of range; allowed: 1 to 4");
        let output = run(&[command, &["--set", "queue_size"]].concat());
        assert_eq!(output.status.code(), Some(2), "{command:?}");
        assert!(
            text(&output.stderr).contains("`queue_size` has no value; write KEY=VALUE"),
            "{}",
            text(&output.stderr)
        );
    }
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/own-rtl/own.toml");
    let serve = ["serve", own, "--socket", "/nowhere/socket", "--set", "queue_size=64"];
    refused(&serve, "--set has no effect: ");
    let simulated = simulate("blk", &["--scenario", "depth", "--requests", "8", "--set", "features=[\"flush\"]"]);
    assert!(simulated.contains("\"phases\""), "{simulated}");
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
    let mut configs: Vec<String> = device::examples().map(|(name, _)| name.to_string()).collect();
    // and the shortest queues that are allowed
    for (name, text) in [
        ("blk-4", "device = \"blk\"\nqueue_size = 4\n"),
        ("net-2", "device = \"net\"\nqueue_size = 2\n"),
        ("console-2", "device = \"console\"\nqueue_size = 2\n"),
        ("balloon-2", "device = \"balloon\"\nqueue_size = 2\n"),
    ] {
        fs::write(path(name), text).unwrap();
        configs.push(path(name));
    }
    for config in &configs {
        match EndpointConfig::load(config).unwrap().device.name {
            "blk" => {
                simulate(config, &["--disk", &path("disk.img"), "--to", &path("copy.img")]);
                assert!(fs::read(path("copy.img")).unwrap() == content, "{config}");
                simulate(config, &["--scenario", "random", "--requests", "60", "--seed", "1"]);
                simulate(config, &["--scenario", "random", "--requests", "1"]);
                simulate(config, &["--scenario", "depth", "--requests", "40"]);
            }
            "net" => {
                simulate(config, &["--scenario", "frames", "--requests", "60", "--seed", "1"]);
            }
            "console" => {
                simulate(config, &["--scenario", "bytes", "--requests", "2000", "--seed", "1"]);
            }
            "balloon" => {
                simulate(config, &["--scenario", "pages", "--requests", "500", "--seed", "1"]);
            }
            "firmware" => {
                simulate(config, &["--scenario", "requests", "--requests", "20", "--seed", "1"]);
            }
            other => panic!("no scenario of {other}"),
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
    let empty = tempfile::tempdir().unwrap();
    let sim = ["sim", "blk", "--scenario", "depth", "--requests", "4"];
    let without =
        |cache: &Path| program().args(sim).env("PATH", "/nowhere").env("XDG_CACHE_HOME", cache).output().unwrap();
    let output = without(empty.path());
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("verilator cannot be started"), "{}", text(&output.stderr));
}

#[test]
fn a_model_that_is_cached_needs_no_tools() {
    let sim = ["sim", "blk", "--scenario", "depth", "--requests", "4"];
    assert!(run(&sim).status.success(), "the model is in the cache now");
    let output = program().args(sim).env("PATH", "/nowhere").output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("the model was in the cache"));
}

#[test]
fn an_image_larger_than_a_piece_is_copied_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let bytes = (1u32 << 20) + 3 * 512;
    let content: Vec<u8> = (0..bytes).map(|index| (index.wrapping_mul(2_654_435_761) >> 23) as u8).collect();
    fs::write(path("disk.img"), &content).unwrap();
    let output = run(&["sim", "blk", "--disk", &path("disk.img"), "--to", &path("copy.img"), "--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(fs::read(path("copy.img")).unwrap() == content);
    let figures: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(figures["phases"].as_array().unwrap().iter().all(|phase| phase["bytes"] == bytes));
}

#[test]
fn an_image_larger_than_the_memory_is_not_read_into_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.img");
    fs::File::create(&path).unwrap().set_len(64 << 30).unwrap();
    let path = path.to_string_lossy().into_owned();
    refused(&["sim", "blk", "--scenario", "random", "--disk", &path], "which may have 1 GiB: give a smaller image");
    let mut limited = std::process::Command::new("prlimit");
    limited.arg("--as=4000000000").arg("--").arg(program().get_program());
    let output =
        limited.args(["sim", "blk", "--scenario", "depth", "--requests", "4", "--disk", &path]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    // It takes for ever: that it begins is shown by its log.
    let log = folder.path().join("tlp.log");
    let mut limited = std::process::Command::new("prlimit");
    limited.arg("--as=4000000000").arg("--").arg(program().get_program()).args(["sim", "blk", "--disk", &path]);
    let mut child = limited.arg("--tlp-log").arg(&log).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begin = std::time::Instant::now();
    while fs::metadata(&log).map_or(0, |metadata| metadata.len()) < 100_000 {
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        assert!(begin.elapsed().as_secs() < 120, "nothing happens");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn every_command_takes_a_configuration_behind_another_interface() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_string_lossy().into_owned();
    let output = run(&["generate", "blk@7-series-128", "--out", &out]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let files = all_files(folder.path());
    assert!(files.iter().any(|(name, _)| name == "virtio_blk_pcie_7series_128.v"), "behind the block");
    refused(&["generate", "blk@9-series", "--out", &out], "blk@9-series: 9-series is no interface; allowed: tlp-128, ");
    for command in [["serve", "--socket", "/nowhere/socket"].as_slice(), &["qemu"], &["sim"]] {
        let arguments = [&[command[0], "net@ultrascale+-256", "--disk", "/nowhere"], &command[1..]].concat();
        let said = text(&run(&arguments).stderr);
        assert!(said.contains("net@ultrascale+-256 is a network"), "{said}");
    }
}

#[test]
fn what_is_no_file_neither_hides_an_example_nor_is_read_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out").to_string_lossy().into_owned();
    fs::create_dir(folder.path().join("blk")).unwrap();
    let output = program().args(["generate", "blk", "--out", &out]).current_dir(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(std::process::Command::new("mkfifo").arg(folder.path().join("fifo")).status().unwrap().success());
    let fifo = folder.path().join("fifo").to_string_lossy().into_owned();
    for path in [fifo.as_str(), "/dev/zero", "/proc"] {
        refused(&["generate", path, "--out", &out], "cannot read the configuration: it is not a file");
    }
    let long = folder.path().join("long.toml");
    fs::File::create(&long).unwrap().set_len(1 << 40).unwrap();
    refused(&["generate", &long.to_string_lossy(), "--out", &out], "it is longer than 1 MiB");
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

/// Runs it with `arguments` and expects it to refuse them, with each of `files` as it was.
#[track_caller]
fn refused_untouched(arguments: &[&str], message: &str, files: &[&str]) {
    let before: Vec<_> = files.iter().map(|path| fs::read(path).unwrap()).collect();
    refused(arguments, message);
    let after: Vec<_> = files.iter().map(|path| fs::read(path).unwrap()).collect();
    assert!(before == after, "{arguments:?} wrote to a file");
}

#[test]
fn outputs_that_are_inputs_are_refused_under_any_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (disk, hard, soft, config) = (path("disk.img"), path("hard.img"), path("soft.img"), path("blk.toml"));
    fs::write(&disk, vec![7; 64 << 10]).unwrap();
    fs::write(&config, "device = \"blk\"\n").unwrap();
    fs::hard_link(&disk, &hard).unwrap();
    std::os::unix::fs::symlink(&disk, &soft).unwrap();
    let socket = path("socket");
    for name in [&disk, &hard, &soft] {
        let message = format!("{name} is the same file as --disk {disk}");
        for option in ["--vcd", "--tlp-log"] {
            let serve = ["serve", "blk", "--socket", &socket, "--disk", &disk, option, name];
            refused_untouched(&serve, &message, &[&disk]);
            refused_untouched(&["qemu", "blk", "--disk", &disk, option, name], &message, &[&disk]);
            refused_untouched(&["sim", "blk", "--disk", &disk, option, name], &message, &[&disk]);
        }
        refused_untouched(&["sim", "blk", "--disk", &disk, "--to", name], &message, &[&disk]);
    }
    let one = path("one.log");
    let twice = ["sim", "blk", "--disk", &disk, "--vcd", &one, "--tlp-log", &one];
    refused(&twice, &format!("--tlp-log {one} is the same file as --vcd {one}"));
    refused_untouched(&["sim", &config, "--disk", &disk, "--vcd", &config], "is the same file as CONFIG", &[&config]);
    fs::write(path("wire.pcap"), "a capture").unwrap();
    let capture = format!("pcap:{}", path("wire.pcap"));
    let record = ["serve", "net", "--socket", &socket, "--net", &capture, "--pcap", &path("wire.pcap")];
    refused_untouched(&record, "is the same file as --net", &[&path("wire.pcap")]);
    assert!(!Path::new(&one).exists() && !Path::new(&socket).exists());
}

#[test]
fn options_of_the_other_kind_of_device_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket").to_string_lossy().into_owned();
    for option in [["--net", "peer"], ["--mac", "52:54:00:12:34:56"], ["--pcap", "/nowhere/wire"]] {
        let arguments = [&["serve", "blk", "--socket", &socket], option.as_slice()].concat();
        refused(&arguments, &format!("{} has no effect: blk is a disk", option[0]));
    }
    for option in [["--disk", "/nowhere"].as_slice(), &["--read-only"], &["--disk-latency", "3"]] {
        let arguments = [&["qemu", "net"], option].concat();
        refused(&arguments, &format!("{} has no effect: net is a network card", option[0]));
    }
}

#[test]
fn a_console_needs_another_end_that_can_be_had() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    fs::write(path("text"), "mine").unwrap();
    let with = |console: &str, message: &str| {
        refused(&["serve", "console", "--socket", &path("s"), "--console", console], message);
    };
    with("file:/nowhere/printed", "/nowhere");
    with(&format!("unix:{}", path("text")), "there is something else by that name, which is left alone");
    assert_eq!(fs::read(path("text")).unwrap(), b"mine");
    refused(&["serve", "console", "--socket", &path("s")], "--console stdio, pty, unix:PATH or file:PATH");
    refused(&["serve", "blk", "--socket", &path("s"), "--console", "pty"], "--console has no effect: blk is a disk");
    refused(&["qemu", "console", "--console", "stdio"], "the serial console of the guest is here");
    let output = run(&["serve", "console", "--socket", &path("s"), "--console", "telnet:1"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("`telnet:1` is no console; there are stdio, pty, unix:PATH and file:PATH"));
    refused(&["sim", "console"], "console is a console: give --scenario bytes or events");
    refused(&["bench", "console"], "no figure of a console is near a limit of the link");
}

#[test]
fn addresses_of_no_single_card_are_refused() {
    for mac in ["00:00:00:00:00:00", "53:54:00:12:34:56", "+6:54:00:12:34:56", "52:54:0:12:34:56", "52:54:00:12:34", ""]
    {
        let output = run(&["serve", "net", "--socket", "/nowhere/socket", "--mac", mac]);
        assert_eq!(output.status.code(), Some(2), "{mac}");
        assert!(text(&output.stderr).contains("the address of one card is needed"), "{}", text(&output.stderr));
    }
}

#[test]
fn a_closed_pipe_ends_every_command_quietly() {
    use std::os::unix::process::ExitStatusExt as _;
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_string_lossy().into_owned();
    for arguments in [["boards"].as_slice(), &["doctor", "--json"], &["generate", "blk", "--json", "--out", &out]] {
        let (reader, writer) = UnixStream::pair().unwrap();
        drop(reader);
        let output = program().args(arguments).stdout(OwnedFd::from(writer)).output().unwrap();
        assert_eq!(output.status.signal(), Some(13), "{arguments:?}: {}, {}", output.status, text(&output.stderr));
        assert_eq!(text(&output.stderr), "", "{arguments:?}");
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = program().args(arguments).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let said = text(&output.stderr);
        assert!(said.contains("error: cannot write to standard output: No space left on device"), "{said}");
    }
}

#[test]
fn a_path_that_qemu_cannot_be_given_is_refused() {
    use std::os::unix::ffi::OsStrExt as _;
    let path = std::ffi::OsStr::from_bytes(b"/tmp/no-\xff-text");
    let output = output(program().args(["serve", "net", "--socket"]).arg(path));
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("QEMU takes paths in UTF-8 only"), "{}", text(&output.stderr));
}

#[test]
fn a_trace_that_cannot_be_written_ends_and_all_else_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("tlp.log").to_string_lossy().into_owned();
    let run = ["sim", "blk", "--scenario", "depth", "--requests", "20", "--json"];
    let limited = |option: &str, path: &str| {
        let mut limited = std::process::Command::new("prlimit");
        limited.arg("--fsize=20000").arg("--").arg(program().get_program()).args(run).args([option, path]);
        limited.output().unwrap()
    };
    for (option, path, why) in [
        ("--vcd", "/dev/full", "No space left on device"),
        ("--tlp-log", "/dev/full", "No space left on device"),
        ("--tlp-log", &log, "File too large"),
    ] {
        let output = match path {
            "/dev/full" => program().args(run).args([option, path]).output().unwrap(),
            path => limited(option, path),
        };
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{option} {path}: {said}");
        assert!(said.contains("a trace ends here, all else goes on"), "{said}");
        assert!(said.contains(&format!("error: cannot write the trace: {path}: {why}")), "{said}");
        let figures: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(figures["phases"].as_array().unwrap().len(), 4, "the scenario came to its end");
    }
}
