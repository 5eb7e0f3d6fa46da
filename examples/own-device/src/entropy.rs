//! The device side in a simulation: where a card has a generator of random numbers, a reader is.
use std::fs::File;
use std::io::{self, Read};
use virtio_hdl::model::{DevicePacket, DeviceSide, Direction, Endpoint, ModelError, Stream, StreamShape};

/// Bytes of a word of `rng_word`.
const WORD_BYTES: usize = 16;

/// Answers the requests of the block with what a reader gives.
pub struct Entropy<R> {
    source: R,
    ports: Option<Ports>,
}

struct Ports {
    request: Stream,
    word: Stream,
}

impl Entropy<File> {
    /// The random numbers of the system.
    pub fn of_the_system() -> io::Result<Self> {
        File::open("/dev/urandom").map(Entropy::new)
    }
}

impl<R> Entropy<R> {
    /// What this reader gives; it should have no end.
    pub fn new(source: R) -> Self {
        Entropy { source, ports: None }
    }
}

impl<R: Read + Send + 'static> DeviceSide for Entropy<R> {
    fn connect(&mut self, endpoint: &mut Endpoint) -> Result<(), ModelError> {
        let request = StreamShape { side: &["words"], ..StreamShape::default() };
        let word = StreamShape { data: true, ..StreamShape::default() };
        self.ports = Some(Ports {
            request: endpoint.add_stream("rng_request", Direction::Output, request)?,
            word: endpoint.add_stream("rng_word", Direction::Input, word)?,
        });
        Ok(())
    }

    fn packet(&mut self, packet: DevicePacket, endpoint: &mut Endpoint) -> Result<(), ModelError> {
        // only the request leaves the endpoint
        let (Some(ports), [words]) = (&self.ports, &packet.words[..]) else { return Ok(()) };
        debug_assert_eq!(packet.stream, ports.request);
        let mut bytes = vec![0; *words as usize * WORD_BYTES];
        if let Err(error) = self.source.read_exact(&mut bytes) {
            // A guest that waits for ever finds out more easily than one that is given zeros as random numbers.
            return Err(ModelError::Unfit(format!("the source of random bytes has failed: {error}")));
        }
        let data: Vec<u32> = bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        endpoint.model().send(ports.word, packet.last_cycle + 1, &data)
    }
}
