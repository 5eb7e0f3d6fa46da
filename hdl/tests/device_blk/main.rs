//! The block device alone.
mod hostile;
mod requests;
