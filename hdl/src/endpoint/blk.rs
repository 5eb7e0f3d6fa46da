//! The virtio-blk endpoint with a raw-TLP interface.
use super::change::ChangeDetector;
use super::core::EndpointCore;
use crate::cells::Source;
use crate::comment;
use crate::config::{EndpointConfig, Feature};
use crate::device::blk::types::*;
use crate::device::blk::BlkDevice;
use crate::dma::types::*;
use crate::virtio::layout;
use crate::virtio::types::*;
use rust_hdl::prelude::*;

/// A complete virtio-blk function: the core with the block device behind its one queue.
#[derive(LogicBlock)]
pub struct BlkEndpoint {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// Packets from the link; see [`crate::tlp::types::TlpBeat`].
    pub rx_data: Signal<In, Bits<128>>,
    pub rx_keep: Signal<In, Bits<4>>,
    pub rx_last: Signal<In, Bit>,
    pub rx_valid: Signal<In, Bit>,
    pub rx_ready: Signal<Out, Bit>,
    /// Packets to the link.
    pub tx_data: Signal<Out, Bits<128>>,
    pub tx_keep: Signal<Out, Bits<4>>,
    pub tx_last: Signal<Out, Bit>,
    pub tx_valid: Signal<Out, Bit>,
    pub tx_ready: Signal<In, Bit>,
    /// A memory read may be sent: the link partner has non-posted credit.
    pub tx_nonposted_ready: Signal<In, Bit>,
    /// Size of the medium in sectors of 512 bytes.
    pub blk_capacity: Signal<In, Bits<64>>,
    /// The medium cannot be written.
    pub blk_read_only: Signal<In, Bit>,
    /// Commands: operation 0 read, 1 write, 2 flush, 3 get id; first sector; bytes.
    pub blk_command_valid: Signal<Out, Bit>,
    pub blk_command_ready: Signal<In, Bit>,
    pub blk_command_operation: Signal<Out, Bits<3>>,
    pub blk_command_sector: Signal<Out, Bits<64>>,
    pub blk_command_length: Signal<Out, Bits<32>>,
    /// Data of write commands, in order. `error` with `last`: incomplete, to be discarded and answered with an error.
    pub blk_write_valid: Signal<Out, Bit>,
    pub blk_write_ready: Signal<In, Bit>,
    pub blk_write_data: Signal<Out, Bits<128>>,
    pub blk_write_last: Signal<Out, Bit>,
    pub blk_write_error: Signal<Out, Bit>,
    /// One status byte (0: success) for each command, in order.
    pub blk_status_valid: Signal<In, Bit>,
    pub blk_status_ready: Signal<Out, Bit>,
    pub blk_status: Signal<In, Bits<8>>,
    /// Data of reads and get id, `length` bytes behind each status 0.
    pub blk_read_valid: Signal<In, Bit>,
    pub blk_read_ready: Signal<Out, Bit>,
    pub blk_read_data: Signal<In, Bits<128>>,
    /// The endpoint has something to do. When it has been low for 64 cycles, and no input changes, the clock may stop.
    pub busy: Signal<Out, Bit>,

    core: EndpointCore,
    blk: BlkDevice,
    capacity_change: ChangeDetector<Bits<64>>,

    offered: Constant<Bits<32>>,
    read_only_feature: Constant<Bits<32>>,
    config_constants: Constant<Bits<256>>,

    operation: Signal<Local, BlkOperation>,
}

/// virtio-blk's device config but for the capacity, which is a port.
fn device_config(config: &EndpointConfig) -> num_bigint::BigUint {
    let mut bytes = [0u8; layout::blk::CONFIG_BYTES as usize];
    let mut put = |offset: u32, value: &[u8]| bytes[offset as usize..][..value.len()].copy_from_slice(value);
    put(layout::blk::CONFIG_SEG_MAX, &config.blk.seg_max.to_le_bytes());
    put(layout::blk::CONFIG_CYLINDERS, &config.blk.geometry.cylinders.to_le_bytes());
    put(layout::blk::CONFIG_HEADS, &[config.blk.geometry.heads]);
    put(layout::blk::CONFIG_SECTORS, &[config.blk.geometry.sectors]);
    put(layout::blk::CONFIG_BLK_SIZE, &config.blk.block_size.to_le_bytes());
    num_bigint::BigUint::from_bytes_le(&bytes)
}

impl BlkEndpoint {
    /// The endpoint of a checked configuration.
    pub fn new(config: &EndpointConfig) -> Self {
        let read_only = if config.offers(Feature::Ro) { 1u64 << Feature::Ro.bit() } else { 0 };
        let offered = u64::from(config.host_features()) & !read_only;
        Self {
            clock: Default::default(),
            reset: Default::default(),
            rx_data: Default::default(),
            rx_keep: Default::default(),
            rx_last: Default::default(),
            rx_valid: Default::default(),
            rx_ready: Default::default(),
            tx_data: Default::default(),
            tx_keep: Default::default(),
            tx_last: Default::default(),
            tx_valid: Default::default(),
            tx_ready: Default::default(),
            tx_nonposted_ready: Default::default(),
            blk_capacity: Default::default(),
            blk_read_only: Default::default(),
            blk_command_valid: Default::default(),
            blk_command_ready: Default::default(),
            blk_command_operation: Default::default(),
            blk_command_sector: Default::default(),
            blk_command_length: Default::default(),
            blk_write_valid: Default::default(),
            blk_write_ready: Default::default(),
            blk_write_data: Default::default(),
            blk_write_last: Default::default(),
            blk_write_error: Default::default(),
            blk_status_valid: Default::default(),
            blk_status_ready: Default::default(),
            blk_status: Default::default(),
            blk_read_valid: Default::default(),
            blk_read_ready: Default::default(),
            blk_read_data: Default::default(),
            busy: Default::default(),
            core: EndpointCore::new(config),
            blk: Default::default(),
            capacity_change: Default::default(),
            offered: Constant::new(offered.into()),
            read_only_feature: Constant::new(read_only.into()),
            config_constants: Constant::new(device_config(config).into()),
            operation: Default::default(),
        }
    }
}

impl Logic for BlkEndpoint {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module virtio_blk_endpoint: virtio-blk PCIe endpoint, raw TLPs");
        clock!(self, clock, core, blk, capacity_change);
        self.core.reset.next = self.reset.val();
        self.blk.reset.next = self.core.device_reset.val();
        self.capacity_change.reset.next = self.reset.val();

        // ------------------------------------------------------------ link
        self.core.rx.data.next.data = self.rx_data.val();
        self.core.rx.data.next.keep = self.rx_keep.val();
        self.core.rx.data.next.last = self.rx_last.val();
        self.core.rx.valid.next = self.rx_valid.val();
        self.rx_ready.next = self.core.rx.ready.val();
        self.tx_data.next = self.core.tx.data.val().data;
        self.tx_keep.next = self.core.tx.data.val().keep;
        self.tx_last.next = self.core.tx.data.val().last;
        self.tx_valid.next = self.core.tx.valid.val();
        self.core.tx.ready.next = self.tx_ready.val();
        self.core.tx_nonposted_ready.next = self.tx_nonposted_ready.val();
        self.busy.next = self.core.busy.val();

        // ------------------------------------------------------------ features and device config
        self.core.device_features.next = self.offered.val();
        if self.blk_read_only.val() {
            self.core.device_features.next = self.offered.val() | self.read_only_feature.val();
        }
        self.core.device_config.next = self.config_constants.val() | bit_cast::<256, 64>(self.blk_capacity.val());
        self.capacity_change.value.next = self.blk_capacity.val();
        self.core.config_changed.next = self.capacity_change.changed.val();

        // ------------------------------------------------------------ device
        Source::<Chain>::join(&mut self.core.chain[0], &mut self.blk.chain);
        Source::<ByteBeat>::join(&mut self.core.bytes[0], &mut self.blk.readable);
        Source::<ScatterCommand>::join(&mut self.blk.scatter, &mut self.core.command[0]);
        Source::<ByteBeat>::join(&mut self.blk.writable, &mut self.core.data[0]);
        self.core.device_violation_valid[0].next = self.blk.violation_valid.val();
        self.core.device_violation[0].next = self.blk.violation.val();
        self.core.device_idle.next = self.blk.idle.val();
        self.blk.stop.next = self.core.device_stop.val();
        self.blk.capacity.next = self.blk_capacity.val();
        self.blk.read_only.next = self.blk_read_only.val();

        // ------------------------------------------------------------ device side
        self.operation.next = self.blk.command.data.val().operation;
        self.blk_command_operation.next = 0.into();
        match self.operation.val() {
            BlkOperation::Write => self.blk_command_operation.next = 1.into(),
            BlkOperation::Flush => self.blk_command_operation.next = 2.into(),
            BlkOperation::GetId => self.blk_command_operation.next = 3.into(),
            _ => self.blk_command_operation.next = 0.into(),
        }
        self.blk_command_sector.next = self.blk.command.data.val().sector;
        self.blk_command_length.next = self.blk.command.data.val().length;
        self.blk_command_valid.next = self.blk.command.valid.val();
        self.blk.command.ready.next = self.blk_command_ready.val();
        self.blk_write_data.next = self.blk.write.data.val().data;
        self.blk_write_last.next = self.blk.write.data.val().last;
        self.blk_write_error.next = self.blk.write.data.val().error;
        self.blk_write_valid.next = self.blk.write.valid.val();
        self.blk.write.ready.next = self.blk_write_ready.val();
        self.blk.status.data.next = self.blk_status.val();
        self.blk.status.valid.next = self.blk_status_valid.val();
        self.blk_status_ready.next = self.blk.status.ready.val();
        self.blk.read.data.next = self.blk_read_data.val();
        self.blk.read.valid.next = self.blk_read_valid.val();
        self.blk_read_ready.next = self.blk.read.ready.val();
    }
}
