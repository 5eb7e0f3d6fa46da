//! The VCD: every port as it is in each cycle, the clock, and the decoded header of the TLP on each side of the link.
//!
//! Cycle n is drawn from n periods on, clock high in its first half. A beat that is drawn with valid and ready moves
//! at the clock edge that ends its cycle. While the clock stood still, everything stays as it was.
use super::heading::Heading;
use super::ports::PortMap;
use std::io::{self, Write};
use std::ops::Range;
use vcd::{IdCode, TimescaleUnit, Value, VarType, Writer};

/// Where the ports of a TLP stream lie, and the variables of its decoded header.
struct TlpView {
    valid: Range<usize>,
    ready: Range<usize>,
    last: Range<usize>,
    data: Range<usize>,
    position: Position,
    /// The text says something other than "-".
    shown: bool,
    text: IdCode,
    address: IdCode,
    tag: IdCode,
    length: IdCode,
}

/// Whether the next beat begins a packet.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Position {
    /// Sampling began somewhere in a packet, perhaps.
    Unknown,
    First,
    Inside,
}

/// The file.
pub(super) struct VcdFile {
    writer: Writer<Box<dyn Write + Send>>,
    map: PortMap,
    ids: Vec<IdCode>,
    clock: IdCode,
    views: Vec<TlpView>,
    half_period_ps: u64,
    last: Option<Vec<u8>>,
    next_cycle: Option<u64>,
}

fn bits(value: u64, width: usize) -> impl Iterator<Item = Value> {
    (0..width).rev().map(move |bit| Value::from(value >> bit & 1 == 1))
}

impl VcdFile {
    /// `from_start`: the first sample is the first cycle, in which no packet is under way.
    pub fn new(file: impl Write + Send + 'static, map: PortMap, clock_hz: u64, from_start: bool) -> io::Result<Self> {
        let mut writer = Writer::new(Box::new(file) as Box<dyn Write + Send>);
        writer.timescale(1, TimescaleUnit::PS)?;
        writer.add_module("endpoint")?;
        let clock = writer.add_wire(1, "clock")?;
        let mut ids = vec![];
        for port in &map.ports {
            ids.push(match port.name.as_str() {
                "clock" => clock,
                name => writer.add_wire(port.width as u32, name)?,
            });
        }
        let mut views = vec![];
        for side in ["rx", "tx"] {
            let place = |end: &str| map.place(&format!("{side}_{end}"));
            let (Some(valid), Some(ready), Some(last), Some(data)) =
                (place("valid"), place("ready"), place("last"), place("data"))
            else {
                continue;
            };
            writer.add_module(&format!("{side}_tlp"))?;
            views.push(TlpView {
                valid,
                ready,
                last,
                data,
                position: if from_start { Position::First } else { Position::Unknown },
                shown: false,
                text: writer.add_var(VarType::String, 1, "packet", None)?,
                address: writer.add_wire(64, "address")?,
                tag: writer.add_wire(8, "tag")?,
                length: writer.add_wire(11, "length")?,
            });
            writer.upscope()?;
        }
        writer.upscope()?;
        writer.enddefinitions()?;
        let half_period_ps = 500_000_000_000 / clock_hz;
        Ok(VcdFile { writer, map, ids, clock, views, half_period_ps, last: None, next_cycle: None })
    }

    /// All ports in one cycle; cycles come in order.
    pub fn sample(&mut self, cycle: u64, values: &[u8]) -> io::Result<()> {
        let start = 2 * cycle * self.half_period_ps;
        self.writer.timestamp(start)?;
        self.writer.change_scalar(self.clock, Value::V1)?;
        self.rest(cycle);
        for (port, id) in self.map.ports.iter().zip(&self.ids) {
            let now = &values[port.bytes.clone()];
            let same = self.last.as_ref().is_some_and(|last| last[port.bytes.clone()] == *now);
            if same || *id == self.clock {
                continue;
            }
            if port.width == 1 {
                self.writer.change_scalar(*id, Value::from(now[0] != 0))?;
            } else {
                let bit = |bit: usize| Value::from(now[bit / 8] >> (bit % 8) & 1 == 1);
                self.writer.change_vector(*id, (0..port.width).rev().map(bit))?;
            }
        }
        for view in &mut self.views {
            view.sample(values, &mut self.writer)?;
        }
        self.writer.timestamp(start + self.half_period_ps)?;
        self.writer.change_scalar(self.clock, Value::V0)?;
        self.last.get_or_insert_with(|| vec![0; self.map.bytes]).copy_from_slice(values);
        Ok(())
    }

    /// A cycle that is not written.
    pub fn pass(&mut self, cycle: u64, values: &[u8]) {
        self.rest(cycle);
        self.views.iter_mut().for_each(|view| view.advance(values));
    }

    /// Where cycles are missing the clock stood still, and no packet was under way.
    fn rest(&mut self, cycle: u64) {
        if self.next_cycle.is_some_and(|next| next != cycle) {
            self.views.iter_mut().for_each(|view| view.position = Position::First);
        }
        self.next_cycle = Some(cycle + 1);
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl TlpView {
    fn sample(&mut self, values: &[u8], writer: &mut Writer<Box<dyn Write + Send>>) -> io::Result<()> {
        let valid = values[self.valid.start] != 0;
        if self.position == Position::First && valid {
            let words: Vec<u32> = values[self.data.clone()]
                .chunks_exact(4)
                .map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
                .collect();
            let heading = Heading::of(&words);
            writer.change_string(self.text, &heading.short())?;
            writer.change_vector(self.address, bits(heading.address, 64))?;
            writer.change_vector(self.tag, bits(heading.tag.into(), 8))?;
            writer.change_vector(self.length, bits(heading.length.into(), 11))?;
            self.shown = true;
        } else if self.position == Position::First && self.shown {
            writer.change_string(self.text, "-")?;
            self.shown = false;
        }
        self.advance(values);
        Ok(())
    }

    /// Follows the packets.
    fn advance(&mut self, values: &[u8]) {
        let bit = |place: &Range<usize>| values[place.start] != 0;
        self.position = match (bit(&self.valid), bit(&self.ready), bit(&self.last)) {
            (true, true, true) => Position::First,
            (true, true, false) if self.position == Position::First => Position::Inside,
            // Streams hardly ever pause inside a packet.
            (false, _, _) if self.position == Position::Unknown => Position::First,
            _ => self.position,
        };
    }
}
