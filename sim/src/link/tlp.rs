//! Transaction-layer packets as types. Source: PCI Express Base Specification, section 2.2.
use std::fmt;
use thiserror::Error;

/// Most double words that a packet can carry or ask for.
pub const MAX_LENGTH: u16 = 1024;
/// No memory request crosses a boundary of this many bytes.
pub const PAGE: u64 = 4096;

/// Bus, device and function: requester, completer or target of a packet.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FunctionId(pub u16);

impl FunctionId {
    /// From bus, device (5 bits) and function (3 bits).
    pub const fn new(bus: u8, device: u8, function: u8) -> Self {
        FunctionId((bus as u16) << 8 | (device as u16 & 0x1f) << 3 | function as u16 & 7)
    }

    /// Bus number.
    pub const fn bus(self) -> u8 {
        (self.0 >> 8) as u8
    }

    /// Device number, 0 to 31.
    pub const fn device(self) -> u8 {
        (self.0 >> 3) as u8 & 0x1f
    }

    /// Function number, 0 to 7.
    pub const fn function(self) -> u8 {
        self.0 as u8 & 7
    }
}

impl fmt::Display for FunctionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}:{:02x}.{}", self.bus(), self.device(), self.function())
    }
}

/// `Attr[2:0]` of a header.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// The access is not snooped by caches.
    pub no_snoop: bool,
    /// A write may pass earlier writes.
    pub relaxed_ordering: bool,
    /// No order with packets of other requesters.
    pub id_ordering: bool,
}

/// Header fields that every packet has.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// TC, 0 to 7.
    pub traffic_class: u8,
    /// `Attr[2:0]`.
    pub attributes: Attributes,
    /// EP: the payload is known to be wrong.
    pub poisoned: bool,
    /// TLP digest (ECRC); TD is set when it is there.
    pub digest: Option<u32>,
}

/// Byte enables of the first and last double word of a request.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct ByteEnables {
    /// First DW BE, 4 bits.
    pub first: u8,
    /// Last DW BE, 4 bits; 0 in a request of one double word.
    pub last: u8,
}

impl ByteEnables {
    /// Byte enables and length in double words of the `bytes` bytes from `address`. `bytes` is at least 1.
    pub fn of(address: u64, bytes: u64) -> (Self, u16) {
        let offset = address % 4;
        let length = (offset + bytes).div_ceil(4) as u16;
        let first = 0xf << offset & 0xf;
        let last = 0xf >> (3 - (offset + bytes - 1) % 4);
        let enables = if length == 1 {
            ByteEnables { first: (first & last) as u8, last: 0 }
        } else {
            ByteEnables { first: first as u8, last: last as u8 }
        };
        (enables, length)
    }

    /// Offset of the first enabled byte from the request's double-word address, and the bytes from there to the
    /// last enabled one. A request that enables nothing (a flush) counts as one byte, as its completion does.
    pub fn span(self, length: u16) -> (u64, u64) {
        if self.first == 0 && length == 1 {
            return (0, 1);
        }
        let start = self.first.trailing_zeros().min(4) as u64;
        let end = if length == 1 {
            8 - self.first.leading_zeros() as u64
        } else {
            4 * (length as u64 - 1) + 8 - self.last.leading_zeros() as u64
        };
        (start, end.saturating_sub(start))
    }

    /// Whether byte `index` of a request of `length` double words is enabled.
    pub fn enabled(self, index: usize, length: u16) -> bool {
        let (word, byte) = (index / 4, index % 4);
        let enables = match word {
            0 => self.first,
            w if w + 1 == length as usize => self.last,
            _ => 0xf,
        };
        enables >> byte & 1 == 1
    }

    /// The rules of section 2.2.5. `quadword_aligned`: two double words from a multiple of 8 may enable any bytes.
    fn check(self, length: u16, quadword_aligned: bool) -> Result<(), TlpError> {
        let contiguous_down = |e: u8| matches!(e, 0b1111 | 0b1110 | 0b1100 | 0b1000);
        let contiguous_up = |e: u8| matches!(e, 0b1111 | 0b0111 | 0b0011 | 0b0001);
        let ok = match length {
            1 => self.last == 0,
            2 if quadword_aligned => self.first != 0 && self.last != 0,
            _ => contiguous_down(self.first) && contiguous_up(self.last),
        };
        if ok {
            Ok(())
        } else {
            Err(TlpError::ByteEnables { first: self.first, last: self.last, length })
        }
    }
}

/// A memory read or write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryRequest {
    /// Who asks.
    pub requester: FunctionId,
    /// Goes back in the completion.
    pub tag: u8,
    /// Byte address of the first double word, a multiple of 4. The header has four double words from 2^32 on.
    pub address: u64,
    /// Double words asked for or written, 1 to 1024.
    pub length: u16,
    /// Which bytes of the first and last double word.
    pub enables: ByteEnables,
}

impl MemoryRequest {
    /// Address of the first enabled byte and number of bytes up to the last enabled one.
    pub fn bytes(&self) -> (u64, u64) {
        let (offset, bytes) = self.enables.span(self.length);
        (self.address + offset, bytes)
    }

    /// What a write with this payload writes: address and bytes of each run of enabled bytes.
    pub fn runs(&self, payload: &[u32]) -> Vec<(u64, Vec<u8>)> {
        let mut runs: Vec<(u64, Vec<u8>)> = Vec::new();
        for (index, byte) in payload.iter().flat_map(|word| word.to_le_bytes()).enumerate() {
            if !self.enables.enabled(index, self.length) {
                continue;
            }
            let address = self.address + index as u64;
            match runs.last_mut() {
                Some((start, bytes)) if *start + bytes.len() as u64 == address => bytes.push(byte),
                _ => runs.push((address, vec![byte])),
            }
        }
        runs
    }

    fn check(&self) -> Result<(), TlpError> {
        if self.length == 0 || self.length > MAX_LENGTH {
            return Err(TlpError::Length(self.length));
        }
        if self.address % 4 != 0 {
            return Err(TlpError::Address(self.address));
        }
        if self.address % PAGE + 4 * self.length as u64 > PAGE {
            return Err(TlpError::CrossesPage { address: self.address, length: self.length });
        }
        self.enables.check(self.length, self.address % 8 == 0)
    }
}

/// An I/O read or write: always one double word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IoRequest {
    /// Who asks.
    pub requester: FunctionId,
    /// Goes back in the completion.
    pub tag: u8,
    /// Byte address, a multiple of 4.
    pub address: u32,
    /// Which bytes, 4 bits.
    pub enables: u8,
}

/// A configuration read or write: always one double word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigRequest {
    /// Who asks.
    pub requester: FunctionId,
    /// Goes back in the completion.
    pub tag: u8,
    /// Whose configuration space.
    pub target: FunctionId,
    /// Byte offset of the register, a multiple of 4 below 4096.
    pub register: u16,
    /// Which bytes, 4 bits.
    pub enables: u8,
    /// Type 0 arrives at its target; type 1 is still on its way through a bridge.
    pub forwarded: bool,
}

/// Completion status.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum CompletionStatus {
    /// SC.
    Successful,
    /// UR: nobody answers there.
    UnsupportedRequest,
    /// CRS: a configuration request came too early after a reset.
    ConfigurationRetry,
    /// CA: the completer cannot do this.
    CompleterAbort,
}

impl CompletionStatus {
    /// The three bits in the header.
    pub const fn code(self) -> u8 {
        match self {
            CompletionStatus::Successful => 0,
            CompletionStatus::UnsupportedRequest => 1,
            CompletionStatus::ConfigurationRetry => 2,
            CompletionStatus::CompleterAbort => 4,
        }
    }

    /// From the three bits in the header.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(CompletionStatus::Successful),
            1 => Some(CompletionStatus::UnsupportedRequest),
            2 => Some(CompletionStatus::ConfigurationRetry),
            4 => Some(CompletionStatus::CompleterAbort),
            _ => None,
        }
    }
}

/// A completion, with data (CplD) or without (Cpl).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Who answers.
    pub completer: FunctionId,
    /// Who asked.
    pub requester: FunctionId,
    /// Tag of the request.
    pub tag: u8,
    /// Status.
    pub status: CompletionStatus,
    /// Bytes still to come for the request, this packet's included, 1 to 4096.
    pub byte_count: u16,
    /// Low 7 bits of the byte address of the first byte of this packet.
    pub lower_address: u8,
    /// Double words, memory byte 0 in bits 7:0; empty in a Cpl.
    pub payload: Vec<u32>,
    /// CplDLk or CplLk: the answer to a locked read.
    pub locked: bool,
}

/// Where a message goes, `r[2:0]`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Routing {
    /// To the root complex.
    RootComplex,
    /// By address.
    Address,
    /// By function.
    Function,
    /// From the root complex to everybody.
    Broadcast,
    /// Ends at the receiver: INTx.
    Local,
    /// Gathered by switches on the way to the root complex.
    Gathered,
}

impl Routing {
    /// The three bits in Type.
    pub const fn code(self) -> u8 {
        match self {
            Routing::RootComplex => 0,
            Routing::Address => 1,
            Routing::Function => 2,
            Routing::Broadcast => 3,
            Routing::Local => 4,
            Routing::Gathered => 5,
        }
    }

    /// From the three bits in Type; 6 and 7 are reserved.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Routing::RootComplex),
            1 => Some(Routing::Address),
            2 => Some(Routing::Function),
            3 => Some(Routing::Broadcast),
            4 => Some(Routing::Local),
            5 => Some(Routing::Gathered),
            _ => None,
        }
    }
}

/// Message code of Assert_INTA; INTB to INTD follow.
pub const ASSERT_INTA: u8 = 0x20;
/// Message code of Deassert_INTA; INTB to INTD follow.
pub const DEASSERT_INTA: u8 = 0x24;

/// Message code of PME_Turn_Off: power is going to be taken away.
pub const PME_TURN_OFF: u8 = 0x19;
/// Message code of PME_TO_Ack: it may be.
pub const PME_TO_ACK: u8 = 0x1b;
/// Message code of ERR_COR: a correctable or advisory error.
pub const ERR_COR: u8 = 0x30;
/// Message code of ERR_NONFATAL.
pub const ERR_NONFATAL: u8 = 0x31;
/// Message code of ERR_FATAL.
pub const ERR_FATAL: u8 = 0x33;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who sends it.
    pub requester: FunctionId,
    /// Tag, without meaning in most messages.
    pub tag: u8,
    /// Where it goes.
    pub routing: Routing,
    /// Message code.
    pub code: u8,
    /// Third and fourth header double word.
    pub fields: [u32; 2],
    /// Payload double words, memory byte 0 in bits 7:0; empty in a Msg.
    pub payload: Vec<u32>,
}

/// What a packet is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// MRd, MRdLk when `locked`.
    MemoryRead {
        /// What is read.
        request: MemoryRequest,
        /// The bus is to be locked.
        locked: bool,
    },
    /// MWr. Payload double words have memory byte 0 in bits 7:0; there are `request.length` of them.
    MemoryWrite {
        /// What is written.
        request: MemoryRequest,
        /// Double words.
        payload: Vec<u32>,
    },
    /// IORd.
    IoRead(IoRequest),
    /// IOWr.
    IoWrite(IoRequest, u32),
    /// CfgRd0, CfgRd1.
    ConfigRead(ConfigRequest),
    /// CfgWr0, CfgWr1.
    ConfigWrite(ConfigRequest, u32),
    /// Cpl, CplD.
    Completion(Completion),
    /// Msg, MsgD.
    Message(Message),
}

/// A transaction-layer packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tlp {
    /// What every packet has.
    pub header: Header,
    /// What this one is.
    pub kind: Kind,
}

impl From<Kind> for Tlp {
    fn from(kind: Kind) -> Self {
        Tlp { header: Header::default(), kind }
    }
}

impl Tlp {
    /// Whether the packet has a legal form. [`Tlp::decode`] accepts only such; [`Tlp::encode`] does not ask, so
    /// that tests can send malformed packets.
    pub fn check(&self) -> Result<(), TlpError> {
        match &self.kind {
            Kind::MemoryRead { request, .. } => request.check(),
            Kind::MemoryWrite { request, payload } => {
                if payload.len() != request.length as usize {
                    return Err(TlpError::Payload { expected: request.length as usize, found: payload.len() });
                }
                request.check()
            }
            Kind::IoRead(io) | Kind::IoWrite(io, _) if io.address % 4 != 0 => Err(TlpError::Address(io.address.into())),
            Kind::ConfigRead(c) | Kind::ConfigWrite(c, _) if c.register % 4 != 0 || u64::from(c.register) >= PAGE => {
                Err(TlpError::Address(c.register.into()))
            }
            Kind::Completion(completion) => completion.check(),
            Kind::Message(message) if message.payload.len() > MAX_LENGTH as usize => {
                Err(TlpError::Length(message.payload.len() as u16))
            }
            _ => Ok(()),
        }
    }

    /// Payload double words of the packet.
    pub fn payload(&self) -> &[u32] {
        match &self.kind {
            Kind::MemoryWrite { payload, .. } => payload,
            Kind::IoWrite(_, data) | Kind::ConfigWrite(_, data) => std::slice::from_ref(data),
            Kind::Completion(completion) => &completion.payload,
            Kind::Message(message) => &message.payload,
            _ => &[],
        }
    }
}

impl Completion {
    fn check(&self) -> Result<(), TlpError> {
        if self.byte_count == 0 || u64::from(self.byte_count) > PAGE {
            return Err(TlpError::ByteCount(self.byte_count));
        }
        if self.payload.len() > MAX_LENGTH as usize {
            return Err(TlpError::Length(self.payload.len() as u16));
        }
        // The packet carries no more double words than the request has left.
        let left = (u64::from(self.lower_address % 4) + u64::from(self.byte_count)).div_ceil(4);
        if self.payload.len() as u64 > left {
            return Err(TlpError::Payload { expected: left as usize, found: self.payload.len() });
        }
        Ok(())
    }
}

/// What is wrong with a packet.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum TlpError {
    /// Fewer double words than the header takes.
    #[error("packet of {found} double words is shorter than its header of {header}")]
    Truncated { header: usize, found: usize },
    /// Fmt and Type that no packet has.
    #[error("unknown packet type: Fmt {format:#05b}, Type {kind:#07b}")]
    UnknownType { format: u8, kind: u8 },
    /// Payload of another length than the header says.
    #[error("payload of {found} double words where there should be {expected}")]
    Payload { expected: usize, found: usize },
    /// A length that this packet cannot have.
    #[error("length of {0} double words is not allowed here")]
    Length(u16),
    /// Byte enables against section 2.2.5.
    #[error("byte enables {first:#06b} and {last:#06b} are not allowed for {length} double words")]
    ByteEnables { first: u8, last: u8, length: u16 },
    /// A memory request across a 4 KiB boundary.
    #[error("request of {length} double words at {address:#x} crosses a 4 KiB boundary")]
    CrossesPage { address: u64, length: u16 },
    /// An address that is not a multiple of 4, or out of range, or in the wrong header format.
    #[error("address {0:#x} is not allowed here")]
    Address(u64),
    /// A byte count that no completion has.
    #[error("byte count {0} is not allowed")]
    ByteCount(u16),
    /// A reserved completion status.
    #[error("completion status {0} is reserved")]
    Status(u8),
    /// A reserved message routing.
    #[error("message routing {0} is reserved")]
    Routing(u8),
}
