//! Bytes and beats.
use rust_hdl::prelude::*;

/// The 16 bytes of a beat, lane 0 first.
pub fn bytes(data: Bits<128>) -> [u8; 16] {
    data.to_u128().to_le_bytes()
}

/// A beat from up to 16 bytes.
pub fn beat(bytes: &[u8]) -> Bits<128> {
    num_bigint::BigUint::from_bytes_le(bytes).into()
}

/// Host memory: every byte is a function of its address.
pub fn host_byte(address: u64) -> u8 {
    (address.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as u8
}
