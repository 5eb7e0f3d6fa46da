//! Config space of the function.
use super::function::FunctionConfig;
use super::link_side::{FunctionStatusSource, RequesterSource};
use super::register_bus::RegisterSlave;
use super::registers as at;
use crate::block::Block;
use crate::cells::Reg;
use crate::comment;
use rust_hdl::prelude::*;

/// The type 0 header and the capabilities: power management, MSI-X, PCI Express, diagnostics.
///
/// ```text
/// 0x00 header
/// 0x40 power management: D0, D3hot
/// 0x50 MSI-X            (not in the list without vectors)
/// 0x60 PCI Express v2, legacy endpoint, function-level reset
/// 0xa0 vendor specific: diagnostics double words from 0xa4
/// ```
/// All other offsets up to 0xfff read 0 and take no writes. A function-level reset puts every register back but
/// those the PCI Express Base Specification (6.6.2) leaves alone: maximum payload, link control, and the
/// bus and device numbers.
///
/// Errors are reported by their role (6.2.3.2.4). What the requester is told of in a completion, or what is nothing but a
/// completion too many, is advisory: ERR_COR. A poisoned packet, a read that timed out, and a write to nowhere: ERR_NONFATAL. A
/// malformed packet: ERR_FATAL. Device Control says which are sent, SERR# Enable stands in for the last two, and unsupported
/// requests are reported by Device Control only if their own bit is set, too (6.2.6). What is not the fault of a packet
/// that came in is not reported asleep (5.3.1.4.1).
#[derive(Block)]
pub struct ConfigSpace {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// From the completer.
    pub bus: RegisterSlave,
    /// {bus, device, function} of the present access.
    pub target: Signal<In, Bits<16>>,
    /// The accesses are those of the state window: bits of the status registers become what is written, and not what is left of them.
    pub frozen: Signal<In, Bit>,
    /// What the registers say of the function.
    pub function_status: FunctionStatusSource,
    /// What its requests must keep to; the function is the target of the last config write.
    pub requester: RequesterSource,
    /// Command: answer I/O requests.
    pub io_enable: Signal<Out, Bit>,
    /// Command: answer memory requests.
    pub memory_enable: Signal<Out, Bit>,
    /// BAR0, bits below its size zero.
    pub bar0_base: Signal<Out, Bits<32>>,
    /// BAR1, bits below its size zero.
    pub bar1_base: Signal<Out, Bits<32>>,
    /// INTx is wanted: Status bit 3.
    pub intx_pending: Signal<In, Bit>,
    /// Read requests are outstanding: Device Status bit 5.
    pub transactions_pending: Signal<In, Bit>,
    /// The double word of the diagnostics that lies at the address on the bus, one cycle behind it; 0 where none does.
    pub diagnostic: Signal<In, Bits<32>>,
    /// One cycle each: an error is to be reported.
    pub report_correctable: Signal<Out, Bit>,
    /// One cycle: ERR_NONFATAL is to be sent.
    pub report_nonfatal: Signal<Out, Bit>,
    /// One cycle: ERR_FATAL is to be sent.
    pub report_fatal: Signal<Out, Bit>,
    /// One cycle: a completion came in with unsupported request.
    pub received_master_abort: Signal<In, Bit>,
    /// One cycle: a completion came in with completer abort.
    pub received_target_abort: Signal<In, Bit>,
    /// One cycle: completer abort was sent.
    pub signaled_target_abort: Signal<In, Bit>,
    /// One cycle: a poisoned packet came in.
    pub poisoned_received: Signal<In, Bit>,
    /// One cycle: a poisoned completion came in.
    pub poisoned_completion: Signal<In, Bit>,
    /// One cycle: unsupported request was sent.
    pub unsupported_request: Signal<In, Bit>,
    /// One cycle: a write to nowhere was dropped.
    pub unsupported_posted: Signal<In, Bit>,
    /// One cycle: a malformed packet came in.
    pub malformed_received: Signal<In, Bit>,
    /// One cycle: a read request timed out.
    pub completion_timeout: Signal<In, Bit>,
    /// One cycle: a completion came in that nobody waits for.
    pub unexpected_completion: Signal<In, Bit>,

    looked_up: Reg<Bit>,
    done: Reg<Bit>,
    read_data: DFF<Bits<32>>,
    function: Reg<Bits<16>>,
    command: Reg<Bits<16>>,
    status: Reg<Bits<16>>,
    cache_line: Reg<Bits<8>>,
    interrupt_line: Reg<Bits<8>>,
    bar0: Reg<Bits<32>>,
    bar1: Reg<Bits<32>>,
    power_state: Reg<Bits<2>>,
    vectors_enabled: Reg<Bit>,
    vectors_masked: Reg<Bit>,
    #[given]
    device_control: Reg<Bits<16>>,
    device_status: Reg<Bits<16>>,
    payload_size: Reg<Bits<3>>,
    link_control: Reg<Bits<16>>,
    #[given]
    target_speed: Reg<Bits<4>>,
    timeout_disabled: Reg<Bit>,
    reporting_correctable: Reg<Bit>,
    reporting_nonfatal: Reg<Bit>,
    reporting_fatal: Reg<Bit>,
    resetting: Reg<Bit>,

    clear: Signal<Local, Bit>,
    access: Signal<Local, Bit>,
    write: Signal<Local, Bit>,
    in_header: Signal<Local, Bit>,
    register_number: Signal<Local, Bits<8>>,
    mask: Signal<Local, Bits<32>>,
    keep: Signal<Local, Bits<32>>,
    set: Signal<Local, Bits<32>>,
    set_low: Signal<Local, Bits<16>>,
    set_high: Signal<Local, Bits<16>>,
    keep_low: Signal<Local, Bits<16>>,
    keep_high: Signal<Local, Bits<16>>,
    value: Signal<Local, Bits<32>>,
    status_value: Signal<Local, Bits<16>>,
    status_events: Signal<Local, Bits<16>>,
    device_control_value: Signal<Local, Bits<16>>,
    device_status_value: Signal<Local, Bits<16>>,
    device_events: Signal<Local, Bits<16>>,
    power_value: Signal<Local, Bits<32>>,
    new_power_state: Signal<Local, Bits<2>>,
    message_control: Signal<Local, Bits<32>>,
    system_error: Signal<Local, Bit>,
    unsupported_reported: Signal<Local, Bit>,
    timed_out: Signal<Local, Bit>,
    new_payload_size: Signal<Local, Bits<3>>,
    read_size: Signal<Local, Bits<3>>,

    #[given]
    id: Constant<Bits<32>>,
    #[given]
    class_revision: Constant<Bits<32>>,
    #[given]
    subsystem: Constant<Bits<32>>,
    #[given]
    capability_pointer: Constant<Bits<32>>,
    #[given]
    interrupt_pin: Constant<Bits<32>>,
    #[given]
    command_writable: Constant<Bits<16>>,
    #[given]
    status_clearable: Constant<Bits<16>>,
    #[given]
    bar0_mask: Constant<Bits<32>>,
    #[given]
    bar0_kind: Constant<Bits<32>>,
    #[given]
    bar1_mask: Constant<Bits<32>>,
    #[given]
    power_capability: Constant<Bits<32>>,
    #[given]
    no_soft_reset: Constant<Bits<32>>,
    #[given]
    has_vectors: Constant<Bit>,
    #[given]
    msix_capability: Constant<Bits<32>>,
    #[given]
    msix_table: Constant<Bits<32>>,
    #[given]
    msix_pba: Constant<Bits<32>>,
    #[given]
    express_capability: Constant<Bits<32>>,
    #[given]
    device_capabilities: Constant<Bits<32>>,
    #[given]
    device_capabilities_2: Constant<Bits<32>>,
    #[given]
    device_control_writable: Constant<Bits<16>>,
    #[given]
    max_payload_supported: Constant<Bits<3>>,
    #[given]
    link_capabilities: Constant<Bits<32>>,
    #[given]
    link_control_writable: Constant<Bits<16>>,
    #[given]
    link_status: Constant<Bits<32>>,
    #[given]
    link_speeds: Constant<Bits<32>>,
    #[given]
    vendor_capability: Constant<Bits<32>>,
}

impl ConfigSpace {
    /// The config space of a function; see [`FunctionConfig::check`] for what must hold.
    pub fn new(function: &FunctionConfig) -> Self {
        let dword = |value: u32| Constant::new(u64::from(value).into());
        let word = |value: u16| Constant::new(u64::from(value).into());
        Self::with(ConfigSpaceGiven {
            device_control: Reg::new(u64::from(at::EXPRESS_DEVICE_CONTROL_RESET).into()),
            target_speed: Reg::new(u64::from(function.link_speed).into()),
            id: dword(function.id()),
            class_revision: dword(function.class_revision()),
            subsystem: dword(function.subsystem()),
            capability_pointer: dword(u32::from(at::POWER_CAPABILITY)),
            interrupt_pin: dword(1 << 8),
            command_writable: word(function.command_writable()),
            status_clearable: word(at::STATUS_CLEARABLE),
            bar0_mask: dword(function.bar0_mask()),
            bar0_kind: dword(function.bar0_kind()),
            bar1_mask: dword(function.bar1_mask()),
            power_capability: dword(function.power_capability()),
            no_soft_reset: dword(u32::from(at::POWER_NO_SOFT_RESET)),
            has_vectors: Constant::new(function.vectors > 0),
            msix_capability: dword(function.msix_capability()),
            msix_table: dword(function.msix_table()),
            msix_pba: dword(function.msix_pba()),
            express_capability: dword(function.express_capability()),
            device_capabilities: dword(function.device_capabilities()),
            device_capabilities_2: dword(function.device_capabilities_2()),
            device_control_writable: word(at::EXPRESS_DEVICE_CONTROL_WRITABLE),
            max_payload_supported: Constant::new(u64::from(function.max_payload).into()),
            link_capabilities: dword(function.link_capabilities()),
            link_control_writable: word(at::EXPRESS_LINK_CONTROL_WRITABLE),
            link_status: dword(u32::from(function.link_status()) << 16),
            link_speeds: dword(function.link_speeds()),
            vendor_capability: dword(function.vendor_capability()),
        })
    }
}

impl Logic for ConfigSpace {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module pcie_config_space: type 0 header and capabilities");
        comment!("a function-level reset spares the function's number, the payload size and the link");
        self.clear.next = self.reset.val() | self.resetting.q.val();
        self.command.reset.next = self.clear.val();
        self.status.reset.next = self.clear.val();
        self.cache_line.reset.next = self.clear.val();
        self.interrupt_line.reset.next = self.clear.val();
        self.bar0.reset.next = self.clear.val();
        self.bar1.reset.next = self.clear.val();
        self.power_state.reset.next = self.clear.val();
        self.vectors_enabled.reset.next = self.clear.val();
        self.vectors_masked.reset.next = self.clear.val();
        self.device_control.reset.next = self.clear.val();
        self.device_status.reset.next = self.clear.val();
        self.timeout_disabled.reset.next = self.clear.val();

        comment!(
            "the access: diagnostics are looked up outside in one cycle, the register in the next, the answer comes behind it"
        );
        self.access.next = self.bus.valid.val() & self.looked_up.q.val() & !self.done.q.val();
        self.looked_up.d.next = self.bus.valid.val() & !self.looked_up.q.val() & !self.done.q.val();
        self.write.next = self.access.val() & self.bus.write.val();
        self.done.d.next = self.access.val();
        self.register_number.next = self.bus.address.val().get_bits::<8>(0);
        self.in_header.next = self.bus.address.val().get_bits::<4>(8) == bits::<4>(0);
        self.mask.next = bits::<32>(0);
        for i in 0..4 {
            if self.bus.enable.val().get_bit(i) {
                self.mask.next = self.mask.val() | (bits::<32>(0xFF) << (i * 8).to_bits::<5>());
            }
        }
        self.keep.next = !self.mask.val();
        self.set.next = self.bus.write_data.val() & self.mask.val();
        self.set_low.next = self.set.val().get_bits::<16>(0);
        self.set_high.next = self.set.val().get_bits::<16>(16);
        self.keep_low.next = self.keep.val().get_bits::<16>(0);
        self.keep_high.next = self.keep.val().get_bits::<16>(16);

        comment!("errors to report: Device Control 0 correctable, 1 non-fatal, 2 fatal, 3 unsupported requests");
        self.system_error.next = self.command.q.val().get_bit(8);
        self.unsupported_reported.next = self.device_control.q.val().get_bit(3);
        self.timed_out.next = self.completion_timeout.val() & (self.power_state.q.val() == bits::<2>(0));
        self.reporting_correctable.d.next = self.device_control.q.val().get_bit(0)
            & ((self.unsupported_request.val() & self.unsupported_reported.val())
                | self.signaled_target_abort.val()
                | self.unexpected_completion.val());
        comment!("of a poisoned request that is answered as unsupported the answer tells");
        self.reporting_nonfatal.d.next = (((self.poisoned_received.val() & !self.unsupported_request.val())
            | self.timed_out.val())
            & (self.device_control.q.val().get_bit(1) | self.system_error.val()))
            | (self.unsupported_posted.val()
                & ((self.device_control.q.val().get_bit(1) & self.unsupported_reported.val())
                    | self.system_error.val()));
        self.reporting_fatal.d.next =
            self.malformed_received.val() & (self.device_control.q.val().get_bit(2) | self.system_error.val());

        comment!("what has happened since the driver last cleared it");
        self.status_events.next = bits::<16>(0)
            .replace_bit(8, self.poisoned_completion.val() & self.command.q.val().get_bit(6))
            .replace_bit(11, self.signaled_target_abort.val())
            .replace_bit(12, self.received_target_abort.val())
            .replace_bit(13, self.received_master_abort.val())
            .replace_bit(14, self.system_error.val() & (self.reporting_nonfatal.q.val() | self.reporting_fatal.q.val()))
            .replace_bit(15, self.poisoned_received.val());
        self.device_events.next = bits::<16>(0)
            .replace_bit(
                0,
                self.unsupported_request.val() | self.signaled_target_abort.val() | self.unexpected_completion.val(),
            )
            .replace_bit(
                1,
                self.unsupported_posted.val() | self.poisoned_received.val() | self.completion_timeout.val(),
            )
            .replace_bit(2, self.malformed_received.val())
            .replace_bit(3, self.unsupported_request.val() | self.unsupported_posted.val());
        self.status.d.next = self.status.q.val() | self.status_events.val();
        self.device_status.d.next = self.device_status.q.val() | self.device_events.val();

        comment!("values that are put together");
        self.status_value.next = self.status.q.val().replace_bit(3, self.intx_pending.val()).replace_bit(4, true);
        self.device_status_value.next = self.device_status.q.val().replace_bit(5, self.transactions_pending.val());
        self.device_control_value.next =
            self.device_control.q.val() | (bit_cast::<16, 3>(self.payload_size.q.val()) << 5);
        self.power_value.next = self.no_soft_reset.val() | bit_cast::<32, 2>(self.power_state.q.val());
        self.message_control.next = self
            .msix_capability
            .val()
            .replace_bit(30, self.vectors_masked.q.val())
            .replace_bit(31, self.vectors_enabled.q.val());
        self.new_power_state.next =
            (self.power_state.q.val() & self.keep_low.val().get_bits::<2>(0)) | self.set_low.val().get_bits::<2>(0);
        self.new_payload_size.next =
            (self.payload_size.q.val() & self.keep_low.val().get_bits::<3>(5)) | self.set_low.val().get_bits::<3>(5);

        comment!("registers");
        self.resetting.d.next = false;
        self.value.next = bits::<32>(0);
        if self.in_header.val() {
            match self.register_number.val().index() {
                0x00 => self.value.next = self.id.val(),
                0x04 => {
                    self.value.next =
                        (bit_cast::<32, 16>(self.status_value.val()) << 16) | bit_cast::<32, 16>(self.command.q.val());
                    if self.write.val() {
                        self.command.d.next = ((self.command.q.val() & self.keep_low.val()) | self.set_low.val())
                            & self.command_writable.val();
                        self.status.d.next = (self.status.q.val() & !self.set_high.val()) | self.status_events.val();
                        if self.frozen.val() {
                            self.status.d.next = ((self.status.q.val() & self.keep_high.val()) | self.set_high.val())
                                & self.status_clearable.val();
                        }
                    }
                }
                0x08 => self.value.next = self.class_revision.val(),
                0x0C => {
                    self.value.next = bit_cast::<32, 8>(self.cache_line.q.val());
                    if self.write.val() {
                        self.cache_line.d.next = (self.cache_line.q.val() & self.keep.val().get_bits::<8>(0))
                            | self.set.val().get_bits::<8>(0);
                    }
                }
                0x10 => {
                    self.value.next = self.bar0.q.val() | self.bar0_kind.val();
                    if self.write.val() {
                        self.bar0.d.next =
                            ((self.bar0.q.val() & self.keep.val()) | self.set.val()) & self.bar0_mask.val();
                    }
                }
                0x14 => {
                    self.value.next = self.bar1.q.val();
                    if self.write.val() {
                        self.bar1.d.next =
                            ((self.bar1.q.val() & self.keep.val()) | self.set.val()) & self.bar1_mask.val();
                    }
                }
                0x2C => self.value.next = self.subsystem.val(),
                0x34 => self.value.next = self.capability_pointer.val(),
                0x3C => {
                    self.value.next = self.interrupt_pin.val() | bit_cast::<32, 8>(self.interrupt_line.q.val());
                    if self.write.val() {
                        self.interrupt_line.d.next = (self.interrupt_line.q.val() & self.keep.val().get_bits::<8>(0))
                            | self.set.val().get_bits::<8>(0);
                    }
                }
                0x40 => self.value.next = self.power_capability.val(),
                0x44 => {
                    self.value.next = self.power_value.val();
                    comment!("D1 and D2 do not exist: a write of them changes nothing");
                    if self.write.val()
                        & ((self.new_power_state.val() == bits::<2>(0)) | (self.new_power_state.val() == bits::<2>(3)))
                    {
                        self.power_state.d.next = self.new_power_state.val();
                    }
                }
                0x50 => {
                    if self.has_vectors.val() {
                        self.value.next = self.message_control.val();
                        if self.write.val() & self.bus.enable.val().get_bit(3) {
                            self.vectors_masked.d.next = self.set.val().get_bit(30);
                            self.vectors_enabled.d.next = self.set.val().get_bit(31);
                        }
                    }
                }
                0x54 => self.value.next = self.msix_table.val(),
                0x58 => self.value.next = self.msix_pba.val(),
                0x60 => self.value.next = self.express_capability.val(),
                0x64 => self.value.next = self.device_capabilities.val(),
                0x68 => {
                    self.value.next = (bit_cast::<32, 16>(self.device_status_value.val()) << 16)
                        | bit_cast::<32, 16>(self.device_control_value.val());
                    if self.write.val() {
                        self.device_control.d.next = ((self.device_control.q.val() & self.keep_low.val())
                            | self.set_low.val())
                            & self.device_control_writable.val();
                        self.payload_size.d.next = self.new_payload_size.val();
                        self.device_status.d.next =
                            (self.device_status.q.val() & !self.set_high.val()) | self.device_events.val();
                        if self.frozen.val() {
                            self.device_status.d.next =
                                ((self.device_status.q.val() & self.keep_high.val()) | self.set_high.val()) & 0xf;
                        }
                        self.resetting.d.next = self.set.val().get_bit(15);
                    }
                }
                0x6C => self.value.next = self.link_capabilities.val(),
                0x70 => {
                    self.value.next = self.link_status.val() | bit_cast::<32, 16>(self.link_control.q.val());
                    if self.write.val() {
                        self.link_control.d.next = ((self.link_control.q.val() & self.keep_low.val())
                            | self.set_low.val())
                            & self.link_control_writable.val();
                    }
                }
                0x84 => self.value.next = self.device_capabilities_2.val(),
                0x88 => {
                    self.value.next = bits::<32>(0).replace_bit(4, self.timeout_disabled.q.val());
                    if self.write.val() & self.bus.enable.val().get_bit(0) {
                        self.timeout_disabled.d.next = self.set.val().get_bit(4);
                    }
                }
                0x8C => self.value.next = self.link_speeds.val(),
                0x90 => {
                    self.value.next = bit_cast::<32, 4>(self.target_speed.q.val());
                    if self.write.val() {
                        self.target_speed.d.next = (self.target_speed.q.val() & self.keep.val().get_bits::<4>(0))
                            | self.set.val().get_bits::<4>(0);
                    }
                }
                0xA0 => self.value.next = self.vendor_capability.val(),
                _ => self.value.next = self.diagnostic.val(),
            }
        }
        if self.write.val() {
            self.function.d.next = self.target.val();
        }
        self.read_data.d.next = self.value.val();
        self.bus.done.next = self.done.q.val();
        self.bus.read_data.next = self.read_data.q.val();

        comment!("what the other blocks want to know");
        self.requester.function_id.next = self.function.q.val();
        self.io_enable.next = self.command.q.val().get_bit(0);
        self.memory_enable.next = self.command.q.val().get_bit(1);
        self.function_status.bus_master.next = self.command.q.val().get_bit(2);
        self.function_status.intx_disable.next = self.command.q.val().get_bit(10);
        self.bar0_base.next = self.bar0.q.val();
        self.bar1_base.next = self.bar1.q.val();
        self.requester.max_payload.next = self.payload_size.q.val();
        if self.payload_size.q.val() > self.max_payload_supported.val() {
            self.requester.max_payload.next = self.max_payload_supported.val();
        }
        self.read_size.next = self.device_control.q.val().get_bits::<3>(12);
        self.requester.max_read_request.next = self.read_size.val();
        if self.read_size.val() > bits::<3>(5) {
            self.requester.max_read_request.next = bits::<3>(5);
        }
        self.requester.extended_tag.next = self.device_control.q.val().get_bit(8);
        self.requester.timeout_disable.next = self.timeout_disabled.q.val();
        self.report_correctable.next = self.reporting_correctable.q.val();
        self.report_nonfatal.next = self.reporting_nonfatal.q.val();
        self.report_fatal.next = self.reporting_fatal.q.val();
        self.function_status.msix_enable.next = self.vectors_enabled.q.val();
        self.function_status.msix_function_mask.next = self.vectors_masked.q.val();
        self.function_status.d3hot.next = self.power_state.q.val() == bits::<2>(3);
        self.function_status.function_reset.next = self.resetting.q.val();
    }
}
