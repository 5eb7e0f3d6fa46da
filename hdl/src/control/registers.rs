//! The registers of the program but for those of mailboxes.
use super::config_words::ConfigWords;
use super::port_byte::PortByte;
use crate::block::Block;
use crate::cells::{Reg, Sink, Source, Stage};
use crate::comment;
use crate::virtio::DEVICE_CONFIG_BITS;
use rust_hdl::prelude::*;

/// Registers of the control block that are none of a mailbox; `layout` has their offsets. Interrupts, time, the watchdog, bytes in and
/// out, what the driver has done, the device config.
///
/// ```text
/// clock       _/1\_/2\_
/// access      __/---\__   with write, offset, write_data
/// read_data   __<=D=>__   in the same cycle
/// ```
/// `hung` is high from the time at which the program has given no sign for as many cycles as the watchdog waits, until it gives one.
#[derive(Block)]
pub struct ControlRegisters {
    /// Rising edge.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// One cycle: an access.
    pub access: Signal<In, Bit>,
    /// It is a write.
    pub write: Signal<In, Bit>,
    /// Which register, byte address.
    pub offset: Signal<In, Bits<8>>,
    /// What is written.
    pub write_data: Signal<In, Bits<32>>,
    /// What it holds.
    pub read_data: Signal<Out, Bits<32>>,
    /// Of each mailbox: it holds a request.
    pub mailboxes: Signal<In, Bits<4>>,
    /// What the program has asked to be told of has come.
    pub external_interrupt: Signal<Out, Bit>,
    /// The alarm has come.
    pub timer_interrupt: Signal<Out, Bit>,
    /// It has, or comes within 4096 cycles: the clock must not stop before.
    pub alarm_soon: Signal<Out, Bit>,
    /// The program has given no sign for too long.
    pub hung: Signal<Out, Bit>,
    /// One cycle: the program has put out a byte for which there was no room.
    pub byte_lost: Signal<Out, Bit>,
    /// What the program puts out.
    pub byte_out: Source<PortByte>,
    /// What comes in.
    pub byte_in: Sink<PortByte>,
    /// The device has been reset.
    pub device_reset: Signal<In, Bit>,
    /// The driver has set DRIVER_OK.
    pub driver_ok: Signal<In, Bit>,
    /// Features that it has accepted.
    pub driver_features: Signal<In, Bits<32>>,
    /// One cycle: it has written the device config.
    pub driver_wrote: Signal<In, Bit>,
    /// The device config, byte 0 in bits 7:0.
    pub device_config: Signal<Out, Bits<DEVICE_CONFIG_BITS>>,
    /// One cycle: the driver is to be told of a change of it.
    pub config_changed: Signal<Out, Bit>,

    enable: Reg<Bits<18>>,
    time: Reg<Bits<32>>,
    alarm: Reg<Bits<32>>,
    alarm_on: Reg<Bit>,
    alarm_came: Reg<Bit>,
    comes: Reg<Bit>,
    quiet: Reg<Bits<28>>,
    is_hung: Reg<Bit>,
    interrupts: Reg<Bit>,
    lost: Reg<Bit>,
    out_stage: Stage<PortByte>,
    was_reset: Reg<Bit>,
    was_written: Reg<Bit>,
    has_changed: Reg<Bit>,
    driver_ok_then: Reg<Bit>,
    features_then: Reg<Bits<32>>,
    told: Reg<Bit>,
    // one, or none where there is no device config
    #[given]
    config_words: Vec<ConfigWords>,
    #[given]
    shape: Constant<Bits<32>>,
    #[given]
    patience: Constant<Bits<28>>,

    pending: Signal<Local, Bits<18>>,
    due: Signal<Local, Bits<32>>,
    far: Signal<Local, Bits<20>>,
    writes: Signal<Local, Bit>,
}

impl ControlRegisters {
    /// Of a control block with so much memory and so many mailboxes, whose device config begins as these words, and whose watchdog waits
    /// `patience` cycles.
    ///
    /// # Panics
    /// With a longer device config than an endpoint has, or more than 4 mailboxes.
    pub fn new(memory_bytes: u32, mailboxes: usize, device_config: &[u32], patience: u32) -> Self {
        assert!(patience < 1 << 28, "{patience} cycles of patience");
        assert!(mailboxes <= 4, "{mailboxes} mailboxes");
        Self::with(ControlRegistersGiven {
            config_words: (0..usize::from(!device_config.is_empty()))
                .map(|_| ConfigWords::new(device_config))
                .collect(),
            shape: Constant::new((u64::from(memory_bytes >> 8) << 16 | mailboxes as u64).into()),
            patience: Constant::new(u64::from(patience).into()),
        })
    }
}

impl Logic for ControlRegisters {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module control_registers: what the program is told, and tells");
        self.writes.next = self.access.val() & self.write.val();

        comment!("---- time; the alarm has come while TIME - ALARM is not negative");
        self.time.d.next = self.time.q.val() + 1;
        self.due.next = self.time.q.val() - self.alarm.q.val();
        self.alarm_came.d.next = self.alarm_on.q.val() & !self.due.val().get_bit(31);
        self.timer_interrupt.next = self.alarm_came.q.val();
        self.far.next = self.due.val().get_bits::<20>(12);
        self.comes.d.next = self.alarm_on.q.val() & (self.far.val().all() | !self.due.val().get_bit(31));
        self.alarm_soon.next = self.comes.q.val();
        comment!("---- the watchdog");
        self.quiet.d.next = self.quiet.q.val() + 1;
        if self.quiet.q.val() == self.patience.val() {
            self.quiet.d.next = self.patience.val();
            self.is_hung.d.next = true;
        }
        self.hung.next = self.is_hung.q.val();

        comment!("---- bytes");
        Source::<PortByte>::link(&mut self.byte_out, &mut self.out_stage.output);
        self.out_stage.input.data.next.data = self.write_data.val().get_bits::<8>(0);
        self.out_stage.input.valid.next = self.writes.val() & (self.offset.val() == 0x20);
        self.lost.d.next = self.writes.val() & (self.offset.val() == 0x20) & !self.out_stage.input.ready.val();
        self.byte_lost.next = self.lost.q.val();
        self.byte_in.ready.next = self.access.val() & !self.write.val() & (self.offset.val() == 0x24);

        comment!("---- the driver");
        self.driver_ok_then.d.next = self.driver_ok.val();
        self.features_then.d.next = self.driver_features.val();
        if self.writes.val() & (self.offset.val() == 0x30) {
            self.was_reset.d.next = self.was_reset.q.val() & !self.write_data.val().get_bit(1);
            self.was_written.d.next = self.was_written.q.val() & !self.write_data.val().get_bit(2);
            self.has_changed.d.next = self.has_changed.q.val() & !self.write_data.val().get_bit(3);
        }
        if self.device_reset.val() {
            self.was_reset.d.next = true;
        }
        if self.driver_wrote.val() {
            self.was_written.d.next = true;
        }
        if (self.driver_ok_then.q.val() != self.driver_ok.val())
            | (self.features_then.q.val() != self.driver_features.val())
        {
            self.has_changed.d.next = true;
        }
        self.told.d.next = self.writes.val() & (self.offset.val() == 0x38);
        self.config_changed.next = self.told.q.val();

        comment!("---- interrupts");
        self.pending.next = bit_cast::<18, 4>(self.mailboxes.val());
        self.pending.next = self
            .pending
            .val()
            .replace_bit(16, self.byte_in.valid.val())
            .replace_bit(17, self.was_reset.q.val() | self.was_written.q.val() | self.has_changed.q.val());
        self.interrupts.d.next = (self.pending.val() & self.enable.q.val()).any();
        self.external_interrupt.next = self.interrupts.q.val();

        comment!("---- what the program reads, and what else it writes");
        self.read_data.next = 0.into();
        match self.offset.val().index() {
            0x00 => self.read_data.next = 0x7668_6301_u64.into(),
            0x04 => self.read_data.next = self.shape.val(),
            0x08 => self.read_data.next = bit_cast::<32, 18>(self.pending.val()),
            0x0c => {
                self.read_data.next = bit_cast::<32, 18>(self.enable.q.val());
                if self.writes.val() {
                    self.enable.d.next = self.write_data.val().get_bits::<18>(0);
                }
            }
            0x10 => self.read_data.next = self.time.q.val(),
            0x14 => {
                self.read_data.next = self.alarm.q.val();
                if self.writes.val() {
                    self.alarm.d.next = self.write_data.val();
                    self.alarm_came.d.next = false;
                }
            }
            0x18 => {
                self.read_data.next = bits::<32>(0).replace_bit(0, self.alarm_on.q.val());
                if self.writes.val() {
                    self.alarm_on.d.next = self.write_data.val().get_bit(0);
                    self.alarm_came.d.next = false;
                }
            }
            0x1c => {
                if self.writes.val() {
                    self.quiet.d.next = 0.into();
                    self.is_hung.d.next = false;
                }
            }
            0x20 => self.read_data.next = bits::<32>(0).replace_bit(0, self.out_stage.input.ready.val()),
            0x24 => {
                self.read_data.next =
                    bit_cast::<32, 8>(self.byte_in.data.val().data).replace_bit(31, self.byte_in.valid.val());
            }
            0x30 => {
                self.read_data.next = bits::<32>(0)
                    .replace_bit(0, self.driver_ok.val())
                    .replace_bit(1, self.was_reset.q.val())
                    .replace_bit(2, self.was_written.q.val())
                    .replace_bit(3, self.has_changed.q.val());
            }
            0x34 => self.read_data.next = self.driver_features.val(),
            _ => {}
        }
        self.device_config.next = 0.into();
        for i in 0..self.config_words.len() {
            self.config_words[i].write.next = self.writes.val();
            self.config_words[i].offset.next = self.offset.val();
            self.config_words[i].write_data.next = self.write_data.val();
            self.device_config.next = self.config_words[i].device_config.val();
            if self.offset.val().get_bit(6) {
                self.read_data.next = self.config_words[i].read_data.val();
            }
        }
    }
}
