//! The block's streams, and what is to be done at its ports.
use super::{completer, requester, seven_series, Beat, Family};

/// Least cycles from a packet's last beat on RQ to its sequence number.
pub(super) const LEAST_SEQUENCE_DELAY: u64 = 4;

/// Streams to the endpoint.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum ToEndpoint {
    /// 7-series: `m_axis_rx`.
    Receive,
    /// UltraScale+: `m_axis_cq`.
    CompleterRequest,
    /// UltraScale+: `m_axis_rc`.
    RequesterCompletion,
}

/// Streams from the endpoint.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum FromEndpoint {
    /// 7-series: `s_axis_tx`.
    Transmit,
    /// UltraScale+: `s_axis_cc`.
    CompleterCompletion,
    /// UltraScale+: `s_axis_rq`.
    RequesterRequest,
}

impl ToEndpoint {
    /// The streams of a family, their names, and bits of `tuser`.
    pub fn of(family: Family) -> &'static [(ToEndpoint, &'static str, usize)] {
        match family {
            Family::SevenSeries => &[(ToEndpoint::Receive, "m_axis_rx", seven_series::RECEIVE_USER_BITS)],
            Family::UltraScalePlus => &[
                (ToEndpoint::CompleterRequest, "m_axis_cq", completer::REQUEST_USER_BITS),
                (ToEndpoint::RequesterCompletion, "m_axis_rc", requester::COMPLETION_USER_BITS),
            ],
        }
    }
}

impl FromEndpoint {
    /// The streams of a family, their names, and bits of `tuser`.
    pub fn of(family: Family) -> &'static [(FromEndpoint, &'static str, usize)] {
        match family {
            Family::SevenSeries => &[(FromEndpoint::Transmit, "s_axis_tx", seven_series::TRANSMIT_USER_BITS)],
            Family::UltraScalePlus => &[
                (FromEndpoint::CompleterCompletion, "s_axis_cc", completer::COMPLETION_USER_BITS),
                (FromEndpoint::RequesterRequest, "s_axis_rq", requester::REQUEST_USER_BITS),
            ],
        }
    }

    /// The double word of a descriptor that has the upper half of an address: a descriptor of four double words stands for the three
    /// that a header has below 4 GiB.
    pub fn upper_address(self) -> Option<u32> {
        match self {
            FromEndpoint::RequesterRequest => Some(1),
            FromEndpoint::Transmit | FromEndpoint::CompleterCompletion => None,
        }
    }

    /// Cycles for which a run may go on behind a packet: the block's answer comes later.
    pub fn lookahead(self) -> u64 {
        match self {
            FromEndpoint::RequesterRequest => LEAST_SEQUENCE_DELAY - 1,
            FromEndpoint::Transmit | FromEndpoint::CompleterCompletion => 0,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            FromEndpoint::Transmit => "s_axis_tx",
            FromEndpoint::CompleterCompletion => "s_axis_cc",
            FromEndpoint::RequesterRequest => "s_axis_rq",
        }
    }
}

/// Something to do at the endpoint's ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Beats that follow each other on a stream, from cycle `not_before` on.
    Beats {
        /// Which stream.
        stream: ToEndpoint,
        /// First cycle of the first beat, at the earliest.
        not_before: u64,
        /// In their order.
        beats: Vec<Beat>,
    },
    /// A port has another value from cycle `cycle` on.
    Level {
        /// The port's name.
        port: &'static str,
        /// First cycle of the value.
        cycle: u64,
        /// The value.
        value: u64,
    },
}
