//! From a configuration to Verilog: for the user's files, and for the model; and from Verilog of the user's to a model.
use crate::model::{Library, ModelError, Progress, Sources};
use virtio_hdl_rtl::config::EndpointConfig;
use virtio_hdl_rtl::endpoint::{self, Generated};
use virtio_hdl_rtl::verilog::PrintError;

mod own_rtl;
mod register_map;
mod resources;

pub use own_rtl::{OwnRtl, OwnRtlError};
pub use register_map::register_map;
pub use resources::{Resources, Usage};

/// A design that cannot be generated, or cannot be made a model.
#[derive(Debug, thiserror::Error)]
pub enum DesignError {
    /// The printer refuses: a mistake in the RTL.
    #[error("the endpoint cannot be printed: {0}")]
    Print(#[from] PrintError),
    /// See [`ModelError`].
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// Builds the model of an endpoint, or finds it in the cache.
pub fn library(config: &EndpointConfig) -> Result<Library, DesignError> {
    library_telling(config, &|_| {})
}

/// The same, and tells what it does meanwhile.
pub fn library_telling(config: &EndpointConfig, progress: Progress) -> Result<Library, DesignError> {
    let library = Library::build_telling(&sources(config, &endpoint::generate(config)?), progress)?;
    Ok(library.with_function(endpoint::core::function_config(config)))
}

/// What the model is built from.
pub fn sources(config: &EndpointConfig, generated: &Generated) -> Sources {
    Sources {
        top: endpoint::top_name(config),
        files: generated.design.modules.iter().map(|module| (module.file_name(), module.file())).collect(),
        ports: generated.ports.clone(),
    }
}
