//! A TLP's header in words, also of one that is malformed. Source: PCI Express Base Specification, section 2.2.
use crate::link::root_complex::{EVENTFD_MESSAGES, MESSAGE_WINDOW};
use std::fmt;

/// What a TLP's header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    /// "MRd", "CplD", ... or "?".
    pub kind: &'static str,
    /// Double words asked for or carried.
    pub length: u16,
    /// Requester of a request, completer of a completion.
    pub from: u16,
    /// The request's tag.
    pub tag: u8,
    /// Byte address, or bus, device, function and register as a configuration request has them; a completion has the
    /// low 7 bits of the address.
    pub address: u64,
    /// First DW BE, and last DW BE in bits 7:4.
    pub enables: u8,
    /// Status of a completion, 0 when successful.
    pub status: u8,
    /// Bytes that a completion says are to come.
    pub byte_count: u16,
    /// Code of a message.
    pub message: u8,
    /// Double words of the header.
    pub double_words: usize,
}

impl Heading {
    /// Reads a packet's first double words; missing ones count as 0.
    pub fn of(dwords: &[u32]) -> Self {
        let word = |index: usize| dwords.get(index).copied().unwrap_or(0);
        let (format, kind) = (word(0) >> 29, word(0) >> 24 & 0x1f);
        let (four, data) = (format & 1 == 1, format & 2 == 2);
        let with_data = |none, some| if data { some } else { none };
        let kind = match kind {
            _ if format > 3 => "prefix",
            0b00000 => with_data("MRd", "MWr"),
            0b00001 => "MRdLk",
            0b00010 => with_data("IORd", "IOWr"),
            0b00100 => with_data("CfgRd0", "CfgWr0"),
            0b00101 => with_data("CfgRd1", "CfgWr1"),
            0b01010 => with_data("Cpl", "CplD"),
            0b01011 => with_data("CplLk", "CplDLk"),
            0b10000..=0b10111 => with_data("Msg", "MsgD"),
            _ => "?",
        };
        let completion = kind.starts_with("Cpl");
        let message = kind.starts_with("Msg");
        let memory = matches!(kind, "MRd" | "MWr" | "MRdLk");
        Heading {
            kind,
            length: ((word(0) & 0x3ff) as u16).wrapping_sub(1) % 1024 + 1,
            from: (word(1) >> 16) as u16,
            tag: if completion { word(2) >> 8 } else { word(1) >> 8 } as u8,
            address: match (completion, memory && four) {
                (true, _) => u64::from(word(2) & 0x7f),
                (false, true) => u64::from(word(2)) << 32 | u64::from(word(3) & !3),
                (false, false) => u64::from(word(2) & !3),
            },
            enables: if completion || message { 0 } else { word(1) as u8 },
            status: if completion { (word(1) >> 13 & 7) as u8 } else { 0 },
            byte_count: if completion { (word(1) & 0xfff) as u16 } else { 0 },
            message: if message { word(1) as u8 } else { 0 },
            double_words: if four { 4 } else { 3 },
        }
    }

    /// A 16-bit write to QUEUE_NOTIFY, at 0x10 of a BAR0 of at least 32 bytes.
    pub fn is_notify(&self) -> bool {
        matches!(self.kind, "IOWr" | "MWr") && self.length == 1 && self.enables == 0b0011 && self.address & 0x1f == 0x10
    }

    /// An MSI-X message, or INTA asserted.
    pub fn is_interrupt(&self) -> bool {
        let message = MESSAGE_WINDOW.contains(&self.address) || self.address == EVENTFD_MESSAGES;
        self.kind == "MWr" && message || self.kind == "Msg" && self.message == 0x20
    }

    /// A completion that says no.
    pub fn is_error(&self) -> bool {
        self.status != 0
    }

    /// Name of a completion's status.
    fn status_name(&self) -> &'static str {
        match self.status {
            0 => "SC",
            1 => "UR",
            2 => "CRS",
            4 => "CA",
            _ => "?",
        }
    }

    /// One word, for a waveform.
    pub fn short(&self) -> String {
        match self.kind {
            "Cpl" | "CplD" => {
                format!("{}:{}:tag={}:count={}", self.kind, self.status_name(), self.tag, self.byte_count)
            }
            "Msg" | "MsgD" => format!("{}:code={:#04x}", self.kind, self.message),
            "MWr" => format!("MWr:{:#x}:{}dw", self.address, self.length),
            kind => format!("{kind}:{:#x}:{}dw:tag={}", self.address, self.length, self.tag),
        }
    }
}

/// "01:00.0"
fn function(id: u16) -> String {
    format!("{:02x}:{:02x}.{}", id >> 8, id >> 3 & 0x1f, id & 7)
}

impl fmt::Display for Heading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<7} from {}", self.kind, function(self.from))?;
        let (first, last) = (self.enables & 0xf, self.enables >> 4);
        match self.kind {
            "Cpl" | "CplD" | "CplLk" | "CplDLk" => write!(
                f,
                "  tag {:#04x}  {}  {} of {} bytes  lower address {:#04x}",
                self.tag,
                self.status_name(),
                if self.kind.starts_with("CplD") { 4 * self.length } else { 0 },
                self.byte_count,
                self.address
            ),
            "Msg" | "MsgD" => write!(
                f,
                "  code {:#04x}{}",
                self.message,
                match self.message {
                    0x20 => " Assert_INTA",
                    0x24 => " Deassert_INTA",
                    _ => "",
                }
            ),
            "CfgRd0" | "CfgWr0" | "CfgRd1" | "CfgWr1" => write!(
                f,
                "  tag {:#04x}  {} register {:#05x}  enables {first:04b}",
                self.tag,
                function((self.address >> 16) as u16),
                self.address & 0xffc
            ),
            "?" | "prefix" => Ok(()),
            _ => write!(
                f,
                "  tag {:#04x}  {:#x}  {} double words  enables {last:04b} {first:04b}",
                self.tag, self.address, self.length
            ),
        }
    }
}

/// The packet's first payload double words, for a log.
pub(super) fn payload(heading: &Heading, dwords: &[u32]) -> String {
    const SHOWN: usize = 4;
    let payload = dwords.get(heading.double_words..).unwrap_or_default();
    let mut text = String::new();
    for word in payload.iter().take(SHOWN) {
        text += &format!("{}{word:08x}", if text.is_empty() { "  data " } else { " " });
    }
    if payload.len() > SHOWN {
        text += " ...";
    }
    text
}
