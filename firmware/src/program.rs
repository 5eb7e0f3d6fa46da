//! The loop of a program: requests, what the driver does, the console, the watchdog, sleep.
use crate::card::{Card, Part};
use crate::console::Console;
use crate::layout;
use crate::mailbox::{Call, Mailbox};

/// Cycles from one write of the watchdog to the next: 4 ms at 250 MHz. Its time must be longer by what the longest request takes.
pub const KICK_CYCLES: u32 = 1 << 20;
/// Cycles until the byte port is looked at again when it had no room: nothing interrupts for that.
const OUT_CYCLES: u32 = 2000;
/// Queues that can have a mailbox: as many as [`layout::PENDING`] has bits for.
const QUEUES: usize = 16;
/// The most of a request or a reply that there is memory for, in bytes.
const PART_BYTES: u32 = 2048;

/// What the driver has done since it was last looked at, and how things stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Driver {
    /// The driver has set DRIVER_OK.
    pub ok: bool,
    /// The device has been reset since.
    pub reset: bool,
    /// The driver has written the device config since.
    pub config: bool,
    /// Features that it has accepted.
    pub features: u32,
}

/// What a program counts. All of it wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// Requests that have been answered, those included whose reply came too late.
    pub requests: u32,
    /// Bytes of all replies.
    pub reply_bytes: u32,
    /// Requests that could not be read in full.
    pub unreadable: u32,
    /// Resets of the device.
    pub resets: u32,
}

/// A device type, as far as it is a program.
pub trait Device {
    /// What the console calls it.
    const NAME: &'static str;

    /// A request has come in. What is written to `call` is the reply, which leaves afterwards, empty or not.
    fn request<C: Card>(&mut self, call: &mut Call<'_, C>);

    /// The driver has done something. Called before the requests that came after it.
    fn driver<C: Card>(&mut self, _card: &mut C, _driver: Driver) {}
}

/// A device with all that runs beside it.
pub struct Program<D: Device> {
    device: D,
    mailboxes: [Mailbox; QUEUES],
    queues: u32,
    console: Console,
    statistics: Statistics,
}

impl<D: Device> Program<D> {
    /// A program that has not begun. It is not small, and moved as little as can be: [`Self::start`] does the rest.
    pub const fn new(device: D) -> Self {
        Self {
            device,
            mailboxes: [Mailbox::NONE; QUEUES],
            queues: 0,
            console: Console::new(),
            statistics: Statistics { requests: 0, reply_bytes: 0, unreadable: 0, resets: 0 },
        }
    }

    /// Opens the mailboxes, each with an equal part of the shared memory. Says what is wrong with a card that this program is not for.
    pub fn start<C: Card>(&mut self, card: &mut C) -> Result<(), &'static str> {
        if card.read(layout::IDENTITY) != layout::IDENTITY_VALUE {
            return Err("the registers are of another version");
        }
        self.queues = card.read(layout::SHAPE) & 0xff;
        if self.queues as usize > QUEUES {
            return Err("more mailboxes than this program knows");
        }
        let bytes = (card.shared_bytes() / (2 * self.queues.max(1))).min(PART_BYTES) & !15;
        let mut at = 0;
        let mut enable = layout::PENDING_BYTE | layout::PENDING_DRIVER;
        for (queue, mailbox) in (0..self.queues).zip(&mut self.mailboxes) {
            *mailbox = Mailbox { request: Part { at, bytes }, reply: Part { at: at + bytes, bytes } };
            at += 2 * bytes;
            if bytes == 0 || !card.open(queue, mailbox.request, mailbox.reply) {
                return Err("no memory for requests and replies");
            }
            enable |= layout::PENDING_MAILBOX << queue;
        }
        card.write(layout::ENABLE, enable);
        self.console.greet(D::NAME);
        Ok(())
    }

    /// What it has counted.
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// Does what there is to do, a request of each queue at most, and says for how many cycles there is nothing more, unless something
    /// becomes pending.
    pub fn turn<C: Card>(&mut self, card: &mut C) -> u32 {
        card.write(layout::WATCHDOG, 1);
        let pending = card.read(layout::PENDING);
        if pending & layout::PENDING_DRIVER != 0 {
            self.look_at_driver(card);
        }
        for (queue, mailbox) in (0..self.queues).zip(&self.mailboxes) {
            if pending & (layout::PENDING_MAILBOX << queue) == 0 {
                continue;
            }
            if let Some(mut call) = Call::waiting(card, queue, *mailbox) {
                let statistics = &mut self.statistics;
                statistics.unreadable = statistics.unreadable.wrapping_add(call.unreadable().into());
                self.device.request(&mut call);
                statistics.requests = statistics.requests.wrapping_add(1);
                statistics.reply_bytes = statistics.reply_bytes.wrapping_add(call.written());
                call.answer();
            }
        }
        self.console.turn(card, D::NAME, &self.statistics);
        if self.console.waits_for_room() {
            OUT_CYCLES
        } else {
            KICK_CYCLES
        }
    }

    /// Turn after turn.
    pub fn run<C: Card>(&mut self, card: &mut C) -> ! {
        card.write(layout::ALARM_ON, 1);
        loop {
            let cycles = self.turn(card);
            let now = card.read(layout::TIME);
            card.write(layout::ALARM, now.wrapping_add(cycles));
            // What has become pending since the turn ends the sleep at once.
            card.sleep();
        }
    }

    fn look_at_driver<C: Card>(&mut self, card: &mut C) {
        let state = card.read(layout::DRIVER);
        card.write(layout::DRIVER, state & (layout::DRIVER_RESET | layout::DRIVER_CONFIG | layout::DRIVER_CHANGED));
        let driver = Driver {
            ok: state & layout::DRIVER_OK != 0,
            reset: state & layout::DRIVER_RESET != 0,
            config: state & layout::DRIVER_CONFIG != 0,
            features: card.read(layout::FEATURES),
        };
        self.statistics.resets = self.statistics.resets.wrapping_add(driver.reset.into());
        self.device.driver(card, driver);
    }
}
