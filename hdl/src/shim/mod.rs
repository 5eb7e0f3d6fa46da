//! Hard PCIe blocks of FPGAs as links of an endpoint: their streams and configuration ports on one side, the streams and
//! the function status of [`crate::endpoint::core::EndpointCore`] on the other.
//!
//! The names of the ports are those of the product guides: PG054 (7-series), PG213 (UltraScale+).
mod byte_order;
mod seven_series;
mod ultrascale_plus;

pub use seven_series::{SevenSeries128, SevenSeries64};
pub use ultrascale_plus::{UltraScalePlus128, UltraScalePlus256};
