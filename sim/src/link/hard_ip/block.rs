//! The block: what comes in at one side and goes out at the other.
use super::completer;
use super::config_space::{ConfigSpace, Hit};
use super::handshake::Handshakes;
use super::levels;
use super::reads::{error, Outcome, Reads};
use super::rule::ProtocolError;
use super::seven_series::Packer;
use super::transmit::{Pipeline, Sent};
use super::{Action, BeatLayout, Family, ToEndpoint};
use crate::link::tlp::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{HashMap, VecDeque};
use virtio_hdl_rtl::pcie::function::FunctionConfig;

/// How the block is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which block.
    pub family: Family,
    /// Double words of its streams.
    pub double_words: usize,
    /// The function as the vendor's tool was told it.
    pub function: FunctionConfig,
    /// Decides everything that is random.
    pub seed: u64,
    /// Bytes per cycle that the link carries to the endpoint; `None`: the full datapath.
    pub bytes_per_cycle: Option<f64>,
    /// Takes its time at random, rather than as little as it can.
    pub hesitant: bool,
}

/// When config space last changed, for the rules that depend on it.
#[derive(Clone, Debug, Default)]
pub(super) struct Changed {
    pub command: u64,
    pub limits: u64,
}

/// The block.
pub struct HardIp {
    pub(super) settings: Settings,
    pub(super) config: ConfigSpace,
    pub(super) rng: ChaCha8Rng,
    pub(super) actions: VecDeque<Action>,
    /// What the driven ports show, or will.
    pub(super) shown: HashMap<&'static str, u64>,
    pub(super) pipeline: Pipeline,
    pub(super) handshakes: Handshakes,
    pub(super) changed: Changed,
    pub(super) packer: Packer,
    pub(super) reads: Reads,
    /// Requests of the host that wait for their completion.
    pub(super) waiting: HashMap<(FunctionId, u8), completer::Request>,
    /// Nonposted requests that the endpoint does not want yet.
    pub(super) unwanted: VecDeque<(u64, Vec<u32>, Hit)>,
    /// When the link can bring the next packet, in cycles.
    pub(super) link_free: f64,
    /// The cycle in which the last config request took effect.
    pub(super) last_config: u64,
    /// The release of the last request, and the cycle and number of the last sequence number.
    pub(super) last_request: u64,
    pub(super) last_sequence: (u64, u8),
}

impl HardIp {
    /// The block behind a reset.
    pub fn new(settings: Settings) -> Self {
        let mut block = HardIp {
            config: ConfigSpace::new(settings.family, &settings.function),
            rng: ChaCha8Rng::seed_from_u64(settings.seed),
            actions: VecDeque::new(),
            shown: HashMap::new(),
            pipeline: Pipeline::default(),
            handshakes: Handshakes::default(),
            changed: Changed::default(),
            packer: Packer::new(settings.double_words),
            reads: Reads::default(),
            waiting: HashMap::new(),
            unwanted: VecDeque::new(),
            link_free: 0.0,
            last_config: 0,
            last_request: 0,
            last_sequence: (0, 0),
            settings,
        };
        for port in levels::quiet(block.settings.family) {
            block.level(port, 0, 0);
        }
        block.show(0);
        block
    }

    /// A conventional reset: all is forgotten.
    pub fn reset(&mut self) {
        let seed = self.rng.random();
        *self = HardIp::new(Settings { seed, ..self.settings.clone() });
    }

    /// Ports of the endpoint whose changes it wants to hear of, those of one cycle in this order.
    pub fn watched(&self) -> &'static [&'static str] {
        levels::watched(self.settings.family)
    }

    /// Ports of the endpoint that it drives.
    pub fn driven(&self) -> Vec<&'static str> {
        self.shown.keys().copied().collect()
    }

    /// How beats of a stream with so many bits of `tuser` lie in words.
    pub fn layout(&self, user_bits: usize) -> BeatLayout {
        BeatLayout { double_words: self.settings.double_words, user_bits }
    }

    /// Which block.
    pub fn family(&self) -> Family {
        self.settings.family
    }

    /// Whether it takes its time at random.
    pub fn set_hesitant(&mut self, hesitant: bool) {
        self.settings.hesitant = hesitant;
    }

    /// Config space.
    pub fn config(&self) -> &ConfigSpace {
        &self.config
    }

    /// Lets config space have these registers from cycle `cycle` on.
    pub fn set_config(&mut self, cycle: u64, id: FunctionId, words: &[u32]) {
        self.config.restore(id, words);
        self.show(cycle);
    }

    /// What to do at the ports, in order; cycles of different ports and streams are not ordered.
    pub fn take_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The next packet for the link that has left before cycle `now`.
    pub fn take_sent(&mut self, now: u64) -> Option<Sent> {
        self.pipeline.pop(now)
    }

    /// The cycle in which the next packet leaves for the link, as far as is known.
    pub fn next_sent(&self) -> Option<u64> {
        self.pipeline.next()
    }

    /// The cycle by which [`advance`](Self::advance) has something to do.
    pub fn next_event(&self) -> Option<u64> {
        [self.packer.deadline(), self.reads.deadline(), self.handshake_event()].into_iter().flatten().min()
    }

    /// The link partner's credits from cycle `now` on: some for reads, any at all.
    pub fn set_credit(&mut self, now: u64, nonposted_ready: bool, held: bool) {
        if (self.pipeline.starving, self.pipeline.held) != (!nonposted_ready, held) {
            (self.pipeline.starving, self.pipeline.held) = (!nonposted_ready, held);
            self.pipeline.not_before(now);
            self.show(now);
        }
    }

    /// A number of cycles: the least, or up to `most` if the block takes its time.
    pub(super) fn hesitation(&mut self, least: u64, most: u64) -> u64 {
        match self.settings.hesitant {
            true => self.rng.random_range(least..=most),
            false => least,
        }
    }

    pub(super) fn level(&mut self, port: &'static str, cycle: u64, value: u64) {
        if self.shown.insert(port, value) != Some(value) {
            self.actions.push_back(Action::Level { port, cycle, value });
        }
    }

    pub(super) fn pulse(&mut self, port: &'static str, cycle: u64) {
        self.level(port, cycle, 1);
        self.level(port, cycle + 1, 0);
    }

    /// Drives the ports that depend on config space and credits.
    pub(super) fn show(&mut self, cycle: u64) {
        for (port, value) in levels::levels(self.settings.family, &self.config, self.pipeline.starving) {
            self.level(port, cycle, value);
        }
    }

    /// A watched port has another value from cycle `cycle` on.
    pub fn changed(&mut self, port: &'static str, cycle: u64, value: u64) -> Result<(), ProtocolError> {
        self.port_changed(port, cycle, value).map_err(|rule| ProtocolError { cycle, port, rule })
    }

    /// Does what is due by cycle `now`.
    pub fn advance(&mut self, now: u64) -> Result<(), ProtocolError> {
        self.handshake_advance(now).map_err(|rule| ProtocolError { cycle: now, port: "handshakes", rule })?;
        if self.packer.deadline().is_some_and(|due| due <= now) {
            if let Some((not_before, beats)) = self.packer.flush() {
                self.actions.push_back(Action::Beats { stream: ToEndpoint::Receive, not_before, beats });
            }
        }
        for completion in self.reads.expire(now) {
            let outcome = Outcome { error: error::TIMEOUT, completed: true, address: 0 };
            self.requester_completion(now, &Header::default(), &completion, &outcome);
        }
        Ok(())
    }
}
