//! The endpoint's interrupts: its INTx line, and memory writes that are messages.
use super::MsixMode;
use crate::link::root_complex::MESSAGE_WINDOW;
use crate::vfio_user::{irq, Client};
use serde::Serialize;

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

/// How the endpoint interrupts, and how often it did.
pub(super) struct Interrupts {
    mode: MsixMode,
    vectors: Vec<Vector>,
    /// INTA is asserted.
    asserted: bool,
    line_asserted: u64,
}

impl Interrupts {
    pub fn new(mode: MsixMode, vectors: u8) -> Self {
        let vectors = vec![Vector::default(); vectors.into()];
        Interrupts { mode, vectors, asserted: false, line_asserted: 0 }
    }

    /// The endpoint was reset.
    pub fn forget(&mut self) {
        self.asserted = false;
    }

    /// The MSI-X table, with the messages sent.
    pub fn vectors(&self) -> &[Vector] {
        &self.vectors
    }

    /// How often INTA was asserted.
    pub fn line_asserted(&self) -> u64 {
        self.line_asserted
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
        if MESSAGE_WINDOW.contains(&address) {
            let message = data.try_into().map(u32::from_le_bytes).ok();
            let fired = self.vectors.iter_mut().zip(0..).find(|(v, _)| (v.address, Some(v.data)) == (address, message));
            if let Some((vector, index)) = fired {
                vector.fired += 1;
                if self.mode == MsixMode::Eventfd {
                    return client.interrupt(irq::MSIX, index);
                }
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
