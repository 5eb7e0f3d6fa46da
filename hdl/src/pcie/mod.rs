//! The PCI function: config space, completer, MSI-X, INTx.
pub mod layout;
pub mod register_bus;
