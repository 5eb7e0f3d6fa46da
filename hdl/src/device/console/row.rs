//! virtio-console's row.
use super::options::{self, ConsoleOptions};
use super::side::ConsoleSide;
use super::uart::Uart;
use crate::block::AnyBlock;
use crate::config::{
    Axis, Buffers, CardSide, ConfigField, DeviceType, EndpointConfig, Feature, FieldValue, Flow, Level, Options, Queue,
    Section, Stream, StreamField,
};
use crate::virtio::layout::{self, console};

/// `cols` and `rows` in the device config are valid.
pub const SIZE: Feature = Feature::new(console::FEATURE_SIZE, "size");
/// A byte can be printed by a write to the device config, without queues.
pub const EMERG_WRITE: Feature = Feature::new(console::FEATURE_EMERG_WRITE, "emerg_write");

const BYTE: &[StreamField] = &[StreamField { name: "data", bits: 8, axis: Axis::Data }];

/// virtio-console (virtio 1.x, section 5.3), with one port.
pub static CONSOLE: DeviceType = DeviceType {
    name: "console",
    title: "a console",
    virtio_id: layout::VIRTIO_ID_CONSOLE,
    pci_device: layout::DEVICE_ID_CONSOLE,
    // communication controller, as QEMU's; display controller, other: what older versions of it had
    classes: &[0x07_8000, 0x03_8000, 0x00_ff00],
    queues: &[
        Queue { name: "receiveq", what: "buffers for what is typed", buffers: Buffers::Writable, needs: None },
        Queue { name: "transmitq", what: "what is printed", buffers: Buffers::Readable, needs: None },
    ],
    queue_sets: |_| 1,
    shortest_queue: 2,
    advised_queue: None,
    read_tags: 32,
    features: &[Feature::EVENT_IDX, Feature::INDIRECT, Feature::NOTIFY_ON_EMPTY, SIZE, EMERG_WRITE],
    safe_features: &[],
    fields: &[
        ConfigField {
            offset: console::CONFIG_COLS,
            bytes: 2,
            name: "cols",
            needs: None,
            writable: false,
            value: FieldValue::Live("columns of the terminal, from the port console_cols"),
        },
        ConfigField {
            offset: console::CONFIG_ROWS,
            bytes: 2,
            name: "rows",
            needs: None,
            writable: false,
            value: FieldValue::Live("its rows, from the port console_rows"),
        },
        // which nobody reads without the feature MULTIPORT
        ConfigField {
            offset: console::CONFIG_MAX_NR_PORTS,
            bytes: 4,
            name: "max_nr_ports",
            needs: None,
            writable: false,
            value: FieldValue::Fixed(|_| 1),
        },
        ConfigField {
            offset: console::CONFIG_EMERG_WR,
            bytes: 4,
            name: "emerg_wr",
            needs: Some(EMERG_WRITE),
            writable: true,
            value: FieldValue::WriteOnly("0; a write to its lowest byte prints that byte"),
        },
    ],
    events: &[
        "chains of which a part was not printed: it could not be read",
        "bytes of emergency writes lost: they came faster than they could be printed",
        "chains given back empty: there was nothing to write to",
    ],
    streams: &[
        Stream { name: "console_tx", flow: Flow::Out, fields: BYTE },
        Stream { name: "console_rx", flow: Flow::In, fields: BYTE },
    ],
    levels: &[
        Level {
            name: "console_cols",
            flow: Flow::In,
            bits: 16,
            on_card: Some(|config| config.console_options().cols.into()),
        },
        Level {
            name: "console_rows",
            flow: Flow::In,
            bits: 16,
            on_card: Some(|config| config.console_options().rows.into()),
        },
    ],
    section: Some(Section { default: |_| Options::new(ConsoleOptions::default()), read: options::read }),
    side: |config| AnyBlock::new(ConsoleSide::new(config)),
    card: Some(CardSide { module: "uart", block: uart, pins: &["uart_txd", "uart_rxd"] }),
    examples: &[
        ("console", include_str!("../../../configs/console.toml")),
        ("console-intx", include_str!("../../../configs/console-intx.toml")),
        ("console-plain", include_str!("../../../configs/console-plain.toml")),
    ],
};

fn uart(config: &EndpointConfig, _: u8) -> Result<AnyBlock, String> {
    let cycles = Uart::cycles_per_bit(config.link.clock_hz, config.console_options().baud)?;
    Ok(AnyBlock::new(Uart::new(cycles)))
}
