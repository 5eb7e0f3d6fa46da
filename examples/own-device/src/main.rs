//! Verilog of the entropy source, and a guest on it.
//!
//! ```text
//! own-device generate [FOLDER [CONFIG]]    writes the Verilog; build/rng and rng.toml if not given
//! own-device serve SOCKET [CONFIG]         a device for a QEMU, with the system's random numbers behind it
//! ```
use own_device::entropy::Entropy;
use own_device::RNG;
use std::error::Error;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use virtio_hdl::bridge::{Bridge, BridgeOptions};
use virtio_hdl::design;
use virtio_hdl::guest::vfio_user_pci;
use virtio_hdl::vfio_user::{Server, ServerOptions};
use virtio_hdl_rtl::config::EndpointConfig;
use virtio_hdl_rtl::endpoint;

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/rng.toml");

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["generate"] => generate("build/rng", CONFIG),
        ["generate", folder] => generate(folder, CONFIG),
        ["generate", folder, config] => generate(folder, config),
        ["serve", socket] => serve(socket, CONFIG),
        ["serve", socket, config] => serve(socket, config),
        _ => Err("give own-device generate [FOLDER [CONFIG]], or own-device serve SOCKET [CONFIG]".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn generate(folder: &str, name: &str) -> Result<(), Box<dyn Error>> {
    let config = EndpointConfig::load_with(&[&RNG], name)?;
    let design = endpoint::generate(&config)?.design;
    let (top, folder) = (endpoint::top_name(&config), Path::new(folder));
    // for the heads of the files, which are the same on every machine
    let source = Path::new(name).file_name().unwrap_or_default().to_string_lossy();
    fs::create_dir_all(folder)?;
    for module in &design.modules {
        fs::write(folder.join(module.file_name()), module.file_of(&source))?;
    }
    fs::write(folder.join(format!("{top}.f")), design.file_list())?;
    println!("{top} in {}, {} modules", folder.display(), design.modules.len());
    Ok(())
}

fn serve(socket: &str, name: &str) -> Result<(), Box<dyn Error>> {
    let config = EndpointConfig::load_with(&[&RNG], name)?;
    let library = design::library(&config)?;
    let options = BridgeOptions { clock_hz: config.link.clock_hz, ..BridgeOptions::default() };
    let mut bridge = Bridge::new(&library, Box::new(Entropy::of_the_system()?), &options)?;
    let mut server = Server::bind(Path::new(socket), ServerOptions::default())?;
    println!("give QEMU: -device '{}'", vfio_user_pci(Path::new(socket), &[]));
    // Nothing is written to it: the server ends with the process.
    let (_stop, stopped) = UnixStream::pair()?;
    server.serve(&mut bridge, stopped.as_fd())?;
    Ok(bridge.finish()?)
}
