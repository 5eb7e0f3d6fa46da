//! virtio-blk behind the endpoint's core.
use super::super::change::ChangeDetector;
use super::super::queue_group::QueueGroup;
use super::row::RO;
use super::types::*;
use super::BlkDevice;
use crate::block::{list, Block};
use crate::cells::{Sink, Source};
use crate::comment;
use crate::config::EndpointConfig;
use crate::dma::types::*;
use crate::virtio::types::*;
use crate::virtio::DEVICE_CONFIG_BITS;
use rust_hdl::prelude::*;

/// The block device with what virtio-blk says of itself: features, device config, the ports to the medium.
///
/// The ports from `device_features` on are those of [`crate::endpoint::core::EndpointCore`], the other way round.
#[derive(Block)]
pub struct BlkSide {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// Size of the medium in sectors of 512 bytes.
    pub blk_capacity: Signal<In, Bits<64>>,
    /// The medium cannot be written.
    pub blk_read_only: Signal<In, Bit>,
    /// Commands: operation 0 read, 1 write, 2 flush, 3 get id; first sector; bytes; a tag that comes back with the answer.
    pub blk_command_valid: Signal<Out, Bit>,
    pub blk_command_ready: Signal<In, Bit>,
    pub blk_command_operation: Signal<Out, Bits<3>>,
    pub blk_command_sector: Signal<Out, Bits<64>>,
    pub blk_command_length: Signal<Out, Bits<32>>,
    pub blk_command_tag: Signal<Out, Bits<8>>,
    /// Data of write commands, in order. `error` with `last`: incomplete, to be discarded and answered with an error.
    pub blk_write_valid: Signal<Out, Bit>,
    pub blk_write_ready: Signal<In, Bit>,
    pub blk_write_data: Signal<Out, Bits<128>>,
    pub blk_write_last: Signal<Out, Bit>,
    pub blk_write_error: Signal<Out, Bit>,
    /// One status byte (0: success) and the tag for each command, in order.
    pub blk_status_valid: Signal<In, Bit>,
    pub blk_status_ready: Signal<Out, Bit>,
    pub blk_status: Signal<In, Bits<8>>,
    pub blk_status_tag: Signal<In, Bits<8>>,
    /// Data of reads and get id, `length` bytes behind each status 0: `last` in their last beat, the command's tag in all.
    pub blk_read_valid: Signal<In, Bit>,
    pub blk_read_ready: Signal<Out, Bit>,
    pub blk_read_data: Signal<In, Bits<128>>,
    pub blk_read_last: Signal<In, Bit>,
    pub blk_read_tag: Signal<In, Bits<8>>,

    pub device_features: Signal<Out, Bits<32>>,
    pub device_config: Signal<Out, Bits<DEVICE_CONFIG_BITS>>,
    pub config_changed: Signal<Out, Bit>,
    pub driver_config: Signal<In, Bits<64>>,
    pub driver_features: Signal<In, Bits<32>>,
    pub driver_ok: Signal<In, Bit>,
    pub device_reset: Signal<In, Bit>,
    pub device_stop: Signal<In, Bit>,
    pub device_idle: Signal<Out, Bit>,
    #[given]
    pub chain: Vec<Sink<Chain>>,
    #[given]
    pub bytes: Vec<Sink<ByteBeat>>,
    #[given]
    pub command: Vec<Source<ScatterCommand>>,
    #[given]
    pub data: Vec<Source<ByteBeat>>,
    #[given]
    pub device_violation_valid: Vec<Signal<Out, Bit>>,
    #[given]
    pub device_violation: Vec<Signal<Out, ViolationReport>>,
    #[given]
    pub device_events: Vec<Signal<Out, Bit>>,

    #[given]
    blk: BlkDevice,
    // none where there is one queue
    #[given]
    group: Vec<QueueGroup>,
    capacity_change: ChangeDetector<Bits<64>>,

    #[given]
    offered: Constant<Bits<32>>,
    #[given]
    read_only_feature: Constant<Bits<32>>,
    #[given]
    config_constants: Constant<Bits<DEVICE_CONFIG_BITS>>,

    operation: Signal<Local, BlkOperation>,
}

impl BlkSide {
    /// The device of a checked configuration.
    pub fn new(config: &EndpointConfig) -> Self {
        let read_only = if config.offers(RO) { 1u64 << RO.bit } else { 0 };
        let offered = u64::from(config.host_features()) & !read_only;
        let answer_cycles = u64::from(config.blk_options().answer_timeout_ms) * config.link.clock_hz / 1_000;
        let queues = config.queue_count();
        Self::with(BlkSideGiven {
            chain: list(queues),
            bytes: list(queues),
            command: list(queues),
            data: list(queues),
            device_violation_valid: list(queues),
            device_violation: list(queues),
            group: (0..usize::from(queues > 1)).map(|_| QueueGroup::new(queues)).collect(),
            device_events: vec![Default::default()],
            blk: BlkDevice::new(answer_cycles),
            offered: Constant::new(offered.into()),
            read_only_feature: Constant::new(read_only.into()),
            config_constants: Constant::new(config.fixed_config().into()),
        })
    }
}

impl Logic for BlkSide {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module virtio_blk: the block device, its features and device config, the ports to the medium");
        self.blk.clear.next = self.device_reset.val();

        comment!("---- features and device config");
        self.device_features.next = self.offered.val();
        if self.blk_read_only.val() {
            self.device_features.next = self.offered.val() | self.read_only_feature.val();
        }
        self.device_config.next =
            self.config_constants.val() | bit_cast::<DEVICE_CONFIG_BITS, 64>(self.blk_capacity.val());
        self.capacity_change.value.next = self.blk_capacity.val();
        self.config_changed.next = self.capacity_change.changed.val();

        comment!("---- queues: one, or several as one");
        self.blk.chain_queue.next = 0.into();
        for i in self.group.len()..1 {
            Sink::<Chain>::link(&mut self.chain[i], &mut self.blk.chain);
            Sink::<ByteBeat>::link(&mut self.bytes[i], &mut self.blk.readable);
            Source::<ScatterCommand>::link(&mut self.command[i], &mut self.blk.scatter);
            Source::<ByteBeat>::link(&mut self.data[i], &mut self.blk.writable);
        }
        for g in 0..self.group.len() {
            self.group[g].reset.next = self.reset.val() | self.device_reset.val();
            for i in 0..self.chain.len() {
                Sink::<Chain>::link(&mut self.chain[i], &mut self.group[g].chains[i]);
                Sink::<ByteBeat>::link(&mut self.bytes[i], &mut self.group[g].bytes[i]);
                Source::<ScatterCommand>::link(&mut self.command[i], &mut self.group[g].commands[i]);
                Source::<ByteBeat>::link(&mut self.data[i], &mut self.group[g].data[i]);
            }
            Source::<Chain>::join(&mut self.group[g].chain, &mut self.blk.chain);
            self.blk.chain_queue.next = self.group[g].chain_queue.val();
            Source::<ByteBeat>::join(&mut self.group[g].readable, &mut self.blk.readable);
            Source::<ScatterCommand>::join(&mut self.blk.scatter, &mut self.group[g].scatter);
            Source::<ByteBeat>::join(&mut self.blk.writable, &mut self.group[g].writable);
            self.group[g].answer_queue.next = self.blk.answer_queue.val();
        }
        for i in 0..self.chain.len() {
            self.device_violation_valid[i].next =
                self.blk.violation_valid.val() & (self.blk.violation_queue.val() == i.to_bits::<2>());
            self.device_violation[i].next = self.blk.violation.val();
        }

        comment!("---- device");
        self.device_idle.next = self.blk.idle.val();
        self.device_events[0].next = self.blk.fault.val();
        self.blk.stop.next = self.device_stop.val();
        self.blk.capacity.next = self.blk_capacity.val();
        self.blk.read_only.next = self.blk_read_only.val();

        comment!("---- device side");
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
        self.blk_command_tag.next = self.blk.command.data.val().tag;
        self.blk_command_valid.next = self.blk.command.valid.val();
        self.blk.command.ready.next = self.blk_command_ready.val();
        self.blk_write_data.next = self.blk.write.data.val().data;
        self.blk_write_last.next = self.blk.write.data.val().last;
        self.blk_write_error.next = self.blk.write.data.val().error;
        self.blk_write_valid.next = self.blk.write.valid.val();
        self.blk.write.ready.next = self.blk_write_ready.val();
        self.blk.status.data.next.status = self.blk_status.val();
        self.blk.status.data.next.tag = self.blk_status_tag.val();
        self.blk.status.valid.next = self.blk_status_valid.val();
        self.blk_status_ready.next = self.blk.status.ready.val();
        self.blk.read.data.next.data = self.blk_read_data.val();
        self.blk.read.data.next.last = self.blk_read_last.val();
        self.blk.read.data.next.tag = self.blk_read_tag.val();
        self.blk.read.valid.next = self.blk_read_valid.val();
        self.blk_read_ready.next = self.blk.read.ready.val();
    }
}
