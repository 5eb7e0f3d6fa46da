//! UltraScale+: packets become descriptors and beats, and come back from them.
use super::packets::*;
use super::user;
use proptest::prelude::*;
use virtio_hdl::link::hard_ip::reads::{error, Outcome};
use virtio_hdl::link::hard_ip::{completer, requester, Beat, BeatLayout, Rule};
use virtio_hdl::link::tlp::*;

fn width() -> impl Strategy<Value = usize> {
    prop_oneof![Just(4_usize), Just(8)]
}

/// Bits without meaning.
fn noise(seed: u64) -> impl FnMut() -> u32 {
    let mut state = seed | 1;
    move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 32) as u32
    }
}

fn id_of(tlp: &Tlp) -> FunctionId {
    match &tlp.kind {
        Kind::MemoryRead { request, .. } | Kind::MemoryWrite { request, .. } => request.requester,
        Kind::Completion(completion) => completion.completer,
        other => panic!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn requests_of_the_host_come_back_from_cq(
        tlp in request(), width in width(), bar in 0..2_u8, aperture in 2..32_u8, seed in any::<u64>()
    ) {
        let request = completer::Request::new(&tlp, bar, aperture).unwrap();
        let beats = request.beats(width, &mut noise(seed));
        prop_assert_eq!(beats.len(), (4 + tlp.payload().len()).div_ceil(width));
        let (found, found_bar, found_aperture, enabled) = user::completer_request(&beats);
        prop_assert_eq!(&found, &tlp);
        prop_assert_eq!((found_bar, found_aperture), (bar.into(), aperture.into()));
        let length = tlp.payload().len() as u16;
        let expected: Vec<bool> =
            (0..4 * usize::from(length)).map(|byte| request.enables.enabled(byte, length)).collect();
        prop_assert_eq!(enabled, expected);
    }

    #[test]
    fn completions_of_the_endpoint_come_back_from_cc(
        tlp in completion(), asked in request(), width in width()
    ) {
        let request = completer::Request::new(&asked, 0, 6).unwrap();
        let Kind::Completion(completion) = &tlp.kind else { unreachable!() };
        let (id, tag) = (completion.requester, completion.tag);
        let mut info = vec![u32::from(request.enables.first | request.enables.last << 4)];
        info.extend(request.descriptor);
        if completion.status == CompletionStatus::Successful {
            info.clear();
        }
        let beats = user::completer_completion(&tlp, &info, width);
        let waiting = |requester, found| (requester == id && found == tag).then_some(&request);
        prop_assert_eq!(completer::completion(&beats, width, id_of(&tlp), waiting), Ok(tlp.clone()));
        let nobody = completer::completion(&beats, width, id_of(&tlp), |_, _| None);
        prop_assert_eq!(nobody, Err(Rule::NobodyWaits { requester: id, tag }));
        if completion.status != CompletionStatus::Successful {
            info[2] ^= 1 << 7;
            let beats = user::completer_completion(&tlp, &info, width);
            let found = completer::completion(&beats, width, id_of(&tlp), waiting);
            prop_assert!(matches!(found, Err(Rule::ErrorInfo { .. })), "{found:?}");
        }
    }

    #[test]
    fn requests_of_the_endpoint_come_back_from_rq(tlp in access(), number in 0..64_u8, width in width()) {
        let beats = user::requester_request(&tlp, number, width);
        let found = requester::request(&beats, width, id_of(&tlp));
        match &tlp.kind {
            Kind::MemoryRead { request, .. } if request.tag >= 32 => {
                prop_assert_eq!(found, Err(Rule::Tag { tag: request.tag, limit: 32 }));
            }
            _ => prop_assert_eq!(found, Ok((tlp, number))),
        }
    }

    #[test]
    fn completions_of_the_host_come_back_from_rc(
        tlp in completion(), width in width(), page in 0..32_u64, code in 0..7_u8, completed in any::<bool>(),
        seed in any::<u64>()
    ) {
        let Kind::Completion(completion) = &tlp.kind else { unreachable!() };
        let address = page << 7 | u64::from(completion.lower_address);
        let outcome = Outcome { error: code, completed, address };
        let beats = requester::completion(&tlp.header, completion, &outcome, width, &mut noise(seed));
        let found = user::requester_completion(&beats);
        prop_assert_eq!(&found.tlp, &tlp);
        prop_assert_eq!((found.error, found.completed, u64::from(found.address)), (code.into(), completed, address));
        let first = usize::from(completion.lower_address % 4);
        let expected: Vec<bool> = (0..4 * completion.payload.len())
            .map(|byte| (first..first + usize::from(completion.byte_count)).contains(&byte))
            .collect();
        prop_assert_eq!(found.valid, expected);
    }

    #[test]
    fn beats_come_back_from_words(
        data in proptest::collection::vec((any::<[u32; 8]>(), any::<u32>(), any::<bool>(), any::<u128>()), 1..8),
        width in prop_oneof![Just(2_usize), Just(4), Just(8)],
        user_bits in prop_oneof![Just(4_usize), Just(22), Just(33), Just(62), Just(75), Just(88)],
    ) {
        let layout = BeatLayout { double_words: width, user_bits };
        let kept = user_bits.div_ceil(32) * 32;
        let beats: Vec<Beat> = data
            .into_iter()
            .map(|(mut data, keep, last, user)| {
                data[width..].fill(0);
                Beat { data, keep, last, user: user & ((1 << kept) - 1) }
            })
            .collect();
        let mut words = Vec::new();
        beats.iter().for_each(|beat| layout.write(beat, &mut words));
        prop_assert_eq!(layout.read(&words), beats);
    }
}

/// A write of 6 double words, and what is wrong with it after a change.
fn spoilt(spoil: impl FnOnce(&mut Vec<Beat>)) -> String {
    let id = FunctionId::new(1, 0, 0);
    let (enables, length) = ByteEnables::of(0x1000, 24);
    let request = MemoryRequest { requester: id, tag: 0, address: 0x1_0000_1000, length, enables };
    let tlp = Tlp::from(Kind::MemoryWrite { request, payload: vec![7; 6] });
    let mut beats = user::requester_request(&tlp, 5, 4);
    assert_eq!(requester::request(&beats, 4, id), Ok((tlp, 5)));
    spoil(&mut beats);
    requester::request(&beats, 4, id).unwrap_err().to_string()
}

#[test]
fn broken_rules_are_told_in_clear_words() {
    for (said, words) in [
        (spoilt(|beats| beats[1].keep = 0b0111), "tkeep is 0x7 in beat 1 (not the last)"),
        (spoilt(|beats| beats[2].keep = 0b0101), "tkeep is 0x5 in beat 2 (the last)"),
        (spoilt(|beats| beats.truncate(2)), "packet of 8 double words, its descriptor says 10"),
        (spoilt(|beats| beats[0].data[2] |= 2 << 11), "request type 0b0011"),
        (spoilt(|beats| beats[0].data[3] |= 1 << 24), "requester ID enable is 0x1, and must be 0x0"),
        (spoilt(|beats| beats[0].data[0] |= 1), "the address type is 0x1"),
        (spoilt(|beats| beats[0].user |= 1 << 8), "the address offset, is 0x1"),
        (spoilt(|beats| beats[1].user |= 1 << 11), "discontinue, is 0x1"),
        (spoilt(|beats| beats[0].user ^= 1 << 1), "byte enables 0b1101 and 0b1111 are not allowed"),
        (spoilt(|beats| beats.truncate(0)), "packet of 0 double words is shorter than its descriptor of 4"),
    ] {
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn the_block_follows_a_read_from_completion_to_completion() {
    use virtio_hdl::link::hard_ip::reads::Reads;
    let requester = FunctionId::new(1, 0, 0);
    let (enables, length) = ByteEnables::of(0x1ff2, 14);
    let request = MemoryRequest { requester, tag: 3, address: 0x1ff0, length, enables };
    let part = |tag, byte_count, lower_address, length: usize| Completion {
        completer: FunctionId(0),
        requester,
        tag,
        status: CompletionStatus::Successful,
        byte_count,
        lower_address,
        payload: vec![0; length],
        locked: false,
    };
    let header = Header::default();
    let begin = || {
        let mut reads = Reads::default();
        reads.begin(header, &request, 1000);
        reads
    };
    let mut reads = begin();
    let found = reads.completion(&header, &part(3, 14, 0x72, 2));
    assert_eq!(found, Outcome { error: error::NONE, completed: false, address: 0x1ff2 });
    let found = reads.completion(&header, &part(3, 8, 0x78, 2));
    assert_eq!(found, Outcome { error: error::NONE, completed: true, address: 0x1ff8 });
    assert_eq!(reads.completion(&header, &part(3, 8, 0x78, 2)).error, error::TAG);

    let wrong = |completion: Completion, header: Header| begin().completion(&header, &completion);
    assert_eq!(wrong(part(4, 14, 0x72, 4), header).error, error::TAG);
    assert_eq!(wrong(part(3, 14, 0x74, 4), header).error, error::ADDRESS);
    assert_eq!(wrong(part(3, 15, 0x72, 4), header).error, error::BYTE_COUNT);
    assert_eq!(wrong(part(3, 14, 0x72, 0), header).error, error::BYTE_COUNT);
    assert_eq!(wrong(part(3, 14, 0x72, 4), Header { traffic_class: 1, ..header }).error, error::MISMATCH);
    let poisoned = wrong(part(3, 14, 0x72, 4), Header { poisoned: true, ..header });
    assert_eq!((poisoned.error, poisoned.completed), (error::POISONED, true));
    let failed = Completion { status: CompletionStatus::CompleterAbort, ..part(3, 14, 0, 0) };
    assert_eq!((wrong(failed.clone(), header).error, wrong(failed, header).completed), (error::STATUS, true));

    let mut reads = begin();
    assert_eq!((reads.deadline(), reads.expire(999).len(), reads.expire(1000).len()), (Some(1000), 0, 1));
    assert_eq!(reads.deadline(), None);
}
