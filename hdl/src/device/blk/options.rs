//! virtio-blk's section of a configuration.
use super::row::{BLK_SIZE, GEOMETRY, MQ, SEG_MAX};
use crate::config::{EndpointConfig, Feature, Problems, Table};
use crate::virtio::MAX_QUEUES;
use std::ops::Range;

/// Disk geometry as virtio-blk's device config holds it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Cylinders.
    pub cylinders: u16,
    /// Heads.
    pub heads: u8,
    /// Sectors per track.
    pub sectors: u8,
}

/// What only virtio-blk has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlkOptions {
    /// Logical block size in bytes (`blk_size` of the device config).
    pub block_size: u32,
    /// Most data segments of one request (`seg_max` of the device config).
    pub seg_max: u32,
    /// Geometry of the device config.
    pub geometry: Geometry,
    /// What GET_ID answers, at most 20 ASCII characters.
    pub serial: String,
    /// Request queues, 1 to [`MAX_QUEUES`] (`num_queues` of the device config).
    pub queues: u8,
    /// Milliseconds after which a disk that does not answer is given up: what it has been asked ends with IOERR.
    pub answer_timeout_ms: u32,
}

impl BlkOptions {
    pub(super) fn of(queue_size: u16) -> Self {
        BlkOptions {
            block_size: 512,
            // Header and status take two descriptors of the longest chain.
            seg_max: u32::from(queue_size.saturating_sub(2)).min(126),
            geometry: Geometry { cylinders: 16383, heads: 16, sectors: 63 },
            serial: "virtio-hdl".into(),
            queues: 1,
            // Linux's patience with a SCSI disk
            answer_timeout_ms: 30_000,
        }
    }
}

impl EndpointConfig {
    /// virtio-blk's options.
    ///
    /// # Panics
    /// If it is not a virtio-blk endpoint.
    pub fn blk_options(&self) -> &BlkOptions {
        self.options()
    }
}

pub(super) fn read(table: &mut Table, problems: &mut Problems, config: &mut EndpointConfig) {
    let block_size = table.number(problems, "block_size", 512..=4096, "512, 1024, 2048, 4096", u64::is_power_of_two);
    let seg_max = table.number(problems, "seg_max", 1..=254, "1 to 254", |_| true);
    let geometry = table.table(problems, "geometry", "blk.geometry");
    let printable = |text: &str| text.len() <= 20 && text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    let serial = table.text(problems, "serial", "at most 20 printable ASCII characters", printable);
    let timeout = table.number(problems, "answer_timeout_ms", 1..=60_000, "1 to 60000 milliseconds", |_| true);
    let most = MAX_QUEUES as u64;
    let queues = table.number(problems, "queues", 1..=most, &format!("1 to {most}"), |_| true);
    let queue_size = config.queue_size;
    let features = config.features.clone();
    let mut needs = |feature: Feature, key: &str, place: &Range<usize>| {
        if !features.contains(&feature) {
            let name = feature.name;
            let message = format!("blk.{key} has no effect: add \"{name}\" to features, or leave it out");
            problems.add(place, message);
        }
    };
    let options: &mut BlkOptions = config.options_mut();
    if let Some((serial, _)) = serial {
        options.serial = serial;
    }
    if let Some((milliseconds, _)) = timeout {
        options.answer_timeout_ms = milliseconds as u32;
    }
    if let Some((queues, _)) = queues {
        options.queues = queues as u8;
    }
    if let Some((bytes, place)) = block_size {
        needs(BLK_SIZE, "block_size", &place);
        options.block_size = bytes as u32;
    }
    if let Some((segments, place)) = &seg_max {
        needs(SEG_MAX, "seg_max", place);
        options.seg_max = *segments as u32;
    }
    if let Some((_, place)) = &geometry {
        needs(GEOMETRY, "geometry", place);
    }
    if let Some((segments, place)) = seg_max.filter(|(segments, _)| segments + 2 > u64::from(queue_size)) {
        let message = format!(
            "blk.seg_max = {segments} does not fit queue_size {queue_size}: header and status take two descriptors; allowed: 1 to {}",
            queue_size.saturating_sub(2)
        );
        problems.add(&place, message);
    }
    if let Some((mut geometry, _)) = geometry {
        options.geometry = read_geometry(&mut geometry, problems, options.geometry);
        geometry.finish(problems);
    }
    // as QEMU's: nobody has to list it
    if config.blk_options().queues > 1 {
        config.features.insert(MQ);
    }
}

fn read_geometry(table: &mut Table, problems: &mut Problems, default: Geometry) -> Geometry {
    let mut number =
        |key, range, allowed| table.number(problems, key, range, allowed, |_| true).map(|(value, _)| value);
    Geometry {
        cylinders: number("cylinders", 1..=0xffff, "1 to 65535").map_or(default.cylinders, |value| value as u16),
        heads: number("heads", 1..=0xff, "1 to 255").map_or(default.heads, |value| value as u8),
        sectors: number("sectors", 1..=0xff, "1 to 255").map_or(default.sectors, |value| value as u8),
    }
}
