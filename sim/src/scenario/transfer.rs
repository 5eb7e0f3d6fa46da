//! A whole disk through the endpoint, as a file system's read-ahead and write-back do it: requests of several pages,
//! many outstanding, in the order of the disk.
use super::ScenarioError;
use crate::host::blk::{Blk, BlkError, Operation, Request, Status};
use crate::host::ring::{Buffer, Shape};
use crate::host::Platform;
use std::collections::HashMap;
use vm_memory::{Bytes, GuestAddress};

/// Bytes of a page; each is a descriptor.
const PAGE_BYTES: u64 = 4096;
/// Pages of a request, if the queue has so many descriptors.
const REQUEST_PAGES: u64 = 4;
/// Descriptors of header and status.
const OTHER_DESCRIPTORS: u64 = 2;
/// Cycles after which a request has been lost.
const PATIENCE: u64 = 50_000_000;

/// Which way.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the disk into `content`.
    Read,
    /// From `content` to the disk.
    Write,
}

struct Outstanding {
    region: u64,
    offset: usize,
    bytes: usize,
}

/// Moves `content` from or to the disk, from byte `start` on, with up to `depth` requests outstanding, and tells `progress` how
/// many bytes are done. Returns the number of requests. `content` is whole sectors.
pub fn run(
    platform: &mut dyn Platform,
    blk: &mut Blk,
    way: Way,
    start: u64,
    content: &mut [u8],
    depth: usize,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, ScenarioError> {
    let pages = REQUEST_PAGES.min(u64::from(blk.queue().size()).saturating_sub(OTHER_DESCRIPTORS)).max(1);
    let descriptors = (pages + OTHER_DESCRIPTORS) as usize;
    let region_bytes = PAGE_BYTES * pages;
    let size = region_bytes * depth as u64;
    let memory = platform.allocate(size, PAGE_BYTES).ok_or(ScenarioError::Memory(size))?;
    let mut free: Vec<u64> = (0..depth as u64).map(|index| memory + index * region_bytes).collect();
    let mut outstanding = HashMap::new();
    let (mut next, mut done, mut requests) = (0, 0, 0);
    while done < content.len() {
        // a short queue holds fewer than `depth`
        while next < content.len() && (outstanding.is_empty() || blk.free_descriptors() >= descriptors) {
            let Some(region) = free.pop() else { break };
            let bytes = (content.len() - next).min(region_bytes as usize);
            if way == Way::Write {
                platform.memory().write_slice(&content[next..next + bytes], GuestAddress(region))?;
            }
            let ticket = blk.submit(platform, &request(way, start + next as u64, region, bytes as u64))?;
            outstanding.insert(ticket, Outstanding { region, offset: next, bytes });
            next += bytes;
            requests += 1;
        }
        let deadline = platform.now() + PATIENCE;
        for ended in blk.wait(platform, deadline)? {
            let Some(Outstanding { region, offset, bytes }) = outstanding.remove(&ended.ticket) else { continue };
            if ended.status != Status::Ok {
                return Err(BlkError::Status(ended.status).into());
            }
            if way == Way::Read {
                platform.memory().read_slice(&mut content[offset..offset + bytes], GuestAddress(region))?;
            }
            free.push(region);
            done += bytes;
        }
        progress(done as u64);
    }
    if way == Way::Write {
        blk.flush(platform)?;
    }
    platform.free(memory, size);
    Ok(requests)
}

fn request(way: Way, offset: u64, region: u64, bytes: u64) -> Request {
    let pages = (0..bytes.div_ceil(PAGE_BYTES)).map(|page| Buffer {
        address: region + page * PAGE_BYTES,
        bytes: (bytes - page * PAGE_BYTES).min(PAGE_BYTES) as u32,
        writable: way == Way::Read,
    });
    Request {
        operation: if way == Way::Read { Operation::In } else { Operation::Out },
        sector: offset / 512,
        data: pages.collect(),
        shape: Shape::Direct,
    }
}
