//! What QEMU is told.
use serde_json::json;
use std::path::Path;

/// The `-device` that connects to an endpoint's socket.
pub(super) fn vfio_user(socket: &Path) -> String {
    json!({ "driver": "vfio-user-pci", "socket": { "type": "unix", "path": socket } }).to_string()
}
