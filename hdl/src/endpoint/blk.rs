//! The virtio-blk endpoint with a raw-TLP interface.
use super::diagnostics::Diagnostics;
use super::gate::TransmitGate;
use super::reset::ResetSequencer;
use crate::cells::{Reg, Source};
use crate::comment;
use crate::config::{Bar0, EndpointConfig, Feature};
use crate::device::blk::types::*;
use crate::device::blk::BlkDevice;
use crate::dma::arbiter::RequestArbiter;
use crate::dma::read_engine::ReadEngine;
use crate::dma::types::*;
use crate::dma::write_engine::WriteEngine;
use crate::pcie::completer::Completer;
use crate::pcie::config_space::ConfigSpace;
use crate::pcie::function::{BarSpace, FunctionConfig};
use crate::pcie::intx_messages::IntxMessages;
use crate::pcie::msix_table::MsixTable;
use crate::pcie::register_bus::RegisterMaster;
use crate::tlp::receive_unpack::ReceiveUnpack;
use crate::tlp::transmit_arbiter::TransmitArbiter;
use crate::tlp::transmit_pack::TransmitPack;
use crate::tlp::types::*;
use crate::virtio::interrupts::InterruptController;
use crate::virtio::layout;
use crate::virtio::queue::Virtqueue;
use crate::virtio::registers::{LegacyRegisters, LegacyRegistersConfig};
use crate::virtio::types::*;
use rust_hdl::prelude::*;

/// A complete virtio-blk function behind a PCIe core that passes raw packets, config requests included.
///
/// ```text
///            +-> requests ----> completer -> legacy registers | MSI-X table | config space --+
/// rx -> unpack                                                                                +-> arbiter -> pack -> tx
///            +-> completions -> read engine -> virtqueue <-> blk device <-> blk_* ports       |
///                               write engine <-----+   interrupts -> MSI-X / INTx ------------+
/// ```
#[derive(LogicBlock)]
pub struct BlkEndpoint {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// Packets from the link; see [`TlpBeat`].
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
    /// The endpoint has something to do; while it is low and no input changes, the clock may stop.
    pub busy: Signal<Out, Bit>,

    unpack: ReceiveUnpack,
    arbiter: TransmitArbiter,
    pack: TransmitPack,
    completer: Completer,
    config_space: ConfigSpace,
    msix: Vec<MsixTable>,
    intx: IntxMessages,
    messages: RequestArbiter<TransmitBeat>,
    registers: LegacyRegisters,
    interrupts: InterruptController,
    read_engine: ReadEngine<5, 32>,
    write_engine: WriteEngine,
    read_gate: TransmitGate,
    write_gate: TransmitGate,
    queue: Virtqueue,
    blk: BlkDevice,
    sequencer: ResetSequencer,
    diagnostics: Diagnostics,
    capacity_before: Reg<Bits<64>>,
    capacity_known: Reg<Bit>,
    kick_waiting: Reg<Bit>,

    offered: Constant<Bits<32>>,
    read_only_feature: Constant<Bits<32>>,
    config_constants: Constant<Bits<256>>,

    data_reset: Signal<Local, Bit>,
    event_idx: Signal<Local, Bit>,
    indirect: Signal<Local, Bit>,
    notify_on_empty: Signal<Local, Bit>,
    ring_base: Signal<Local, Bits<64>>,
    pfn: Signal<Local, Bits<32>>,
    features: Signal<Local, Bits<32>>,
    may_send: Signal<Local, Bit>,
    discard: Signal<Local, Bit>,
    stale_message: Signal<Local, Bit>,
    quiet: Signal<Local, Bit>,
    engines_idle: Signal<Local, Bit>,
    events: Signal<Local, Bits<15>>,
    operation: Signal<Local, BlkOperation>,
    rx_beat: Signal<Local, TlpBeat>,
    command: Signal<Local, BlkCommand>,
    write_beat: Signal<Local, BlkWriteBeat>,
    msix_busy: Signal<Local, Bit>,
}

/// The part of the configuration that the PCI function is made with.
fn function_config(config: &EndpointConfig) -> FunctionConfig {
    FunctionConfig {
        vendor_id: config.ids.vendor,
        device_id: config.ids.device,
        revision: config.ids.revision,
        class: config.ids.class,
        subsystem_vendor_id: config.ids.subsystem_vendor,
        subsystem_id: config.ids.subsystem,
        bar0_space: match config.bar0 {
            Bar0::Io => BarSpace::Io,
            Bar0::Memory => BarSpace::Memory,
        },
        bar0_size: config.bar0_bytes(),
        vectors: u16::from(config.vectors),
        max_payload: (config.max_payload / 128).ilog2() as u8,
        link_speed: config.link.speed.generation(),
        link_width: config.link.speed.lanes(),
    }
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
        let function = function_config(config);
        let read_only = if config.offers(Feature::Ro) { 1u64 << Feature::Ro.bit() } else { 0 };
        let offered = u64::from(config.host_features()) & !read_only;
        let registers = LegacyRegistersConfig {
            queue_sizes: vec![config.queue_size],
            vectors: u16::from(config.vectors),
            device_config_length: config.device_config_bytes() as u16,
            safe_features: 0,
        };
        let bar0_is_io = function.bar0_space == BarSpace::Io;
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
            unpack: Default::default(),
            arbiter: Default::default(),
            pack: Default::default(),
            completer: Completer::new(bar0_is_io, function.bar0_size, function.bar1_size()),
            config_space: ConfigSpace::new(&function),
            msix: (0..usize::from(config.vectors > 0)).map(|_| MsixTable::new(function.vectors)).collect(),
            intx: Default::default(),
            messages: RequestArbiter::new(2),
            registers: LegacyRegisters::new(&registers),
            interrupts: Default::default(),
            read_engine: ReadEngine::new(config.completion_timeout_cycles()),
            write_engine: Default::default(),
            read_gate: Default::default(),
            write_gate: Default::default(),
            queue: Virtqueue::new(0, config.queue_size),
            blk: Default::default(),
            sequencer: Default::default(),
            diagnostics: Default::default(),
            capacity_before: Default::default(),
            capacity_known: Default::default(),
            kick_waiting: Default::default(),
            offered: Constant::new(offered.into()),
            read_only_feature: Constant::new(read_only.into()),
            config_constants: Constant::new(device_config(config).into()),
            data_reset: Default::default(),
            event_idx: Default::default(),
            indirect: Default::default(),
            notify_on_empty: Default::default(),
            ring_base: Default::default(),
            pfn: Default::default(),
            features: Default::default(),
            may_send: Default::default(),
            discard: Default::default(),
            stale_message: Default::default(),
            quiet: Default::default(),
            engines_idle: Default::default(),
            events: Default::default(),
            operation: Default::default(),
            rx_beat: Default::default(),
            command: Default::default(),
            write_beat: Default::default(),
            msix_busy: Default::default(),
        }
    }
}

impl Logic for BlkEndpoint {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module virtio_blk_endpoint: virtio-blk PCIe endpoint, raw TLPs");
        dff_setup!(self, clock, capacity_before, capacity_known, kick_waiting);
        clock!(
            self,
            clock,
            unpack,
            arbiter,
            pack,
            completer,
            config_space,
            intx,
            messages,
            registers,
            interrupts,
            read_engine,
            write_engine,
            read_gate,
            write_gate,
            queue,
            blk,
            sequencer,
            diagnostics
        );
        self.unpack.reset.next = self.reset.val();
        self.arbiter.reset.next = self.reset.val();
        self.pack.reset.next = self.reset.val();
        self.completer.reset.next = self.reset.val();
        self.config_space.reset.next = self.reset.val();
        self.intx.reset.next = self.reset.val();
        self.messages.reset.next = self.reset.val();
        self.registers.reset.next = self.reset.val() | self.config_space.function_reset.val();
        self.read_engine.reset.next = self.reset.val();
        self.write_engine.reset.next = self.reset.val();
        self.read_gate.reset.next = self.reset.val();
        self.write_gate.reset.next = self.reset.val();
        self.sequencer.reset.next = self.reset.val();
        self.diagnostics.reset.next = self.reset.val();
        self.capacity_before.reset.next = self.reset.val();
        self.capacity_known.reset.next = self.reset.val();
        // what a device reset clears once the engines have drained
        self.data_reset.next = self.reset.val() | self.sequencer.clear.val();
        // the interrupt controller forgets at once: the ISR is clear when the resetting write has been answered
        self.interrupts.reset.next = self.reset.val()
            | self.registers.device_reset.val()
            | self.config_space.function_reset.val()
            | self.sequencer.busy.val();
        self.queue.reset.next = self.data_reset.val();
        self.blk.reset.next = self.data_reset.val();

        // ------------------------------------------------------------ link
        self.rx_beat.next.data = self.rx_data.val();
        self.rx_beat.next.keep = self.rx_keep.val();
        self.rx_beat.next.last = self.rx_last.val();
        self.unpack.rx.data.next = self.rx_beat.val();
        self.unpack.rx.valid.next = self.rx_valid.val();
        self.rx_ready.next = self.unpack.rx.ready.val();
        Source::<Request>::join(&mut self.unpack.request, &mut self.completer.request);
        Source::<CompletionBeat>::join(&mut self.unpack.completion, &mut self.read_engine.completion);
        Source::<TransmitBeat>::join(&mut self.completer.completion, &mut self.arbiter.completion);
        Source::<TransmitBeat>::join(&mut self.write_engine.transmit, &mut self.write_gate.upstream);
        Source::<TransmitBeat>::join(&mut self.write_gate.downstream, &mut self.arbiter.posted);
        Source::<TransmitBeat>::join(&mut self.read_engine.transmit, &mut self.read_gate.upstream);
        Source::<TransmitBeat>::join(&mut self.read_gate.downstream, &mut self.arbiter.nonposted);
        Source::<TransmitBeat>::join(&mut self.arbiter.transmit, &mut self.pack.transmit);
        self.may_send.next = self.config_space.bus_master.val() & !self.config_space.d3hot.val();
        self.arbiter.bus_master.next = self.may_send.val();
        // an interrupt write that may not leave any more must not keep a reset waiting
        self.discard.next = self.sequencer.stop.val() & !self.may_send.val();
        self.stale_message.next =
            self.discard.val() & (self.messages.request.data.val().kind == TransmitKind::MemoryWrite);
        self.arbiter.interrupt.data.next = self.messages.request.data.val();
        self.arbiter.interrupt.valid.next = self.messages.request.valid.val() & !self.stale_message.val();
        self.messages.request.ready.next = self.arbiter.interrupt.ready.val() | self.stale_message.val();
        self.arbiter.nonposted_allowed.next = self.tx_nonposted_ready.val();
        self.pack.function_id.next = self.config_space.function_id.val();
        self.tx_data.next = self.pack.tx.data.val().data;
        self.tx_keep.next = self.pack.tx.data.val().keep;
        self.tx_last.next = self.pack.tx.data.val().last;
        self.tx_valid.next = self.pack.tx.valid.val();
        self.pack.tx.ready.next = self.tx_ready.val();

        // ------------------------------------------------------------ function
        RegisterMaster::join(&mut self.completer.config_bus, &mut self.config_space.bus);
        RegisterMaster::join(&mut self.completer.bar0_bus, &mut self.registers.bus);
        self.config_space.target.next = self.completer.target.val();
        self.completer.io_enable.next = self.config_space.io_enable.val();
        self.completer.memory_enable.next = self.config_space.memory_enable.val();
        self.completer.d3hot.next = self.config_space.d3hot.val();
        self.completer.bar0_base.next = self.config_space.bar0_base.val();
        self.completer.bar1_base.next = self.config_space.bar1_base.val();
        self.completer.hold.next = self.sequencer.hold.val();
        self.config_space.intx_pending.next = self.registers.isr_pending.val() & !self.config_space.msix_enable.val();
        self.config_space.transactions_pending.next = !self.read_engine.idle.val();
        self.config_space.diagnostics.next = self.diagnostics.fields.val();
        self.config_space.received_master_abort.next = self.unpack.received_master_abort.val();
        self.config_space.received_target_abort.next = self.unpack.received_target_abort.val();
        self.config_space.poisoned_completion.next = self.unpack.poisoned_completion.val();
        self.config_space.signaled_target_abort.next = self.completer.aborted.val();
        self.config_space.poisoned_received.next =
            self.completer.poisoned.val() | self.unpack.poisoned_completion.val();
        self.config_space.unsupported_request.next = self.completer.unsupported.val();
        self.config_space.unsupported_posted.next = self.completer.unsupported_posted.val();
        self.config_space.malformed_received.next = self.unpack.malformed.val();
        self.config_space.completion_timeout.next = self.read_engine.timeout.val();
        self.config_space.unexpected_completion.next = self.read_engine.unexpected_completion.val();

        self.completer.bar1_bus.done.next = false;
        self.completer.bar1_bus.read_data.next = 0.into();
        self.interrupts.fire.ready.next = true;
        self.messages.clients[0].valid.next = false;
        self.messages.clients[0].data.next = self.intx.message.data.val();
        self.msix_busy.next = false;
        for i in 0..self.msix.len() {
            self.msix[i].clock.next = self.clock.val();
            self.msix[i].reset.next = self.reset.val();
            self.msix[i].function_reset.next = self.config_space.function_reset.val();
            self.msix[i].forget.next = self.registers.device_reset.val();
            self.msix[i].enable.next = self.config_space.msix_enable.val();
            self.msix[i].function_mask.next = self.config_space.msix_function_mask.val();
            self.msix[i].bus.valid.next = self.completer.bar1_bus.valid.val();
            self.msix[i].bus.write.next = self.completer.bar1_bus.write.val();
            self.msix[i].bus.address.next = self.completer.bar1_bus.address.val();
            self.msix[i].bus.enable.next = self.completer.bar1_bus.enable.val();
            self.msix[i].bus.write_data.next = self.completer.bar1_bus.write_data.val();
            self.completer.bar1_bus.done.next = self.msix[i].bus.done.val();
            self.completer.bar1_bus.read_data.next = self.msix[i].bus.read_data.val();
            self.msix[i].fire.data.next = self.interrupts.fire.data.val();
            self.msix[i].fire.valid.next = self.interrupts.fire.valid.val();
            self.interrupts.fire.ready.next = self.msix[i].fire.ready.val();
            self.messages.clients[0].data.next = self.msix[i].message.data.val();
            self.messages.clients[0].valid.next = self.msix[i].message.valid.val();
            self.msix[i].message.ready.next = self.messages.clients[0].ready.val();
            self.msix_busy.next = self.msix[i].busy.val();
        }
        Source::<TransmitBeat>::join(&mut self.intx.message, &mut self.messages.clients[1]);
        self.intx.level.next = self.interrupts.intx.val();

        // ------------------------------------------------------------ virtio registers and interrupts
        self.features.next = self.offered.val();
        if self.blk_read_only.val() {
            self.features.next = self.offered.val() | self.read_only_feature.val();
        }
        self.registers.device_features.next = self.features.val();
        self.registers.device_config.next = self.config_constants.val() | bit_cast::<256, 64>(self.blk_capacity.val());
        self.registers.msix_enable.next = self.config_space.msix_enable.val();
        self.registers.bus_master.next = self.config_space.bus_master.val();
        self.registers.isr_queue.next = self.interrupts.isr_queue.val();
        self.registers.isr_config.next = self.interrupts.isr_config.val();
        self.capacity_known.d.next = true;
        self.capacity_before.d.next = self.blk_capacity.val();
        self.interrupts.config_interrupt.next = self.capacity_known.q.val()
            & self.registers.driver_ok.val()
            & (self.capacity_before.q.val() != self.blk_capacity.val());
        self.interrupts.queue_interrupt.next = 0.into();
        if self.queue.raise_interrupt.val() {
            self.interrupts.queue_interrupt.next = 1.into();
        }
        self.interrupts.msix_enable.next = self.config_space.msix_enable.val();
        self.interrupts.intx_disable.next = self.config_space.intx_disable.val();
        self.interrupts.queue_vector.next = self.registers.queue_vector.val();
        self.interrupts.config_vector.next = self.registers.config_vector.val();
        self.interrupts.isr_pending.next = self.registers.isr_pending.val();

        // ------------------------------------------------------------ reset
        self.sequencer.request.next = self.registers.device_reset.val() | self.config_space.function_reset.val();
        self.quiet.next = !self.read_engine.transmit.valid.val()
            & !self.write_engine.transmit.valid.val()
            & self.write_engine.idle.val()
            & !self.messages.request.valid.val()
            & !self.interrupts.busy.val()
            & !self.msix_busy.val();
        self.engines_idle.next = self.read_engine.idle.val() & self.write_engine.idle.val();
        self.sequencer.quiet.next = self.quiet.val();
        self.sequencer.drained.next = self.engines_idle.val() & self.blk.idle.val();
        self.read_gate.discard.next = self.discard.val();
        self.write_gate.discard.next = self.discard.val();
        self.read_engine.stop.next = self.sequencer.stop.val();
        self.write_engine.stop.next = self.sequencer.stop.val();
        self.blk.stop.next = self.sequencer.stop.val();

        // ------------------------------------------------------------ DMA
        self.read_engine.max_read_request.next = self.config_space.max_read_request.val();
        self.read_engine.extended_tag.next = self.config_space.extended_tag.val();
        self.read_engine.function_id.next = self.config_space.function_id.val();
        self.write_engine.max_payload.next = self.config_space.max_payload.val();
        Source::<ReadRequest>::join(&mut self.queue.read_request, &mut self.read_engine.request);
        Source::<WriteRequest>::join(&mut self.queue.write_request, &mut self.write_engine.request);
        self.queue.retire.next = self.read_engine.retire.val();
        self.queue.retire_valid.next = self.read_engine.retire_valid.val();
        self.queue.write.next = self.read_engine.write.val();
        self.queue.write_valid.next = self.read_engine.write_valid.val();
        self.queue.ram_client.next = self.write_engine.read_client.val();
        self.queue.ram_even_index.next = self.write_engine.read_even_index.val();
        self.queue.ram_odd_index.next = self.write_engine.read_odd_index.val();
        self.write_engine.read_even_data.next = self.queue.ram_even_data.val();
        self.write_engine.read_odd_data.next = self.queue.ram_odd_data.val();
        self.queue.done_valid.next = self.write_engine.done_valid.val();
        self.queue.done_client.next = self.write_engine.done_client.val();

        // ------------------------------------------------------------ queue and device
        self.pfn.next = self.registers.queue_pfn.val().get_bits::<32>(0);
        self.ring_base.next = bit_cast::<64, 32>(self.pfn.val()) << 12;
        self.event_idx.next = self.registers.driver_features.val().get_bit(29);
        self.indirect.next = self.registers.driver_features.val().get_bit(28);
        self.notify_on_empty.next = self.registers.driver_features.val().get_bit(24);
        self.queue.enable.next = self.pfn.val().any() & !self.sequencer.stop.val();
        self.queue.ring_base.next = self.ring_base.val();
        self.queue.event_idx.next = self.event_idx.val();
        self.queue.indirect.next = self.indirect.val();
        self.queue.notify_on_empty.next = self.notify_on_empty.val();
        // a kick during a reset waits for its end
        self.kick_waiting.reset.next = self.reset.val() | self.registers.device_reset.val();
        if self.registers.notify.val().get_bit(0) {
            self.kick_waiting.d.next = true;
        } else if !self.sequencer.busy.val() {
            self.kick_waiting.d.next = false;
        }
        self.queue.kick.next = self.kick_waiting.q.val() & !self.sequencer.busy.val();
        self.queue.max_payload.next = self.config_space.max_payload.val();
        self.queue.max_read_request.next = self.config_space.max_read_request.val();
        self.queue.device_violation_valid.next = self.blk.violation_valid.val();
        self.queue.device_violation.next = self.blk.violation.val();
        Source::<Chain>::join(&mut self.queue.chain, &mut self.blk.chain);
        Source::<ByteBeat>::join(&mut self.queue.bytes, &mut self.blk.readable);
        Source::<ScatterCommand>::join(&mut self.blk.scatter, &mut self.queue.command);
        Source::<ByteBeat>::join(&mut self.blk.writable, &mut self.queue.data);
        self.blk.capacity.next = self.blk_capacity.val();
        self.blk.read_only.next = self.blk_read_only.val();

        // ------------------------------------------------------------ device side
        self.command.next = self.blk.command.data.val();
        self.operation.next = self.command.val().operation;
        self.blk_command_operation.next = 0.into();
        match self.operation.val() {
            BlkOperation::Write => self.blk_command_operation.next = 1.into(),
            BlkOperation::Flush => self.blk_command_operation.next = 2.into(),
            BlkOperation::GetId => self.blk_command_operation.next = 3.into(),
            _ => self.blk_command_operation.next = 0.into(),
        }
        self.blk_command_sector.next = self.command.val().sector;
        self.blk_command_length.next = self.command.val().length;
        self.blk_command_valid.next = self.blk.command.valid.val();
        self.blk.command.ready.next = self.blk_command_ready.val();
        self.write_beat.next = self.blk.write.data.val();
        self.blk_write_data.next = self.write_beat.val().data;
        self.blk_write_last.next = self.write_beat.val().last;
        self.blk_write_error.next = self.write_beat.val().error;
        self.blk_write_valid.next = self.blk.write.valid.val();
        self.blk.write.ready.next = self.blk_write_ready.val();
        self.blk.status.data.next = self.blk_status.val();
        self.blk.status.valid.next = self.blk_status_valid.val();
        self.blk_status_ready.next = self.blk.status.ready.val();
        self.blk.read.data.next = self.blk_read_data.val();
        self.blk.read.valid.next = self.blk_read_valid.val();
        self.blk_read_ready.next = self.blk.read.ready.val();

        // ------------------------------------------------------------ diagnostics
        self.diagnostics.violation.next = self.queue.violation.val();
        self.events.next = bits::<15>(0)
            .replace_bit(0, self.unpack.malformed.val())
            .replace_bit(1, self.unpack.message.val())
            .replace_bit(2, self.completer.unsupported.val())
            .replace_bit(3, self.completer.aborted.val())
            .replace_bit(4, self.completer.unsupported_posted.val() | self.completer.dropped.val())
            .replace_bit(5, self.read_engine.unexpected_completion.val())
            .replace_bit(6, self.read_engine.error_completion.val())
            .replace_bit(7, self.read_engine.timeout.val())
            .replace_bit(8, self.read_engine.stall_no_tag.val())
            .replace_bit(9, self.arbiter.nonposted.valid.val() & !self.tx_nonposted_ready.val())
            .replace_bit(10, self.pack.tx.valid.val() & !self.tx_ready.val())
            .replace_bit(11, self.arbiter.nonposted.valid.val() & self.arbiter.nonposted.ready.val())
            .replace_bit(
                12,
                self.arbiter.posted.valid.val() & self.arbiter.posted.ready.val() & self.arbiter.posted.data.val().last,
            )
            .replace_bit(13, self.arbiter.interrupt.valid.val() & self.arbiter.interrupt.ready.val())
            .replace_bit(14, self.registers.device_reset.val());
        self.diagnostics.events.next = self.events.val();
        self.busy.next = self.unpack.busy.val()
            | self.completer.busy.val()
            | self.registers.notify.val().any()
            | self.registers.device_reset.val()
            | self.kick_waiting.q.val()
            | !self.engines_idle.val()
            | self.queue.busy.val()
            | !self.blk.idle.val()
            | self.interrupts.busy.val()
            | self.msix_busy.val()
            | self.intx.busy.val()
            | self.messages.request.valid.val()
            | self.pack.tx.valid.val()
            | self.arbiter.transmit.valid.val()
            | self.sequencer.busy.val();
    }
}
