//! The names of the ports by which the kit holds a model: clock, reset, and the streams of TLPs.

/// The ports of a stream of TLPs, by their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlpPorts {
    /// Double words of the packet, the first in the lowest bits.
    pub data: String,
    /// Which of them count: a bit per double word, or one per byte. Only data of 32 bits need none.
    pub keep: Option<String>,
    /// The last beat of a packet.
    pub last: String,
    /// There is a beat.
    pub valid: String,
    /// It is taken.
    pub ready: String,
}

/// How the kit holds a model whose link carries raw TLPs. The default is what is generated here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The one clock.
    pub clock: String,
    /// The reset, synchronous.
    pub reset: String,
    /// It is active low.
    pub reset_low: bool,
    /// Low for 64 cycles, and with no input changing: the clock may stop. Without it, the clock never does.
    pub busy: Option<String>,
    /// TLPs to the endpoint.
    pub receive: TlpPorts,
    /// TLPs from it.
    pub transmit: TlpPorts,
    /// An input: the link has credit for reads. Without it the link must always have some.
    pub nonposted_ready: Option<String>,
    /// Inputs that are set once.
    pub constants: Vec<(String, u64)>,
}

impl Default for Interface {
    fn default() -> Self {
        let stream = |name: &str| TlpPorts {
            data: format!("{name}_data"),
            keep: Some(format!("{name}_keep")),
            last: format!("{name}_last"),
            valid: format!("{name}_valid"),
            ready: format!("{name}_ready"),
        };
        Interface {
            clock: "clock".into(),
            reset: "reset".into(),
            reset_low: false,
            busy: Some("busy".into()),
            receive: stream("rx"),
            transmit: stream("tx"),
            nonposted_ready: Some("tx_nonposted_ready".into()),
            constants: Vec::new(),
        }
    }
}
