//! From TOML to an [`EndpointConfig`]: ranges first, then what must fit together.
use super::table::{Problems, Table};
use super::{
    Bar0, ConfigError, DeviceType, EndpointConfig, Ids, LinkInterface, LinkOptions, LinkSpeed, Problem, Setting,
};
use std::ops::Range;
use toml::de::DeTable;

/// Largest queue: what the ring engine's index memories hold.
const MAX_QUEUE_SIZE: u64 = 256;

pub(super) fn read(
    types: &[&'static DeviceType],
    text: &str,
    file: &str,
    settings: &[Setting],
) -> Result<EndpointConfig, ConfigError> {
    let Some(first) = types.first() else {
        return Err(ConfigError::of_name(file, "there are no device types".into()));
    };
    let mut problems = Problems::new(text, settings);
    let mut warnings = vec![];
    let config = match DeTable::parse(text) {
        Ok(document) => {
            let mut document = document.into_inner();
            for (setting, place) in settings.iter().zip(problems.first_setting()..) {
                setting.apply(&mut document, &(place..place), &mut problems);
            }
            document_of(types, document, &mut problems, &mut warnings)
        }
        Err(error) => {
            problems.add(&error.span().unwrap_or(0..0), error.message());
            EndpointConfig::of(first)
        }
    };
    let problems = problems.finish();
    if problems.is_empty() {
        Ok(EndpointConfig { warnings, ..config })
    } else {
        Err(ConfigError { file: file.into(), problems })
    }
}

fn document_of(
    types: &[&'static DeviceType],
    document: DeTable,
    problems: &mut Problems,
    warnings: &mut Vec<Problem>,
) -> EndpointConfig {
    let mut top = Table::new("", document);
    let names: Vec<_> = types.iter().map(|device| (device.name, *device)).collect();
    let device = top.choice(problems, "device", &names).map_or(types[0], |(device, _)| device);
    let mut config = EndpointConfig::of(device);
    let shortest = u64::from(device.shortest_queue);
    let allowed = format!("a power of 2 from {shortest} to {MAX_QUEUE_SIZE}");
    let size = top.number(problems, "queue_size", shortest..=MAX_QUEUE_SIZE, &allowed, u64::is_power_of_two);
    if let Some((size, place)) = size {
        config.queue_size = size as u16;
        if let Some((advised, reason)) = device.advised_queue.filter(|(advised, _)| size < u64::from(*advised)) {
            let message = format!("queue_size = {size}: {reason}; {advised} or more suit every driver");
            warnings.push(problems.at(&place, message));
        }
    }
    let vectors = top.number(problems, "vectors", 0..=8, "0 (no MSI-X) to 8", |_| true);
    if let Some((bar0, _)) = top.choice(problems, "bar0", Bar0::NAMES) {
        config.bar0 = bar0;
    }
    if let Some((bytes, _)) = top.number(problems, "max_payload", 128..=512, "128, 256, 512", u64::is_power_of_two) {
        config.max_payload = bytes as u16;
    }
    if let Some((tags, _)) = top.number(problems, "read_tags", 32..=64, "32, 64", u64::is_power_of_two) {
        config.read_tags = tags as u16;
    }
    let timeout = top.number(problems, "completion_timeout_us", 1..=64_000, "1 to 64000 microseconds", |_| true);
    if let Some((microseconds, _)) = timeout {
        config.completion_timeout_us = microseconds as u32;
    }
    let names: Vec<_> = device.features.iter().map(|feature| (feature.name, *feature)).collect();
    let features = top.choices(problems, "features", &names);
    if let Some((chosen, _)) = features {
        config.features = chosen.iter().map(|(feature, _)| *feature).collect();
    }
    config.options = device.default_options(config.queue_size);

    if let Some((mut ids, _)) = top.table(problems, "ids", "ids") {
        read_ids(&mut ids, problems, warnings, &mut config);
        ids.finish(problems);
    }
    if let Some(section) = device.section {
        if let Some((mut own, _)) = top.table(problems, device.name, device.name) {
            (section.read)(&mut own, problems, &mut config);
            own.finish(problems);
        }
    }
    if config.virtio_id() == DeviceType::ANY_VIRTIO_ID {
        problems.add(&(0..0), "ids.subsystem is needed: the virtio id of the device that this is to be");
    }
    config.vectors = vectors.map_or(config.default_vectors(), |(vectors, _)| vectors as u8);
    if let Some((mut link, place)) = top.table(problems, "link", "link") {
        read_link(&mut link, problems, &place, &mut config);
        link.finish(problems);
    }
    if let Some((mut generate, _)) = top.table(problems, "generate", "generate") {
        let allowed = "1 to 32 letters, digits and single _ that begin with a letter, as \"disk0_\": every module's name begins so";
        if let Some((prefix, _)) = generate.text(problems, "prefix", allowed, is_prefix) {
            config.prefix = prefix;
        }
        generate.finish(problems);
    }
    top.finish(problems);
    config
}

/// What an identifier can begin with in Verilog and in VHDL, which has no `__`.
fn is_prefix(text: &str) -> bool {
    let word = |letter: u8| letter.is_ascii_alphanumeric() || letter == b'_';
    text.len() <= 32
        && text.as_bytes().first().is_some_and(u8::is_ascii_alphabetic)
        && text.bytes().all(word)
        && !text.contains("__")
}

fn read_ids(table: &mut Table, problems: &mut Problems, warnings: &mut Vec<Problem>, config: &mut EndpointConfig) {
    let mut id = |problems: &mut Problems, key| table.number(problems, key, 0..=0xffff, "0 to 0xffff", |_| true);
    let vendor = id(problems, "vendor");
    let device = id(problems, "device");
    let subsystem_vendor = id(problems, "subsystem_vendor");
    let subsystem = id(problems, "subsystem");
    let class = table.number(problems, "class", 0..=0xff_ffff, "24 bits, as 0x010000", |_| true);
    let revision = table.number(problems, "revision", 0..=0xff, "0 to 0xff", |_| true);

    let ids = &mut config.ids;
    let set = |target: &mut u16, found: &Option<(u64, Range<usize>)>| {
        if let Some((value, _)) = found {
            *target = *value as u16;
        }
    };
    set(&mut ids.vendor, &vendor);
    set(&mut ids.device, &device);
    set(&mut ids.subsystem_vendor, &subsystem_vendor);
    set(&mut ids.subsystem, &subsystem);
    if let Some((value, _)) = &revision {
        ids.revision = *value as u8;
    }
    if let Some((value, place)) = class {
        let known = config.device.classes;
        if known.contains(&(value as u32)) || config.device.virtio_id == DeviceType::ANY_VIRTIO_ID {
            ids.class = value as u32;
        } else {
            let names = known.iter().map(|class| format!("{class:#08x}")).collect::<Vec<_>>().join(", ");
            let message =
                format!("ids.class = {value:#08x} is not a class of this device ({names}); {:#08x} is used", known[0]);
            warnings.push(problems.at(&place, message));
        }
    }
    // What a virtio driver looks at before it binds; with another vendor a driver of one's own decides.
    if ids.vendor != Ids::VIRTIO_VENDOR {
        return;
    }
    if let Some((value, place)) = device.filter(|(value, _)| !(0x1000..=0x103f).contains(value)) {
        let message = format!(
            "ids.device = {value:#06x} is not a legacy virtio device; with ids.vendor 0x1af4 allowed: 0x1000 to 0x103f"
        );
        problems.add(&place, message);
    }
    let virtio_id = config.virtio_id();
    if let Some((value, place)) = subsystem.filter(|(value, _)| *value != u64::from(virtio_id)) {
        let message = format!(
            "ids.subsystem = {value} is not this device's virtio id; with ids.vendor 0x1af4 allowed: {virtio_id}"
        );
        problems.add(&place, message);
    }
    if let Some((value, place)) = revision.filter(|(value, _)| *value != 0) {
        let message =
            format!("ids.revision = {value} is a virtio ABI that no driver knows; with ids.vendor 0x1af4 allowed: 0");
        problems.add(&place, message);
    }
}

fn read_link(table: &mut Table, problems: &mut Problems, place: &Range<usize>, config: &mut EndpointConfig) {
    let interface = table.choice(problems, "interface", LinkInterface::NAMES);
    let allowed = "64, 128, 256, as the interface has them";
    let width = table.number(problems, "data_bits", 64..=256, allowed, u64::is_power_of_two);
    let speed = table.choice(problems, "speed", LinkSpeed::NAMES);
    let allowed = "1_000_000 to 500_000_000 Hz";
    let clock = table.number(problems, "clock_hz", 1_000_000..=500_000_000, allowed, |_| true);
    let link = LinkOptions {
        interface: interface.as_ref().map_or(config.link.interface, |(value, _)| *value),
        data_bits: width.as_ref().map_or(config.link.data_bits, |(value, _)| *value as u16),
        speed: speed.as_ref().map_or(config.link.speed, |(value, _)| *value),
        clock_hz: clock.as_ref().map_or(config.link.clock_hz, |(value, _)| *value),
    };
    let name = link.interface.name();
    if !link.interface.widths().contains(&link.data_bits) {
        let place = width.as_ref().map_or(place, |(_, place)| place);
        let widths = link.interface.widths().iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
        let message = format!("link.data_bits = {} with the interface \"{name}\"; allowed: {widths}", link.data_bits);
        problems.add(place, message);
    }
    let speed = speed.as_ref().map(|(_, place)| place);
    if link.interface == LinkInterface::SevenSeries && link.speed.generation() > 2 {
        let message = format!(
            "link.speed = \"{}\" with the interface \"{name}\", whose block ends at gen2; allowed: \"gen2 x4\"",
            link.speed.name(),
        );
        problems.add(speed.unwrap_or(place), message);
    } else if link.speed.gigabits() > link.interface_gigabits() {
        let place = speed.or(clock.as_ref().map(|(_, place)| place)).unwrap_or(place);
        let needed = (link.speed.gigabits() * 1e3 / f64::from(link.data_bits)).ceil();
        let message = format!(
            "{} carries {:.1} Gb/s, a {}-bit datapath at {} Hz only {:.1}; allowed: clock_hz of at least {needed}_000_000, or a slower link",
            link.speed.name(),
            link.speed.gigabits(),
            link.data_bits,
            link.clock_hz,
            link.interface_gigabits(),
        );
        problems.add(place, message);
    }
    config.link = link;
}
