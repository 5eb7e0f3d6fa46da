//! The model of a vendor's PCIe block by itself: packets and beats, config space, order, the rules.
mod block;
mod config;
mod descriptors;
mod packets;
mod straddled;
mod user;
