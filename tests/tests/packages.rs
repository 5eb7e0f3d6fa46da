//! The packages that can be published: what they hold is enough for them, and says what they are.
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

/// In the order in which they can be published, with their folders.
const PACKAGES: [(&str, &str); 5] = [
    ("vfio-user-server", "vfio-user"),
    ("virtio-hdl-macros", "hdl/macros"),
    ("virtio-hdl-verilog", "hdl/verilog"),
    ("virtio-hdl-rtl", "hdl"),
    ("virtio-hdl", "sim"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).current_dir(root()).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Files of a package, relative to its folder.
fn files(package: &str) -> BTreeSet<PathBuf> {
    let list = cargo(&["package", "--list", "--offline", "--allow-dirty", "--package", package]);
    list.lines().map(PathBuf::from).collect()
}

/// The path without `.` and `..`; none when it leads out of the folder.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => plain.pop().then_some(())?,
            Component::Normal(name) => plain.push(name),
            _ => {}
        }
    }
    Some(plain)
}

/// Paths that a source includes, relative to its own folder.
fn included(source: &str) -> Vec<String> {
    let quoted = |rest: &str| rest.strip_prefix('"').and_then(|rest| rest.split('"').next()).map(String::from);
    let behind = |name: &str| source.split(name).skip(1).filter_map(quoted).collect::<Vec<_>>();
    [behind("include_str!("), behind("include_bytes!("), behind("#[path = ")].concat()
}

#[test]
fn a_package_holds_every_file_that_its_sources_include() {
    let mut found = 0;
    for (package, folder) in PACKAGES {
        let files = files(package);
        for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs")) {
            let source = std::fs::read_to_string(root().join(folder).join(file)).unwrap();
            for path in included(&source) {
                let path = file.parent().unwrap().join(path);
                let there = plain(&path).is_some_and(|path| files.contains(&path));
                assert!(there, "{package} has no {}, which {} includes", path.display(), file.display());
                found += 1;
            }
        }
    }
    assert!(found > 20, "only {found} files are included");
}

#[test]
fn a_package_says_what_it_is_and_holds_its_licences_and_nothing_large() {
    let metadata = cargo(&["metadata", "--offline", "--no-deps", "--format-version", "1"]);
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    for (name, folder) in PACKAGES {
        let package = metadata["packages"].as_array().unwrap().iter().find(|package| package["name"] == name).unwrap();
        for key in ["description", "license", "repository", "readme", "rust_version"] {
            assert!(package[key].as_str().is_some_and(|text| !text.is_empty()), "{name} has no {key}");
        }
        for key in ["keywords", "categories"] {
            assert!((1..=5).contains(&package[key].as_array().unwrap().len()), "{key} of {name}");
        }
        // a path alone is not found by those who use the package
        for dependency in package["dependencies"].as_array().unwrap() {
            let version = dependency["req"].as_str().unwrap();
            assert!(dependency["kind"] == "dev" || version != "*", "{name} takes any {}", dependency["name"]);
        }
        let files = files(name);
        for file in ["Cargo.toml", "README.md", "LICENSE-MIT", "LICENSE-APACHE"] {
            assert!(files.contains(Path::new(file)), "{name} has no {file}");
        }
        let bytes = |file: &PathBuf| std::fs::metadata(root().join(folder).join(file)).map_or(0, |file| file.len());
        let bytes: u64 = files.iter().map(bytes).sum();
        assert!(bytes < 2_000_000, "{name} has {bytes} bytes");
    }
}

#[test]
fn cargo_makes_the_packages() {
    let version = cargo(&["--version"]);
    let minor = version.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok()).unwrap();
    if minor < 90 {
        println!("{} cannot make packages of which one needs the other", version.trim());
        return;
    }
    let mut arguments = vec!["package", "--offline", "--allow-dirty", "--no-verify"];
    PACKAGES.iter().for_each(|(package, _)| arguments.extend(["--package", package]));
    cargo(&arguments);
}
