//! What sits behind the device on a card.
mod mac_swap;
mod ram_disk;
