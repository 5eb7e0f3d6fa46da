//! Serving the device's reads: where completions are cut and how long they take.
use super::config::{CompletionCut, Latency, LinkConfig, Picoseconds};
use super::errors::Fault;
use super::tlp::*;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// What unread bytes of a completion's first and last double word hold: nobody may use them.
const UNREAD: u8 = 0xee;

/// A part of a read that is answered with one completion.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// Address of the first byte.
    pub address: u64,
    /// Bytes.
    pub bytes: u64,
    /// Bytes of the read from here to its end.
    pub left: u64,
    /// What memory held when it was looked at.
    pub sampled: Vec<u32>,
}

/// A read of the device that is being served.
#[derive(Clone, Debug)]
pub(super) struct Read {
    pub header: Header,
    pub request: MemoryRequest,
    pub pieces: Vec<Piece>,
    /// What goes wrong, at which piece.
    pub fault: Option<(Fault, usize)>,
}

impl Read {
    /// The completion of piece `index`, or `None` when it is lost. `completer` answers.
    pub fn completion(&mut self, index: usize, completer: FunctionId) -> Option<Tlp> {
        let struck = self.fault.filter(|(_, at)| index >= *at);
        let piece = &mut self.pieces[index];
        let mut header = Header { poisoned: false, digest: None, ..self.header };
        let status = match struck {
            Some((Fault::Lost, _)) => return None,
            // An error completion is the last one of its read.
            Some((Fault::Unsupported | Fault::Aborted, at)) if index > at => return None,
            Some((Fault::Unsupported, _)) => CompletionStatus::UnsupportedRequest,
            Some((Fault::Aborted, _)) => CompletionStatus::CompleterAbort,
            Some((Fault::Poisoned, at)) => {
                header.poisoned = index == at;
                CompletionStatus::Successful
            }
            Some((Fault::Late(_), _)) | None => CompletionStatus::Successful,
        };
        let payload =
            if status == CompletionStatus::Successful { std::mem::take(&mut piece.sampled) } else { Vec::new() };
        let completion = Completion {
            completer,
            requester: self.request.requester,
            tag: self.request.tag,
            status,
            byte_count: piece.left as u16,
            lower_address: if payload.is_empty() { 0 } else { (piece.address & 0x7f) as u8 },
            payload,
            locked: false,
        };
        Some(Tlp { header, kind: Kind::Completion(completion) })
    }
}

/// Cuts a read of `bytes` bytes from `address` into completions.
pub(super) fn cut(config: &LinkConfig, rng: &mut ChaCha8Rng, address: u64, bytes: u64) -> Vec<Piece> {
    let boundary = u64::from(config.read_completion_boundary);
    let most = u64::from(config.max_payload);
    let mut pieces = Vec::new();
    // What lies behind the read may be behind the last address: only distances are added up.
    let mut done = 0;
    while done < bytes {
        let (from, left) = (address.wrapping_add(done), bytes - done);
        let first_cut = boundary - from % boundary;
        // The largest payload counts whole double words.
        let last_cut = (most - from % 4).saturating_sub(((from - from % 4) % boundary + most) % boundary);
        let count = match config.completion_cut {
            CompletionCut::Boundary => first_cut,
            CompletionCut::MaxPayload => most - from % most,
            CompletionCut::Random if last_cut > first_cut => {
                first_cut + boundary * rng.random_range(0..=(last_cut - first_cut) / boundary)
            }
            CompletionCut::Random => first_cut,
        };
        let count = count.min(left);
        pieces.push(Piece { address: from, bytes: count, left, sampled: Vec::new() });
        done += count;
    }
    pieces
}

/// The completions of a read with these data, each with at most `max_payload` bytes; with `None`, the completion that
/// says that nobody answers there.
pub fn answer(
    header: Header,
    request: &MemoryRequest,
    completer: FunctionId,
    data: Option<&[u8]>,
    max_payload: u16,
) -> Vec<Tlp> {
    let header = Header { poisoned: false, digest: None, ..header };
    let (address, bytes) = request.bytes();
    // From the byte `done` of the read on; what lies behind the read may be behind the last address.
    let completion = |status, done: u64, payload: Vec<u32>| {
        let completion = Completion {
            completer,
            requester: request.requester,
            tag: request.tag,
            status,
            byte_count: (bytes - done) as u16,
            lower_address: if payload.is_empty() { 0 } else { (address.wrapping_add(done) & 0x7f) as u8 },
            payload,
            locked: false,
        };
        Tlp { header, kind: Kind::Completion(completion) }
    };
    let Some(data) = data.filter(|data| data.len() as u64 == bytes) else {
        return vec![completion(CompletionStatus::UnsupportedRequest, 0, Vec::new())];
    };
    let most = usize::from(max_payload.max(1));
    let mut completions = Vec::new();
    let (mut done, mut rest) = (0, data);
    while !rest.is_empty() {
        let from = address.wrapping_add(done);
        let (part, behind) = rest.split_at(rest.len().min(most - from as usize % most));
        completions.push(completion(CompletionStatus::Successful, done, double_words(from, part)));
        (done, rest) = (done + part.len() as u64, behind);
    }
    completions
}

/// Draws the time to serve a read.
pub(super) fn service_time(latency: &Latency, rng: &mut ChaCha8Rng) -> Picoseconds {
    // Above the median the tail rises with this power: one read in a hundred takes half of the way to the longest.
    const TAIL: i32 = 32;
    let dice = 2.0 * rng.random::<f64>();
    let (least, most, share) = if dice < 1.0 {
        (latency.shortest_ns, latency.median_ns, dice)
    } else {
        (latency.median_ns, latency.longest_ns, (dice - 1.0).powi(TAIL))
    };
    (least * 1000).saturating_add((most.saturating_sub(least) as f64 * 1000.0 * share) as Picoseconds)
}

/// Double words of a completion with these bytes, of which the first lies at `address`.
pub(super) fn double_words(address: u64, bytes: &[u8]) -> Vec<u32> {
    let offset = (address % 4) as usize;
    let mut padded = vec![UNREAD; (offset + bytes.len()).next_multiple_of(4)];
    padded[offset..offset + bytes.len()].copy_from_slice(bytes);
    padded.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect()
}
