//! The PCI function: config space, completer, MSI-X, messages.
pub mod bar_decode;
pub mod completer;
pub mod config_space;
mod entry_ram;
pub mod function;
pub mod layout;
pub mod link_side;
pub mod messages;
pub mod msix_table;
pub mod register_bus;
pub mod registers;
pub mod request_decode;

pub use bar_decode::BarDecode;
pub use completer::Completer;
pub use config_space::ConfigSpace;
pub use function::{BarSpace, FunctionConfig};
pub use messages::FunctionMessages;
pub use msix_table::MsixTable;
pub use request_decode::{RequestDecode, Target};
