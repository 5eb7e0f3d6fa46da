//! How far the handshakes of INTx and of function-level reset are.

/// Where the handshakes are.
#[derive(Clone, Debug)]
pub(super) struct Handshakes {
    /// The line as the user wants it: `cfg_interrupt_int`, or the last request on `cfg_interrupt`.
    pub wanted: bool,
    /// The line as the host knows it.
    pub asserted: bool,
    /// 7-series: `cfg_interrupt` and `cfg_interrupt_assert`.
    pub request: bool,
    pub assert: bool,
    /// The cycle in which the present request is answered.
    pub answer: Option<u64>,
    /// A function-level reset is in process.
    pub resetting: bool,
    /// The cycle by which it must be done.
    pub reset_limit: u64,
    /// Nonposted requests may come.
    pub nonposted_wanted: bool,
    /// 7-series: the block may send completions of its own.
    pub granted: bool,
}

impl Default for Handshakes {
    /// Until a port says otherwise, the block is free to do what it likes.
    fn default() -> Self {
        Handshakes {
            wanted: false,
            asserted: false,
            request: false,
            assert: false,
            answer: None,
            resetting: false,
            reset_limit: 0,
            nonposted_wanted: true,
            granted: true,
        }
    }
}
