//! The endpoint's interrupts: its INTx line, and memory writes that are messages.
use super::MsixMode;
use crate::link::root_complex::MESSAGE_WINDOW;
use serde::Serialize;
use vfio_user_server::{irq, Client};

/// A vector of the RTL's MSI-X table, as it was last written.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Vector {
    /// Message address.
    pub address: u64,
    /// Message data.
    pub data: u32,
    /// Messages that left with this address and data.
    pub fired: u64,
}

/// Where an Arm's interrupt controllers take messages, in a page of 64 KiB: GITS_TRANSLATER of an ITS, MSI_SETSPI_NS of a GICv2m.
/// Sources: Linux, include/linux/irqchip/arm-gic-v3.h and drivers/irqchip/irq-gic-v2m.c.
const ARM_DOORBELL: u64 = 0x40;
/// A GICv2m takes numbers of shared interrupts, which begin here. Linux counts those of a device at an ITS from 0.
const FIRST_SHARED_INTERRUPT: u32 = 32;

/// How the endpoint interrupts, and how often it did.
#[derive(Default)]
pub(super) struct Interrupts {
    mode: MsixMode,
    vectors: Vec<Vector>,
    /// INTA is asserted.
    asserted: bool,
    line_asserted: u64,
    to_its: u64,
    /// That was told.
    told_its: bool,
}

impl Interrupts {
    pub fn new(mode: MsixMode, vectors: u16) -> Self {
        Interrupts { mode, vectors: vec![Vector::default(); vectors.into()], ..Interrupts::default() }
    }

    /// The endpoint was reset.
    pub fn forget(&mut self) {
        (self.asserted, self.told_its) = (false, false);
    }

    /// The MSI-X table, with the messages sent.
    pub fn vectors(&self) -> &[Vector] {
        &self.vectors
    }

    /// How often INTA was asserted.
    pub fn line_asserted(&self) -> u64 {
        self.line_asserted
    }

    /// Messages that went to what must be an Arm's ITS.
    pub fn to_its(&self) -> u64 {
        self.to_its
    }

    /// Double word `index` of the MSI-X table was written.
    pub fn table_written(&mut self, index: usize, value: u32) {
        let Some(vector) = self.vectors.get_mut(index / 4) else { return };
        match index % 4 {
            0 => vector.address = vector.address & !0xffff_ffff | u64::from(value),
            1 => vector.address = vector.address & 0xffff_ffff | u64::from(value) << 32,
            2 => vector.data = value,
            _ => {}
        }
    }

    /// The endpoint wrote to memory: data, or the message of a vector.
    pub fn written(&mut self, address: u64, data: &[u8], client: &mut Client) {
        let message = data.try_into().map(u32::from_le_bytes).ok();
        // An entry that nobody wrote is no message's.
        let is = |vector: &Vector| address != 0 && (vector.address, Some(vector.data)) == (address, message);
        if let Some((vector, index)) = self.vectors.iter_mut().zip(0..).find(|(vector, _)| is(vector)) {
            vector.fired += 1;
            if self.mode == MsixMode::Eventfd {
                return client.interrupt(irq::MSIX, index);
            }
            // A PC's has other addresses than this.
            if address & 0xffff == ARM_DOORBELL
                && !MESSAGE_WINDOW.contains(&address)
                && vector.data < FIRST_SHARED_INTERRUPT
            {
                if !std::mem::replace(&mut self.told_its, true) {
                    tracing::warn!(
                        "the message of vector {index} goes to {address:#x}, as to an Arm's ITS: QEMU does not tell it from which \
                         device, and the ITS drops it; use --msix eventfd"
                    );
                }
                self.to_its += 1;
            }
        }
        client.dma_write(address, data);
    }

    /// INTA is asserted or deasserted.
    pub fn line(&mut self, asserted: bool, client: &mut Client) {
        if asserted && !self.asserted {
            self.line_asserted += 1;
            client.interrupt(irq::INTX, 0);
        }
        self.asserted = asserted;
    }

    /// The line is unmasked: it is signalled anew where it is still asserted.
    pub fn unmasked(&mut self, client: &mut Client) {
        if self.asserted {
            client.interrupt(irq::INTX, 0);
        }
    }
}
