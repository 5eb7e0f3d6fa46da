//! The register map of an endpoint, in Markdown.
use std::fmt::Write as _;
use virtio_hdl_rtl::config::{Bar0, EndpointConfig, FieldValue, LinkInterface};
use virtio_hdl_rtl::endpoint::{diagnostics, state_window};
use virtio_hdl_rtl::pcie::registers::{DIAGNOSTICS, DIAGNOSTICS_OFFSET};
use virtio_hdl_rtl::virtio::layout::*;

/// Everything a driver finds: identity, BARs, the registers in BAR0, queues, device config, features, diagnostics.
pub fn register_map(config: &EndpointConfig) -> String {
    let mut text = String::new();
    function(&mut text, config);
    registers(&mut text, config);
    queues(&mut text, config);
    device_config(&mut text, config);
    features(&mut text, config);
    diagnostics(&mut text, config);
    state_window(&mut text, config);
    text
}

fn function(text: &mut String, config: &EndpointConfig) {
    let ids = &config.ids;
    let space = match config.bar0 {
        Bar0::Io => "I/O",
        Bar0::Memory => "memory",
    };
    let _ = write!(
        text,
        "# Register map of {}\n\n## PCI function\n\n| item | value |\n|---|---|\n\
         | vendor, device | {:#06x}, {:#06x} |\n\
         | subsystem vendor, subsystem | {:#06x}, {:#06x} |\n\
         | class, revision | {:#08x}, {} |\n\
         | BAR0 | {} bytes of {space} space: legacy registers and device config |\n",
        virtio_hdl_rtl::endpoint::top_name(config),
        ids.vendor,
        ids.device,
        ids.subsystem_vendor,
        ids.subsystem,
        ids.class,
        ids.revision,
        config.bar0_bytes(),
    );
    let _ = match config.vectors {
        0 => writeln!(text, "| BAR1 | none: INTx only |"),
        vectors => writeln!(
            text,
            "| BAR1 | 4096 bytes of memory space: MSI-X table of {vectors} vectors at 0, pending bits at 0x800, diagnostics at 0xc00 |"
        ),
    };
}

fn registers(text: &mut String, config: &EndpointConfig) {
    *text += "\n## Registers in BAR0\n\n| offset | bytes | access | register | |\n|---:|---:|---|---|---|\n";
    let queue_num = format!("entries of the selected queue: {}", config.queue_size);
    for (offset, bytes, access, name, meaning) in [
        (HOST_FEATURES, 4, "R", "HOST_FEATURES", "features that the device offers, see below"),
        (GUEST_FEATURES, 4, "RW", "GUEST_FEATURES", "features that the driver accepted"),
        (QUEUE_PFN, 4, "RW", "QUEUE_PFN", "page frame (4096 bytes) of the selected queue; writing 0 resets the device"),
        (QUEUE_NUM, 2, "R", "QUEUE_NUM", queue_num.as_str()),
        (QUEUE_SEL, 2, "RW", "QUEUE_SEL", "selects a queue"),
        (QUEUE_NOTIFY, 2, "W", "QUEUE_NOTIFY", "there are new buffers in this queue"),
        (STATUS, 1, "RW", "STATUS", "ACKNOWLEDGE 1, DRIVER 2, DRIVER_OK 4, FAILED 0x80; writing 0 resets the device"),
        (ISR, 1, "R", "ISR", "bit 0 queue, bit 1 config change; reading clears it and deasserts INTx"),
    ] {
        let _ = writeln!(text, "| {offset:#04x} | {bytes} | {access} | {name} | {meaning} |");
    }
    if config.vectors > 0 {
        for (offset, name, what) in
            [(CONFIG_VECTOR, "CONFIG_VECTOR", "config changes"), (QUEUE_VECTOR, "QUEUE_VECTOR", "the selected queue")]
        {
            let _ = writeln!(
                text,
                "| {offset:#04x} | 2 | RW | {name} | MSI-X vector of {what}; there only while MSI-X is enabled; 0xffff: none |"
            );
        }
    }
}

fn queues(text: &mut String, config: &EndpointConfig) {
    *text += "\n## Queues\n\n| queue | name | carries |\n|---:|---|---|\n";
    for (index, (name, queue)) in config.queues().iter().enumerate() {
        let _ = writeln!(text, "| {index} | {name} | {} |", queue.what);
    }
}

fn device_config(text: &mut String, config: &EndpointConfig) {
    let (off, on) = (DEVICE_CONFIG, DEVICE_CONFIG_MSIX);
    let place = match config.vectors {
        0 => format!("at {off:#04x}"),
        _ => format!("at {on:#04x} while MSI-X is enabled, else at {off:#04x}"),
    };
    let _ = write!(text, "\n## Device config, {place}\n\n| offset | bytes | field | value |\n|---:|---:|---|---|\n");
    for field in config.config_fields() {
        let value = match field.value {
            FieldValue::Fixed(value) => value(config).to_string(),
            FieldValue::Live(words) | FieldValue::WriteOnly(words) => words.into(),
        };
        let _ = writeln!(text, "| {:#04x} | {} | {} | {value} |", field.offset, field.bytes, field.name);
    }
}

fn features(text: &mut String, config: &EndpointConfig) {
    let _ = write!(
        text,
        "\n## Features, HOST_FEATURES = {:#010x}\n\n| bit | feature |\n|---:|---|\n",
        config.host_features()
    );
    for feature in &config.features {
        let comma = if feature.when.is_empty() { "" } else { ", " };
        let _ = writeln!(text, "| {} | {}{comma}{} |", feature.bit, feature.name, feature.when);
    }
    let _ = writeln!(text, "| {FEATURE_BAD_FEATURE} | bad_feature: a driver that accepts it did not negotiate |");
}

/// In BAR1 wherever there is one; in config space where that is not a vendor's block's.
fn diagnostics(text: &mut String, config: &EndpointConfig) {
    let mut places = Vec::new();
    if config.vectors > 0 {
        places.push(("BAR1", usize::try_from(DIAGNOSTICS_OFFSET).unwrap_or_default()));
    }
    if config.link.interface == LinkInterface::Tlp {
        places.push(("configuration space, vendor-specific capability", usize::from(DIAGNOSTICS)));
    }
    *text += "\n## Diagnostics\n\n";
    if places.is_empty() {
        *text += "None: without vectors there is no BAR1, and configuration space is the vendor's block's. The port queue_violation \
                  has the first line's double word.\n";
        return;
    }
    let heading: String = places.iter().map(|(name, _)| format!(" {name} |")).collect();
    let _ = write!(text, "|{heading} read only, 4 bytes each |\n|{}---|\n", "---:|".repeat(places.len()));
    for (index, field) in diagnostics::fields(config.device).enumerate() {
        let columns: String = places.iter().map(|(_, first)| format!(" {:#05x} |", first + 4 * index)).collect();
        let _ = writeln!(text, "|{columns} {field} |");
    }
    *text += "\n| rule | |\n|---:|---|\n";
    for (rule, words) in diagnostics::RULES.iter().enumerate() {
        let _ = writeln!(text, "| {rule} | {words} |");
    }
}

/// By ports of its own, which no host sees.
fn state_window(text: &mut String, config: &EndpointConfig) {
    *text += "\n## State window, at the ports state_*\n\n| bits of state_address | |\n|---:|---|\n";
    for (bits, what) in state_window::ADDRESS {
        let _ = writeln!(text, "| {bits} | {what} |");
    }
    *text += "\n| offset in region 0 | register | |\n|---:|---|---|\n";
    for (offset, name, what) in state_window::REGISTERS {
        let _ = writeln!(text, "| {offset:#04x} | {name} | {what} |");
    }
    *text += "\nThe regions 1 to 3 are there while the endpoint stands still, with what a driver sees in them, but: reads change nothing; ISR, \
              the pending bits and the error bits of the status registers become what is written; zero in STATUS or QUEUE_PFN resets \
              nothing; the vectors are in BAR0 whether MSI-X is enabled or not, and the device config behind them.";
    if config.link.interface != LinkInterface::Tlp {
        *text += " Configuration space is the vendor's block's, and not there.";
    }
    *text += "\n";
}
