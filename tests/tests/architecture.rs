//! The tables of `docs/architecture.md` say which part uses which, and the sources do no other.
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// What all may use, and what uses all.
const FREE: [&str; 9] = ["block", "comment", "doc_name", "cache", "leftovers", "socket_file", "cli", "main", "lib"];

type Uses = BTreeMap<String, BTreeSet<String>>;

fn sources(path: &Path, text: &mut String) {
    if path.is_dir() {
        fs::read_dir(path).unwrap().flatten().for_each(|entry| sources(&entry.path(), text));
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        let source = fs::read_to_string(path).unwrap();
        source.lines().filter(|line| !line.trim_start().starts_with("//")).for_each(|line| {
            text.push_str(line);
            text.push('\n');
        });
    }
}

fn name(text: &str) -> &str {
    text.split(|letter: char| !(letter.is_alphanumeric() || letter == '_')).next().unwrap_or_default()
}

/// The modules behind each `root` in a text: `crate::dma::types`, `crate::{dma, tlp}`.
fn behind(root: &str, prefix: &str, text: &str, found: &mut BTreeSet<String>) {
    for rest in text.split(root).skip(1) {
        let names = match rest.strip_prefix('{') {
            // at its depth only: of `{dma::types::{A, B}, tlp}` these are `dma` and `tlp`
            Some(group) => {
                let mut depth = 0;
                let flat = |letter: &char| {
                    depth += i32::from(*letter == '{') - i32::from(*letter == '}');
                    depth >= 0
                };
                let group: String = group.chars().take_while(flat).collect();
                let mut names = vec![];
                let mut inner = 0;
                for part in group.split(',') {
                    if inner == 0 {
                        names.push(name(part.trim()).to_string());
                    }
                    inner += part.matches('{').count() as i32 - part.matches('}').count() as i32;
                }
                names
            }
            None => vec![name(rest).to_string()],
        };
        found.extend(names.into_iter().filter(|name| !name.is_empty()).map(|name| format!("{prefix}{name}")));
    }
}

fn of_the_sources(folder: &Path, is_sim: bool) -> Uses {
    let mut uses = Uses::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let part = path.file_stem().unwrap().to_string_lossy().into_owned();
        if FREE.contains(&part.as_str()) && part != "block" {
            continue;
        }
        let mut text = String::new();
        sources(&path, &mut text);
        let found = uses.entry(part.clone()).or_default();
        behind("crate::", "", &text, found);
        if is_sim {
            behind("virtio_hdl_rtl::", "hdl::", &text, found);
            // A crate without parts that others would have to know.
            found.extend(text.contains("vfio_user_server::").then(|| "vfio_user_server".into()));
        }
        found.retain(|used| *used != part && !FREE.contains(&used.as_str()));
    }
    uses
}

/// The rows of the table that begins with this heading.
fn of_the_document(document: &str, heading: &str) -> Uses {
    let table = document.split(heading).nth(1).unwrap_or_else(|| panic!("no table {heading}"));
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let row = |line: &str| {
        let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(String::from).collect::<Vec<_>>();
        let cells: Vec<_> = line.split('|').collect();
        (quoted(cells[1])[0].clone(), quoted(cells[2]).into_iter().collect())
    };
    rows.map(row).collect()
}

#[test]
fn each_part_uses_what_the_tables_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let document = fs::read_to_string(root.join("docs/architecture.md")).unwrap();
    for (folder, heading, is_sim) in [("hdl/src", "| in `hdl/src` |", false), ("sim/src", "| in `sim/src` |", true)] {
        let (told, found) = (of_the_document(&document, heading), of_the_sources(&root.join(folder), is_sim));
        assert!(found.len() > 10, "only {} parts in {folder}", found.len());
        assert_eq!(told.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>(), "the parts of {folder}");
        for (part, uses) in &found {
            assert_eq!(uses, &told[part], "what {folder}/{part} uses: the sources, and docs/architecture.md");
        }
    }
}

#[test]
fn uses_are_found_in_each_form() {
    let mut found = BTreeSet::new();
    behind(
        "crate::",
        "",
        "use crate::{dma::types::{A, B}, tlp};\npub use crate::link::tlp; crate::host::ring()",
        &mut found,
    );
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["dma", "host", "link", "tlp"]);
}
