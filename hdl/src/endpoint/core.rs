//! What all endpoints are made of: everything but the device behind the rings.
use super::data_path::DataPath;
use super::diagnostics::{self, Diagnostics};
use super::reset::ResetSequencer;
use crate::cells::{Reg, Sink, Source};
use crate::comment;
use crate::config::{Bar0, EndpointConfig};
use crate::dma::arbiter::RequestArbiter;
use crate::dma::types::*;
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
use crate::virtio::registers::{LegacyRegisters, LegacyRegistersConfig};
use crate::virtio::types::*;
use rust_hdl::prelude::*;

/// A virtio function behind a PCIe core that passes raw packets, config requests included; only the device is missing.
///
/// ```text
///            +-> requests ----> completer -> legacy registers | MSI-X table | config space --+
/// rx -> unpack                                                                                +-> arbiter -> pack -> tx
///            +-> completions -> data path: virtqueues, DMA engines <-> chain interface        |
///                                          |                interrupts -> MSI-X / INTx -------+
///                                          +----------------^
/// ```
/// A device has a chain interface for each of its queues, the ports from `device_features` to `device_idle`, and a
/// top that joins the two and names the ports.
#[derive(LogicBlock)]
pub struct EndpointCore {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// Packets from the link.
    pub rx: Sink<TlpBeat>,
    /// Packets to the link.
    pub tx: Source<TlpBeat>,
    /// A memory read may be sent: the link partner has non-posted credit.
    pub tx_nonposted_ready: Signal<In, Bit>,
    /// Features offered.
    pub device_features: Signal<In, Bits<32>>,
    /// Device-specific configuration, byte 0 in bits 7:0.
    pub device_config: Signal<In, Bits<256>>,
    /// One cycle: it has changed, and the driver is to know.
    pub config_changed: Signal<In, Bit>,
    /// Features the driver accepted.
    pub driver_features: Signal<Out, Bits<32>>,
    /// The driver has set DRIVER_OK.
    pub driver_ok: Signal<Out, Bit>,
    /// Reset of the device, as of the queues.
    pub device_reset: Signal<Out, Bit>,
    /// Drain: the device begins nothing, and forgets what comes in.
    pub device_stop: Signal<Out, Bit>,
    /// Nothing is in flight in the device.
    pub device_idle: Signal<In, Bit>,
    /// The chain interface of each queue; see [`crate::virtio::queue::Virtqueue`].
    pub chain: Vec<Source<Chain>>,
    pub bytes: Vec<Source<ByteBeat>>,
    pub command: Vec<Sink<ScatterCommand>>,
    pub data: Vec<Sink<ByteBeat>>,
    pub device_violation_valid: Vec<Signal<In, Bit>>,
    pub device_violation: Vec<Signal<In, ViolationReport>>,
    /// Events of the device that are counted, one cycle each; see [`diagnostics::device_fields`].
    pub device_events: Vec<Signal<In, Bit>>,
    /// The endpoint has something to do. When it has been low for 64 cycles, and no input changes, the clock may stop.
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
    data_path: DataPath,
    sequencer: ResetSequencer,
    diagnostics: Diagnostics,
    kick_waiting: Reg<Bits<4>>,

    clear: Signal<Local, Bit>,
    may_send: Signal<Local, Bit>,
    discard: Signal<Local, Bit>,
    stale_message: Signal<Local, Bit>,
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
        diagnostics: diagnostics::fields(config.device).count() as u8,
    }
}

impl EndpointCore {
    /// The endpoint of a checked configuration, without its device.
    pub fn new(config: &EndpointConfig) -> Self {
        let function = function_config(config);
        let queues = config.device.queues();
        let fields = diagnostics::fields(config.device).count();
        let registers = LegacyRegistersConfig {
            queue_sizes: vec![config.queue_size; queues],
            vectors: u16::from(config.vectors),
            device_config_length: config.device.config_bytes() as u16,
            safe_features: config.safe_features(),
        };
        let bar0_is_io = function.bar0_space == BarSpace::Io;
        Self {
            clock: Default::default(),
            reset: Default::default(),
            rx: Default::default(),
            tx: Default::default(),
            tx_nonposted_ready: Default::default(),
            device_features: Default::default(),
            device_config: Default::default(),
            config_changed: Default::default(),
            driver_features: Default::default(),
            driver_ok: Default::default(),
            device_reset: Default::default(),
            device_stop: Default::default(),
            device_idle: Default::default(),
            chain: (0..queues).map(|_| Default::default()).collect(),
            bytes: (0..queues).map(|_| Default::default()).collect(),
            command: (0..queues).map(|_| Default::default()).collect(),
            data: (0..queues).map(|_| Default::default()).collect(),
            device_violation_valid: (0..queues).map(|_| Default::default()).collect(),
            device_violation: (0..queues).map(|_| Default::default()).collect(),
            device_events: (diagnostics::FIELDS.len()..fields).map(|_| Default::default()).collect(),
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
            data_path: DataPath::new(queues, config.queue_size, config.completion_timeout_cycles()),
            sequencer: Default::default(),
            diagnostics: Diagnostics::new(fields),
            kick_waiting: Default::default(),
            clear: Default::default(),
            may_send: Default::default(),
            discard: Default::default(),
            stale_message: Default::default(),
            msix_busy: Default::default(),
        }
    }
}

impl Logic for EndpointCore {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module endpoint_core: everything of an endpoint but its device");
        dff_setup!(self, clock, kick_waiting);
        clock!(self, clock, unpack, arbiter, pack, completer, config_space, intx, messages);
        clock!(self, clock, registers, interrupts, data_path, sequencer, diagnostics);
        self.unpack.reset.next = self.reset.val();
        self.arbiter.reset.next = self.reset.val();
        self.pack.reset.next = self.reset.val();
        self.completer.reset.next = self.reset.val();
        self.config_space.reset.next = self.reset.val();
        self.intx.reset.next = self.reset.val();
        self.messages.reset.next = self.reset.val();
        self.registers.reset.next = self.reset.val() | self.config_space.function_reset.val();
        self.data_path.reset.next = self.reset.val();
        self.sequencer.reset.next = self.reset.val();
        self.diagnostics.reset.next = self.reset.val();
        // what a device reset clears once the engines have drained
        self.clear.next = self.reset.val() | self.sequencer.clear.val();
        self.data_path.clear.next = self.clear.val();
        self.device_reset.next = self.clear.val();
        // the interrupt controller forgets at once: the ISR is clear when the resetting write has been answered
        self.interrupts.reset.next = self.reset.val()
            | self.registers.device_reset.val()
            | self.config_space.function_reset.val()
            | self.sequencer.busy.val();

        // ------------------------------------------------------------ link
        self.unpack.rx.data.next.data = self.rx.data.val().data;
        self.unpack.rx.data.next.keep = self.rx.data.val().keep;
        self.unpack.rx.data.next.last = self.rx.data.val().last;
        // the completer compares addresses with the BARs itself
        self.unpack.rx.data.next.bar_hit = 0.into();
        self.unpack.rx.valid.next = self.rx.valid.val();
        self.rx.ready.next = self.unpack.rx.ready.val();
        Source::<TlpBeat>::link(&mut self.tx, &mut self.pack.tx);
        Source::<Request>::join(&mut self.unpack.request, &mut self.completer.request);
        Source::<CompletionBeat>::join(&mut self.unpack.completion, &mut self.data_path.completion);
        Source::<TransmitBeat>::join(&mut self.completer.completion, &mut self.arbiter.completion);
        Source::<TransmitBeat>::join(&mut self.data_path.posted, &mut self.arbiter.posted);
        Source::<TransmitBeat>::join(&mut self.data_path.nonposted, &mut self.arbiter.nonposted);
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
        self.config_space.transactions_pending.next = !self.data_path.reads_idle.val();
        self.config_space.received_master_abort.next = self.unpack.received_master_abort.val();
        self.config_space.received_target_abort.next = self.unpack.received_target_abort.val();
        self.config_space.poisoned_completion.next = self.unpack.poisoned_completion.val();
        self.config_space.signaled_target_abort.next = self.completer.aborted.val();
        self.config_space.poisoned_received.next =
            self.completer.poisoned.val() | self.unpack.poisoned_completion.val();
        self.config_space.unsupported_request.next = self.completer.unsupported.val();
        self.config_space.unsupported_posted.next = self.completer.unsupported_posted.val();
        self.config_space.malformed_received.next = self.unpack.malformed.val();
        self.config_space.completion_timeout.next = self.data_path.timeout.val();
        self.config_space.unexpected_completion.next = self.data_path.unexpected_completion.val();

        // ------------------------------------------------------------ MSI-X, where there is any, and INTx
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
        self.registers.device_features.next = self.device_features.val();
        self.registers.device_config.next = self.device_config.val();
        self.registers.msix_enable.next = self.config_space.msix_enable.val();
        self.registers.bus_master.next = self.config_space.bus_master.val();
        self.registers.isr_queue.next = self.interrupts.isr_queue.val();
        self.registers.isr_config.next = self.interrupts.isr_config.val();
        self.driver_features.next = self.registers.driver_features.val();
        self.driver_ok.next = self.registers.driver_ok.val();
        self.interrupts.config_interrupt.next = self.config_changed.val() & self.registers.driver_ok.val();
        self.interrupts.queue_interrupt.next = self.data_path.queue_interrupt.val();
        self.interrupts.msix_enable.next = self.config_space.msix_enable.val();
        self.interrupts.intx_disable.next = self.config_space.intx_disable.val();
        self.interrupts.queue_vector.next = self.registers.queue_vector.val();
        self.interrupts.config_vector.next = self.registers.config_vector.val();
        self.interrupts.isr_pending.next = self.registers.isr_pending.val();

        // ------------------------------------------------------------ reset
        self.sequencer.request.next = self.registers.device_reset.val() | self.config_space.function_reset.val();
        self.sequencer.quiet.next = self.data_path.quiet.val()
            & !self.messages.request.valid.val()
            & !self.interrupts.busy.val()
            & !self.msix_busy.val();
        self.sequencer.drained.next = self.data_path.idle.val() & self.device_idle.val();
        self.device_stop.next = self.sequencer.stop.val();

        // ------------------------------------------------------------ queues and DMA
        self.data_path.stop.next = self.sequencer.stop.val();
        self.data_path.discard.next = self.discard.val();
        self.data_path.max_payload.next = self.config_space.max_payload.val();
        self.data_path.max_read_request.next = self.config_space.max_read_request.val();
        self.data_path.extended_tag.next = self.config_space.extended_tag.val();
        self.data_path.function_id.next = self.config_space.function_id.val();
        self.data_path.driver_features.next = self.registers.driver_features.val();
        self.data_path.queue_pfn.next = self.registers.queue_pfn.val();
        // a kick during a reset waits for its end
        self.kick_waiting.reset.next = self.reset.val() | self.registers.device_reset.val();
        self.kick_waiting.d.next = self.registers.notify.val();
        self.data_path.kick.next = self.kick_waiting.q.val();
        if self.sequencer.busy.val() {
            self.kick_waiting.d.next = self.kick_waiting.q.val() | self.registers.notify.val();
            self.data_path.kick.next = 0.into();
        }
        for i in 0..self.chain.len() {
            Source::<Chain>::link(&mut self.chain[i], &mut self.data_path.chain[i]);
            Source::<ByteBeat>::link(&mut self.bytes[i], &mut self.data_path.bytes[i]);
            Sink::<ScatterCommand>::link(&mut self.command[i], &mut self.data_path.command[i]);
            Sink::<ByteBeat>::link(&mut self.data[i], &mut self.data_path.data[i]);
            self.data_path.device_violation_valid[i].next = self.device_violation_valid[i].val();
            self.data_path.device_violation[i].next = self.device_violation[i].val();
        }

        // ------------------------------------------------------------ diagnostics
        self.diagnostics.violation.next = self.data_path.violation.val();
        self.diagnostics.violation_queue.next = self.data_path.violation_queue.val();
        self.diagnostics.events[0].next = self.unpack.malformed.val();
        self.diagnostics.events[1].next = self.unpack.message.val();
        self.diagnostics.events[2].next = self.completer.unsupported.val();
        self.diagnostics.events[3].next = self.completer.aborted.val();
        self.diagnostics.events[4].next = self.completer.unsupported_posted.val() | self.completer.dropped.val();
        self.diagnostics.events[5].next = self.data_path.unexpected_completion.val();
        self.diagnostics.events[6].next = self.data_path.error_completion.val();
        self.diagnostics.events[7].next = self.data_path.timeout.val();
        self.diagnostics.events[8].next = self.data_path.stall_no_tag.val();
        self.diagnostics.events[9].next = self.arbiter.nonposted.valid.val() & !self.tx_nonposted_ready.val();
        self.diagnostics.events[10].next = self.pack.tx.valid.val() & !self.tx.ready.val();
        self.diagnostics.events[11].next = self.arbiter.nonposted.valid.val() & self.arbiter.nonposted.ready.val();
        self.diagnostics.events[12].next =
            self.arbiter.posted.valid.val() & self.arbiter.posted.ready.val() & self.arbiter.posted.data.val().last;
        self.diagnostics.events[13].next = self.arbiter.interrupt.valid.val() & self.arbiter.interrupt.ready.val();
        self.diagnostics.events[14].next = self.registers.device_reset.val();
        for i in 0..self.device_events.len() {
            self.diagnostics.events[i + 15].next = self.device_events[i].val();
        }
        for i in 0..self.config_space.diagnostics.len() {
            self.config_space.diagnostics[i].next = self.diagnostics.fields[i].val();
        }
        self.busy.next = self.unpack.busy.val()
            | self.completer.busy.val()
            | self.registers.notify.val().any()
            | self.registers.device_reset.val()
            | self.kick_waiting.q.val().any()
            | !self.data_path.idle.val()
            | self.data_path.queue_busy.val()
            | !self.device_idle.val()
            | self.interrupts.busy.val()
            | self.msix_busy.val()
            | self.intx.busy.val()
            | self.messages.request.valid.val()
            | self.pack.tx.valid.val()
            | self.arbiter.transmit.valid.val()
            | self.sequencer.busy.val();
    }
}
