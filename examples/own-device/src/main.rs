//! `own-device [CONFIG [FOLDER]]`: writes the Verilog of an endpoint; `rng.toml` and `build/rng` if not given.
use own_device::RNG;
use std::error::Error;
use std::fs;
use std::path::Path;
use virtio_hdl_rtl::config::EndpointConfig;
use virtio_hdl_rtl::endpoint;

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/rng.toml");

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let name = arguments.first().map_or(CONFIG, String::as_str);
    let folder = Path::new(arguments.get(1).map_or("build/rng", String::as_str));

    let config = EndpointConfig::load_with(&[&RNG], name)?;
    let design = endpoint::generate(&config)?.design;
    fs::create_dir_all(folder)?;
    for module in &design.modules {
        fs::write(folder.join(module.file_name()), module.file())?;
    }
    fs::write(folder.join("files.f"), design.file_list())?;
    println!("{} in {}, {} modules", endpoint::top_name(&config), folder.display(), design.modules.len());
    Ok(())
}
