//! A UART behind the console on a card.
use super::types::ConsoleByte;
use crate::block::Block;
use crate::cells::{Reg, Sink, Source, StreamFifo, Synchroniser};
use crate::comment;
use rust_hdl::prelude::*;

/// Bits of the counters of cycles: 500 MHz and 300 baud, the most and the least of a configuration, are 1,666,667 cycles a bit.
const CYCLE_BITS: usize = 21;
/// Cycles of the shortest bit. The stop bit is sampled 9.5 bits behind the edge of the start bit: 2 % that this divisor is off and 2 %
/// that the far end is off are 0.38 of a bit, the cycle in which the edge is seen is 1/16 of one, and half a bit is there.
const LEAST_CYCLES: u64 = 16;

/// What the receiver does.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
enum ReceiveState {
    /// Waits for the edge of a start bit.
    Rest,
    /// In the first half of a start bit.
    Start,
    /// Waits for the middle of the next data bit.
    Data,
    /// Waits for the middle of the stop bit.
    Stop,
    /// The frame was none: waits until the line rests.
    Broken,
}

/// A UART behind the `console_*` ports of an endpoint, 8N1, without handshake: its ports are theirs, in the other direction, and two
/// pins. The size of the terminal is not its business.
///
/// ```text
/// uart_txd  ~~~~~~|_____|_d0__|_d1__| .. |_d7__|~~~~~~~~~~~
///                  start                        stop
/// samples            .     .     .          .     .           the receiver's, half a bit and then a bit apart
/// ```
/// A start bit that does not last to its middle is a glitch; a frame whose stop bit is low is dropped, and nothing begins before the line
/// rests again. Bytes that come while the endpoint takes none wait, 16 of them; those that come then are lost, as nothing could stop
/// the far end.
#[derive(Block)]
pub struct Uart {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high: what is under way is forgotten.
    pub reset: Signal<In, Bit>,
    /// What the driver prints.
    pub console_tx: Sink<ConsoleByte>,
    /// What is typed.
    pub console_rx: Source<ConsoleByte>,
    /// Pin to the far end's receiver; high at rest.
    pub uart_txd: Signal<Out, Bit>,
    /// Pin from the far end's transmitter; keeps to no clock.
    pub uart_rxd: Signal<In, Bit>,

    #[given]
    txd: Reg<Bit>,
    // bits of the frame that have not ended, the one on the pin included
    send_left: Reg<Bits<4>>,
    send_cycles: DFF<Bits<CYCLE_BITS>>,
    // those behind it, the next one lowest
    send_bits: DFF<Bits<9>>,

    line: Synchroniser,
    state: Reg<ReceiveState>,
    // until the next sample
    cycles: DFF<Bits<CYCLE_BITS>>,
    // data bits that have not been sampled, less one
    left: DFF<Bits<3>>,
    bits: DFF<Bits<8>>,
    received: StreamFifo<ConsoleByte, 4>,

    #[given]
    last_cycle: Constant<Bits<CYCLE_BITS>>,
    #[given]
    last_of_half: Constant<Bits<CYCLE_BITS>>,
    rests: Signal<Local, Bit>,
    sample: Signal<Local, Bit>,
    wide: Signal<Local, Bits<8>>,
}

impl Uart {
    /// Bits last this many cycles.
    ///
    /// # Panics
    /// Fewer than 16, or more than 2^21.
    pub fn new(cycles_per_bit: u64) -> Self {
        let allowed = LEAST_CYCLES..=1 << CYCLE_BITS;
        assert!(allowed.contains(&cycles_per_bit), "{cycles_per_bit} cycles a bit are not within {allowed:?}");
        Self::with(UartGiven {
            txd: Reg::new(true),
            last_cycle: Constant::new((cycles_per_bit - 1).into()),
            last_of_half: Constant::new((cycles_per_bit / 2 - 1).into()),
        })
    }

    /// Cycles a bit for this baud rate.
    ///
    /// # Errors
    /// They would be off by more than 2 %, or too few to find the middle of a bit.
    pub fn cycles_per_bit(clock_hz: u64, baud: u32) -> Result<u64, String> {
        let baud = u64::from(baud);
        let cycles = (clock_hz + baud / 2) / baud;
        if cycles < LEAST_CYCLES {
            let fastest = clock_hz / LEAST_CYCLES;
            return Err(format!(
                "console.baud = {baud} is too fast for a clock of {clock_hz} Hz; allowed: {LEAST_CYCLES} cycles a bit at least, up to {fastest}"
            ));
        }
        if clock_hz.abs_diff(cycles * baud) * 50 > cycles * baud {
            let (faster, slower) = (clock_hz / (clock_hz / baud), clock_hz / (clock_hz / baud + 1));
            return Err(format!(
                "console.baud = {baud} cannot be had from a clock of {clock_hz} Hz within 2 %; the nearest are {slower} and {faster}"
            ));
        }
        Ok(cycles)
    }
}

impl Logic for Uart {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module uart: 8N1 behind the console");
        comment!("---- to the pin: start bit, data, stop bit; one cycle more between two frames");
        self.console_tx.ready.next = !self.send_left.q.val().any();
        self.uart_txd.next = self.txd.q.val();
        if self.send_left.q.val().any() {
            self.send_cycles.d.next = self.send_cycles.q.val() - 1;
            if !self.send_cycles.q.val().any() {
                self.send_cycles.d.next = self.last_cycle.val();
                self.send_left.d.next = self.send_left.q.val() - 1;
                comment!("behind the stop bit the line rests, which looks the same");
                self.txd.d.next = self.send_bits.q.val().get_bit(0);
                self.send_bits.d.next = (self.send_bits.q.val() >> 1) | 0x100;
            }
        } else if self.console_tx.valid.val() {
            self.send_cycles.d.next = self.last_cycle.val();
            self.send_left.d.next = 10.into();
            self.txd.d.next = false;
            self.send_bits.d.next = bit_cast::<9, 8>(self.console_tx.data.val().data) | 0x100;
        }

        comment!("---- from the pin");
        self.line.asynchronous.next = self.uart_rxd.val();
        self.rests.next = self.line.synchronous.val();
        self.sample.next = !self.cycles.q.val().any();
        self.cycles.d.next = self.cycles.q.val() - 1;
        self.wide.next = 0.into();
        if self.rests.val() {
            self.wide.next = 0x80.into();
        }
        self.received.input.data.next.data = self.bits.q.val();
        self.received.input.valid.next = false;
        match self.state.q.val() {
            ReceiveState::Rest => {
                self.cycles.d.next = self.last_of_half.val();
                if !self.rests.val() {
                    self.state.d.next = ReceiveState::Start;
                }
            }
            ReceiveState::Start => {
                self.left.d.next = 7.into();
                if self.rests.val() {
                    self.state.d.next = ReceiveState::Rest;
                } else if self.sample.val() {
                    self.cycles.d.next = self.last_cycle.val();
                    self.state.d.next = ReceiveState::Data;
                }
            }
            ReceiveState::Data => {
                if self.sample.val() {
                    self.cycles.d.next = self.last_cycle.val();
                    self.bits.d.next = (self.bits.q.val() >> 1) | self.wide.val();
                    self.left.d.next = self.left.q.val() - 1;
                    if !self.left.q.val().any() {
                        self.state.d.next = ReceiveState::Stop;
                    }
                }
            }
            ReceiveState::Stop => {
                if self.sample.val() {
                    comment!("lost if there is no room");
                    self.received.input.valid.next = self.rests.val();
                    self.state.d.next = ReceiveState::Broken;
                    if self.rests.val() {
                        self.state.d.next = ReceiveState::Rest;
                    }
                }
            }
            ReceiveState::Broken => {
                if self.rests.val() {
                    self.state.d.next = ReceiveState::Rest;
                }
            }
        }
        Source::<ConsoleByte>::link(&mut self.console_rx, &mut self.received.output);
    }
}
