//! The complete endpoint: it is printed, the same each time, and tools accept it.
use std::path::Path;
use virtio_hdl_rtl::config::{EndpointConfig, EXAMPLES};
use virtio_hdl_rtl::endpoint::{generate, top_name};

#[test]
fn the_same_text_twice() {
    for (name, _) in EXAMPLES {
        let config = EndpointConfig::load(name).unwrap();
        let text = |config| generate(config).unwrap().design.single_file();
        assert_eq!(text(&config), text(&config), "{name}");
    }
}

#[test]
fn written_for_inspection() {
    let config = EndpointConfig::blk();
    let generated = generate(&config).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/endpoint");
    std::fs::create_dir_all(&folder).unwrap();
    for module in &generated.design.modules {
        std::fs::write(folder.join(format!("{}.v", module.name)), &module.text).unwrap();
    }
    assert!(folder.join(format!("{}.v", top_name(config.device))).exists());
}
