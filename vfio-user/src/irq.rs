//! Interrupts: the eventfds that the VMM waits for.
use crate::message::IrqSet;
use crate::Errno;
use rustix::fs::OFlags;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Line interrupt, one vector. Source of the numbers: linux/vfio.h, `VFIO_PCI_*_IRQ_INDEX`.
pub const INTX: u32 = 0;
/// Message signalled interrupts.
pub const MSI: u32 = 1;
/// MSI-X.
pub const MSIX: u32 = 2;
/// Uncorrectable error.
pub const ERR: u32 = 3;
/// The device wants to be given back.
pub const REQ: u32 = 4;
/// How many there are.
pub const COUNT: u32 = 5;

/// Flags of IRQ_INFO: an eventfd can be set.
const INFO_EVENTFD: u32 = 1;
/// The index can be masked.
const INFO_MASKABLE: u32 = 1 << 1;
/// The index is masked whenever it fires.
const INFO_AUTOMASKED: u32 = 1 << 2;

/// Flags of SET_IRQS: to what the action applies, ...
const DATA_NONE: u32 = 1;
const DATA_BOOL: u32 = 1 << 1;
const DATA_EVENTFD: u32 = 1 << 2;
/// ... and the action.
const ACTION_MASK: u32 = 1 << 3;
const ACTION_UNMASK: u32 = 1 << 4;
const ACTION_TRIGGER: u32 = 1 << 5;

/// Flags of IRQ_INFO.
pub(crate) fn info_flags(index: u32, vectors: u32) -> u32 {
    match index {
        _ if vectors == 0 => 0,
        INTX => INFO_EVENTFD | INFO_MASKABLE | INFO_AUTOMASKED,
        _ => INFO_EVENTFD,
    }
}

/// What SET_IRQS means for the device.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effect {
    /// INTx reaches the VMM again.
    pub intx_unmasked: bool,
    /// Eventfds signalled on the VMM's demand.
    pub signalled: u64,
}

/// Eventfds of a client.
#[derive(Debug, Default)]
pub(crate) struct Irqs {
    /// By index and vector.
    triggers: BTreeMap<(u32, u32), OwnedFd>,
    intx_masked: bool,
    /// Unmasks INTx when it fires (KVM: at the end of interrupt).
    resample: Option<OwnedFd>,
}

impl Irqs {
    pub fn intx_masked(&self) -> bool {
        self.intx_masked
    }

    /// Signals an interrupt; false when it is masked or has no eventfd. INTx masks itself.
    pub fn signal(&mut self, index: u32, vector: u32) -> bool {
        if index == INTX && self.intx_masked {
            return false;
        }
        let Some(trigger) = self.triggers.get(&(index, vector)) else { return false };
        match rustix::io::write(trigger, &1u64.to_ne_bytes()) {
            // Full: it has been signalled often enough.
            Ok(_) | Err(Errno::AGAIN) => {}
            Err(error) => {
                tracing::warn!("cannot signal vector {vector} of interrupt index {index}: {error}; its eventfd goes");
                self.triggers.remove(&(index, vector));
                return false;
            }
        }
        self.intx_masked |= index == INTX;
        true
    }

    /// What to poll: when it is readable, see [`Irqs::resampled`].
    pub fn resample(&self) -> Option<BorrowedFd<'_>> {
        self.resample.as_ref().map(AsFd::as_fd)
    }

    /// Whether the resample eventfd has unmasked INTx.
    pub fn resampled(&mut self) -> bool {
        let Some(resample) = &self.resample else { return false };
        let mut count = [0; 8];
        match rustix::io::read(resample, &mut count) {
            Ok(8) => std::mem::take(&mut self.intx_masked),
            Err(Errno::AGAIN | Errno::INTR) => false,
            _ => {
                tracing::warn!("the descriptor that ends INTx is no eventfd; it goes");
                self.resample = None;
                false
            }
        }
    }

    /// SET_IRQS. `data` follows the fixed part, `vectors` the index has.
    pub fn set(
        &mut self,
        request: &IrqSet,
        data: &[u8],
        descriptors: &mut Vec<OwnedFd>,
        vectors: u32,
    ) -> Result<Effect, Errno> {
        let IrqSet { flags, index, start, count, .. } = *request;
        let end = start.checked_add(count).filter(|end| *end <= vectors).ok_or(Errno::INVAL)?;
        let action = flags & !(DATA_NONE | DATA_BOOL | DATA_EVENTFD);
        let chosen: Vec<u32> = match flags ^ action {
            DATA_NONE if action == ACTION_TRIGGER && count == 0 => {
                self.triggers.retain(|(of, _), _| *of != index);
                if index == INTX {
                    self.resample = None;
                }
                return Ok(Effect::default());
            }
            DATA_NONE => (start..end).collect(),
            DATA_BOOL => {
                let chosen = data.get(..count as usize).ok_or(Errno::INVAL)?;
                (start..end).zip(chosen).filter(|(_, chosen)| **chosen != 0).map(|(vector, _)| vector).collect()
            }
            DATA_EVENTFD => {
                let descriptors = std::mem::take(descriptors);
                return self.set_eventfds(action, index, start..end, descriptors);
            }
            _ => return Err(Errno::INVAL),
        };
        match action {
            ACTION_TRIGGER => {
                let signalled = chosen.iter().filter(|vector| self.signal(index, **vector)).count() as u64;
                Ok(Effect { signalled, ..Effect::default() })
            }
            ACTION_MASK | ACTION_UNMASK if index != INTX => Err(Errno::NOTSUP),
            ACTION_MASK => {
                self.intx_masked |= !chosen.is_empty();
                Ok(Effect::default())
            }
            ACTION_UNMASK => {
                let intx_unmasked = !chosen.is_empty() && std::mem::take(&mut self.intx_masked);
                Ok(Effect { intx_unmasked, ..Effect::default() })
            }
            _ => Err(Errno::INVAL),
        }
    }

    /// SET_IRQS with DATA_EVENTFD: one descriptor per vector, or none at all, which takes those away that were set.
    fn set_eventfds(
        &mut self,
        action: u32,
        index: u32,
        vectors: std::ops::Range<u32>,
        descriptors: Vec<OwnedFd>,
    ) -> Result<Effect, Errno> {
        if !descriptors.is_empty() && descriptors.len() != vectors.len() {
            return Err(Errno::INVAL);
        }
        for descriptor in &descriptors {
            // Writing to it and reading from it must not block; QEMU's eventfds do not anyway.
            let flags = rustix::fs::fcntl_getfl(descriptor)?;
            rustix::fs::fcntl_setfl(descriptor, flags | OFlags::NONBLOCK)?;
        }
        match action {
            ACTION_TRIGGER if descriptors.is_empty() => {
                self.triggers.retain(|(of, vector), _| *of != index || !vectors.contains(vector));
                Ok(Effect::default())
            }
            ACTION_TRIGGER => {
                self.triggers.extend(vectors.map(|vector| (index, vector)).zip(descriptors));
                if index == INTX {
                    self.intx_masked = false;
                }
                Ok(Effect { intx_unmasked: index == INTX, ..Effect::default() })
            }
            ACTION_UNMASK if index == INTX => {
                if !vectors.is_empty() {
                    self.resample = descriptors.into_iter().next();
                }
                Ok(Effect::default())
            }
            ACTION_MASK | ACTION_UNMASK => Err(Errno::NOTSUP),
            _ => Err(Errno::INVAL),
        }
    }
}
