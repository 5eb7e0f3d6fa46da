//! virtio-balloon (virtio 1.x, section 5.5): memory that the guest lends to the host.
//!
//! ```text
//!   chains of inflateq, deflateq -> [pages] -> balloon_page     page frames, then the end of the chain
//!            given back <--------------+-<---- balloon_done     the host has done with them what is to be done
//!   chain of statsq -> [statistics] ---------> balloon_stat     what the guest says of its memory, then the end
//!            given back <----+-------------<-- balloon_stat_request
//! ```
//! One chain is at hand at a time, and its driver gets it back only when the host has answered: a page that the guest had back earlier
//! could be taken from it while it holds something again. How much there is to give, `num_pages`, is a port.
pub mod pages;
mod row;
mod side;
pub mod statistics;
pub mod types;

pub use row::{BALLOON, DEFLATE_ON_OOM, MUST_TELL_HOST, STATS_VQ};
