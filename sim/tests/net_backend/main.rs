//! What an Ethernet port is connected to: the built-in host against another TCP/IP stack, captures, sockets, TAP.
mod captures;
mod client;
mod host;
mod spec;
mod tcp;
mod wires;

/// An Ethernet frame of this type from and to fixed addresses, with the tag as its payload.
fn frame(tag: &[u8]) -> Vec<u8> {
    [&[0x52, 0x54, 0, 0x12, 0x34, 0x56, 2, 0, 0, 0, 0, 1, 0x88, 0xb5], tag].concat()
}
