//! What all endpoints are made of: everything but the device behind the rings.
use super::data_path::DataPath;
use super::diagnostics::{self, Diagnostics};
use super::register_switch::RegisterSwitch;
use super::reset::ResetSequencer;
use super::state_window::StateWindow;
use crate::block::{list, Block};
use crate::cells::{Reg, Sink, Source};
use crate::comment;
use crate::config::{Bar0, EndpointConfig};
use crate::dma::types::*;
use crate::pcie::completer::Completer;
use crate::pcie::function::{BarSpace, FunctionConfig};
use crate::pcie::link_side::{FunctionStatusSink, LinkEventsSink, RequesterSink};
use crate::pcie::messages::FunctionMessages;
use crate::pcie::msix_table::MsixTable;
use crate::pcie::register_bus::RegisterMaster;
use crate::tlp::transmit_arbiter::TransmitArbiter;
use crate::tlp::types::*;
use crate::virtio::interrupts::InterruptController;
use crate::virtio::registers::{LegacyRegisters, LegacyRegistersConfig};
use crate::virtio::types::*;
use crate::virtio::DEVICE_CONFIG_BITS;
use rust_hdl::prelude::*;

/// How INTx leaves an endpoint.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Intx {
    /// As Assert_INTA and Deassert_INTA messages among the packets.
    Messages,
    /// As the level of `intx_level`, which a hard block turns into messages.
    Level,
}

/// The part of an endpoint that knows neither link nor device.
///
/// ```text
/// request ----> completer -> legacy registers | MSI-X table | config bus -----------+
/// completion -> data path: virtqueues, DMA engines <-> chain interface              +-> arbiter -> transmit
///                    |                  interrupts -> MSI-X / INTx -----------------+
///                    +----------------------^
/// ```
/// A link (see `super::raw_link::RawLink`) turns packets into requests and completions, and says what config space says of
/// the function. A device has a chain interface for each of its queues, the ports from `device_features` to `device_idle`.
/// [`super::generate`] joins the three by the names of their ports.
#[derive(Block)]
pub struct EndpointCore {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high, for two cycles or more: the data path gets it one cycle later.
    pub reset: Signal<In, Bit>,
    /// Requests of the host.
    pub request: Sink<Request>,
    /// Completions of our reads.
    pub completion: Sink<CompletionBeat>,
    /// Completions, memory writes, memory reads, messages, in the order in which they are to leave.
    pub transmit: Source<TransmitBeat>,
    /// A memory read may be sent: the link partner has non-posted credit.
    pub nonposted_ready: Signal<In, Bit>,
    /// Accesses to our own config space, where there is one, and {bus, device, function} that they were sent to.
    pub config_bus: RegisterMaster,
    /// {bus, device, function} that the present access to our own config space was sent to.
    pub config_target: Signal<Out, Bits<16>>,
    /// What config space says of the function.
    pub function_status: FunctionStatusSink,
    /// What its requests must keep to.
    pub requester: RequesterSink,
    /// What happens on the link; counted, but for `busy` and `reads_forgotten`.
    pub link: LinkEventsSink,
    /// Messages to send, one cycle each: an error is to be reported, PME_Turn_Off is to be answered.
    pub error_correctable: Signal<In, Bit>,
    /// ERR_NONFATAL is to be sent.
    pub error_nonfatal: Signal<In, Bit>,
    /// ERR_FATAL is to be sent.
    pub error_fatal: Signal<In, Bit>,
    /// PME_Turn_Off came in: PME_TO_Ack is to be sent.
    pub turn_off: Signal<In, Bit>,
    /// INTx is asserted. A function that sleeps does not interrupt (PCI Express Base Specification, 5.3.1): the level comes
    /// back in D0.
    pub intx_level: Signal<Out, Bit>,
    /// INTx is wanted: Status bit 3.
    pub intx_pending: Signal<Out, Bit>,
    /// Memory reads are outstanding: Device Status bit 5.
    pub reads_pending: Signal<Out, Bit>,
    /// A reset is under way.
    pub quiescing: Signal<Out, Bit>,
    /// One cycle each: a request was answered with UR, a write to nowhere was dropped, a request was answered with completer
    /// abort, a poisoned write was not executed.
    pub request_unsupported: Signal<Out, Bit>,
    /// One cycle: a write to nowhere was dropped.
    pub posted_unsupported: Signal<Out, Bit>,
    /// One cycle: a request was answered with completer abort.
    pub request_aborted: Signal<Out, Bit>,
    /// One cycle: a poisoned write was not executed.
    pub write_poisoned: Signal<Out, Bit>,
    /// One cycle each: a read request timed out, a completion came in that nobody waits for.
    pub completion_timeout: Signal<Out, Bit>,
    /// One cycle: a completion came in that nobody waits for.
    pub completion_unexpected: Signal<Out, Bit>,
    /// What our own config space shows of events and violations at the address that was on `config_bus` one cycle before.
    pub diagnostic: Signal<Out, Bits<32>>,
    /// The first violation since the device reset, 0 before: field 0 of the diagnostics, see [`diagnostics::FIELDS`].
    pub queue_violation: Signal<Out, Bits<32>>,
    /// Features offered.
    pub device_features: Signal<In, Bits<32>>,
    /// Device-specific configuration, byte 0 in bits 7:0.
    pub device_config: Signal<In, Bits<DEVICE_CONFIG_BITS>>,
    /// One cycle: it has changed, and the driver is to know.
    pub config_changed: Signal<In, Bit>,
    /// Eight bytes of it with what the driver has written: those in which its fields are that are writable.
    pub driver_config: Signal<Out, Bits<64>>,
    /// One cycle: which of these bytes the driver has just written.
    pub driver_config_written: Signal<Out, Bits<8>>,
    /// Features the driver accepted; they stay while DRIVER_OK is set.
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
    #[given]
    pub chain: Vec<Source<Chain>>,
    /// Of each queue: bytes of the readable buffers.
    #[given]
    pub bytes: Vec<Source<ByteBeat>>,
    /// Of each queue: what to do with the writable buffers.
    #[given]
    pub command: Vec<Sink<ScatterCommand>>,
    /// Of each queue: bytes for the writable buffers.
    #[given]
    pub data: Vec<Sink<ByteBeat>>,
    /// Of each queue, one cycle: the device found a rule broken.
    #[given]
    pub device_violation_valid: Vec<Signal<In, Bit>>,
    /// Which rule, and what broke it.
    #[given]
    pub device_violation: Vec<Signal<In, ViolationReport>>,
    /// Events of the device that are counted, one cycle each; see [`crate::config::DeviceType::events`].
    #[given]
    pub device_events: Vec<Signal<In, Bit>>,
    /// The state window: an access, held until `state_done` rises; see [`StateWindow`].
    pub state_valid: Signal<In, Bit>,
    /// It is a write.
    pub state_write: Signal<In, Bit>,
    /// Where: see [`super::state_window`].
    pub state_address: Signal<In, Bits<32>>,
    /// Bytes that count.
    pub state_enable: Signal<In, Bits<4>>,
    /// What is written.
    pub state_write_data: Signal<In, Bits<32>>,
    /// It has happened; falls behind `state_valid`.
    pub state_done: Signal<Out, Bit>,
    /// With `state_done`: what has been read.
    pub state_read_data: Signal<Out, Bits<32>>,
    /// The endpoint stands still, and accesses of config space are those of the state window.
    pub frozen: Signal<Out, Bit>,
    /// The device begins nothing that comes from outside, and finishes what it has begun.
    pub device_pause: Signal<Out, Bit>,
    /// With `device_pause`: what has waited in the device for long need not be waited for any more.
    pub device_give_up: Signal<Out, Bit>,
    /// The endpoint has something to do. When it has been low for 64 cycles, and no input changes, the clock may stop.
    pub busy: Signal<Out, Bit>,

    arbiter: TransmitArbiter,
    #[given]
    completer: Completer,
    #[given]
    msix: Vec<MsixTable>,
    // none where a hard block sends them
    #[given]
    messages: Vec<FunctionMessages>,
    #[given]
    registers: LegacyRegisters,
    interrupts: InterruptController,
    #[given]
    data_path: DataPath,
    #[given]
    sequencer: ResetSequencer,
    #[given]
    counters: Diagnostics,
    #[given]
    window: StateWindow,
    switch: RegisterSwitch,
    kick_waiting: Reg<Bits<4>>,
    change_waiting: Reg<Bit>,
    tell_change: Signal<Local, Bit>,
    reads_outstanding: Reg<Bit>,
    at_work: Reg<Bit>,
    device_at_work: Reg<Bit>,

    may_send: Reg<Bit>,
    // bus mastering was taken away from queues at work: they wait for DRIVER_OK or a reset
    bus_master_then: Reg<Bit>,
    driver_ok_then: Reg<Bit>,
    halting: Reg<Bit>,
    halted: Reg<Bit>,
    message: Signal<Local, Bit>,
    message_busy: Signal<Local, Bit>,
    awake: Signal<Local, Bits<4>>,
    one_state: Signal<Local, Bits<32>>,
    msix_message: Signal<Local, Bit>,
    msix_busy: Signal<Local, Bit>,
}

/// The part of the configuration that the PCI function is made with.
pub fn function_config(config: &EndpointConfig) -> FunctionConfig {
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
    pub fn new(config: &EndpointConfig, intx: Intx) -> Self {
        let function = function_config(config);
        let buffers = config.buffers();
        let queues = buffers.len();
        let fields = diagnostics::fields(config.device).count();
        let registers = LegacyRegistersConfig {
            queue_sizes: vec![config.queue_size; queues],
            vectors: u16::from(config.vectors),
            device_config_length: config.config_bytes() as u16,
            writable_config: config.writable_config(),
            reads_back: config.reads_back(),
            safe_features: config.safe_features(),
        };
        let read_tags = config.read_tags.min(config.link.interface.read_tags());
        let messages = usize::from(intx == Intx::Messages);
        Self::with(EndpointCoreGiven {
            chain: list(queues),
            bytes: list(queues),
            command: list(queues),
            data: list(queues),
            device_violation_valid: list(queues),
            device_violation: list(queues),
            device_events: list(fields - diagnostics::FIELDS.len()),
            completer: Completer::new(function.bar0_size, function.bar1_size()),
            msix: (0..usize::from(config.vectors > 0)).map(|_| MsixTable::new(function.vectors)).collect(),
            messages: list(messages),
            registers: LegacyRegisters::new(&registers),
            data_path: DataPath::new(&buffers, config.queue_size, read_tags, config.completion_timeout_cycles()),
            // the driver's patience with a reset is one of milliseconds
            sequencer: ResetSequencer::new(config.link.clock_hz / 2000),
            counters: Diagnostics::new(fields),
            window: StateWindow::new(config.virtio_id(), queues, config.vectors, intx == Intx::Messages),
        })
    }
}

impl Logic for EndpointCore {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module endpoint_core: everything of an endpoint but its link and its device");
        self.registers.reset.next = self.reset.val() | self.function_status.function_reset.val();
        comment!("what a device reset clears once the engines have drained");
        self.data_path.clear.next = self.sequencer.clear.val();
        self.device_reset.next = self.sequencer.clear.val();
        comment!(
            "the interrupt controller forgets at once: the ISR is clear when the resetting write has been answered"
        );
        self.interrupts.reset.next = self.reset.val()
            | self.registers.device_reset.val()
            | self.function_status.function_reset.val()
            | (self.sequencer.busy.val() & !self.sequencer.keep.val());
        self.interrupts.hold_level.next = self.sequencer.frozen.val();

        comment!("---- link");
        Sink::<Request>::link(&mut self.request, &mut self.completer.request);
        Sink::<CompletionBeat>::link(&mut self.completion, &mut self.data_path.completion);
        Source::<TransmitBeat>::link(&mut self.transmit, &mut self.arbiter.transmit);
        Source::<TransmitBeat>::join(&mut self.completer.completion, &mut self.arbiter.completion);
        Source::<TransmitBeat>::join(&mut self.data_path.posted, &mut self.arbiter.posted);
        Source::<TransmitBeat>::join(&mut self.data_path.nonposted, &mut self.arbiter.nonposted);
        self.may_send.d.next = self.function_status.bus_master.val() & !self.function_status.d3hot.val();
        self.arbiter.bus_master.next = self.may_send.q.val();
        self.arbiter.nonposted_allowed.next = self.nonposted_ready.val();

        comment!("---- function");
        self.frozen.next = self.sequencer.frozen.val();
        self.registers.frozen.next = self.sequencer.frozen.val();
        self.window.frozen.next = self.sequencer.frozen.val();
        self.switch.frozen.next = self.sequencer.frozen.val();
        RegisterMaster::join(&mut self.completer.config_bus, &mut self.switch.host_config);
        RegisterMaster::join(&mut self.completer.bar0_bus, &mut self.switch.host_bar0);
        RegisterMaster::join(&mut self.completer.bar1_bus, &mut self.switch.host_bar1);
        RegisterMaster::join(&mut self.window.bus, &mut self.switch.window);
        RegisterMaster::link(&mut self.config_bus, &mut self.switch.config_space);
        RegisterMaster::join(&mut self.switch.registers, &mut self.registers.bus);
        RegisterMaster::join(&mut self.switch.counters, &mut self.counters.window);
        self.switch.host_target.next = self.completer.target.val();
        self.switch.window_config.next = self.window.config_valid.val();
        self.switch.window_bar0.next = self.window.bar0_valid.val();
        self.switch.window_bar1.next = self.window.bar1_valid.val();
        self.switch.window_target.next = self.state_address.val().get_bits::<16>(16);
        self.config_target.next = self.switch.config_target.val();
        self.completer.d3hot.next = self.function_status.d3hot.val();
        self.completer.hold.next = self.sequencer.hold.val();
        self.intx_level.next = self.interrupts.intx.val();
        self.intx_pending.next = self.registers.isr_pending.val() & !self.function_status.msix_enable.val();
        self.reads_outstanding.d.next = !self.data_path.reads_idle.val();
        self.reads_pending.next = self.reads_outstanding.q.val();
        self.quiescing.next = self.sequencer.busy.val();
        self.request_unsupported.next = self.completer.unsupported.val();
        self.posted_unsupported.next = self.completer.unsupported_posted.val();
        self.request_aborted.next = self.completer.aborted.val();
        self.write_poisoned.next = self.completer.poisoned.val();
        self.completion_timeout.next = self.data_path.timeout.val();
        self.completion_unexpected.next = self.data_path.unexpected_completion.val();

        comment!("---- messages and MSI-X, where they are; diagnostics");
        self.message.next = false;
        self.message_busy.next = false;
        self.msix_message.next = false;
        self.msix_busy.next = false;
        self.switch.table.done.next = false;
        self.switch.table.read_data.next = 0.into();
        self.interrupts.fire.ready.next = true;
        comment!("where there is neither, nothing is ever valid here");
        self.arbiter.interrupt.data.next = self.completer.completion.data.val();
        for i in 0..self.messages.len() {
            self.messages[i].level.next = self.interrupts.intx.val();
            self.messages[i].error_correctable.next = self.error_correctable.val();
            self.messages[i].error_nonfatal.next = self.error_nonfatal.val();
            self.messages[i].error_fatal.next = self.error_fatal.val();
            self.messages[i].turn_off.next = self.turn_off.val();
            self.message.next = self.messages[i].message.valid.val();
            self.message_busy.next = self.messages[i].busy.val();
            self.arbiter.interrupt.data.next = self.messages[i].message.data.val();
            self.messages[i].message.ready.next = self.arbiter.interrupt.ready.val();
        }
        for i in 0..self.msix.len() {
            self.msix[i].function_reset.next = self.function_status.function_reset.val();
            self.msix[i].forget.next = self.registers.device_reset.val();
            self.msix[i].enable.next = self.function_status.msix_enable.val();
            self.msix[i].function_mask.next = self.function_status.msix_function_mask.val();
            self.msix[i].bus.valid.next = self.switch.table.valid.val();
            self.msix[i].bus.write.next = self.switch.table.write.val();
            self.msix[i].bus.address.next = self.switch.table.address.val();
            self.msix[i].bus.enable.next = self.switch.table.enable.val();
            self.msix[i].bus.write_data.next = self.switch.table.write_data.val();
            self.switch.table.done.next = self.msix[i].bus.done.val();
            self.switch.table.read_data.next = self.msix[i].bus.read_data.val();
            self.msix[i].frozen.next = self.sequencer.frozen.val();
            self.msix[i].fire.data.next = self.interrupts.fire.data.val();
            self.msix[i].fire.valid.next = self.interrupts.fire.valid.val();
            self.interrupts.fire.ready.next = self.msix[i].fire.ready.val();
            self.msix_busy.next = self.msix[i].busy.val();
            self.msix_message.next = self.msix[i].message.valid.val();
            if !self.message.val() {
                self.arbiter.interrupt.data.next = self.msix[i].message.data.val();
            }
            comment!("nor does an interrupt of the old configuration leave once a reset has begun");
            self.msix[i].message.ready.next =
                self.sequencer.stop.val() | (self.arbiter.interrupt.ready.val() & !self.message.val());
        }
        self.arbiter.interrupt.valid.next = self.message.val() | (self.msix_message.val() & !self.sequencer.stop.val());

        comment!("---- state window");
        self.window.valid.next = self.state_valid.val();
        self.window.write.next = self.state_write.val();
        self.window.address.next = self.state_address.val();
        self.window.enable.next = self.state_enable.val();
        self.window.write_data.next = self.state_write_data.val();
        self.state_done.next = self.window.done.val();
        self.state_read_data.next = self.window.read_data.val();
        self.window.accepted.next = self.registers.driver_features.val();
        self.window.config_written.next = self.registers.config_written.val();
        self.window.change_waits.next = self.change_waiting.q.val();
        self.window.halted.next = self.halted.q.val();
        self.window.waiting.next = self.completer.busy.val() | self.link.busy.val();
        self.window.function_id.next = self.requester.function_id.val();
        self.data_path.state_write.next = self.window.queue_write.val();
        self.data_path.state_data.next = self.state_write_data.val();
        self.awake.next = 0.into();
        for i in 0..self.chain.len() {
            self.window.queue_state[i].next = self.data_path.queue_state[i].val();
            self.one_state.next = self.data_path.queue_state[i].val();
            self.awake.next = self.awake.val().replace_bit(i, self.one_state.val().get_bit(16));
        }

        comment!("---- virtio registers and interrupts");
        self.registers.device_features.next = self.device_features.val();
        self.registers.device_config.next = self.device_config.val();
        self.registers.msix_enable.next = self.function_status.msix_enable.val();
        self.registers.bus_master.next = self.function_status.bus_master.val();
        self.registers.isr_queue.next = self.interrupts.isr_queue.val();
        self.registers.isr_config.next = self.interrupts.isr_config.val();
        self.driver_config.next = self.registers.driver_config.val();
        self.driver_config_written.next = self.registers.driver_config_written.val();
        self.driver_features.next = self.registers.driver_features.val();
        self.driver_ok.next = self.registers.driver_ok.val();
        comment!("a change while the driver sets the device up, or while a reset still drains, waits: the driver may have read what was before");
        self.tell_change.next =
            self.change_waiting.q.val() & self.registers.driver_ok.val() & !self.sequencer.busy.val();
        self.change_waiting.reset.next =
            self.reset.val() | self.registers.device_reset.val() | self.function_status.function_reset.val();
        self.change_waiting.d.next =
            self.config_changed.val() | (self.change_waiting.q.val() & !self.tell_change.val());
        if self.window.events_write.val() {
            self.change_waiting.d.next = self.state_write_data.val().get_bit(0);
        }
        self.interrupts.config_interrupt.next = self.tell_change.val();
        self.interrupts.queue_interrupt.next = self.data_path.queue_interrupt.val();
        self.interrupts.msix_enable.next = self.function_status.msix_enable.val();
        self.interrupts.intx_disable.next = self.function_status.intx_disable.val() | self.function_status.d3hot.val();
        self.interrupts.queue_vector.next = self.registers.queue_vector.val();
        self.interrupts.config_vector.next = self.registers.config_vector.val();
        self.interrupts.isr_pending.next = self.registers.isr_pending.val();

        comment!(
            "---- reset \
             Who takes bus mastering away may give the memory to others, as a kernel does that starts the next one: what the queues \
             were doing is dropped as in a reset, and does not go on when bus mastering comes back. Registers stay, but for \
             DRIVER_OK. A driver that has never set DRIVER_OK is not asked for it: old ones use their queues before."
        );
        self.bus_master_then.d.next = self.function_status.bus_master.val();
        self.driver_ok_then.d.next = self.registers.driver_ok.val();
        self.halting.reset.next =
            self.reset.val() | self.registers.device_reset.val() | self.function_status.function_reset.val();
        self.halting.d.next = self.bus_master_then.q.val()
            & !self.function_status.bus_master.val()
            & self.registers.queue_active.val().any();
        self.halted.reset.next =
            self.reset.val() | self.registers.device_reset.val() | self.function_status.function_reset.val();
        if self.halting.q.val() {
            self.halted.d.next = true;
        } else if self.registers.driver_ok.val() & !self.driver_ok_then.q.val() {
            self.halted.d.next = false;
        }
        if self.window.events_write.val() {
            self.halted.d.next = self.state_write_data.val().get_bit(2);
        }
        self.data_path.halt.next = self.halted.q.val();
        self.sequencer.request.next =
            self.registers.device_reset.val() | self.function_status.function_reset.val() | self.halting.q.val();
        self.sequencer.quiet.next = self.data_path.quiet.val()
            & !self.message.val()
            & !self.msix_message.val()
            & !self.interrupts.busy.val()
            & !self.msix_busy.val();
        self.sequencer.drained.next = self.data_path.idle.val();
        self.sequencer.device_idle.next = self.device_idle.val();
        self.device_stop.next = self.sequencer.stop.val();
        self.sequencer.freeze.next = self.window.freeze.val();
        self.sequencer.settled.next = self.data_path.idle.val()
            & !self.data_path.queue_busy.val()
            & !self.interrupts.busy.val()
            & !self.msix_busy.val()
            & !self.message_busy.val()
            & !self.tell_change.val()
            & self.device_idle.val();
        self.sequencer.at_rest.next = !self.completer.under_way.val() & !self.arbiter.transmit.valid.val();
        self.device_pause.next = self.sequencer.pause.val();
        self.device_give_up.next = self.sequencer.pause_all.val();

        comment!("---- queues and DMA");
        self.data_path.stop.next = self.sequencer.stop.val();
        self.data_path.pause.next = self.sequencer.pause.val();
        self.data_path.pause_all.next = self.sequencer.pause_all.val();
        self.data_path.keep.next = self.sequencer.keep.val();
        self.data_path.rewind.next = self.sequencer.rewind.val();
        RequesterSink::link(&mut self.requester, &mut self.data_path.requester);
        self.data_path.reads_forgotten.next = self.link.reads_forgotten.val();
        self.data_path.driver_features.next = self.registers.driver_features.val();
        self.data_path.queue_pfn.next = self.registers.queue_pfn.val();
        self.data_path.queue_active.next = self.registers.queue_active.val();
        comment!("a kick during a reset waits for its end");
        self.kick_waiting.reset.next = self.reset.val() | self.registers.device_reset.val();
        self.kick_waiting.d.next = self.registers.notify.val();
        self.data_path.kick.next = self.kick_waiting.q.val();
        if self.sequencer.busy.val() {
            self.kick_waiting.d.next = self.kick_waiting.q.val() | self.registers.notify.val();
            self.data_path.kick.next = 0.into();
        }
        comment!("what was kicked while all stood still, or before and not looked at any more");
        if self.sequencer.rewind.val() {
            self.kick_waiting.d.next = self.kick_waiting.q.val() | self.registers.notify.val() | self.awake.val();
        }
        for i in 0..self.chain.len() {
            Source::<Chain>::link(&mut self.chain[i], &mut self.data_path.chain[i]);
            Source::<ByteBeat>::link(&mut self.bytes[i], &mut self.data_path.bytes[i]);
            Sink::<ScatterCommand>::link(&mut self.command[i], &mut self.data_path.command[i]);
            Sink::<ByteBeat>::link(&mut self.data[i], &mut self.data_path.data[i]);
            self.data_path.device_violation_valid[i].next = self.device_violation_valid[i].val();
            self.data_path.device_violation[i].next = self.device_violation[i].val();
        }

        comment!("---- diagnostics");
        self.counters.violation.next = self.data_path.violation.val();
        self.counters.violation_queue.next = self.data_path.violation_queue.val();
        self.counters.events[0].next = self.link.packet_malformed.val();
        self.counters.events[1].next = self.link.packet_message.val();
        self.counters.events[2].next = self.completer.unsupported.val();
        self.counters.events[3].next = self.completer.aborted.val();
        self.counters.events[4].next = self.completer.unsupported_posted.val() | self.completer.dropped.val();
        self.counters.events[5].next = self.data_path.unexpected_completion.val();
        self.counters.events[6].next = self.data_path.error_completion.val();
        self.counters.events[7].next = self.data_path.timeout.val();
        self.counters.events[8].next = self.data_path.stall_no_tag.val();
        self.counters.events[9].next = self.arbiter.nonposted.valid.val() & !self.nonposted_ready.val();
        self.counters.events[10].next = self.link.transmit_stalled.val();
        self.counters.events[11].next = self.arbiter.nonposted.valid.val() & self.arbiter.nonposted.ready.val();
        self.counters.events[12].next =
            self.arbiter.posted.valid.val() & self.arbiter.posted.ready.val() & self.arbiter.posted.data.val().last;
        self.counters.events[13].next = self.arbiter.interrupt.valid.val() & self.arbiter.interrupt.ready.val();
        self.counters.events[14].next = self.registers.device_reset.val();
        for i in 0..self.device_events.len() {
            self.counters.events[i + 15].next = self.device_events[i].val();
        }
        self.counters.config_address.next = self.switch.config_space.address.val();
        self.diagnostic.next = self.counters.config_word.val();
        self.queue_violation.next = self.counters.violation_word.val();
        comment!("two registers: what one of them hands to the other is always in one of them");
        self.busy.next = self.at_work.q.val() | self.device_at_work.q.val();
        self.device_at_work.d.next = !self.device_idle.val();
        self.at_work.d.next = self.link.busy.val()
            | self.completer.busy.val()
            | self.registers.notify.val().any()
            | self.registers.device_reset.val()
            | self.kick_waiting.q.val().any()
            | self.tell_change.val()
            | !self.data_path.idle.val()
            | self.data_path.queue_busy.val()
            | self.interrupts.busy.val()
            | self.msix_busy.val()
            | self.message_busy.val()
            | self.arbiter.transmit.valid.val()
            | self.window.busy.val()
            | self.sequencer.pause.val()
            | self.sequencer.busy.val();
    }
}
