//! The link of an endpoint behind a vendor's PCIe block, whose model stands between the ports and the TLPs.
use super::endpoint::{EndpointOptions, LINK_FRAMING};
use super::{Direction, InputLevel, Model, ModelError, Packet, Stop, Stream, StreamShape};
use crate::link::hard_ip::{Action, BeatLayout, Family, FromEndpoint, HardIp, Sent, Settings, ToEndpoint};
use crate::link::FunctionId;
use std::collections::HashMap;
use virtio_hdl_rtl::pcie::function::FunctionConfig;

/// Double words of a block's config space that a driver can have written: below the extended capabilities.
const CONFIG_WORDS: u16 = 64;

/// Its ports, and the block at the other side of them.
pub(super) struct HardIpLink {
    block: HardIp,
    inputs: Vec<(ToEndpoint, Stream, BeatLayout)>,
    outputs: Vec<(FromEndpoint, Stream, BeatLayout)>,
    watched: Vec<(&'static str, Stream)>,
    driven: HashMap<&'static str, InputLevel>,
    /// Cycles for which a run may go on behind a packet that left for the link, and behind a device event.
    lookahead: (u64, u64),
    nonposted_ready: bool,
    held: bool,
}

impl HardIpLink {
    /// The block whose streams the model has.
    pub fn family(model: &Model) -> Option<Family> {
        let has = |name: &str| model.ports().iter().any(|port| port.name == name);
        match (has("m_axis_rx_tdata"), has("m_axis_cq_tdata")) {
            (true, _) => Some(Family::SevenSeries),
            (_, true) => Some(Family::UltraScalePlus),
            _ => None,
        }
    }

    /// Takes charge of the ports. `function`: as the block's config space shows it.
    pub fn find(
        model: &mut Model,
        family: Family,
        function: FunctionConfig,
        options: &EndpointOptions,
    ) -> Result<Self, ModelError> {
        let (_, first, _) = ToEndpoint::of(family)[0];
        let data = format!("{first}_tdata");
        let bits = model.ports().iter().find(|port| port.name == data).map_or(0, |port| port.width);
        let block = HardIp::new(Settings {
            family,
            double_words: bits / 32,
            function,
            seed: options.seed,
            bytes_per_cycle: options.link_bytes_per_cycle,
            hesitant: false,
        });
        let beats = StreamShape { beats: true, ..StreamShape::default() };
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        for (stream, name, user) in ToEndpoint::of(family) {
            inputs.push((*stream, model.add_stream(name, Direction::Input, beats)?, block.layout(*user)));
        }
        for (stream, name, user) in FromEndpoint::of(family) {
            let found = model.add_stream(name, Direction::Output, beats)?;
            if let Some(rate) = options.link_bytes_per_cycle {
                model.set_pace(found, rate, LINK_FRAMING)?;
            }
            if let Some(word) = stream.upper_address() {
                model.set_upper_address(found, word)?;
            }
            if let Some((_, other, _)) = outputs.first() {
                model.share_link(found, *other)?;
            }
            model.set_lookahead(found, stream.lookahead())?;
            outputs.push((*stream, found, block.layout(*user)));
        }
        let mut watched = Vec::new();
        for port in block.watched() {
            // Nobody has all of them: a port that is not there never changes.
            if let Ok(level) = model.level(port) {
                watched.push((*port, model.watch(level)?));
            }
        }
        let driven =
            block.driven().into_iter().filter_map(|port| Some((port, model.input_level(port).ok()?))).collect();
        let mut link = HardIpLink {
            block,
            inputs,
            outputs,
            watched,
            driven,
            lookahead: (0, 0),
            nonposted_ready: true,
            held: false,
        };
        link.show(model);
        Ok(link)
    }

    /// Streams into the endpoint.
    pub fn inputs(&self) -> impl Iterator<Item = Stream> + '_ {
        self.inputs.iter().map(|(_, stream, _)| *stream)
    }

    /// Streams out of it.
    pub fn outputs(&self) -> impl Iterator<Item = Stream> + '_ {
        self.outputs.iter().map(|(_, stream, _)| *stream)
    }

    /// Whether the block takes its time at random.
    pub fn set_hesitant(&mut self, hesitant: bool) {
        self.block.set_hesitant(hesitant);
    }

    /// See [`super::Endpoint::set_lookahead`].
    pub fn set_lookahead(&mut self, link: u64, device: u64) {
        self.lookahead = (link, device);
    }

    /// Whether the link has credit for reads.
    pub fn set_nonposted_ready(&mut self, model: &Model, ready: bool) {
        self.nonposted_ready = ready;
        self.block.set_credit(model.cycle(), ready, self.held);
    }

    /// Whether the link takes nothing.
    pub fn set_held(&mut self, model: &Model, held: bool) {
        self.held = held;
        self.block.set_credit(model.cycle(), self.nonposted_ready, held);
    }

    /// The function's number and the double words of config space.
    pub fn config(&self) -> (FunctionId, Vec<u32>) {
        let config = self.block.config();
        (config.id(), (0..CONFIG_WORDS).map(|word| config.read(4 * word)).collect())
    }

    /// Lets the block have these registers.
    pub fn set_config(&mut self, model: &Model, id: FunctionId, words: &[u32]) {
        self.block.set_config(model.cycle(), id, words);
    }

    /// A conventional reset; the model has been reset.
    pub fn reset(&mut self, model: &mut Model) {
        self.block.reset();
        self.block.set_credit(model.cycle(), self.nonposted_ready, self.held);
        self.show(model);
    }

    /// Drives the ports as they are behind a reset.
    fn show(&mut self, model: &mut Model) {
        while let Some(action) = self.block.take_action() {
            if let Action::Level { port, value, .. } = action {
                if let Some(level) = self.driven.get(port) {
                    model.set(*level, value);
                }
            }
        }
    }

    /// A TLP of the link.
    pub fn receive(&mut self, not_before: u64, dwords: &[u32]) -> Result<(), ModelError> {
        Ok(self.block.receive(not_before, dwords)?)
    }

    /// Carries out what the block wants; whether there was something.
    fn act(&mut self, model: &mut Model) -> Result<bool, ModelError> {
        let mut acted = false;
        while let Some(action) = self.block.take_action() {
            acted = true;
            match action {
                Action::Level { port, cycle, value } => {
                    if let Some(level) = self.driven.get(port) {
                        model.set_at(*level, cycle, value);
                    }
                }
                Action::Beats { stream, not_before, beats } => {
                    let found = self.inputs.iter().find(|(input, ..)| *input == stream);
                    if let Some((_, found, layout)) = found {
                        let mut words = Vec::with_capacity(beats.len() * layout.words());
                        beats.iter().for_each(|beat| layout.write(beat, &mut words));
                        model.send(*found, not_before, &words)?;
                    }
                }
            }
        }
        Ok(acted)
    }

    /// Runs as [`Model::run`] does, with the TLPs that left for the link and what left on the device side as events.
    pub fn run(
        &mut self,
        model: &mut Model,
        deadline: u64,
        sent: &mut impl FnMut(Sent),
        device: &mut impl FnMut(&Packet),
    ) -> Result<Stop, ModelError> {
        let (mut limit, mut event, mut stop) = (deadline, false, Stop::Deadline);
        loop {
            let now = model.cycle();
            self.block.advance(now)?;
            let acted = self.act(model)?;
            while let Some(packet) = self.block.take_sent(now) {
                limit = limit.min(packet.last_cycle + 1 + self.lookahead.0);
                event = true;
                sent(packet);
            }
            if now >= limit {
                return Ok(if event { Stop::Event } else { Stop::Deadline });
            }
            let leaves = self.block.next_sent().map(|at| at + 1);
            if stop == Stop::Quiescent && !acted {
                match [leaves, self.block.next_event()].into_iter().flatten().min() {
                    Some(next) if next < limit => {
                        model.skip_to(next);
                        stop = Stop::Deadline;
                        continue;
                    }
                    _ if event => return Ok(Stop::Event),
                    _ => return Ok(Stop::Quiescent),
                }
            }
            let next = [leaves.map(|at| at + self.lookahead.0), self.block.next_event()];
            let end = next.into_iter().flatten().min().map_or(limit, |next| next.min(limit));
            stop = model.run(end.max(now + 1))?;
            if let Some(at) = self.drain(model, device)? {
                event = true;
                limit = limit.min(at + 1 + self.lookahead.1);
            }
        }
    }

    /// Shows the block what happened; the cycle of the first thing on the device side.
    fn drain(&mut self, model: &mut Model, device: &mut impl FnMut(&Packet)) -> Result<Option<u64>, ModelError> {
        let (mut first, mut failure) = (None, None);
        let HardIpLink { block, outputs, watched, .. } = self;
        model.drain(|packet| {
            let Packet { stream, first_cycle, last_cycle, words } = packet;
            let done = if let Some((output, _, layout)) = outputs.iter().find(|(_, output, _)| *output == stream) {
                block.sent(*output, first_cycle, last_cycle, &layout.read(words))
            } else if let Some((port, _)) = watched.iter().find(|(_, watch)| *watch == stream) {
                block.changed(port, last_cycle, words[0].into())
            } else {
                first.get_or_insert(last_cycle);
                device(&packet);
                Ok(())
            };
            if let Err(error) = done {
                failure.get_or_insert(error);
            }
        });
        match failure {
            Some(error) => Err(error.into()),
            None => Ok(first),
        }
    }
}
