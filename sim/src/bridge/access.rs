//! Accesses of the guest's processor: configuration space and BARs, cut into requests of one double word.
use super::function::{Msix, BARS as BAR_COUNT};
use super::{Bridge, BridgeError, MsixMode};
use crate::link::root_complex::EVENTFD_MESSAGES;
use crate::link::{HostRequest, SLOT};
use std::ops::Range;
use vfio_user_server::{region, Client};
use virtio_hdl_rtl::pcie::layout;
use virtio_hdl_rtl::virtio::layout::{ISR, QUEUE_NOTIFY};

/// QEMU reads all of configuration space at once, and only then, when it learns the capabilities.
const LONGEST_ACCESS: usize = 8;

/// Base address registers in configuration space.
const BARS: Range<u64> = layout::BAR0 as u64..layout::BAR0 as u64 + 4 * BAR_COUNT as u64;

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
        if self.is_early(client, index, offset) {
            data.fill(0);
            return Ok(());
        }
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

    /// Whether this is a read of virtio's ISR that would tell the driver of a used ring which it does not see yet: QEMU answers it before
    /// it carries out the writes that are on their way by message. It is one from before those writes: the ISR stays, and the interrupt
    /// comes behind them. (A driver on a line of its own reads the ISR when that has come; one that shares its line at any time.)
    fn is_early(&self, client: &Client, index: u32, offset: u64) -> bool {
        index == region::BAR0 && offset == u64::from(ISR) && self.engine.has_queues() && client.writes_pending()
    }

    pub(super) fn write(
        &mut self,
        client: &mut Client,
        index: u32,
        offset: u64,
        data: &[u8],
    ) -> Result<(), BridgeError> {
        let resets = index == region::CONFIG && self.begins_function_reset(offset, data);
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
        if index == region::BAR0 && offset == u64::from(QUEUE_NOTIFY) && self.engine.has_queues() {
            self.kicked(client, data)?;
        }
        if index == region::CONFIG {
            self.bus_master = None;
            let touches =
                |registers: Range<u64>| offset < registers.end && registers.start < offset + data.len() as u64;
            if touches(BARS) {
                self.bar_addresses = [None; BAR_COUNT];
                self.remember_bars(offset, data);
            }
            if let Some(msix) = self.function.msix.filter(|_| self.msix == MsixMode::Eventfd) {
                let control = u64::from(msix.capability + layout::MSIX_CONTROL);
                if touches(control..control + 2) {
                    self.program_table(client, msix)?;
                }
            }
        }
        Ok(())
    }

    /// Whether a write to configuration space begins a function-level reset.
    fn begins_function_reset(&self, offset: u64, data: &[u8]) -> bool {
        let Some(express) = self.function.express else { return false };
        let high = u64::from(express + layout::EXPRESS_DEVICE_CONTROL) + 1;
        let byte = high.checked_sub(offset).and_then(|place| data.get(usize::try_from(place).ok()?)).copied();
        byte.is_some_and(|byte| u16::from(byte) << 8 & layout::EXPRESS_FUNCTION_RESET != 0)
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
        self.bar_addresses = [None; BAR_COUNT];
        let bars = self.bars;
        for (register, value) in (layout::BAR0..).step_by(4).zip(bars.chunks_exact(4)) {
            // One that was never written has nothing to keep.
            if value == [0; 4] {
                continue;
            }
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
        if let Some(word) = self.function.table_word(index, offset) {
            self.engine.report.msix_table_writes += 1;
            if let Ok(value) = data.try_into() {
                self.engine.interrupts.table_written(word as usize, u32::from_le_bytes(value));
            }
        }
        if index < BAR_COUNT as u32 {
            self.engine.host_wrote(index, offset, data);
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

    pub(super) fn read_request(
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
        self.function.bars.get(index as usize).is_some_and(|bar| bar.io)
    }

    /// Where a byte of a BAR is on the link: the endpoint's own register says so.
    fn bar_address(&mut self, client: &mut Client, index: u32, offset: u64) -> Result<Option<u64>, BridgeError> {
        let place = index as usize;
        let Some(bar) = self.function.bars.get(place).copied().filter(|bar| bar.bytes != 0) else { return Ok(None) };
        let base = match self.bar_addresses[place] {
            Some(base) => base,
            None => {
                let mut value = 0;
                for half in 0..1 + u16::from(bar.wide) {
                    let register = layout::BAR0 + 4 * (index as u16 + half);
                    let request = HostRequest::ConfigRead { target: SLOT, offset: register, bytes: 4 };
                    let Some(found) = self.engine.request(client, request)? else { return Ok(None) };
                    let found = found.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
                    value |= found << (32 * half);
                }
                let base = value & !(bar.bytes - 1);
                self.bar_addresses[place] = Some(base);
                base
            }
        };
        Ok(Some(base + offset))
    }

    /// Gives each vector a message of its own that never leaves the bridge: the guest sees QEMU's table instead.
    fn program_table(&mut self, client: &mut Client, msix: Msix) -> Result<(), BridgeError> {
        for vector in 0..u64::from(msix.vectors) {
            let entry = msix.offset + layout::MSIX_ENTRY_BYTES * vector;
            let message = [(layout::MSIX_ENTRY_ADDRESS, EVENTFD_MESSAGES), (layout::MSIX_ENTRY_DATA, vector)];
            for (at, value) in message {
                self.write(client, msix.bar, entry + at, &value.to_le_bytes())?;
            }
        }
        Ok(())
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
