//! What the server answers to each command.
use crate::client::Client;
use crate::message::*;
use crate::{irq, region, Device, Errno};
use zerocopy::IntoBytes;

/// The version that the server speaks. QEMU refuses 0.1.
const VERSION: Version = Version { major: 0, minor: 0 };

/// The server's capabilities; QEMU takes no more than 214 bytes.
fn capabilities() -> String {
    format!("{{\"capabilities\":{{\"max_msg_fds\":{MAX_DESCRIPTORS},\"max_data_xfer_size\":{MAX_DATA_BYTES}}}}}\0")
}

/// What of the client's capabilities matters here.
#[derive(Default, serde::Deserialize)]
struct ClientVersion {
    #[serde(default)]
    capabilities: ClientCapabilities,
}

#[derive(Default, serde::Deserialize)]
struct ClientCapabilities {
    max_data_xfer_size: Option<u32>,
}

/// Handles a message and queues the answer.
pub(crate) fn dispatch<D: Device + ?Sized>(client: &mut Client, device: &mut D, mut message: Message) {
    if message.header.is_reply() {
        client.dma_reply(&message);
        return;
    }
    let header = message.header;
    let (command, id) = (header.command(), header.id);
    *client.statistics.messages.entry(command.name()).or_default() += 1;
    let was_attached = client.attached;
    let result = answer(client, device, &mut message);
    if let Err(error) = &result {
        tracing::warn!("{command} with id {id} and a body of {} bytes refused: {error}", message.body.len());
    }
    if header.wants_reply() {
        client.connection.send(&match result {
            Ok(body) => encode(id, header.command, true, &[&body]),
            Err(error) => encode_failure(&header, error),
        });
    }
    if client.attached && !was_attached {
        device.attached(client);
    }
}

/// Does what a command says. Returns the body of the reply.
fn answer<D: Device + ?Sized>(client: &mut Client, device: &mut D, message: &mut Message) -> Result<Vec<u8>, Errno> {
    let Message { header, body, descriptors } = message;
    tracing::trace!(
        "{} id {} with {} bytes, {} descriptors",
        header.command(),
        header.id,
        body.len(),
        descriptors.len()
    );
    match header.command() {
        Command::Version if !client.attached => agree(client, body),
        _ if !client.attached => Err(Errno::PROTO),
        Command::GetInfo => {
            let (request, behind) = starting_with::<DeviceInfo>(body)?;
            let size = argsz::<DeviceInfo>(request.argsz)?;
            // Later versions of the structure have fields for capabilities behind these. A client that sends them waits for
            // as many in the reply: there are none.
            let room = request.argsz.min(DeviceInfo::LONGEST) - size;
            let more = vec![0; behind.len().min(room as usize) / 4 * 4];
            let (flags, argsz) = (DeviceInfo::PCI | DeviceInfo::RESET, size + more.len() as u32);
            let info = DeviceInfo { argsz, flags, regions: region::COUNT, irqs: irq::COUNT };
            Ok([info.as_bytes(), &more].concat())
        }
        Command::GetRegionInfo => {
            let (request, _) = starting_with::<RegionInfo>(body)?;
            let argsz = argsz::<RegionInfo>(request.argsz)?;
            let index = Some(request.index).filter(|index| *index < region::COUNT).ok_or(Errno::INVAL)?;
            let size = device.region_bytes(index);
            let flags = if size == 0 { 0 } else { RegionInfo::READ | RegionInfo::WRITE };
            Ok(RegionInfo { argsz, flags, index, capability_offset: 0, size, offset: 0 }.as_bytes().to_vec())
        }
        Command::GetIrqInfo => {
            let (request, _) = starting_with::<IrqInfo>(body)?;
            let argsz = argsz::<IrqInfo>(request.argsz)?;
            let index = Some(request.index).filter(|index| *index < irq::COUNT).ok_or(Errno::INVAL)?;
            let count = device.irq_vectors(index);
            Ok(IrqInfo { argsz, flags: irq::info_flags(index, count), index, count }.as_bytes().to_vec())
        }
        Command::SetIrqs => {
            let (request, data) = starting_with::<IrqSet>(body)?;
            argsz::<IrqSet>(request.argsz)?;
            let index = Some(request.index).filter(|index| *index < irq::COUNT).ok_or(Errno::INVAL)?;
            let effect = client.irqs.set(&request, data, descriptors, device.irq_vectors(index))?;
            client.statistics.eventfds_signalled += effect.signalled;
            if effect.intx_unmasked {
                device.intx_unmasked(client);
            }
            Ok(Vec::new())
        }
        Command::DmaMap => {
            let (request, _) = starting_with::<DmaMap>(body)?;
            argsz::<DmaMap>(request.argsz)?;
            if descriptors.len() > 1 {
                return Err(Errno::INVAL);
            }
            client.memory.map(&request, descriptors.pop())?;
            Ok(Vec::new())
        }
        Command::DmaUnmap => {
            let (request, _) = starting_with::<DmaUnmap>(body)?;
            argsz::<DmaUnmap>(request.argsz)?;
            // What the device wrote there before is on its way before the answer.
            client.push_writes();
            match request.flags {
                0 => {
                    let size = client.memory.unmap(request.address, request.size)?;
                    Ok(DmaUnmap { size, ..request }.as_bytes().to_vec())
                }
                DmaUnmap::ALL => {
                    client.memory.unmap_all();
                    Ok(request.as_bytes().to_vec())
                }
                _ => Err(Errno::NOTSUP),
            }
        }
        Command::RegionRead => {
            let access = exactly::<RegionAccess>(body)?;
            check(device, &access)?;
            let head = access.as_bytes();
            let mut reply = vec![0; head.len() + access.count as usize];
            let (start, data) = reply.split_at_mut(head.len());
            start.copy_from_slice(head);
            device.region_read(client, access.region, access.offset, data)?;
            client.statistics.region_reads[access.region as usize] += 1;
            Ok(reply)
        }
        Command::RegionWrite => {
            let (access, data) = starting_with::<RegionAccess>(body)?;
            if data.len() != access.count as usize {
                return Err(Errno::INVAL);
            }
            check(device, &access)?;
            device.region_write(client, access.region, access.offset, data)?;
            client.statistics.region_writes[access.region as usize] += 1;
            Ok(access.as_bytes().to_vec())
        }
        Command::Reset => {
            device.reset(client);
            Ok(Vec::new())
        }
        Command::Version => Err(Errno::INVAL),
        Command::GetRegionIoFds
        | Command::DmaRead
        | Command::DmaWrite
        | Command::DirtyPages
        | Command::RegionWriteMulti
        | Command::Unknown(_) => Err(Errno::NOTSUP),
    }
}

/// VERSION: any minor version of major version 0 will do, since the answer is the lowest.
fn agree(client: &mut Client, body: &[u8]) -> Result<Vec<u8>, Errno> {
    let (version, json) = starting_with::<Version>(body)?;
    if version.major != VERSION.major {
        tracing::warn!(
            "the client speaks vfio-user {}.{}, this server {}.{}",
            version.major,
            version.minor,
            VERSION.major,
            VERSION.minor
        );
        return Err(Errno::INVAL);
    }
    let json = json.strip_suffix(b"\0").unwrap_or(json);
    let theirs = if json.is_empty() {
        ClientVersion::default()
    } else {
        serde_json::from_slice(json).map_err(|error| {
            tracing::warn!("the client's capabilities cannot be read: {error}");
            Errno::INVAL
        })?
    };
    if let Some(bytes) = theirs.capabilities.max_data_xfer_size {
        client.dma.limit_message_bytes(bytes as usize);
    }
    client.attached = true;
    Ok([VERSION.as_bytes(), capabilities().as_bytes()].concat())
}

/// `argsz` tells how much the client has room for: at least `T`. Returns the size of `T`.
fn argsz<T>(argsz: u32) -> Result<u32, Errno> {
    let size = size_of::<T>() as u32;
    if argsz < size {
        return Err(Errno::INVAL);
    }
    Ok(size)
}

/// Refuses an access that is not inside a region.
fn check<D: Device + ?Sized>(device: &D, access: &RegionAccess) -> Result<(), Errno> {
    let RegionAccess { offset, region: index, count } = *access;
    let end = offset.checked_add(count.into()).ok_or(Errno::INVAL)?;
    if index >= region::COUNT || count == 0 || count > MAX_DATA_BYTES || end > device.region_bytes(index) {
        return Err(Errno::INVAL);
    }
    Ok(())
}
