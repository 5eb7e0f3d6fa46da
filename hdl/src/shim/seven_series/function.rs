//! What the 7-series block's configuration ports say, and its interrupt handshake.
use crate::block::{Block, Bundle};
use crate::cells::Reg;
use crate::comment;
use crate::pcie::link_side::{FunctionStatusSource, RequesterSource};
use rust_hdl::prelude::*;

/// `cfg_*` of the 7-series block (PG054, "Configuration interface"), but for errors; [`SevenSeriesBlock`] is the block's end.
#[derive(Bundle, Default)]
#[mirror(SevenSeriesBlock)]
pub struct SevenSeriesConfiguration {
    /// Command register: 2 bus master, 10 INTx disable.
    pub command: Signal<In, Bits<16>>,
    /// Device Control: 7:5 Max_Payload_Size, 8 extended tag, 14:12 Max_Read_Request_Size.
    pub dcommand: Signal<In, Bits<16>>,
    /// Device Control 2: 4 completion timeout disable.
    pub dcommand2: Signal<In, Bits<16>>,
    /// Bus of the function.
    pub bus_number: Signal<In, Bits<8>>,
    /// Device of the function.
    pub device_number: Signal<In, Bits<5>>,
    /// Number of the function.
    pub function_number: Signal<In, Bits<3>>,
    /// Power state: 0 for D0, 3 for D3hot.
    pub pmcsr_powerstate: Signal<In, Bits<2>>,
    /// MSI-X Enable.
    pub interrupt_msixenable: Signal<In, Bit>,
    /// MSI-X Function Mask.
    pub interrupt_msixfm: Signal<In, Bit>,
    /// INTx is to change: held until `cfg_interrupt_rdy`.
    pub interrupt: Signal<Out, Bit>,
    /// To what INTx is to change.
    pub interrupt_assert: Signal<Out, Bit>,
    /// 0: INTA.
    pub interrupt_di: Signal<Out, Bits<8>>,
    /// One cycle: the message about INTx is on its way.
    pub interrupt_rdy: Signal<In, Bit>,
    /// Status bit 3: INTx is wanted.
    pub interrupt_stat: Signal<Out, Bit>,
    /// Interrupt Message Number of the PCI Express capability: 0.
    pub pciecap_interrupt_msgnum: Signal<Out, Bits<5>>,
    /// Device Status bit 5: reads are outstanding.
    pub trn_pending: Signal<Out, Bit>,
}

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
    /// Configuration ports of the block: `cfg_*`.
    pub cfg: SevenSeriesConfiguration,
    /// Free transmit buffers, of one packet each.
    pub tx_buf_av: Signal<In, Bits<6>>,

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
        self.command.next = self.cfg.command.val();
        self.device_control.next = self.cfg.dcommand.val();
        self.function_status.bus_master.next = self.command.val().get_bit(2);
        self.function_status.intx_disable.next = self.command.val().get_bit(10);
        self.function_status.d3hot.next = self.cfg.pmcsr_powerstate.val() == bits::<2>(3);
        self.function_status.msix_enable.next = self.cfg.interrupt_msixenable.val();
        self.function_status.msix_function_mask.next = self.cfg.interrupt_msixfm.val();
        comment!("the block has no function-level reset");
        self.function_status.function_reset.next = false;
        self.requester.timeout_disable.next = self.cfg.dcommand2.val().get_bit(4);
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
        self.requester.function_id.next = (bit_cast::<16, 8>(self.cfg.bus_number.val()) << 8)
            | (bit_cast::<16, 5>(self.cfg.device_number.val()) << 3)
            | bit_cast::<16, 3>(self.cfg.function_number.val());

        comment!("reads that wait for credit stay in the block's buffers: eight are left to writes and completions");
        self.room.d.next = self.tx_buf_av.val() >= bits::<6>(8);
        self.nonposted_ready.next = self.room.q.val();
        self.pending.d.next = self.reads_pending.val();
        self.cfg.trn_pending.next = self.pending.q.val();
        self.status.d.next = self.intx_pending.val();
        self.cfg.interrupt_stat.next = self.status.q.val();

        if self.asking.q.val() {
            self.asking.d.next = !self.cfg.interrupt_rdy.val();
        } else {
            self.asking.d.next = self.intx_level.val() ^ self.level.q.val();
            self.level.d.next = self.intx_level.val();
        }
        self.cfg.interrupt.next = self.asking.q.val();
        self.cfg.interrupt_assert.next = self.level.q.val();
        self.cfg.interrupt_di.next = 0.into();
        self.cfg.pciecap_interrupt_msgnum.next = 0.into();
        self.busy.next = self.asking.q.val() | (self.intx_level.val() ^ self.level.q.val());
    }
}
