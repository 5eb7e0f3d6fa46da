//! What the 7-series block's configuration ports say, and its interrupt handshake.
use crate::block::Block;
use crate::cells::Reg;
use crate::comment;
use crate::pcie::link_side::{FunctionStatusSource, RequesterSource};
use rust_hdl::prelude::*;

/// `cfg_*` and `tx_buf_av` of the 7-series block (PG054, "Configuration interface") as the endpoint wants them.
///
/// INTx: `cfg_interrupt` asks for a message, Assert_INTA or Deassert_INTA by `cfg_interrupt_assert`, and both stay
/// until `cfg_interrupt_rdy`. A level that changes back meanwhile is caught up with.
#[derive(Block)]
pub struct SevenSeriesFunction {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// Command register: 2 bus master, 10 INTx disable.
    pub cfg_command: Signal<In, Bits<16>>,
    /// Device Control: 7:5 Max_Payload_Size, 8 extended tag, 14:12 Max_Read_Request_Size.
    pub cfg_dcommand: Signal<In, Bits<16>>,
    /// Device Control 2: 4 completion timeout disable.
    pub cfg_dcommand2: Signal<In, Bits<16>>,
    pub cfg_bus_number: Signal<In, Bits<8>>,
    pub cfg_device_number: Signal<In, Bits<5>>,
    pub cfg_function_number: Signal<In, Bits<3>>,
    /// 3: D3hot.
    pub cfg_pmcsr_powerstate: Signal<In, Bits<2>>,
    /// Free transmit buffers, of one packet each.
    pub tx_buf_av: Signal<In, Bits<6>>,
    /// MSI-X Enable.
    pub cfg_interrupt_msixenable: Signal<In, Bit>,
    /// MSI-X Function Mask.
    pub cfg_interrupt_msixfm: Signal<In, Bit>,
    pub cfg_interrupt: Signal<Out, Bit>,
    pub cfg_interrupt_assert: Signal<Out, Bit>,
    pub cfg_interrupt_rdy: Signal<In, Bit>,
    /// Interrupt Status of the Status register.
    pub cfg_interrupt_stat: Signal<Out, Bit>,
    /// Transactions Pending of Device Status.
    pub cfg_trn_pending: Signal<Out, Bit>,

    /// What the ports say of the function.
    pub function_status: FunctionStatusSource,
    /// What its requests must keep to.
    pub requester: RequesterSource,
    /// A memory read may be sent.
    pub nonposted_ready: Signal<Out, Bit>,
    /// The interrupt is wanted.
    pub intx_level: Signal<In, Bit>,
    /// The same before it was masked.
    pub intx_pending: Signal<In, Bit>,
    pub reads_pending: Signal<In, Bit>,
    /// A message is on its way.
    pub busy: Signal<Out, Bit>,

    asking: Reg<Bit>,
    /// What is asked for, or was last.
    level: Reg<Bit>,
    room: Reg<Bit>,
    pending: Reg<Bit>,
    status: Reg<Bit>,

    command: Signal<Local, Bits<16>>,
    device_control: Signal<Local, Bits<16>>,
    payload: Signal<Local, Bits<3>>,
    read_request: Signal<Local, Bits<3>>,

    #[given]
    payload_supported: Constant<Bits<3>>,
}

impl SevenSeriesFunction {
    /// With payloads of up to 128 << `max_payload` bytes.
    pub fn new(max_payload: u8) -> Self {
        Self::with(SevenSeriesFunctionGiven { payload_supported: Constant::new(u64::from(max_payload).into()) })
    }
}

impl Logic for SevenSeriesFunction {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module pcie_7series_function: configuration ports and INTx of the 7-series block");
        self.command.next = self.cfg_command.val();
        self.device_control.next = self.cfg_dcommand.val();
        self.function_status.bus_master.next = self.command.val().get_bit(2);
        self.function_status.intx_disable.next = self.command.val().get_bit(10);
        self.function_status.d3hot.next = self.cfg_pmcsr_powerstate.val() == bits::<2>(3);
        self.function_status.msix_enable.next = self.cfg_interrupt_msixenable.val();
        self.function_status.msix_function_mask.next = self.cfg_interrupt_msixfm.val();
        comment!("the block has no function-level reset");
        self.function_status.function_reset.next = false;
        self.requester.timeout_disable.next = self.cfg_dcommand2.val().get_bit(4);
        self.requester.extended_tag.next = self.device_control.val().get_bit(8);
        self.payload.next = self.device_control.val().get_bits::<3>(5);
        self.requester.max_payload.next = self.payload.val();
        if self.payload.val() > self.payload_supported.val() {
            self.requester.max_payload.next = self.payload_supported.val();
        }
        comment!("4096 bytes are the most; the codes above are reserved");
        self.read_request.next = self.device_control.val().get_bits::<3>(12);
        self.requester.max_read_request.next = self.read_request.val();
        if self.read_request.val() > bits::<3>(5) {
            self.requester.max_read_request.next = bits::<3>(5);
        }
        self.requester.function_id.next = (bit_cast::<16, 8>(self.cfg_bus_number.val()) << 8)
            | (bit_cast::<16, 5>(self.cfg_device_number.val()) << 3)
            | bit_cast::<16, 3>(self.cfg_function_number.val());

        comment!("reads that wait for credit stay in the block's buffers: eight are left to writes and completions");
        self.room.d.next = self.tx_buf_av.val() >= bits::<6>(8);
        self.nonposted_ready.next = self.room.q.val();
        self.pending.d.next = self.reads_pending.val();
        self.cfg_trn_pending.next = self.pending.q.val();
        self.status.d.next = self.intx_pending.val();
        self.cfg_interrupt_stat.next = self.status.q.val();

        if self.asking.q.val() {
            self.asking.d.next = !self.cfg_interrupt_rdy.val();
        } else {
            self.asking.d.next = self.intx_level.val() ^ self.level.q.val();
            self.level.d.next = self.intx_level.val();
        }
        self.cfg_interrupt.next = self.asking.q.val();
        self.cfg_interrupt_assert.next = self.level.q.val();
        self.busy.next = self.asking.q.val() | (self.intx_level.val() ^ self.level.q.val());
    }
}
