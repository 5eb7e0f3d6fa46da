//! Two endpoints in one FPGA: their files lie in one folder, and one top holds them both.
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use virtio_hdl_rtl::config::EndpointConfig;
use virtio_hdl_rtl::endpoint;
use virtio_hdl_tests::program;

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn generate(config: &str, folder: &Path) -> Output {
    program().args(["generate", config, "--out"]).arg(folder).output().unwrap()
}

fn generated(config: &str, folder: &Path) {
    let output = generate(config, folder);
    assert!(output.status.success(), "{config}: {}", text(&output));
}

/// A top around endpoints: common clock and reset, the other ports behind the name of the instance.
fn top(instances: &[(&str, &EndpointConfig)]) -> String {
    let mut ports = vec!["input wire clock".to_string(), "input wire reset".to_string()];
    let mut inside = String::new();
    for (instance, config) in instances {
        let mut connections = vec![];
        for port in endpoint::generate(config).unwrap().ports {
            for (net, _, width) in port.nets {
                if net == "clock" || net == "reset" {
                    connections.push(format!(".{net}({net})"));
                    continue;
                }
                let direction = if port.input { "input" } else { "output" };
                ports.push(format!("{direction} wire [{}:0] {instance}_{net}", width - 1));
                connections.push(format!(".{net}({instance}_{net})"));
            }
        }
        let module = endpoint::top_name(config);
        let _ = writeln!(inside, "    {module} {instance} (\n        {}\n    );", connections.join(",\n        "));
    }
    format!("module both (\n    {}\n);\n{inside}endmodule\n", ports.join(",\n    "))
}

fn run(folder: &Path, tool: &str, arguments: &[&str]) {
    let output = Command::new(tool).current_dir(folder).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{tool}: {error}; `make setup` installs it"));
    assert!(output.status.success() && text(&output).trim().is_empty(), "{tool}:\n{}", text(&output));
}

/// What Verilator, Icarus Verilog and yosys say of the top and the lists of files in the folder.
fn accepted(folder: &Path, instances: &[(&str, &EndpointConfig)]) {
    fs::write(folder.join("both.v"), top(instances)).unwrap();
    let tops = instances.iter().map(|(_, config)| endpoint::top_name(config));
    let lists: Vec<String> = tops.map(|top| fs::read_to_string(folder.join(format!("{top}.f"))).unwrap()).collect();
    let files: Vec<&str> = lists.iter().flat_map(|list| list.lines()).chain(["both.v"]).collect();
    let names = files.iter().collect::<std::collections::BTreeSet<_>>();
    assert_eq!(names.len(), files.len(), "a file is of one of them only");
    run(folder, "verilator", &[&["--lint-only", "-Wall", "--top-module", "both"], files.as_slice()].concat());
    for language in ["-g2005", "-g2012"] {
        run(folder, "iverilog", &[&[language, "-Wall", "-o", "both.vvp", "-s", "both"], files.as_slice()].concat());
    }
    let script = format!("read_verilog {}; hierarchy -check -top both; proc; check -assert", files.join(" "));
    run(folder, "yosys", &["-q", "-p", &script]);
}

#[test]
fn a_disk_and_a_network_card_share_a_folder_and_an_fpga() {
    let folder = tempfile::tempdir().unwrap();
    generated("blk", folder.path());
    generated("net", folder.path());
    for name in
        ["virtio_blk_registers.md", "virtio_net_registers.md", "virtio_blk_endpoint.core", "virtio_net_endpoint.core"]
    {
        assert!(folder.path().join(name).is_file(), "{name}");
    }
    accepted(folder.path(), &[("disk", &EndpointConfig::blk()), ("card", &EndpointConfig::net())]);
}

#[test]
fn two_disks_need_two_prefixes() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("rtl");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    };
    let ids = |device: &str| format!("[ids]\nvendor = 0x1234\ndevice = {device}\n");
    let first = file("first.toml", &ids("1"));
    let second = file("second.toml", &ids("2"));
    generated(&first, &out);
    let names = || -> Vec<_> {
        let mut names: Vec<_> = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names.iter().map(|name| (name.clone(), fs::read(out.join(name)).unwrap())).collect()
    };
    let before = names();
    let refused = generate(&second, &out);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    let message = text(&refused);
    assert!(
        message.contains(".v belongs to the configuration first.toml, and has another text with second.toml"),
        "{message}"
    );
    assert!(message.contains("prefix = \"second_\" in the section [generate]"), "{message}");
    assert!(before == names(), "nothing is written over");

    // the same configuration, edited, replaces its own files
    file("first.toml", &ids("3"));
    generated(&first, &out);
    let second = file("second.toml", &(ids("2") + "[generate]\nprefix = \"second_\"\n"));
    generated(&second, &out);
    let [first, second] = [&first, &second].map(|path| EndpointConfig::load(path).unwrap());
    accepted(&out, &[("disk_0", &first), ("disk_1", &second)]);
}
