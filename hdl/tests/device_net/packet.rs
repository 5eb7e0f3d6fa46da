//! Frames, and what the checksums in them should be.
use virtio_hdl_rtl::testing::Rng;

/// What is in the lanes of a beat that do not count.
pub const PADDING: u8 = 0x5a;

/// Ones' complement sum of big-endian words (RFC 1071).
fn sum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0)));
    let mut total: u64 = words.sum();
    while total >> 16 != 0 {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

fn be16(bytes: &[u8], at: usize) -> usize {
    usize::from(bytes[at]) << 8 | usize::from(bytes[at + 1])
}

/// What a driver that leaves a checksum to the device gets onto the wire; nothing if it lies outside of the frame.
pub fn with_checksum(frame: &[u8], start: usize, offset: usize) -> Option<Vec<u8>> {
    if start + offset + 2 > frame.len() {
        return None;
    }
    let mut value = !sum(&frame[start..]);
    if value == 0 {
        value = 0xffff;
    }
    let mut frame = frame.to_vec();
    frame[start + offset..start + offset + 2].copy_from_slice(&value.to_be_bytes());
    Some(frame)
}

/// Where the addresses, and what follows the network header, begin; where it ends; its protocol.
struct Network {
    addresses: usize,
    payload: usize,
    end: usize,
    protocol: u8,
}

fn network(frame: &[u8]) -> Option<Network> {
    let network = match (be16(frame, 12), *frame.get(14)?) {
        (0x0800, 0x45) if frame.len() >= 34 && be16(frame, 20) & 0x3fff == 0 => {
            Network { addresses: 26, payload: 34, end: 14 + be16(frame, 16), protocol: frame[23] }
        }
        (0x86dd, 0x60..=0x6f) if frame.len() >= 54 => {
            Network { addresses: 22, payload: 54, end: 54 + be16(frame, 18), protocol: frame[20] }
        }
        _ => return None,
    };
    (network.end <= frame.len() && network.end >= network.payload).then_some(network)
}

/// Sum of TCP or UDP with the pseudo header.
fn transport_sum(frame: &[u8], network: &Network) -> u16 {
    let mut bytes = frame[network.addresses..network.payload].to_vec();
    bytes.extend(((network.end - network.payload) as u16).to_be_bytes());
    bytes.extend([0, network.protocol]);
    bytes.extend(&frame[network.payload..network.end]);
    sum(&bytes)
}

/// Whether the device should say of a received frame that its checksum is right.
pub fn is_valid(frame: &[u8]) -> bool {
    let Some(network) = network(frame) else { return false };
    let length = network.end - network.payload;
    let udp = network.payload;
    let has_checksum = match network.protocol {
        6 => length >= 20,
        17 => length >= 8 && be16(frame, udp + 4) == length && be16(frame, udp + 6) != 0,
        _ => false,
    };
    has_checksum && transport_sum(frame, &network) == 0xffff
}

/// A frame of exactly `length` bytes: TCP or UDP where they fit, in all sorts of good and bad forms, or anything.
pub fn random(rng: &mut Rng, length: usize) -> Vec<u8> {
    let mut frame: Vec<u8> = (0..length).map(|_| rng.next() as u8).collect();
    let ipv6 = rng.chance(1, 3);
    let (ip, payload) = if ipv6 { (0x86dd_u16, 54) } else { (0x0800, 34) };
    let padding = if rng.chance(1, 3) { rng.below(20) as usize } else { 0 };
    if length < payload + padding || rng.chance(1, 6) {
        return frame;
    }
    let end = length - padding;
    let protocol = [6, 17, 17, 1][rng.below(4) as usize];
    frame[12..14].copy_from_slice(&ip.to_be_bytes());
    if ipv6 {
        frame[14] = 0x60 | (rng.below(16) as u8);
        frame[18..20].copy_from_slice(&((end - payload) as u16).to_be_bytes());
        frame[20] = protocol;
    } else {
        frame[14] = 0x45;
        frame[16..18].copy_from_slice(&((end - 14) as u16).to_be_bytes());
        frame[20..22].copy_from_slice(&[0x40, 0]);
        frame[23] = protocol;
    }
    let field = if protocol == 6 { payload + 16 } else { payload + 6 };
    if field + 2 <= end {
        if protocol == 17 {
            frame[payload + 4..payload + 6].copy_from_slice(&((end - payload) as u16).to_be_bytes());
        }
        frame[field..field + 2].fill(0);
        let right = !network(&frame).map_or(0, |network| transport_sum(&frame, &network));
        frame[field..field + 2].copy_from_slice(&if right == 0 { 0xffff } else { right }.to_be_bytes());
    }
    if field + 2 <= end {
        spoil(rng, &mut frame, Network { addresses: payload - if ipv6 { 32 } else { 8 }, payload, end, protocol });
    }
    frame
}

/// One thing wrong, or nothing. Half of the time the sum is right all the same, so that only what is wrong can keep the frame from being
/// valid.
fn spoil(rng: &mut Rng, frame: &mut Vec<u8>, mut network: Network) {
    let Network { addresses, payload, end, protocol } = network;
    let (ipv6, udp, length) = (addresses == 22, protocol == 17, frame.len());
    // where a word makes the sum right
    let mut balance = if protocol == 6 { payload + 16 } else { payload + 6 };
    match rng.below(14) {
        0 => frame[14] = 0x46,
        1 => frame[20] |= 0x20,
        2 => frame[21] = 1,
        3 => frame[12..14].copy_from_slice(&[0x81, 0]),
        4 if udp => {
            // no checksum; the source port makes the sum right
            frame[payload + 6..payload + 8].fill(0);
            balance = payload;
        }
        5 if udp && end > payload + 8 => frame[payload + 5] ^= 1,
        6 => {
            let at = 14 + rng.below(length as u64 - 14) as usize;
            frame[at] ^= 1 << rng.below(8);
            return;
        }
        7 => {
            // longer than the frame by a byte of what lies behind it
            network.end = length + 1;
            let at = if ipv6 { 18 } else { 16 };
            let claimed = (network.end - if ipv6 { payload } else { 14 }) as u16;
            frame[at..at + 2].copy_from_slice(&claimed.to_be_bytes());
            if udp {
                frame[payload + 4..payload + 6].copy_from_slice(&((network.end - payload) as u16).to_be_bytes());
            }
        }
        _ => return,
    }
    if rng.chance(1, 2) {
        frame[balance..balance + 2].fill(0);
        frame.resize(length.max(network.end), PADDING);
        let right = !transport_sum(frame, &network);
        frame.truncate(length);
        frame[balance..balance + 2].copy_from_slice(&right.to_be_bytes());
    }
}

/// A length: every one from 14 to 1522 is possible, short ones and those at either end come often.
pub fn random_length(rng: &mut Rng) -> usize {
    match rng.below(8) {
        0 => 14 + rng.below(60) as usize,
        1 | 2 => 60 + rng.below(80) as usize,
        3 => 1522 - rng.below(4) as usize,
        4 => 14 + rng.below(4) as usize,
        _ => 14 + rng.below(1509) as usize,
    }
}
