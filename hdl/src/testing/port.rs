//! Random values of port types, and how they are written in stimulus files.
use super::Rng;
use crate::verilog::literal_digits;
use crate::{dma, tlp};
use rust_hdl::prelude::*;

/// A value the harness can make up and write down.
pub trait Port: Synth {
    /// Any value; zeros, ones and small numbers more often than by chance.
    fn random(rng: &mut Rng) -> Self;
    /// All bits as one hexadecimal number.
    fn hex(self) -> String {
        literal_digits(self.verilog())
    }
}

impl<const N: usize> Port for Bits<N> {
    fn random(rng: &mut Rng) -> Self {
        let mode = rng.below(8);
        let word = |_| match mode {
            0 => 0,
            1 => u32::MAX,
            2 => rng.below(4) as u32,
            _ => (rng.next() >> 16) as u32,
        };
        let mut words: Vec<u32> = (0..N.div_ceil(32)).map(word).collect();
        if let (Some(last), 1..) = (words.last_mut(), N % 32) {
            *last &= (1 << (N % 32)) - 1;
        }
        num_bigint::BigUint::new(words).into()
    }
    fn hex(self) -> String {
        format!("{self:x}")
    }
}

impl Port for bool {
    fn random(rng: &mut Rng) -> Self {
        rng.chance(1, 2)
    }
}

impl<const N: usize> Port for Signed<N> {
    fn random(rng: &mut Rng) -> Self {
        signed_cast(Bits::<N>::random(rng))
    }
    fn hex(self) -> String {
        // the literal of a negative number has a sign
        format!("{:x}", unsigned_cast(self))
    }
}

/// For blocks with several clocks: each clock is an ordinary input of the stimulus file.
impl Port for Clock {
    fn random(rng: &mut Rng) -> Self {
        rng.chance(1, 2).into()
    }
}

/// `impl_port!(Type { field, field })` for a LogicStruct (all fields), `impl_port!(Type: Variant, Variant)` for a
/// LogicState enum.
#[macro_export]
macro_rules! impl_port {
    ($type:ty { $($field:ident),* $(,)? }) => {
        impl $crate::testing::Port for $type {
            fn random(rng: &mut $crate::testing::Rng) -> Self {
                Self { $($field: $crate::testing::Port::random(rng)),* }
            }
        }
    };
    ($type:ty : $($variant:ident),* $(,)?) => {
        impl $crate::testing::Port for $type {
            fn random(rng: &mut $crate::testing::Rng) -> Self {
                let all = [$(<$type>::$variant),*];
                all[rng.below(all.len() as u64) as usize]
            }
        }
    };
}

impl_port!(tlp::types::TlpBeat { data, keep, last });
impl_port!(tlp::types::ReceivedBeat { data, keep, last, bar_hit });
impl_port!(tlp::types::RequestKind:
    MemoryRead, MemoryWrite, IoRead, IoWrite, ConfigRead, ConfigWrite, Unsupported);
impl_port!(tlp::types::Request {
    kind,
    length,
    first_be,
    last_be,
    requester_id,
    tag,
    attributes,
    traffic_class,
    address,
    poisoned,
    data,
    bar_hit
});
impl_port!(tlp::types::CompletionBeat {
    data,
    first,
    last,
    tag,
    requester_id,
    status,
    byte_count,
    lower_address,
    length,
    poisoned
});
impl_port!(tlp::types::TransmitKind: MemoryRead, MemoryWrite, Completion, CompletionData, Message);
impl_port!(tlp::types::TransmitBeat {
    data,
    last,
    kind,
    length,
    address,
    above_4g,
    first_be,
    last_be,
    tag,
    requester_id,
    status,
    byte_count,
    lower_address,
    attributes,
    traffic_class,
    message_code
});
impl_port!(dma::types::ReadRequest { address, length, destination, client, slot });
impl_port!(dma::types::RamWrite { client, word, enable, data });
impl_port!(dma::types::ReadRetire { client, slot, error });
impl_port!(dma::types::WriteRequest { address, length, source, client });
impl_port!(dma::types::BufferDescriptor { address, length, end, error });
impl_port!(dma::types::ByteBeat { data, count, last, error });
impl_port!(dma::types::ScatterCommand { skip, length, head, used_length, drop, more, soon });
impl_port!(dma::types::UsedElement { head, length, more, soon });
