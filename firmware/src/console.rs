//! A console on the byte port, for whoever manages the card. What comes in there is as hostile as a driver: a line has a bound, a turn
//! takes a few bytes only, and what there is no room for on the way out is dropped and counted.
use crate::card::Card;
use crate::layout;
use crate::program::Statistics;
use crate::text::Text;

/// The longest line, in bytes.
const LINE_BYTES: usize = 64;
/// Bytes that may wait for room in the byte port: the longest answer, and some more. A power of two.
const OUT_BYTES: usize = 512;
/// Bytes that a turn takes, so that requests need not wait for a flood.
const BYTES_A_TURN: u32 = 16;

const HELP: &str = "\
help          this
version       program and hardware
stats         what has been counted
peek ADDRESS  the word at an address in RAM or of a register, in hexadecimal
";

/// What waits to go out.
struct Out {
    bytes: [u8; OUT_BYTES],
    first: usize,
    waiting: usize,
    lost: u32,
}

impl Out {
    fn push(&mut self, byte: u8) {
        match self.bytes.get_mut((self.first + self.waiting) % OUT_BYTES) {
            Some(place) if self.waiting < OUT_BYTES => {
                *place = byte;
                self.waiting += 1;
            }
            _ => self.lost = self.lost.wrapping_add(1),
        }
    }

    fn drain<C: Card>(&mut self, card: &mut C) {
        while self.waiting > 0 && card.read(layout::BYTE_OUT) & layout::OUT_READY != 0 {
            card.write(layout::BYTE_OUT, self.bytes[self.first % OUT_BYTES].into());
            self.first = (self.first + 1) % OUT_BYTES;
            self.waiting -= 1;
        }
    }
}

impl Text for Out {
    // a terminal needs both for a new line
    fn byte(&mut self, byte: u8) {
        if byte == b'\n' {
            self.push(b'\r');
        }
        self.push(byte);
    }
}

/// The console.
pub(crate) struct Console {
    line: [u8; LINE_BYTES],
    length: usize,
    too_long: bool,
    out: Out,
}

impl Console {
    pub const fn new() -> Self {
        let out = Out { bytes: [0; OUT_BYTES], first: 0, waiting: 0, lost: 0 };
        Self { line: [0; LINE_BYTES], length: 0, too_long: false, out }
    }

    /// Says what has started.
    pub fn greet(&mut self, name: &str) {
        self.name(name);
        self.prompt();
    }

    /// Something waits to go out.
    pub fn waits_for_room(&self) -> bool {
        self.out.waiting > 0
    }

    /// Takes what has come in, and puts out what there is room for.
    pub fn turn<C: Card>(&mut self, card: &mut C, name: &str, statistics: &Statistics) {
        for _ in 0..BYTES_A_TURN {
            let byte = card.read(layout::BYTE_IN);
            if byte & layout::IN_VALID == 0 {
                break;
            }
            self.take(card, byte as u8, name, statistics);
        }
        self.out.drain(card);
    }

    fn take<C: Card>(&mut self, card: &mut C, byte: u8, name: &str, statistics: &Statistics) {
        match byte {
            b'\r' | b'\n' => {
                self.out.byte(b'\n');
                if self.too_long {
                    self.out.text("the line is too long\n");
                } else {
                    self.line(card, name, statistics);
                }
                self.length = 0;
                self.too_long = false;
                self.prompt();
            }
            // backspace
            8 | 127 if self.length > 0 => {
                self.length -= 1;
                self.out.text("\x08 \x08");
            }
            b' '..=b'~' => match self.line.get_mut(self.length) {
                Some(place) => {
                    *place = byte;
                    self.length += 1;
                    self.out.byte(byte);
                }
                None => self.too_long = true,
            },
            _ => {}
        }
    }

    fn line<C: Card>(&mut self, card: &mut C, name: &str, statistics: &Statistics) {
        let line = self.line;
        let mut words =
            line.get(..self.length).unwrap_or(&[]).split(|byte| *byte == b' ').filter(|word| !word.is_empty());
        match (words.next(), words.next(), words.next()) {
            (None, ..) => {}
            (Some(b"help"), None, _) => self.out.text(HELP),
            (Some(b"version"), None, _) => self.version(card, name),
            (Some(b"stats"), None, _) => self.statistics(card, statistics),
            (Some(b"peek"), Some(address), None) => self.peek(card, address),
            _ => self.out.text("what is that? help says what there is\n"),
        }
    }

    fn name(&mut self, name: &str) {
        self.out.text("virtio-hdl ");
        self.out.text(name);
        self.out.text(" ");
        self.out.text(env!("CARGO_PKG_VERSION"));
        self.out.text("\n");
    }

    fn prompt(&mut self) {
        self.out.text("> ");
    }

    fn version<C: Card>(&mut self, card: &mut C, name: &str) {
        self.name(name);
        let shape = card.read(layout::SHAPE);
        self.number("registers, version", card.read(layout::IDENTITY) & 0xff);
        self.number("bytes of RAM", (shape >> 16) * 256);
        self.number("mailboxes", shape & 0xff);
    }

    fn statistics<C: Card>(&mut self, card: &mut C, statistics: &Statistics) {
        self.number("requests", statistics.requests);
        self.number("bytes of replies", statistics.reply_bytes);
        self.number("unreadable requests", statistics.unreadable);
        self.number("resets", statistics.resets);
        self.number("lost bytes of this console", self.out.lost);
        self.number("cycles, low word", card.read(layout::TIME));
    }

    fn number(&mut self, name: &str, number: u32) {
        self.out.text(name);
        self.out.text(" ");
        self.out.decimal(number);
        self.out.text("\n");
    }

    fn peek<C: Card>(&mut self, card: &mut C, word: &[u8]) {
        match address(word).and_then(|address| card.peek(address)) {
            Some(value) => {
                self.out.hex(value);
                self.out.text("\n");
            }
            None => self.out.text("no word of RAM and no register that can be looked at\n"),
        }
    }
}

/// A number of one to eight hexadecimal digits, `0x` in front or not.
fn address(word: &[u8]) -> Option<u32> {
    let digits = word.strip_prefix(b"0x").unwrap_or(word);
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    digits.iter().try_fold(0, |address: u32, byte| Some((address << 4) | char::from(*byte).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn addresses_are_hexadecimal_words() {
        assert_eq!(address(b"8000_0000"), None);
        assert_eq!(address(b"80000004"), Some(0x8000_0004));
        assert_eq!(address(b"0x1fC"), Some(0x1fc));
        for wrong in ["", "0x", "100000000", "-4", "0x0x4", "g"] {
            assert_eq!(address(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
