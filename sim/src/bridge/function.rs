//! What the endpoint is, as a root complex finds it out: by its configuration space alone.
use super::engine::Engine;
use super::BridgeError;
use crate::link::{HostRequest, SLOT};
use virtio_hdl_rtl::pcie::layout;
use virtio_hdl_rtl::pcie::registers::{DIAGNOSTICS, VENDOR_CAPABILITY};

/// Base address registers of a function.
pub(super) const BARS: usize = 6;

/// A base address register, or a pair of them.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bar {
    /// Bytes; 0 where there is none.
    pub bytes: u64,
    /// In I/O space.
    pub io: bool,
    /// The next register has the upper half of the address.
    pub wide: bool,
}

/// MSI-X of a function.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Msix {
    /// Where the capability is in configuration space.
    pub capability: u16,
    /// How many vectors there are.
    pub vectors: u16,
    /// The BAR that the table is in.
    pub bar: u32,
    /// Where it begins there.
    pub offset: u64,
}

/// A function of the endpoint.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Function {
    pub bars: [Bar; BARS],
    pub msix: Option<Msix>,
    /// Where the PCI Express capability is, if it knows function-level resets.
    pub express: Option<u16>,
    /// Where the diagnostics of a generated endpoint begin in configuration space, if it has a vendor-specific capability there.
    pub diagnostics: Option<u16>,
}

impl Function {
    /// Asks the endpoint, which must be as after a reset, and is not as after one then: its BARs have been written.
    pub fn find(engine: &mut Engine) -> Result<Self, BridgeError> {
        if read(engine, layout::VENDOR_ID)?.is_none() {
            return Err(BridgeError::Silent);
        }
        let mut function = Function { bars: bars(engine)?, ..Function::default() };
        if config(engine, layout::COMMAND)? >> 16 & u32::from(layout::STATUS_CAPABILITIES) == 0 {
            return Ok(function);
        }
        let mut at = config(engine, layout::CAPABILITY_POINTER)? as u16 & 0xfc;
        // A list that goes in a circle has an end too.
        for _ in 0..48 {
            if at == 0 {
                break;
            }
            let head = config(engine, at)?;
            match head as u8 {
                layout::CAPABILITY_EXPRESS => {
                    let capabilities = config(engine, at + layout::EXPRESS_DEVICE_CAPABILITIES)?;
                    function.express = (capabilities & layout::EXPRESS_FUNCTION_RESET_SUPPORTED != 0).then_some(at);
                }
                layout::CAPABILITY_MSIX => {
                    let table = config(engine, at + layout::MSIX_TABLE)?;
                    function.msix = Some(Msix {
                        capability: at,
                        vectors: ((head >> 16) as u16 & layout::MSIX_CONTROL_SIZE) + 1,
                        bar: table & layout::MSIX_BAR,
                        offset: u64::from(table & !layout::MSIX_BAR),
                    });
                }
                layout::CAPABILITY_VENDOR if at == VENDOR_CAPABILITY => function.diagnostics = Some(DIAGNOSTICS),
                _ => {}
            }
            at = (head >> 8) as u16 & 0xfc;
        }
        Ok(function)
    }

    /// How many vectors MSI-X has.
    pub fn vectors(&self) -> u16 {
        self.msix.map_or(0, |msix| msix.vectors)
    }

    /// The number of the vector's double word that a place in a BAR is, in the MSI-X table.
    pub fn table_word(&self, bar: u32, offset: u64) -> Option<u64> {
        let msix = self.msix.filter(|msix| msix.bar == bar)?;
        let place = offset.checked_sub(msix.offset)?;
        (place < layout::MSIX_ENTRY_BYTES * u64::from(msix.vectors)).then_some(place / 4)
    }
}

fn read(engine: &mut Engine, register: u16) -> Result<Option<u32>, BridgeError> {
    let found = engine.ask(HostRequest::ConfigRead { target: SLOT, offset: register, bytes: 4 })?;
    Ok(found.and_then(|found| found.try_into().ok()).map(u32::from_le_bytes))
}

/// A double word of configuration space; zero, which stands for nothing, where it does not answer.
fn config(engine: &mut Engine, register: u16) -> Result<u32, BridgeError> {
    Ok(read(engine, register)?.unwrap_or(0))
}

/// What a base address register keeps of ones.
fn size(engine: &mut Engine, register: u16) -> Result<u32, BridgeError> {
    engine.ask(HostRequest::ConfigWrite { target: SLOT, offset: register, data: vec![0xff; 4] })?;
    config(engine, register)
}

fn bars(engine: &mut Engine) -> Result<[Bar; BARS], BridgeError> {
    let mut bars = [Bar::default(); BARS];
    let mut index = 0;
    while index < BARS {
        let register = layout::BAR0 + 4 * index as u16;
        let kept = size(engine, register)?;
        let io = kept & layout::BAR_IO != 0;
        let wide = !io && kept & layout::BAR_MEMORY_64 != 0 && index + 1 < BARS;
        let mut address = u64::from(kept & if io { !0b11 } else { !0b1111 });
        if wide {
            address |= u64::from(size(engine, register + 4)?) << 32;
        }
        // The lowest bit that can be set: those above it may be missing, as an I/O address has 16.
        bars[index] = Bar { bytes: address & address.wrapping_neg(), io, wide };
        index += if wide { 2 } else { 1 };
    }
    Ok(bars)
}
