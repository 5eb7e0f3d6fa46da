//! Accesses of the guest's processor: configuration space and BARs, cut into requests of one double word.
use super::engine::SLOT;
use super::{Bridge, BridgeError, MsixMode};
use crate::link::root_complex::EVENTFD_MESSAGES;
use crate::link::HostRequest;
use std::ops::Range;
use vfio_user_server::{region, Client};
use virtio_hdl_rtl::pcie::layout;
use virtio_hdl_rtl::pcie::registers::MSIX_TABLE_OFFSET;
use virtio_hdl_rtl::virtio::layout::blk::FEATURE_FLUSH;
use virtio_hdl_rtl::virtio::layout::{FEATURE_BAD_FEATURE, GUEST_FEATURES, QUEUE_NOTIFY, QUEUE_PFN, STATUS};

/// QEMU reads all of configuration space at once, and only then, when it learns the capabilities.
const LONGEST_ACCESS: usize = 8;

/// Base address registers in configuration space, those of an endpoint's two BARs.
const BARS: Range<u64> = layout::BAR0 as u64..layout::BAR0 as u64 + 8;

/// Cuts `offset..offset + bytes` at multiples of 4.
fn double_words(offset: u64, bytes: usize) -> impl Iterator<Item = (u64, Range<usize>)> {
    let end = offset + bytes as u64;
    let mut from = offset;
    std::iter::from_fn(move || {
        let start = from;
        from = (start / 4 * 4 + 4).min(end);
        (start < end).then(|| (start, (start - offset) as usize..(from - offset) as usize))
    })
}

impl Bridge {
    pub(super) fn read(
        &mut self,
        client: &mut Client,
        index: u32,
        offset: u64,
        data: &mut [u8],
    ) -> Result<(), BridgeError> {
        let whole = index == region::CONFIG && data.len() > LONGEST_ACCESS;
        for (at, part) in double_words(offset, data.len()) {
            let bytes = part.len();
            // As on PCI: what nobody answers reads as ones.
            let mut value = vec![0xff; bytes];
            if let Some(request) = self.read_request(client, index, at, bytes)? {
                if let Some(read) = self.engine.request(client, request)? {
                    value = read;
                }
            }
            data[part].copy_from_slice(&value);
        }
        if whole && self.msix == MsixMode::Table {
            hide_capabilities(offset, data);
        }
        Ok(())
    }

    pub(super) fn write(
        &mut self,
        client: &mut Client,
        index: u32,
        offset: u64,
        data: &[u8],
    ) -> Result<(), BridgeError> {
        let resets = index == region::CONFIG && self.begins_function_reset(client, offset, data)?;
        if resets {
            tracing::debug!("function-level reset");
            self.engine.report.function_resets += 1;
            client.forget_writes();
        }
        for (at, part) in double_words(offset, data.len()) {
            self.write_double_word(client, index, at, &data[part])?;
        }
        if resets {
            self.restore_bars(client)?;
        }
        if index == region::BAR0 && offset == u64::from(QUEUE_NOTIFY) {
            self.kicked(client, data)?;
        }
        if index == region::CONFIG {
            self.bus_master = None;
            let touches =
                |registers: Range<u64>| offset < registers.end && registers.start < offset + data.len() as u64;
            if touches(BARS) {
                self.bar_addresses = [None; 2];
                self.remember_bars(offset, data);
            }
            let control = self.msix_control;
            if self.msix == MsixMode::Eventfd && self.vectors != 0 && touches(control..control + 2) {
                self.program_table(client)?;
            }
        }
        Ok(())
    }

    /// Whether a write to configuration space begins a function-level reset.
    fn begins_function_reset(&mut self, client: &mut Client, offset: u64, data: &[u8]) -> Result<bool, BridgeError> {
        // Bit 15 of the lower half of a double word, wherever that is: most writes need no look at the capabilities.
        let sets = (offset..).zip(data).any(|(place, byte)| place % 4 == 1 && byte >> 7 == 1);
        if !sets {
            return Ok(false);
        }
        let Some(express) = self.express(client)? else { return Ok(false) };
        let high = u64::from(express + layout::EXPRESS_DEVICE_CONTROL) + 1;
        let byte = high.checked_sub(offset).and_then(|place| data.get(usize::try_from(place).ok()?)).copied();
        Ok(byte.is_some_and(|byte| u16::from(byte) << 8 & layout::EXPRESS_FUNCTION_RESET != 0))
    }

    /// Where the PCI Express capability of an endpoint that knows function-level resets is.
    fn express(&mut self, client: &mut Client) -> Result<Option<u16>, BridgeError> {
        if let Some(known) = self.express {
            return Ok(known);
        }
        let mut found = None;
        let mut at = self.config_double_word(client, layout::CAPABILITY_POINTER)? as u16 & 0xfc;
        // A list that goes in a circle has an end too.
        for _ in 0..48 {
            if at == 0 {
                break;
            }
            let head = self.config_double_word(client, at)?;
            if head as u8 == layout::CAPABILITY_EXPRESS {
                let capabilities = self.config_double_word(client, at + layout::EXPRESS_DEVICE_CAPABILITIES)?;
                found = (capabilities & layout::EXPRESS_FUNCTION_RESET_SUPPORTED != 0).then_some(at);
                break;
            }
            at = (head >> 8) as u16 & 0xfc;
        }
        self.express = Some(found);
        Ok(found)
    }

    /// A double word of the endpoint's configuration space; all ones where it does not answer.
    fn config_double_word(&mut self, client: &mut Client, register: u16) -> Result<u32, BridgeError> {
        let request = HostRequest::ConfigRead { target: SLOT, offset: register, bytes: 4 };
        let value = self.engine.request(client, request)?;
        Ok(value.and_then(|value| value.try_into().ok()).map_or(u32::MAX, u32::from_le_bytes))
    }

    /// Keeps what the guest writes to base address registers.
    fn remember_bars(&mut self, offset: u64, data: &[u8]) {
        for (place, byte) in (offset..).zip(data) {
            let kept = place.checked_sub(BARS.start).and_then(|place| self.bars.get_mut(usize::try_from(place).ok()?));
            if let Some(kept) = kept {
                *kept = *byte;
            }
        }
    }

    /// A function-level reset clears the base address registers. QEMU shows the guest its own, which it takes for kept, as
    /// the vfio driver of Linux keeps them for the devices that it passes on; so nobody would write them again.
    fn restore_bars(&mut self, client: &mut Client) -> Result<(), BridgeError> {
        self.bar_addresses = [None; 2];
        let bars = self.bars;
        for (register, value) in (layout::BAR0..).step_by(4).zip(bars.chunks_exact(4)) {
            let request = HostRequest::ConfigWrite { target: SLOT, offset: register, data: value.to_vec() };
            self.engine.request(client, request)?;
        }
        Ok(())
    }

    /// A driver that forgets Bus Master waits for ever, and nobody tells it: the device may neither read its ring nor
    /// interrupt.
    fn kicked(&mut self, client: &mut Client, data: &[u8]) -> Result<(), BridgeError> {
        let on = match self.bus_master {
            Some(on) => on,
            None => {
                let request = HostRequest::ConfigRead { target: SLOT, offset: layout::COMMAND, bytes: 2 };
                let command = self.engine.request(client, request)?;
                let bit = layout::COMMAND_BUS_MASTER as u8;
                // Who does not answer has other worries.
                let on = command.and_then(|command| command.first().copied()).is_none_or(|byte| byte & bit != 0);
                self.bus_master = Some(on);
                on
            }
        };
        if on {
            return Ok(());
        }
        self.engine.report.kicks_without_bus_master += 1;
        if !std::mem::replace(&mut self.told_bus_master, true) {
            let queue = data.first().copied().unwrap_or_default();
            tracing::warn!(
                "the driver kicks queue {queue} while Bus Master is off in the command register: the endpoint may not use \
                 memory, and does nothing"
            );
        }
        Ok(())
    }

    fn write_double_word(
        &mut self,
        client: &mut Client,
        index: u32,
        offset: u64,
        data: &[u8],
    ) -> Result<(), BridgeError> {
        let table = u64::from(MSIX_TABLE_OFFSET)..u64::from(MSIX_TABLE_OFFSET) + 16 * u64::from(self.vectors);
        if index == region::BAR1 && table.contains(&offset) {
            self.engine.report.msix_table_writes += 1;
            if let Ok(value) = data.try_into() {
                let index = (offset - table.start) / 4;
                self.engine.interrupts.table_written(index as usize, u32::from_le_bytes(value));
            }
        }
        if let Some(write_through) = write_through(index, offset, data) {
            self.engine.set_write_through(write_through);
        }
        let data = data.to_vec();
        let request = match index {
            region::CONFIG => HostRequest::ConfigWrite { target: SLOT, offset: offset as u16, data },
            _ => match self.bar_address(client, index, offset)? {
                Some(port) if self.is_io(index) => HostRequest::IoWrite { port: port as u32, data },
                Some(address) => HostRequest::MemoryWrite { address, data },
                None => return Ok(()),
            },
        };
        self.engine.request(client, request)?;
        Ok(())
    }

    fn read_request(
        &mut self,
        client: &mut Client,
        index: u32,
        offset: u64,
        bytes: usize,
    ) -> Result<Option<HostRequest>, BridgeError> {
        Ok(match index {
            region::CONFIG => Some(HostRequest::ConfigRead { target: SLOT, offset: offset as u16, bytes: bytes as u8 }),
            _ => self.bar_address(client, index, offset)?.map(|address| match self.is_io(index) {
                true => HostRequest::IoRead { port: address as u32, bytes: bytes as u8 },
                false => HostRequest::MemoryRead { address, bytes: bytes as u16 },
            }),
        })
    }

    fn is_io(&self, index: u32) -> bool {
        index == region::BAR0 && self.bar0_io
    }

    /// Where a byte of a BAR is on the link: the endpoint's own register says so.
    fn bar_address(&mut self, client: &mut Client, index: u32, offset: u64) -> Result<Option<u64>, BridgeError> {
        let Some(known) = self.bar_addresses.get(index as usize).copied() else { return Ok(None) };
        let base = match known {
            Some(base) => base,
            None => {
                let register = layout::BAR0 + 4 * index as u16;
                let request = HostRequest::ConfigRead { target: SLOT, offset: register, bytes: 4 };
                let Some(value) = self.engine.request(client, request)? else { return Ok(None) };
                let value = value.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
                let base = value & !(self.bar_bytes[index as usize] - 1);
                self.bar_addresses[index as usize] = Some(base);
                base
            }
        };
        Ok(Some(base + offset))
    }

    /// Gives each vector a message of its own that never leaves the bridge: the guest sees QEMU's table instead.
    fn program_table(&mut self, client: &mut Client) -> Result<(), BridgeError> {
        for vector in 0..u64::from(self.vectors) {
            let entry = u64::from(MSIX_TABLE_OFFSET) + layout::MSIX_ENTRY_BYTES * vector;
            let message = [(layout::MSIX_ENTRY_ADDRESS, EVENTFD_MESSAGES), (layout::MSIX_ENTRY_DATA, vector)];
            for (at, value) in message {
                self.write(client, region::BAR1, entry + at, &value.to_le_bytes())?;
            }
        }
        Ok(())
    }
}

/// What a write to the registers says about the driver's writes to a disk: without FLUSH each is permanent when it is
/// answered (virtio 0.9.5, appendix D), and a reset takes FLUSH back.
fn write_through(index: u32, offset: u64, data: &[u8]) -> Option<bool> {
    let zero = data.iter().all(|byte| *byte == 0);
    match u32::try_from(offset) {
        _ if index != region::BAR0 => None,
        Ok(GUEST_FEATURES) => {
            let accepted = data.try_into().map_or(0, u32::from_le_bytes);
            // Who accepts BAD_FEATURE has negotiated nothing.
            Some(accepted >> FEATURE_FLUSH & 1 == 0 || accepted >> FEATURE_BAD_FEATURE & 1 == 1)
        }
        Ok(STATUS | QUEUE_PFN) if zero => Some(true),
        _ => None,
    }
}

/// QEMU emulates the capabilities that it learns about, MSI-X with its table. It does not learn about these, and the
/// guest finds the endpoint's own.
fn hide_capabilities(offset: u64, config: &mut [u8]) {
    let mut at = |register: u64, keep: u8| {
        let place = register.checked_sub(offset).and_then(|place| usize::try_from(place).ok());
        if let Some(byte) = place.and_then(|place| config.get_mut(place)) {
            *byte &= keep;
        }
    };
    at(layout::STATUS.into(), !(layout::STATUS_CAPABILITIES as u8));
    at(layout::CAPABILITY_POINTER.into(), 0);
}
