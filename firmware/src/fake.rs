//! Registers and RAM of a card, for tests on the host: of the library, of a program, and of an image in a simulator of the processor.
use crate::card::{is_of_open, may_be_peeked, Card, Part};
use crate::layout;
use std::collections::VecDeque;

/// Cycles that an access of a register takes here.
const CYCLES: u32 = 8;

/// What is done before an access of a register.
pub type Event = Box<dyn FnMut(&mut Fake)>;

#[derive(Clone, Debug, Default)]
struct Mailbox {
    request: u32,
    room: u32,
    reply: u32,
    number: u8,
    waiting: Option<Waiting>,
    /// Requests behind it, with what the replies may have.
    behind: VecDeque<(Vec<u8>, u32)>,
}

#[derive(Clone, Debug)]
struct Waiting {
    readable: u32,
    writable: u32,
    unreadable: bool,
}

/// A card. It panics when a program does what hardware would have a trap for, or what a program must not do.
#[derive(Default)]
pub struct Fake {
    /// RAM, from address 0.
    pub ram: Vec<u8>,
    /// Replies, with their queues, oldest first.
    pub answers: Vec<(u32, Vec<u8>)>,
    /// Answers that came when no such request waited.
    pub ignored: u32,
    /// Bytes for the program.
    pub input: VecDeque<u8>,
    /// Bytes of the program.
    pub output: Vec<u8>,
    /// How many bytes the byte port still takes; none is as many as there are.
    pub out_room: Option<usize>,
    /// The next request cannot be read in full.
    pub unreadable: bool,
    /// What a peek at IDENTITY and every program's start see.
    pub identity: u32,
    /// Cycles since the reset.
    pub time: u32,
    /// Writes of the watchdog.
    pub kicks: u32,
    /// The longest time between two of them.
    pub longest_gap: u32,
    /// What happens before each access of a register: a hostile driver's doings.
    pub event: Option<Event>,
    shared_at: u32,
    mailboxes: Vec<Mailbox>,
    enable: u32,
    alarm: u32,
    alarm_on: bool,
    driver: u32,
    features: u32,
    kicked_at: u32,
}

impl Fake {
    /// A card with bytes of RAM, the upper half of it shared, and mailboxes.
    pub fn new(ram_bytes: u32, mailboxes: usize) -> Self {
        Self {
            ram: vec![0; ram_bytes as usize],
            identity: layout::IDENTITY_VALUE,
            shared_at: ram_bytes / 2,
            mailboxes: vec![Mailbox::default(); mailboxes],
            ..Self::default()
        }
    }

    /// A request of the driver's. It waits in the mailbox, or behind the one that does.
    pub fn request(&mut self, queue: u32, readable: &[u8], writable: u32) {
        self.mailboxes[queue as usize].behind.push_back((readable.to_vec(), writable));
        self.deliver();
    }

    /// The driver resets the device: what waits is gone.
    pub fn reset(&mut self) {
        for mailbox in &mut self.mailboxes {
            mailbox.waiting = None;
            mailbox.behind.clear();
        }
        self.driver = layout::DRIVER_RESET;
        self.features = 0;
    }

    /// The driver has accepted features, and sets DRIVER_OK.
    pub fn driver_ok(&mut self, features: u32) {
        self.features = features;
        self.driver |= layout::DRIVER_OK | layout::DRIVER_CHANGED;
    }

    /// Requests that have not been answered.
    pub fn unanswered(&self) -> usize {
        self.mailboxes.iter().map(|mailbox| mailbox.behind.len() + usize::from(mailbox.waiting.is_some())).sum()
    }

    /// What has come out of the byte port, as text.
    pub fn printed(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }

    /// Requests go into mailboxes that are empty and have room.
    fn deliver(&mut self) {
        for mailbox in &mut self.mailboxes {
            if mailbox.waiting.is_some() || mailbox.room == 0 {
                continue;
            }
            if let Some((bytes, writable)) = mailbox.behind.pop_front() {
                let held = bytes.len().min(mailbox.room as usize);
                let at = mailbox.request as usize;
                self.ram[at..at + held].copy_from_slice(&bytes[..held]);
                mailbox.number = mailbox.number.wrapping_add(1);
                let unreadable = std::mem::take(&mut self.unreadable);
                mailbox.waiting = Some(Waiting { readable: bytes.len() as u32, writable, unreadable });
            }
        }
    }

    /// What asks for the external interrupt.
    pub fn pending(&self) -> u32 {
        let full = |(queue, mailbox): (usize, &Mailbox)| u32::from(mailbox.waiting.is_some()) << queue;
        let mailboxes: u32 = self.mailboxes.iter().enumerate().map(full).sum();
        let changed = self.driver & !layout::DRIVER_OK != 0;
        mailboxes
            | if self.input.is_empty() { 0 } else { layout::PENDING_BYTE }
            | if changed { layout::PENDING_DRIVER } else { 0 }
    }

    /// Something ends a sleep: what is pending and enabled, or the timer.
    pub fn interrupts(&self) -> bool {
        self.pending() & self.enable != 0 || self.alarm_on && self.time.wrapping_sub(self.alarm) as i32 >= 0
    }

    /// A sleep with nothing to end it but the timer: its time has come.
    pub fn skip_to_alarm(&mut self) {
        assert!(self.alarm_on, "a sleep that nothing ends");
        self.time = self.alarm;
    }

    fn before_access(&mut self) {
        self.time = self.time.wrapping_add(CYCLES);
        if let Some(mut event) = self.event.take() {
            event(self);
            self.event = Some(event);
        }
    }

    fn mailbox(&mut self, register: u32) -> (u32, &mut Mailbox, u32) {
        let queue = (register - layout::MAILBOX) / layout::MAILBOX_BYTES;
        let count = self.mailboxes.len();
        let mailbox = self.mailboxes.get_mut(queue as usize);
        let mailbox = mailbox.unwrap_or_else(|| panic!("mailbox {queue} of {count}"));
        (queue, mailbox, register % layout::MAILBOX_BYTES)
    }

    /// A read of a register by the processor.
    pub fn read_register(&mut self, register: u32) -> u32 {
        self.before_access();
        if register >= layout::MAILBOX {
            let (_, mailbox, of) = self.mailbox(register);
            let state = |waiting: &Waiting| layout::FULL | if waiting.unreadable { layout::UNREADABLE } else { 0 };
            let waiting = mailbox.waiting.as_ref();
            return match of {
                layout::MAILBOX_STATE => waiting.map_or(0, state) | u32::from(mailbox.number) << layout::NUMBER_SHIFT,
                layout::READABLE => waiting.map_or(0, |waiting| waiting.readable),
                layout::WRITABLE => waiting.map_or(0, |waiting| waiting.writable),
                layout::REQUEST => mailbox.request,
                layout::REQUEST_ROOM => mailbox.room,
                layout::REPLY => mailbox.reply,
                _ => panic!("a read of {register:#x}, where no register is"),
            };
        }
        match register {
            layout::IDENTITY => self.identity,
            layout::SHAPE => (self.ram.len() as u32 / 256) << 16 | self.mailboxes.len() as u32,
            layout::PENDING => self.pending(),
            layout::ENABLE => self.enable,
            layout::TIME => self.time,
            layout::ALARM => self.alarm,
            layout::ALARM_ON => self.alarm_on.into(),
            layout::BYTE_OUT if self.out_room == Some(0) => 0,
            layout::BYTE_OUT => layout::OUT_READY,
            layout::BYTE_IN => self.input.pop_front().map_or(0, |byte| layout::IN_VALID | u32::from(byte)),
            layout::DRIVER => self.driver,
            layout::FEATURES => self.features,
            _ => panic!("a read of {register:#x}, where no register is"),
        }
    }

    /// A write of a register by the processor.
    pub fn write_register(&mut self, register: u32, value: u32) {
        self.before_access();
        if register >= layout::MAILBOX {
            let (queue, mailbox, of) = self.mailbox(register);
            match of {
                layout::REQUEST => mailbox.request = value,
                layout::REQUEST_ROOM => mailbox.room = value,
                layout::REPLY => mailbox.reply = value,
                layout::ANSWER => {
                    let number = (value >> layout::ANSWER_NUMBER_SHIFT) as u8;
                    match mailbox.waiting.take_if(|_| mailbox.number == number) {
                        Some(waiting) => {
                            let bytes = value & 0xffff;
                            assert!(bytes <= waiting.writable, "a reply of {bytes} bytes for {}", waiting.writable);
                            let (at, bytes) = (mailbox.reply as usize, bytes as usize);
                            self.answers.push((queue, self.ram[at..at + bytes].to_vec()));
                        }
                        None => self.ignored += 1,
                    }
                }
                _ => panic!("a write of {register:#x}, where no register is"),
            }
            self.deliver();
            return;
        }
        match register {
            layout::ENABLE => self.enable = value,
            layout::ALARM => self.alarm = value,
            layout::ALARM_ON => self.alarm_on = value & 1 != 0,
            layout::WATCHDOG => {
                self.kicks += 1;
                self.longest_gap = self.longest_gap.max(self.time.wrapping_sub(self.kicked_at));
                self.kicked_at = self.time;
            }
            layout::BYTE_OUT => {
                assert_ne!(self.out_room, Some(0), "a byte without room");
                self.out_room = self.out_room.map(|room| room - 1);
                self.output.push(value as u8);
            }
            layout::DRIVER => self.driver &= !(value & !layout::DRIVER_OK),
            _ => panic!("a write of {register:#x}, where no register is"),
        }
    }
}

impl Card for Fake {
    fn read(&mut self, register: u32) -> u32 {
        self.read_register(register)
    }

    fn write(&mut self, register: u32, value: u32) {
        if !is_of_open(register) {
            self.write_register(register, value);
        }
    }

    fn shared_bytes(&self) -> u32 {
        self.ram.len() as u32 - self.shared_at
    }

    fn open(&mut self, queue: u32, request: Part, reply: Part) -> bool {
        let shared = self.shared_bytes();
        if queue as usize >= self.mailboxes.len() || !request.is_within(shared) || !reply.is_within(shared) {
            return false;
        }
        let mailbox = layout::MAILBOX + queue * layout::MAILBOX_BYTES;
        self.write_register(mailbox + layout::REQUEST, self.shared_at + request.at);
        self.write_register(mailbox + layout::REPLY, self.shared_at + reply.at);
        self.write_register(mailbox + layout::REQUEST_ROOM, request.bytes);
        true
    }

    fn load(&self, at: u32, into: &mut [u8]) -> usize {
        let shared = self.ram[self.shared_at as usize..].get(at as usize..).unwrap_or(&[]);
        let there = shared.len().min(into.len());
        into[..there].copy_from_slice(&shared[..there]);
        there
    }

    fn store(&mut self, at: u32, bytes: &[u8]) -> usize {
        let shared = self.ram[self.shared_at as usize..].get_mut(at as usize..).unwrap_or(&mut []);
        let room = shared.len().min(bytes.len());
        shared[..room].copy_from_slice(&bytes[..room]);
        room
    }

    fn peek(&mut self, address: u32) -> Option<u32> {
        if address % 4 != 0 {
            return None;
        }
        match address.checked_sub(layout::REGISTERS) {
            Some(register) => {
                may_be_peeked(register, self.mailboxes.len() as u32).then(|| self.read_register(register))
            }
            None => {
                let word = self.ram.get(address as usize..)?.get(..4)?;
                Some(u32::from_le_bytes(word.try_into().ok()?))
            }
        }
    }

    fn sleep(&mut self) {
        if !self.interrupts() {
            self.skip_to_alarm();
        }
    }
}
