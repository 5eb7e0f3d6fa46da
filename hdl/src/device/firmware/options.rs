//! The section of a configuration of a device that is a program.
use crate::config::{EndpointConfig, Problems, Table};
use crate::virtio::MAX_QUEUES;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Programs that come along, as `firmware/` makes them: name, and image.
pub const PROGRAMS: &[(&str, &[u8])] = &[("rng", include_bytes!("../../../firmware/rng.bin"))];

/// The longest program.
const MOST_BYTES: u64 = 64 << 10;

/// What only a device that is a program has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirmwareOptions {
    /// The program: the name of one of [`PROGRAMS`], or the path of an image.
    pub program: String,
    /// What is in it.
    pub image: Vec<u8>,
    /// Memory of the processor, KiB: 4 to 64, a power of two.
    pub memory: u16,
    /// Queues, 1 to [`MAX_QUEUES`].
    pub queues: u8,
    /// Milliseconds without a sign of the program after which it is said to hang.
    pub watchdog_ms: u32,
}

impl Default for FirmwareOptions {
    fn default() -> Self {
        let (name, image) = PROGRAMS[0];
        FirmwareOptions { program: name.into(), image: image.to_vec(), memory: 16, queues: 1, watchdog_ms: 100 }
    }
}

impl EndpointConfig {
    /// Options of a device that is a program.
    ///
    /// # Panics
    /// If it is none.
    pub fn firmware_options(&self) -> &FirmwareOptions {
        self.options()
    }
}

fn image(program: &str) -> io::Result<Vec<u8>> {
    if let Some((_, image)) = PROGRAMS.iter().find(|(name, _)| *name == program) {
        return Ok(image.to_vec());
    }
    let path = Path::new(program);
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut image = vec![];
    File::open(path)?.take(MOST_BYTES + 1).read_to_end(&mut image)?;
    Ok(image)
}

pub(super) fn read(table: &mut Table, problems: &mut Problems, config: &mut EndpointConfig) {
    let most = MAX_QUEUES as u64;
    let queues = table.number(problems, "queues", 1..=most, &format!("1 to {most}"), |_| true);
    let memory = table.number(problems, "memory", 4..=64, "4, 8, 16, 32, 64 KiB", u64::is_power_of_two);
    let watchdog = table.number(problems, "watchdog_ms", 1..=500, "1 to 500 milliseconds", |_| true);
    let names = PROGRAMS.iter().map(|(name, _)| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    let program =
        table.text(problems, "program", &format!("{names}, or the path of an image"), |text| !text.is_empty());
    let options: &mut FirmwareOptions = config.options_mut();
    if let Some((queues, _)) = queues {
        options.queues = queues as u8;
    }
    if let Some((memory, _)) = memory {
        options.memory = memory as u16;
    }
    if let Some((milliseconds, _)) = watchdog {
        options.watchdog_ms = milliseconds as u32;
    }
    let mut place = None;
    if let Some((program, found)) = program {
        match image(&program) {
            Ok(image) => (options.program, options.image) = (program, image),
            Err(error) => {
                let message = format!("firmware.program = \"{program}\" cannot be read: {error}; allowed: {names}, or the path of an image");
                problems.add(&found, message);
            }
        }
        place = Some(found);
    }
    let (bytes, room) = (options.image.len(), 1024 * usize::from(options.memory));
    if bytes > room {
        let place = place.or(memory.map(|(_, place)| place)).unwrap_or_default();
        let message = format!("firmware.program has {bytes} bytes, and a memory of {} KiB {room}", options.memory);
        problems.add(&place, message);
    }
}
