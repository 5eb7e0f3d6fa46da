//! Devices, as QEMU's `-device` takes them.
use serde_json::{json, Value};
use std::path::Path;

/// The device behind a vfio-user socket, whose path must be UTF-8, as QEMU's options are. Properties are those of any PCI
/// device: `bus`, `addr`, `bootindex`.
pub fn vfio_user_pci(socket: &Path, properties: &[(&str, Value)]) -> String {
    let mut device =
        json!({ "driver": "vfio-user-pci", "socket": { "type": "unix", "path": socket.to_string_lossy() } });
    for (name, value) in properties {
        device[name] = value.clone();
    }
    device.to_string()
}

/// QEMU's own virtio-blk, by the legacy interface as the endpoint, on a drive with this id.
pub fn virtio_blk_pci(drive: &str) -> String {
    format!("virtio-blk-pci,disable-modern=on,disable-legacy=off,drive={drive}")
}
