//! Packets to double words and back, as they lie on the endpoint's `rx` and `tx` streams: header double words are
//! numbers as the specification draws them (Fmt in bits 31:29 of the first), payload double words have memory
//! byte 0 in bits 7:0, a digest comes last.
use super::tlp::*;

const FOUR_DOUBLE_WORDS: u8 = 0b001;
const WITH_DATA: u8 = 0b010;
const TYPE_MEMORY: u8 = 0b00000;
const TYPE_MEMORY_LOCKED: u8 = 0b00001;
const TYPE_IO: u8 = 0b00010;
const TYPE_CONFIG0: u8 = 0b00100;
const TYPE_CONFIG1: u8 = 0b00101;
const TYPE_COMPLETION: u8 = 0b01010;
const TYPE_COMPLETION_LOCKED: u8 = 0b01011;
const TYPE_MESSAGE: u8 = 0b10000;

impl Tlp {
    /// The packet in double words. A packet that fails [`Tlp::check`] is encoded as far as its fields fit.
    pub fn encode(&self) -> Vec<u32> {
        let mut words = match &self.kind {
            Kind::MemoryRead { request, locked } => {
                let kind = if *locked { TYPE_MEMORY_LOCKED } else { TYPE_MEMORY };
                self.encode_memory(request, 0, kind)
            }
            Kind::MemoryWrite { request, .. } => self.encode_memory(request, WITH_DATA, TYPE_MEMORY),
            Kind::IoRead(io) => self.encode_io(io, 0),
            Kind::IoWrite(io, _) => self.encode_io(io, WITH_DATA),
            Kind::ConfigRead(config) => self.encode_config(config, 0),
            Kind::ConfigWrite(config, _) => self.encode_config(config, WITH_DATA),
            Kind::Completion(completion) => self.encode_completion(completion),
            Kind::Message(message) => {
                let format = FOUR_DOUBLE_WORDS | if message.payload.is_empty() { 0 } else { WITH_DATA };
                vec![
                    self.first(format, TYPE_MESSAGE | message.routing.code(), message.payload.len()),
                    second(message.requester, message.tag, message.code),
                    message.fields[0],
                    message.fields[1],
                ]
            }
        };
        words.extend_from_slice(self.payload());
        words.extend(self.header.digest);
        words
    }

    fn first(&self, format: u8, kind: u8, length: usize) -> u32 {
        let Header { traffic_class, attributes, poisoned, digest } = self.header;
        u32::from(format) << 29
            | u32::from(kind) << 24
            | u32::from(traffic_class & 7) << 20
            | u32::from(attributes.id_ordering) << 18
            | u32::from(digest.is_some()) << 15
            | u32::from(poisoned) << 14
            | u32::from(attributes.relaxed_ordering) << 13
            | u32::from(attributes.no_snoop) << 12
            | length as u32 & 0x3ff
    }

    fn encode_memory(&self, request: &MemoryRequest, format: u8, kind: u8) -> Vec<u32> {
        let enables = request.enables.last << 4 | request.enables.first & 0xf;
        let id = second(request.requester, request.tag, enables);
        let low = request.address as u32 & !3;
        let high = (request.address >> 32) as u32;
        if high == 0 {
            vec![self.first(format, kind, request.length.into()), id, low]
        } else {
            vec![self.first(format | FOUR_DOUBLE_WORDS, kind, request.length.into()), id, high, low]
        }
    }

    fn encode_io(&self, io: &IoRequest, format: u8) -> Vec<u32> {
        vec![self.first(format, TYPE_IO, 1), second(io.requester, io.tag, io.enables & 0xf), io.address & !3]
    }

    fn encode_config(&self, config: &ConfigRequest, format: u8) -> Vec<u32> {
        let kind = if config.forwarded { TYPE_CONFIG1 } else { TYPE_CONFIG0 };
        vec![
            self.first(format, kind, 1),
            second(config.requester, config.tag, config.enables & 0xf),
            u32::from(config.target.0) << 16 | u32::from(config.register) & 0xffc,
        ]
    }

    fn encode_completion(&self, completion: &Completion) -> Vec<u32> {
        let format = if completion.payload.is_empty() { 0 } else { WITH_DATA };
        let kind = if completion.locked { TYPE_COMPLETION_LOCKED } else { TYPE_COMPLETION };
        vec![
            self.first(format, kind, completion.payload.len()),
            u32::from(completion.completer.0) << 16
                | u32::from(completion.status.code()) << 13
                | u32::from(completion.byte_count) & 0xfff,
            second(completion.requester, completion.tag, completion.lower_address & 0x7f),
        ]
    }

    /// The packet that lies in these double words.
    pub fn decode(words: &[u32]) -> Result<Tlp, TlpError> {
        let Some(&first) = words.first() else {
            return Err(TlpError::Truncated { header: 3, found: 0 });
        };
        let format = (first >> 29) as u8;
        let kind = (first >> 24) as u8 & 0x1f;
        let unknown = TlpError::UnknownType { format, kind };
        if format > 3 {
            return Err(unknown);
        }
        let header_words = if format & FOUR_DOUBLE_WORDS == 0 { 3 } else { 4 };
        if words.len() < header_words {
            return Err(TlpError::Truncated { header: header_words, found: words.len() });
        }
        let length = if first & 0x3ff == 0 { MAX_LENGTH } else { (first & 0x3ff) as u16 };
        let has_data = format & WITH_DATA != 0;
        let has_digest = first >> 15 & 1 == 1;
        let payload_words = if has_data { length as usize } else { 0 };
        let expected = payload_words + usize::from(has_digest);
        if words.len() - header_words != expected {
            return Err(TlpError::Payload { expected, found: words.len() - header_words });
        }
        let payload = &words[header_words..header_words + payload_words];
        let header = Header {
            traffic_class: (first >> 20) as u8 & 7,
            attributes: Attributes {
                no_snoop: first >> 12 & 1 == 1,
                relaxed_ordering: first >> 13 & 1 == 1,
                id_ordering: first >> 18 & 1 == 1,
            },
            poisoned: first >> 14 & 1 == 1,
            digest: has_digest.then(|| words[words.len() - 1]),
        };
        let fields = Fields { words, length, payload };
        let short = header_words == 3;
        let kind = match kind {
            TYPE_MEMORY if has_data => Kind::MemoryWrite { request: fields.memory(short)?, payload: payload.to_vec() },
            TYPE_MEMORY => Kind::MemoryRead { request: fields.memory(short)?, locked: false },
            TYPE_MEMORY_LOCKED if !has_data => Kind::MemoryRead { request: fields.memory(short)?, locked: true },
            TYPE_IO if short && has_data => Kind::IoWrite(fields.io()?, payload[0]),
            TYPE_IO if short => Kind::IoRead(fields.io()?),
            TYPE_CONFIG0 | TYPE_CONFIG1 if short => {
                let request = fields.config(kind == TYPE_CONFIG1)?;
                if has_data {
                    Kind::ConfigWrite(request, payload[0])
                } else {
                    Kind::ConfigRead(request)
                }
            }
            TYPE_COMPLETION | TYPE_COMPLETION_LOCKED if short => {
                Kind::Completion(fields.completion(kind == TYPE_COMPLETION_LOCKED)?)
            }
            _ if kind & 0b11000 == TYPE_MESSAGE && !short => Kind::Message(fields.message(kind & 7)?),
            _ => return Err(unknown),
        };
        let tlp = Tlp { header, kind };
        tlp.check()?;
        Ok(tlp)
    }
}

/// Second header double word of requests and messages, third of completions.
fn second(id: FunctionId, tag: u8, low: u8) -> u32 {
    u32::from(id.0) << 16 | u32::from(tag) << 8 | u32::from(low)
}

/// A packet being taken apart.
struct Fields<'a> {
    words: &'a [u32],
    length: u16,
    payload: &'a [u32],
}

impl Fields<'_> {
    fn requester(&self) -> FunctionId {
        FunctionId((self.words[1] >> 16) as u16)
    }

    fn tag(&self) -> u8 {
        (self.words[1] >> 8) as u8
    }

    fn enables(&self) -> ByteEnables {
        ByteEnables { first: self.words[1] as u8 & 0xf, last: self.words[1] as u8 >> 4 }
    }

    fn memory(&self, short: bool) -> Result<MemoryRequest, TlpError> {
        let address = if short {
            u64::from(self.words[2] & !3)
        } else {
            let address = u64::from(self.words[2]) << 32 | u64::from(self.words[3] & !3);
            // A header of four double words for an address below 4 GiB is not allowed (section 2.2.4.1).
            if self.words[2] == 0 {
                return Err(TlpError::Address(address));
            }
            address
        };
        let enables = self.enables();
        Ok(MemoryRequest { requester: self.requester(), tag: self.tag(), address, length: self.length, enables })
    }

    /// Byte enables of a request that is always one double word.
    fn single(&self) -> Result<u8, TlpError> {
        let enables = self.enables();
        if self.length != 1 {
            return Err(TlpError::Length(self.length));
        }
        if enables.last != 0 {
            return Err(TlpError::ByteEnables { first: enables.first, last: enables.last, length: 1 });
        }
        Ok(enables.first)
    }

    fn io(&self) -> Result<IoRequest, TlpError> {
        let enables = self.single()?;
        Ok(IoRequest { requester: self.requester(), tag: self.tag(), address: self.words[2] & !3, enables })
    }

    fn config(&self, forwarded: bool) -> Result<ConfigRequest, TlpError> {
        Ok(ConfigRequest {
            requester: self.requester(),
            tag: self.tag(),
            target: FunctionId((self.words[2] >> 16) as u16),
            register: self.words[2] as u16 & 0xffc,
            enables: self.single()?,
            forwarded,
        })
    }

    fn completion(&self, locked: bool) -> Result<Completion, TlpError> {
        let status = (self.words[1] >> 13) as u8 & 7;
        let byte_count = self.words[1] as u16 & 0xfff;
        Ok(Completion {
            completer: FunctionId((self.words[1] >> 16) as u16),
            requester: FunctionId((self.words[2] >> 16) as u16),
            tag: (self.words[2] >> 8) as u8,
            status: CompletionStatus::from_code(status).ok_or(TlpError::Status(status))?,
            byte_count: if byte_count == 0 { PAGE as u16 } else { byte_count },
            lower_address: self.words[2] as u8 & 0x7f,
            payload: self.payload.to_vec(),
            locked,
        })
    }

    fn message(&self, routing: u8) -> Result<Message, TlpError> {
        Ok(Message {
            requester: self.requester(),
            tag: self.tag(),
            routing: Routing::from_code(routing).ok_or(TlpError::Routing(routing))?,
            code: self.words[1] as u8,
            fields: [self.words[2], self.words[3]],
            payload: self.payload.to_vec(),
        })
    }
}
