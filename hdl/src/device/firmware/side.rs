//! A program behind the endpoint's core.
use crate::block::{list, Block};
use crate::cells::{Reg, Sink, Source};
use crate::comment;
use crate::config::EndpointConfig;
use crate::control::block::{ControlBlock, ControlOptions};
use crate::control::port_byte::PortByte;
use crate::dma::types::*;
use crate::virtio::types::*;
use crate::virtio::DEVICE_CONFIG_BITS;
use rust_hdl::prelude::*;

/// A control block whose program serves all queues of the device.
///
/// The ports from `device_features` on are those of [`crate::endpoint::core::EndpointCore`], the other way round.
#[derive(Block)]
pub struct FirmwareSide {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// What the program puts out, one byte at a time.
    pub firmware_tx: Source<PortByte>,
    /// What comes in for it, of the same form.
    pub firmware_rx: Sink<PortByte>,
    /// The program has given no sign for too long.
    pub firmware_hung: Signal<Out, Bit>,
    /// One cycle: an instruction has been carried out.
    pub firmware_retired: Signal<Out, Bit>,
    /// With it: where that was.
    pub firmware_pc: Signal<Out, Bits<32>>,

    pub device_features: Signal<Out, Bits<32>>,
    pub device_config: Signal<Out, Bits<DEVICE_CONFIG_BITS>>,
    pub config_changed: Signal<Out, Bit>,
    pub driver_config_written: Signal<In, Bits<8>>,
    pub driver_features: Signal<In, Bits<32>>,
    pub driver_ok: Signal<In, Bit>,
    pub device_reset: Signal<In, Bit>,
    pub device_stop: Signal<In, Bit>,
    pub device_pause: Signal<In, Bit>,
    pub device_give_up: Signal<In, Bit>,
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
    pub device_events: Vec<Signal<Out, Bit>>,

    #[given]
    control: ControlBlock,
    hung_then: Reg<Bit>,
    #[given]
    offered: Constant<Bits<32>>,
}

impl FirmwareSide {
    /// The device of a checked configuration.
    pub fn new(config: &EndpointConfig) -> Self {
        let queues = config.queue_count();
        let options = config.firmware_options();
        let control = ControlOptions {
            image: options.image.clone(),
            memory_bytes: 1024 * u32::from(options.memory),
            queues,
            device_config: vec![],
            // a clock of 500 MHz, the most there is, makes 2.5 * 10^8 of 500 ms
            patience: (u64::from(options.watchdog_ms) * config.link.clock_hz / 1000) as u32,
        };
        Self::with(FirmwareSideGiven {
            chain: list(queues),
            bytes: list(queues),
            command: list(queues),
            data: list(queues),
            device_events: list(3),
            control: ControlBlock::new(&control),
            offered: Constant::new(u64::from(config.host_features()).into()),
        })
    }
}

impl Logic for FirmwareSide {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module virtio_firmware: a program that serves the queues, and its features");
        self.device_features.next = self.offered.val();
        self.device_config.next = self.control.device_config.val();
        self.config_changed.next = self.control.config_changed.val();
        self.control.clear.next = self.device_reset.val();
        self.control.stop.next = self.device_stop.val();
        self.control.give_up.next = self.device_give_up.val();
        self.control.driver_ok.next = self.driver_ok.val();
        self.control.driver_features.next = self.driver_features.val();
        self.control.driver_wrote.next = self.driver_config_written.val().any();
        for i in 0..self.chain.len() {
            Sink::<Chain>::link(&mut self.chain[i], &mut self.control.chain[i]);
            Sink::<ByteBeat>::link(&mut self.bytes[i], &mut self.control.readable[i]);
            Source::<ScatterCommand>::link(&mut self.command[i], &mut self.control.command[i]);
            Source::<ByteBeat>::link(&mut self.data[i], &mut self.control.writable[i]);
        }
        comment!("a program that is awake needs the clock; neither a drain nor a standstill waits for it");
        self.device_idle.next =
            self.control.idle.val() & (self.control.asleep.val() | self.device_stop.val() | self.device_pause.val());
        Source::<PortByte>::link(&mut self.firmware_tx, &mut self.control.byte_out);
        Sink::<PortByte>::link(&mut self.firmware_rx, &mut self.control.byte_in);
        self.firmware_hung.next = self.control.hung.val();
        self.firmware_retired.next = self.control.retired.val();
        self.firmware_pc.next = self.control.pc.val();
        self.hung_then.d.next = self.control.hung.val();
        self.device_events[0].next = self.control.hung.val() & !self.hung_then.q.val();
        self.device_events[1].next = self.control.failed.val();
        self.device_events[2].next = self.control.byte_lost.val();
    }
}
