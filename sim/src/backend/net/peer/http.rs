//! The HTTP server: a source and a sink of bytes, with their checksums.
use super::random::{hexadecimal, RandomBytes};
use super::tcp::{receive, send, Talk};
use md5::{Digest, Md5};
use smoltcp::socket::tcp::{Socket, State};

/// Longest head of a request, and the most lines it has.
const HEAD_BYTES: usize = 8192;
const HEADERS: usize = 64;
/// Largest SIZE: the sum of so many bytes is there in about a second.
const SIZE_MAX: u64 = 256 << 20;

const USAGE: &str = "\
GET /random/SIZE[/SEED]  SIZE bytes that look random, always the same for the same SEED (0 if not given)
GET /md5/SIZE[/SEED]     the MD5 of these bytes
POST or PUT /sink        answers with the MD5 of what is sent
";

/// One request and its answer.
#[derive(Default)]
pub(super) struct Http {
    stage: Stage,
}

enum Stage {
    /// The head comes.
    Head(Vec<u8>),
    /// A body comes, of which so many bytes are left. Something may have to be sent before.
    Sink { remaining: u64, sum: Md5, proceed: Vec<u8> },
    /// The answer goes.
    Answer(Answer),
}

impl Default for Stage {
    fn default() -> Self {
        Stage::Head(vec![])
    }
}

/// What is left of an answer.
struct Answer {
    bytes: Vec<u8>,
    sent: usize,
    /// What follows the bytes.
    blocks: Box<dyn Iterator<Item = Vec<u8>> + Send>,
}

impl Answer {
    /// With the head of an answer with a body of `size` bytes.
    fn new(status: &str, kind: &str, size: u64, blocks: impl Iterator<Item = Vec<u8>> + Send + 'static) -> Self {
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n");
        Answer { bytes: head.into_bytes(), sent: 0, blocks: Box::new(blocks) }
    }

    fn text(status: &str, text: &str) -> Self {
        Answer::new(status, "text/plain", text.len() as u64, std::iter::once(text.as_bytes().to_vec()))
    }

    fn random(size: u64, seed: u64) -> Self {
        Answer::new("200 OK", "application/octet-stream", size, RandomBytes::new(size, seed))
    }

    /// Sends what there is room for, and says whether that was something.
    fn send(&mut self, socket: &mut Socket<'static>) -> bool {
        let mut worked = false;
        while socket.can_send() {
            if self.sent == self.bytes.len() {
                match self.blocks.next() {
                    Some(block) => (self.bytes, self.sent) = (block, 0),
                    None => {
                        socket.close();
                        return true;
                    }
                }
            }
            self.sent += send(socket, &self.bytes[self.sent..]);
            worked = true;
        }
        worked
    }
}

impl Talk for Http {
    fn work(&mut self, socket: &mut Socket<'static>) -> bool {
        match &mut self.stage {
            Stage::Head(head) => {
                let data = receive(socket, HEAD_BYTES - head.len());
                head.extend(&data);
                match begin(head) {
                    Some(stage) => self.stage = stage,
                    // The client has gone before it asked.
                    None if socket.state() == State::CloseWait && !socket.can_recv() => {
                        socket.close();
                        return true;
                    }
                    None => return !data.is_empty(),
                }
            }
            Stage::Sink { remaining, sum, proceed } => {
                let sent = send(socket, proceed);
                proceed.drain(..sent);
                let data = receive(socket, usize::try_from(*remaining).unwrap_or(usize::MAX));
                sum.update(&data);
                *remaining -= data.len() as u64;
                if *remaining == 0 {
                    let sum = hexadecimal(std::mem::take(sum));
                    self.stage = Stage::Answer(Answer::text("200 OK", &(sum + "\n")));
                } else if socket.state() == State::CloseWait && !socket.can_recv() {
                    self.stage =
                        Stage::Answer(Answer::text("400 Bad Request", "the body is shorter than its Content-Length\n"));
                } else {
                    return sent > 0 || !data.is_empty();
                }
            }
            Stage::Answer(answer) => {
                // What the client still sends is not wanted, but it must not stand in the way.
                let ignored = receive(socket, usize::MAX);
                return answer.send(socket) || !ignored.is_empty();
            }
        }
        true
    }
}

/// What a head asks for, once it is complete.
fn begin(head: &[u8]) -> Option<Stage> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let refused = |status, text| Some(Stage::Answer(Answer::text(status, text)));
    let body = match request.parse(head) {
        Ok(httparse::Status::Complete(bytes)) => &head[bytes..],
        Ok(httparse::Status::Partial) if head.len() < HEAD_BYTES => return None,
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            return refused("431 Request Header Fields Too Large", "the head of the request is too long\n")
        }
        Err(error) => return refused("400 Bad Request", &format!("{error}\n")),
    };
    let (method, path) = (request.method.unwrap_or_default(), request.path.unwrap_or_default());
    tracing::debug!(method, path, "peer: HTTP");
    match (method, path) {
        ("GET", "/") => Some(Stage::Answer(Answer::text("200 OK", USAGE))),
        ("GET", path) if path.starts_with("/random/") || path.starts_with("/md5/") => {
            Some(Stage::Answer(match (size_and_seed(path), path.starts_with("/md5/")) {
                (Some((size, seed)), false) => Answer::random(size, seed),
                (Some((size, seed)), true) => Answer::text("200 OK", &(RandomBytes::new(size, seed).md5() + "\n")),
                (None, _) => {
                    let text = format!("SIZE is a number of bytes up to {SIZE_MAX}, SEED a number\n");
                    Answer::text("400 Bad Request", &text)
                }
            }))
        }
        ("POST" | "PUT", "/sink") => {
            let value = |name: &str| {
                let header = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
                std::str::from_utf8(header.value).ok()
            };
            let Some(bytes) = value("content-length").and_then(|bytes| bytes.trim().parse::<u64>().ok()) else {
                return refused("411 Length Required", "send a Content-Length\n");
            };
            let expected = value("expect").is_some_and(|expect| expect.eq_ignore_ascii_case("100-continue"));
            let proceed = if expected { b"HTTP/1.1 100 Continue\r\n\r\n".to_vec() } else { vec![] };
            let body = &body[..body.len().min(usize::try_from(bytes).unwrap_or(usize::MAX))];
            let sum = Md5::new_with_prefix(body);
            Some(Stage::Sink { remaining: bytes - body.len() as u64, sum, proceed })
        }
        ("GET" | "POST" | "PUT", _) => refused("404 Not Found", USAGE),
        _ => refused("405 Method Not Allowed", USAGE),
    }
}

/// SIZE and SEED of a path with a first part.
fn size_and_seed(path: &str) -> Option<(u64, u64)> {
    let mut parts = path.split('/').skip(2);
    let size = parts.next()?.parse().ok().filter(|size| *size <= SIZE_MAX)?;
    let seed = parts.next().map_or(Some(0), |seed| seed.parse().ok())?;
    parts.next().is_none().then_some((size, seed))
}
