//! Random packets for the tests.
use proptest::prelude::*;
use virtio_hdl::link::tlp::*;

/// Without digest, which the blocks take away.
pub fn header() -> impl Strategy<Value = Header> {
    (0..8_u8, any::<[bool; 3]>()).prop_map(|(traffic_class, bits)| Header {
        traffic_class,
        attributes: Attributes { no_snoop: bits[0], relaxed_ordering: bits[1], id_ordering: bits[2] },
        ..Header::default()
    })
}

pub fn words(count: usize) -> impl Strategy<Value = Vec<u32>> {
    proptest::collection::vec(any::<u32>(), count)
}

/// Any bytes within a page, below or above 4 GiB.
pub fn memory() -> impl Strategy<Value = MemoryRequest> {
    let page = prop_oneof![0..1_u64 << 20, (1_u64 << 20)..1 << 52];
    (any::<u16>(), any::<u8>(), page, 0..4096_u64, 1..=600_u64).prop_map(|(id, tag, page, offset, bytes)| {
        let (enables, length) = ByteEnables::of(offset, bytes.min(4096 - offset));
        MemoryRequest { requester: FunctionId(id), tag, address: page << 12 | offset & !3, length, enables }
    })
}

pub fn write() -> impl Strategy<Value = Kind> {
    memory().prop_flat_map(|request| {
        words(request.length.into()).prop_map(move |payload| Kind::MemoryWrite { request: request.clone(), payload })
    })
}

fn io() -> impl Strategy<Value = IoRequest> {
    (any::<u16>(), any::<u8>(), any::<u32>(), 0..16_u8).prop_map(|(id, tag, address, enables)| IoRequest {
        requester: FunctionId(id),
        tag,
        address: address & !3,
        enables,
    })
}

/// What a host asks of a function behind a block.
pub fn request() -> impl Strategy<Value = Tlp> {
    let kind = prop_oneof![
        (memory(), any::<bool>()).prop_map(|(request, locked)| Kind::MemoryRead { request, locked }),
        write(),
        io().prop_map(Kind::IoRead),
        (io(), any::<u32>()).prop_map(|(request, data)| Kind::IoWrite(request, data)),
    ];
    (header(), kind).prop_map(|(header, kind)| Tlp { header, kind })
}

/// What a function asks of the host.
pub fn access() -> impl Strategy<Value = Tlp> {
    let read = memory().prop_map(|request| Kind::MemoryRead { request, locked: false });
    (header(), prop_oneof![read, write()]).prop_map(|(header, kind)| Tlp { header, kind })
}

/// The answer to a read.
pub fn completion() -> impl Strategy<Value = Tlp> {
    let error = prop_oneof![Just(CompletionStatus::UnsupportedRequest), Just(CompletionStatus::CompleterAbort)];
    let status = prop_oneof![3 => Just(CompletionStatus::Successful), 1 => error];
    (header(), any::<[u16; 2]>(), any::<u8>(), status, 1..=600_u16, 0..128_u8, any::<[bool; 2]>()).prop_flat_map(
        |(header, ids, tag, status, byte_count, lower_address, [locked, poisoned])| {
            let bytes = usize::from(lower_address % 4) + usize::from(byte_count);
            let data = status == CompletionStatus::Successful;
            words(if data { bytes.div_ceil(4) } else { 0 }).prop_map(move |payload| {
                let (completer, requester) = (FunctionId(ids[0]), FunctionId(ids[1]));
                let completion =
                    Completion { completer, requester, tag, status, byte_count, lower_address, payload, locked };
                Tlp { header: Header { poisoned: poisoned && data, ..header }, kind: Kind::Completion(completion) }
            })
        },
    )
}

/// Any packet that is carried as it is.
pub fn any_packet() -> impl Strategy<Value = Tlp> {
    prop_oneof![request(), completion(), access()]
}
