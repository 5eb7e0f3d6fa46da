//! Packets and double words: what is encoded comes back, what is malformed does not pass.
use proptest::prelude::*;
use virtio_hdl::link::tlp::*;
use virtio_hdl::link::{ByteEnables, Completion, CompletionStatus, ConfigRequest, FunctionId, Header, IoRequest, Kind};

fn header() -> impl Strategy<Value = Header> {
    (0..8_u8, any::<[bool; 4]>(), proptest::option::of(any::<u32>())).prop_map(|(traffic_class, bits, digest)| Header {
        traffic_class,
        attributes: Attributes { no_snoop: bits[0], relaxed_ordering: bits[1], id_ordering: bits[2] },
        poisoned: bits[3],
        digest,
    })
}

/// Any bytes within a page, below or above 4 GiB.
fn memory() -> impl Strategy<Value = MemoryRequest> {
    let page = prop_oneof![0..1_u64 << 20, (1_u64 << 20)..1 << 52];
    (any::<u16>(), any::<u8>(), page, 0..4096_u64, 1..=4096_u64).prop_map(|(id, tag, page, offset, bytes)| {
        let (enables, length) = ByteEnables::of(offset, bytes.min(4096 - offset));
        MemoryRequest { requester: FunctionId(id), tag, address: page << 12 | offset & !3, length, enables }
    })
}

fn words(count: usize) -> impl Strategy<Value = Vec<u32>> {
    proptest::collection::vec(any::<u32>(), count)
}

fn io() -> impl Strategy<Value = IoRequest> {
    (any::<u16>(), any::<u8>(), any::<u32>(), 0..16_u8).prop_map(|(id, tag, address, enables)| IoRequest {
        requester: FunctionId(id),
        tag,
        address: address & !3,
        enables,
    })
}

fn config() -> impl Strategy<Value = ConfigRequest> {
    (any::<u16>(), any::<u8>(), any::<u16>(), 0..1024_u16, 0..16_u8, any::<bool>()).prop_map(
        |(id, tag, target, register, enables, forwarded)| ConfigRequest {
            requester: FunctionId(id),
            tag,
            target: FunctionId(target),
            register: 4 * register,
            enables,
            forwarded,
        },
    )
}

fn completion() -> impl Strategy<Value = Completion> {
    let status = prop_oneof![
        Just(CompletionStatus::Successful),
        Just(CompletionStatus::UnsupportedRequest),
        Just(CompletionStatus::ConfigurationRetry),
        Just(CompletionStatus::CompleterAbort),
    ];
    (any::<[u16; 2]>(), any::<u8>(), status, 1..=4096_u16, 0..128_u8, any::<bool>(), 0..=1024_usize).prop_flat_map(
        |(ids, tag, status, byte_count, lower_address, locked, length)| {
            let left = (usize::from(lower_address % 4) + usize::from(byte_count)).div_ceil(4).min(1024);
            words(length.min(left)).prop_map(move |payload| Completion {
                completer: FunctionId(ids[0]),
                requester: FunctionId(ids[1]),
                tag,
                status,
                byte_count,
                lower_address,
                payload,
                locked,
            })
        },
    )
}

fn message() -> impl Strategy<Value = Message> {
    (any::<u16>(), any::<u8>(), 0..6_u8, any::<u8>(), any::<[u32; 2]>(), 0..16_usize).prop_flat_map(
        |(id, tag, routing, code, fields, length)| {
            words(length).prop_map(move |payload| Message {
                requester: FunctionId(id),
                tag,
                routing: Routing::from_code(routing).unwrap(),
                code,
                fields,
                payload,
            })
        },
    )
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        (memory(), any::<bool>()).prop_map(|(request, locked)| Kind::MemoryRead { request, locked }),
        memory().prop_flat_map(|request| words(request.length.into())
            .prop_map(move |payload| Kind::MemoryWrite { request: request.clone(), payload })),
        io().prop_map(Kind::IoRead),
        (io(), any::<u32>()).prop_map(|(request, data)| Kind::IoWrite(request, data)),
        config().prop_map(Kind::ConfigRead),
        (config(), any::<u32>()).prop_map(|(request, data)| Kind::ConfigWrite(request, data)),
        completion().prop_map(Kind::Completion),
        message().prop_map(Kind::Message),
    ]
}

fn tlp() -> impl Strategy<Value = Tlp> {
    (header(), kind()).prop_map(|(header, kind)| Tlp { header, kind })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_encoded_comes_back(tlp in tlp()) {
        prop_assert_eq!(tlp.check(), Ok(()));
        prop_assert_eq!(Tlp::decode(&tlp.encode()), Ok(tlp));
    }

    #[test]
    fn a_packet_with_a_double_word_too_few_or_many_is_rejected(tlp in tlp(), cut in any::<bool>()) {
        let mut words = tlp.encode();
        if cut {
            words.pop();
        } else {
            words.push(0);
        }
        prop_assert!(Tlp::decode(&words).is_err());
    }

    #[test]
    fn random_double_words_never_panic_and_what_is_accepted_is_encoded_alike(words in words(8), length in 0..8_usize) {
        if let Ok(tlp) = Tlp::decode(&words[..length]) {
            prop_assert_eq!(Tlp::decode(&tlp.encode()), Ok(tlp));
        }
    }

    #[test]
    fn byte_enables_and_span_are_inverse(offset in 0..4096_u64, bytes in 1..=4096_u64) {
        let bytes = bytes.min(4096 - offset);
        let (enables, length) = ByteEnables::of(offset, bytes);
        prop_assert_eq!(enables.span(length), (offset % 4, bytes));
        let enabled = (0..4 * usize::from(length)).filter(|byte| enables.enabled(*byte, length)).count();
        prop_assert_eq!(enabled as u64, bytes);
    }
}

fn read(address: u64, length: u16, first: u8, last: u8) -> Vec<u32> {
    let enables = ByteEnables { first, last };
    let request = MemoryRequest { requester: FunctionId::new(1, 0, 0), tag: 7, address, length, enables };
    Tlp::from(Kind::MemoryRead { request, locked: false }).encode()
}

#[test]
fn header_lies_as_the_specification_draws_it() {
    assert_eq!(read(0x1234_5678, 2, 0xf, 0x3), [0x0000_0002, 0x0100_073f, 0x1234_5678]);
    assert_eq!(read(0x9_1234_5678, 1024, 0xf, 0xf)[0], 0x2000_0000);
    let completion = Completion {
        completer: FunctionId(0x0102),
        requester: FunctionId(0x0304),
        tag: 5,
        status: CompletionStatus::CompleterAbort,
        byte_count: 4096,
        lower_address: 0x44,
        payload: vec![],
        locked: false,
    };
    assert_eq!(Tlp::from(Kind::Completion(completion)).encode(), [0x0a00_0000, 0x0102_8000, 0x0304_0544]);
}

#[test]
fn requests_across_a_page_are_rejected() {
    assert!(Tlp::decode(&read(0xffc, 1, 0xf, 0)).is_ok());
    assert!(matches!(Tlp::decode(&read(0xffc, 2, 0xf, 0xf)), Err(TlpError::CrossesPage { .. })));
}

#[test]
fn byte_enables_against_the_rules_are_rejected() {
    for (address, length, first, last) in [(0, 1, 0xf, 0xf), (4, 2, 0xf, 0), (4, 2, 0b0101, 0xf), (0, 3, 0b0111, 0xf)] {
        let words = read(address, length, first, last);
        assert!(matches!(Tlp::decode(&words), Err(TlpError::ByteEnables { .. })), "{address:#x} {length}");
    }
    assert!(Tlp::decode(&read(8, 2, 0b0101, 0b1010)).is_ok(), "two double words from a multiple of 8 may have holes");
    assert!(Tlp::decode(&read(4, 1, 0b1001, 0)).is_ok(), "one double word may have holes");
}

#[test]
fn four_double_words_of_header_below_4_gib_are_rejected() {
    assert!(matches!(Tlp::decode(&[0x2000_0001, 0xf, 0, 0x1000]), Err(TlpError::Address(0x1000))));
}

#[test]
fn prefixes_and_unknown_types_are_rejected() {
    for first in [0x8000_0000, 0x1f00_0001, 0x2a00_0000, 0x4100_0001, 0x3000_0000 & !0x2000_0000] {
        assert!(
            matches!(
                Tlp::decode(&[first, 0, 0, 0][..3]),
                Err(TlpError::UnknownType { .. } | TlpError::Truncated { .. } | TlpError::Payload { .. })
            ),
            "{first:#x}"
        );
    }
}

#[test]
fn reserved_status_and_routing_are_rejected() {
    assert_eq!(Tlp::decode(&[0x0a00_0000, 3 << 13 | 4, 0]), Err(TlpError::Status(3)));
    assert_eq!(Tlp::decode(&[0x3600_0000, 0x20, 0, 0]), Err(TlpError::Routing(6)));
}

#[test]
fn io_and_config_requests_of_two_double_words_are_rejected() {
    for first in [0x0200_0002, 0x0400_0002] {
        assert_eq!(Tlp::decode(&[first, 0xff, 0]), Err(TlpError::Length(2)));
    }
}
