//! Hard PCIe blocks of FPGAs as links of an endpoint: their streams and configuration ports on one side, the streams and
//! the function status of [`crate::endpoint::core::EndpointCore`] on the other.
//!
//! The names of the ports are those of the product guides: PG054 (7-series), PG213 (UltraScale+).
pub mod byte_order;
pub mod seven_series;
pub mod seven_series_function;
pub mod seven_series_receive_128;
pub mod seven_series_receive_64;
pub mod seven_series_transmit_128;
pub mod seven_series_transmit_64;
pub mod ultrascale_plus;
pub mod ultrascale_plus_complete;
pub mod ultrascale_plus_completion;
pub mod ultrascale_plus_descriptor;
pub mod ultrascale_plus_function;
pub mod ultrascale_plus_order;
pub mod ultrascale_plus_receive_128;
pub mod ultrascale_plus_receive_256;
pub mod ultrascale_plus_request;
pub mod ultrascale_plus_requests;
pub mod ultrascale_plus_send_128;
pub mod ultrascale_plus_send_256;

pub use seven_series::{SevenSeries128, SevenSeries64};
pub use ultrascale_plus::{UltraScalePlus128, UltraScalePlus256};
