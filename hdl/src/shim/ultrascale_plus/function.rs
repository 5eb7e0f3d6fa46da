//! What the UltraScale+ block's configuration ports say; INTx and function-level reset.
use crate::block::{Block, Bundle};
use crate::cells::Reg;
use crate::comment;
use crate::pcie::link_side::{FunctionStatusSource, RequesterSource};
use rust_hdl::prelude::*;

/// How far a function-level reset is.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum FunctionReset {
    /// None under way.
    Idle,
    /// The endpoint is told.
    Begin,
    /// It begins to drain.
    Settle,
    /// It drains.
    Drain,
    /// The block is told that it has.
    Done,
    /// The block ends the reset.
    End,
}

/// `cfg_*` of the UltraScale+ block (PG213, "Configuration status interface"); [`UltraScalePlusBlock`] is the block's end.
#[derive(Bundle, Default)]
#[mirror(UltraScalePlusBlock)]
pub struct UltraScalePlusConfiguration {
    /// Of each function four bits: I/O, memory, bus master, INTx disable.
    pub function_status: Signal<In, Bits<16>>,
    /// Of each function three bits: its power state, 4 for D3hot.
    pub function_power_state: Signal<In, Bits<12>>,
    /// Max Payload Size, 128 << n bytes.
    pub max_payload: Signal<In, Bits<2>>,
    /// Max Read Request Size, 128 << n bytes.
    pub max_read_req: Signal<In, Bits<3>>,
    /// Bus of the function.
    pub bus_number: Signal<In, Bits<8>>,
    /// MSI-X Enable of each function.
    pub interrupt_msix_enable: Signal<In, Bits<4>>,
    /// MSI-X Function Mask of each function.
    pub interrupt_msix_mask: Signal<In, Bits<4>>,
    /// INTA to INTD as levels: INTA alone is used.
    pub interrupt_int: Signal<Out, Bits<4>>,
    /// Status bit 3 of each function.
    pub interrupt_pending: Signal<Out, Bits<4>>,
    /// One cycle: the message about INTx is on its way.
    pub interrupt_sent: Signal<In, Bit>,
    /// Function-level reset of each function, until `cfg_flr_done`.
    pub flr_in_process: Signal<In, Bits<4>>,
    /// One cycle: the function-level reset is done.
    pub flr_done: Signal<Out, Bits<4>>,
}

/// `cfg_*` and `pcie_tfc_nph_av` of the UltraScale+ block as the endpoint wants them (PG213, "Configuration status
/// interface"). Function 0 is the only one.
///
/// INTx ("Legacy interrupt mode"): each change of `cfg_interrupt_int` becomes a message, and the level stays until
/// `cfg_interrupt_sent` says that the message has been accepted; one that changes back meanwhile is caught up with.
///
/// Function-level reset ("Configuration control interface"): `cfg_flr_in_process` rises, the endpoint drains, `cfg_flr_done`.
#[derive(Block)]
pub struct UltraScalePlusFunction {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// Configuration ports of the block: `cfg_*`.
    pub cfg: UltraScalePlusConfiguration,
    /// Credits for non-posted headers, 15 for more; those used in the last 8 cycles are still in it.
    pub pcie_tfc_nph_av: Signal<In, Bits<4>>,

    /// What the ports say of the function.
    pub function_status: FunctionStatusSource,
    /// What its requests must keep to.
    pub requester: RequesterSource,
    /// In a function-level reset the block forgets the reads it has sent, and passes no completion of theirs on.
    pub reads_forgotten: Signal<Out, Bit>,
    /// A memory read may be sent.
    pub nonposted_ready: Signal<Out, Bit>,
    /// One cycle: one was.
    pub read: Signal<In, Bit>,
    /// The interrupt is wanted.
    pub intx_level: Signal<In, Bit>,
    /// The same before it was masked.
    pub intx_pending: Signal<In, Bit>,
    /// A reset is draining.
    pub quiescing: Signal<In, Bit>,
    /// A message or a reset is on its way.
    pub busy: Signal<Out, Bit>,

    level: Reg<Bit>,
    asking: Reg<Bit>,
    status: Reg<Bit>,
    state: Reg<FunctionReset>,
    recent: Reg<Bits<4>>,
    credit: Reg<Bit>,

    payload: Signal<Local, Bits<3>>,
    pending: Signal<Local, Bit>,

    #[given]
    payload_supported: Constant<Bits<3>>,
}

impl UltraScalePlusFunction {
    /// With payloads of up to 128 << `max_payload` bytes.
    pub fn new(max_payload: u8) -> Self {
        Self::with(UltraScalePlusFunctionGiven { payload_supported: Constant::new(u64::from(max_payload).into()) })
    }
}

impl Logic for UltraScalePlusFunction {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module pcie_usp_function: configuration ports, INTx and resets of the UltraScale+ block");
        self.function_status.bus_master.next = self.cfg.function_status.val().get_bit(2);
        self.function_status.intx_disable.next = self.cfg.function_status.val().get_bit(3);
        self.function_status.d3hot.next = self.cfg.function_power_state.val().get_bits::<3>(0) == bits::<3>(4);
        self.function_status.msix_enable.next = self.cfg.interrupt_msix_enable.val().get_bit(0);
        self.function_status.msix_function_mask.next = self.cfg.interrupt_msix_mask.val().get_bit(0);
        self.requester.extended_tag.next = false;
        self.requester.timeout_disable.next = false;
        self.payload.next = bit_cast::<3, 2>(self.cfg.max_payload.val());
        self.requester.max_payload.next = self.payload.val();
        if self.payload.val() > self.payload_supported.val() {
            self.requester.max_payload.next = self.payload_supported.val();
        }
        comment!("4096 bytes are the most; the codes above are reserved");
        self.requester.max_read_request.next = self.cfg.max_read_req.val();
        if self.cfg.max_read_req.val() > bits::<3>(5) {
            self.requester.max_read_request.next = bits::<3>(5);
        }
        self.requester.function_id.next = bit_cast::<16, 8>(self.cfg.bus_number.val()) << 8;

        comment!("with few credits reads are ten cycles apart, so that each of them is seen in the number");
        self.recent.d.next = bits::<4>(0);
        if self.read.val() {
            self.recent.d.next = bits::<4>(10);
        } else if self.recent.q.val() != bits::<4>(0) {
            self.recent.d.next = self.recent.q.val() - bits::<4>(1);
        }
        self.credit.d.next = (self.pcie_tfc_nph_av.val() >= bits::<4>(12))
            | ((self.pcie_tfc_nph_av.val() != bits::<4>(0)) & (self.recent.q.val() == bits::<4>(0)) & !self.read.val());
        self.nonposted_ready.next = self.credit.q.val();

        if self.asking.q.val() {
            self.asking.d.next = !self.cfg.interrupt_sent.val();
        } else {
            self.asking.d.next = self.intx_level.val() ^ self.level.q.val();
            self.level.d.next = self.intx_level.val();
        }
        self.cfg.interrupt_int.next = bits::<4>(0).replace_bit(0, self.level.q.val());
        self.status.d.next = self.intx_pending.val();
        self.pending.next = self.status.q.val() | self.level.q.val();
        self.cfg.interrupt_pending.next = bits::<4>(0).replace_bit(0, self.pending.val());

        self.function_status.function_reset.next = false;
        self.reads_forgotten.next = false;
        self.cfg.flr_done.next = bits::<4>(0);
        match self.state.q.val() {
            FunctionReset::Idle => {
                if self.cfg.flr_in_process.val().get_bit(0) {
                    self.state.d.next = FunctionReset::Begin;
                }
            }
            FunctionReset::Begin => {
                self.function_status.function_reset.next = true;
                self.state.d.next = FunctionReset::Settle;
            }
            FunctionReset::Settle => self.state.d.next = FunctionReset::Drain,
            FunctionReset::Drain => {
                self.reads_forgotten.next = true;
                if !self.quiescing.val() {
                    self.state.d.next = FunctionReset::Done;
                }
            }
            FunctionReset::Done => {
                self.cfg.flr_done.next = bits::<4>(1);
                self.state.d.next = FunctionReset::End;
            }
            FunctionReset::End => {
                if !self.cfg.flr_in_process.val().get_bit(0) {
                    self.state.d.next = FunctionReset::Idle;
                }
            }
        }
        self.busy.next = self.asking.q.val()
            | (self.intx_level.val() ^ self.level.q.val())
            | (self.state.q.val() != FunctionReset::Idle)
            | self.cfg.flr_in_process.val().get_bit(0);
    }
}
