//! The ports of the window by which the state of an endpoint is read and written; see `hdl::endpoint::state_window`.
use super::{InputLevel, Level, Model, ModelError};

/// One access.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct StateAccess {
    /// Region and offset, bits 1:0 zero; of config space the function in the upper half.
    pub address: u32,
    /// Which bytes count.
    pub enable: u8,
    /// What is written; nothing is a read.
    pub write: Option<u32>,
}

/// Its ports. Each step is held until the other side has seen it.
pub(super) struct StatePorts {
    valid: InputLevel,
    write: InputLevel,
    address: InputLevel,
    enable: InputLevel,
    write_data: InputLevel,
    pub done: Level,
    pub read_data: Level,
}

impl StatePorts {
    /// The ports, where a model has them.
    pub fn find(model: &Model) -> Result<Self, ModelError> {
        Ok(StatePorts {
            valid: model.input_level("state_valid")?,
            write: model.input_level("state_write")?,
            address: model.input_level("state_address")?,
            enable: model.input_level("state_enable")?,
            write_data: model.input_level("state_write_data")?,
            done: model.level("state_done")?,
            read_data: model.level("state_read_data")?,
        })
    }

    /// Puts an access on the ports, or takes it away.
    pub fn drive(&self, model: &mut Model, access: Option<StateAccess>) {
        model.set(self.valid, access.is_some().into());
        if let Some(access) = access {
            model.set(self.write, access.write.is_some().into());
            model.set(self.address, access.address.into());
            model.set(self.enable, access.enable.into());
            model.set(self.write_data, access.write.unwrap_or_default().into());
        }
    }
}
