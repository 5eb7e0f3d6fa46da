//! The images of the card's processor: those in the repository are what the sources make, wherever these lie. Their own tests, which
//! are in a workspace of their own, run here as well; and the document says what the program sees.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use virtio_hdl_tests::output;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Runs it, and gives what it said.
#[track_caller]
fn said(command: &mut Command) -> String {
    let output = output(command);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// Files of a folder, those in its folders included, relative to it.
fn files(folder: &Path, below: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder.join(below)).unwrap() {
        let entry = entry.unwrap();
        let path = below.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => files(folder, &path, found),
            false => found.push(path),
        }
    }
}

/// The images that the sources make, in another folder than this one.
fn rebuilt() -> &'static Path {
    static REBUILT: OnceLock<PathBuf> = OnceLock::new();
    REBUILT.get_or_init(|| {
        let root = root();
        let toolchain = said(Command::new("scripts/firmware-toolchain.sh").arg("path").current_dir(&root));
        let installed = Path::new(toolchain.trim_end()).join("installed");
        assert!(installed.exists(), "no {}: run scripts/setup.sh firmware", installed.display());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("firmware_image");
        fs::remove_dir_all(&folder).ok();
        let mut sources = vec![PathBuf::from("hdl/src/control/layout.rs")];
        ["firmware", "scripts"].iter().for_each(|part| files(&root, Path::new(part), &mut sources));
        for source in sources {
            let copy = folder.join(&source);
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::copy(root.join(&source), copy).unwrap();
        }
        said(Command::new("scripts/firmware.sh").arg("rebuilt").current_dir(&folder));
        folder.join("rebuilt")
    })
}

/// What is behind `name = ` in what a script of ours wrote; to the end of the file for the last.
fn field<'a>(toml: &'a str, name: &str) -> &'a str {
    let at = toml.find(&format!("\n{name} = ")).unwrap_or_else(|| panic!("no {name} in {toml}"));
    let value = &toml[at + name.len() + 4..];
    match value.strip_prefix("\"\"\"") {
        Some(lines) => lines.split("\"\"\"").next().unwrap(),
        None => value.lines().next().unwrap().trim_matches('"'),
    }
}

fn images() -> Vec<String> {
    let mut names = Vec::new();
    files(&root().join("firmware/src/bin"), Path::new(""), &mut names);
    names.iter().map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

/// The compiler is the one that made the images in the repository.
fn same_compiler(name: &str) -> bool {
    let toml = |folder: &Path| fs::read_to_string(folder.join(name).with_extension("toml")).unwrap();
    field(&toml(rebuilt()), "compiler") == field(&toml(&root().join("hdl/firmware")), "compiler")
}

#[test]
fn images_are_what_the_sources_make_in_any_folder() {
    let names = images();
    assert!(!names.is_empty());
    for name in names {
        for (folder, committed) in [(root().join("hdl/firmware"), true), (rebuilt().to_owned(), false)] {
            let path = folder.join(&name).with_extension("bin");
            let image = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; make firmware", path.display()));
            let toml = fs::read_to_string(path.with_extension("toml")).unwrap();
            let sum = said(Command::new("sha256sum").arg(&path));
            assert_eq!(field(&toml, "bytes"), image.len().to_string(), "{}", path.display());
            assert_eq!(field(&toml, "sha256"), &sum[..64], "{}", path.display());
            let ram: usize = field(&toml, "ram_bytes").parse().unwrap();
            assert!(image.len() + 4096 <= ram, "{}: {} bytes in {ram}", path.display(), image.len());
            // another compiler makes another image; its tests below are what there is to say of it
            if !committed && same_compiler(&name) {
                let in_repository = fs::read(root().join("hdl/firmware").join(&name).with_extension("bin")).unwrap();
                assert!(
                    image == in_repository,
                    "hdl/firmware/{name}.bin is not what the sources make: run make firmware"
                );
            }
        }
    }
}

/// How many tests of the programs' workspace pass.
fn tests_pass(images: Option<&Path>) -> u32 {
    let root = root();
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .current_dir(root.join("firmware"))
        .args(["test", "--locked", "--target-dir"])
        .arg(root.join("target/firmware"));
    cargo.envs(images.map(|images| ("VIRTIO_HDL_FIRMWARE_IMAGES", images)));
    let said = said(&mut cargo);
    let passed = |line: &str| line.strip_prefix("test result: ok. ")?.split(' ').next()?.parse::<u32>().ok();
    said.lines().filter_map(passed).sum()
}

#[test]
fn programs_pass_their_own_tests() {
    let passed = tests_pass(None);
    assert!(passed >= 20, "only {passed} tests");
    if images().iter().any(|name| !same_compiler(name)) {
        assert_eq!(tests_pass(Some(rebuilt())), passed);
    }
}

/// The table of `docs/firmware.md`, out of the constants and what is said of each.
fn table(layout: &str) -> String {
    let mut table = String::from("| name | value | |\n|---|---|---|\n");
    let mut says = Vec::new();
    for line in layout.lines() {
        if let Some(comment) = line.strip_prefix("/// ") {
            says.push(comment.replace("[`", "`").replace("`]", "`"));
        } else if let Some(constant) = line.strip_prefix("pub const ") {
            let (name, value) = constant.trim_end_matches(';').split_once(": u32 = ").unwrap();
            table.push_str(&format!("| `{name}` | `{}` | {} |\n", value.replace('_', ""), says.join(" ")));
            says.clear();
        }
    }
    table
}

#[test]
fn document_says_what_the_program_sees() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let table = table(&read("hdl/src/control/layout.rs"));
    assert!(table.lines().count() > 30, "{table}");
    let document = read("docs/firmware.md");
    assert!(
        document.contains(&table),
        "docs/firmware.md has not this table, which hdl/src/control/layout.rs gives:\n{table}"
    );
}
