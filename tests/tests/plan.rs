//! The test plan names tests that exist.
use std::fs;
use std::path::Path;

fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_test_of_the_plan_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let plan = fs::read_to_string(root.join("docs/test-plan.md")).unwrap();
    let mut text = String::new();
    ["hdl/tests", "sim/src", "sim/tests", "vfio-user/tests", "tests/tests", "examples", "firmware"]
        .iter()
        .for_each(|folder| sources(&root.join(folder), &mut text));
    let names = plan.split('`').skip(1).step_by(2).filter(|name| name.contains('_') && !name.contains(['.', '/', '*']));
    // one that runs at several widths is generic
    let exists = |name: &str| text.contains(&format!("fn {name}(")) || text.contains(&format!("fn {name}<"));
    let missing: Vec<_> = names.filter(|name| !exists(name)).collect();
    let known = ["used_event", "avail_event"];
    let missing: Vec<_> = missing.into_iter().filter(|name| !known.contains(name)).collect();
    assert!(missing.is_empty(), "the plan names tests that are not there: {missing:?}");
}
