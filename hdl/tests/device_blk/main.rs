//! The block device alone.
mod group;
mod hostile;
mod requests;
