//! virtio-console behind the endpoint's core.
use super::super::change::ChangeDetector;
use super::receive::Receive;
use super::transmit::Transmit;
use super::types::ConsoleByte;
use crate::block::{list, Block};
use crate::cells::{Reg, Sink, Source};
use crate::comment;
use crate::config::EndpointConfig;
use crate::dma::types::*;
use crate::virtio::types::*;
use crate::virtio::DEVICE_CONFIG_BITS;
use rust_hdl::prelude::*;

/// The console with what virtio-console says of itself: features, device config. Queue 0 receives, queue 1 transmits.
///
/// The driver is told of each change of the terminal's size, where that is offered; one that has accepted SIZE once more with the first
/// chain that it prints: Linux reads the size when it is told of a change, and only then. It must not be told of it as soon as it sets DRIVER_OK: Linux's driver makes ready what handles the
/// interrupt only after that (`virtcons_probe`).
///
/// The ports from `device_features` on are those of [`crate::endpoint::core::EndpointCore`], the other way round.
#[derive(Block)]
pub struct ConsoleSide {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// What the driver prints: one byte a cycle.
    pub console_tx: Source<ConsoleByte>,
    /// What is typed, of the same form.
    pub console_rx: Sink<ConsoleByte>,
    /// Columns of the terminal.
    pub console_cols: Signal<In, Bits<16>>,
    /// Its rows.
    pub console_rows: Signal<In, Bits<16>>,

    pub device_features: Signal<Out, Bits<32>>,
    pub device_config: Signal<Out, Bits<DEVICE_CONFIG_BITS>>,
    pub config_changed: Signal<Out, Bit>,
    /// From `emerg_wr` on.
    pub driver_config: Signal<In, Bits<64>>,
    pub driver_config_written: Signal<In, Bits<8>>,
    pub driver_features: Signal<In, Bits<32>>,
    pub device_reset: Signal<In, Bit>,
    pub device_stop: Signal<In, Bit>,
    pub device_pause: Signal<In, Bit>,
    pub device_idle: Signal<Out, Bit>,
    #[given]
    pub chain: Vec<Sink<Chain>>,
    /// Of the transmit queue.
    pub bytes_1: Sink<ByteBeat>,
    #[given]
    pub command: Vec<Source<ScatterCommand>>,
    /// Of the receive queue.
    pub data_0: Source<ByteBeat>,
    #[given]
    pub device_events: Vec<Signal<Out, Bit>>,

    transmit: Transmit,
    receive: Receive,
    size_change: ChangeDetector<Bits<32>>,
    // since the reset of the device
    has_printed: Reg<Bit>,
    first_print: Reg<Bit>,

    #[given]
    offered: Constant<Bits<32>>,
    #[given]
    config_constants: Constant<Bits<DEVICE_CONFIG_BITS>>,
    size: Signal<Local, Bits<32>>,
    prints: Signal<Local, Bit>,
}

impl ConsoleSide {
    /// The device of a checked configuration.
    pub fn new(config: &EndpointConfig) -> Self {
        Self::with(ConsoleSideGiven {
            chain: list(2),
            command: list(2),
            device_events: list(3),
            offered: Constant::new(u64::from(config.host_features()).into()),
            config_constants: Constant::new(config.fixed_config().into()),
        })
    }
}

impl Logic for ConsoleSide {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module virtio_console: the console, its features and device config");
        comment!("---- features and device config: cols, rows, what is constant; emerg_wr is the driver's");
        self.device_features.next = self.offered.val();
        self.size.next =
            bit_cast::<32, 16>(self.console_cols.val()) | (bit_cast::<32, 16>(self.console_rows.val()) << 16);
        self.device_config.next = self.config_constants.val() | bit_cast::<DEVICE_CONFIG_BITS, 32>(self.size.val());
        self.size_change.value.next = self.size.val();
        self.config_changed.next = (self.size_change.changed.val() & self.offered.val().get_bit(0))
            | (self.first_print.q.val() & self.driver_features.val().get_bit(0));

        comment!("---- queues");
        self.receive.reset.next = self.reset.val() | self.device_reset.val();
        self.receive.stop.next = self.device_stop.val();
        Sink::<Chain>::link(&mut self.chain[0], &mut self.receive.chain);
        Source::<ScatterCommand>::link(&mut self.command[0], &mut self.receive.command);
        Source::<ByteBeat>::link(&mut self.data_0, &mut self.receive.writable);
        self.transmit.clear.next = self.device_reset.val();
        self.transmit.stop.next = self.device_stop.val();
        self.transmit.pause.next = self.device_pause.val();
        Sink::<Chain>::link(&mut self.chain[1], &mut self.transmit.chain);
        Sink::<ByteBeat>::link(&mut self.bytes_1, &mut self.transmit.readable);
        Source::<ScatterCommand>::link(&mut self.command[1], &mut self.transmit.command);
        self.has_printed.reset.next = self.reset.val() | self.device_reset.val();
        self.prints.next = self.chain[1].valid.val() & self.transmit.chain.ready.val();
        if self.prints.val() {
            self.has_printed.d.next = true;
        }
        self.first_print.d.next = self.prints.val() & !self.has_printed.q.val();
        self.transmit.emergency_valid.next = self.driver_config_written.val().get_bit(0);
        self.transmit.emergency.next = self.driver_config.val().get_bits::<8>(0);
        self.device_idle.next = self.device_stop.val() | (self.transmit.idle.val() & self.receive.idle.val());
        self.device_events[0].next = self.transmit.read_failed.val();
        self.device_events[1].next = self.transmit.emergency_lost.val();
        self.device_events[2].next = self.receive.empty.val();

        comment!("---- bytes");
        Source::<ConsoleByte>::link(&mut self.console_tx, &mut self.transmit.byte_out);
        self.receive.byte_in.data.next = self.console_rx.data.val();
        self.receive.byte_in.valid.next = self.console_rx.valid.val() & !self.device_pause.val();
        self.console_rx.ready.next = self.receive.byte_in.ready.val() & !self.device_pause.val();
    }
}
