//! 7-series: packets become beats, alone or two in one beat, and come back from them.
use super::packets::*;
use super::user;
use proptest::prelude::*;
use virtio_hdl::link::hard_ip::seven_series::{transmitted, Packer, Received};
use virtio_hdl::link::hard_ip::Beat;
use virtio_hdl::link::tlp::*;

/// Packs packets that come in these cycles.
fn pack(packets: &[(u64, Tlp, u8)], width: usize, patience: u64) -> (Vec<(u64, Beat)>, usize) {
    let mut packer = Packer::new(width);
    let mut beats = Vec::new();
    let mut state = 1_u32;
    let mut noise = || {
        state = state.wrapping_mul(0x0019_660d).wrapping_add(0x3c6e_f35f);
        state
    };
    for (begin, tlp, bar_hit) in packets {
        if packer.deadline().is_some_and(|deadline| deadline + 1 < *begin) {
            beats.extend(packer.flush());
        }
        let packet = Received { dwords: tlp.encode(), bar_hit: *bar_hit };
        beats.extend(packer.push(*begin, &packet, patience, &mut noise));
    }
    beats.extend(packer.flush());
    let beats: Vec<(u64, Beat)> =
        beats.into_iter().flat_map(|(at, beats)| beats.into_iter().map(move |beat| (at, beat))).collect();
    let shared = beats.iter().filter(|(_, beat)| beat.user >> 10 & 0x1f == 0x18).count();
    (beats, shared)
}

proptest! {
    #[test]
    fn packets_come_back_from_rx(
        packets in proptest::collection::vec((0..40_u64, any_packet(), any::<u8>()), 1..12),
        width in prop_oneof![Just(2_usize), Just(4)], patience in 0..8_u64,
    ) {
        let mut at = 0;
        let packets: Vec<(u64, Tlp, u8)> = packets
            .into_iter()
            .map(|(gap, tlp, hit)| {
                at += gap;
                (at, tlp, hit)
            })
            .collect();
        let (beats, _) = pack(&packets, width, patience);
        let beats: Vec<Beat> = beats.into_iter().map(|(_, beat)| beat).collect();
        let found = user::receive(&beats, width);
        prop_assert_eq!(found.len(), packets.len());
        for ((words, hit, poisoned), (_, tlp, expected)) in found.into_iter().zip(&packets) {
            prop_assert_eq!(Tlp::decode(&words), Ok(tlp.clone()));
            prop_assert_eq!(hit, u32::from(*expected));
            prop_assert_eq!(poisoned, tlp.header.poisoned);
        }
    }

    #[test]
    fn packets_come_back_from_tx(tlp in any_packet(), width in prop_oneof![Just(2_usize), Just(4)]) {
        let beats = user::transmit(&tlp.encode(), width);
        prop_assert_eq!(transmitted(&beats, width), Ok(tlp.encode()));
    }
}

fn read(length: u16) -> Tlp {
    let enables = ByteEnables { first: 0xf, last: if length > 1 { 0xf } else { 0 } };
    let request = MemoryRequest { requester: FunctionId(0), tag: 1, address: 0x1000, length, enables };
    Tlp::from(Kind::MemoryRead { request, locked: false })
}

fn write(length: u16) -> Tlp {
    let Kind::MemoryRead { request, .. } = read(length).kind else { unreachable!() };
    Tlp::from(Kind::MemoryWrite { request, payload: (0..u32::from(length)).map(|n| 0x0102_0300 + n).collect() })
}

/// A write of three double words ends in the lower half of its second beat.
#[test]
fn a_packet_begins_where_the_one_before_ended_in_the_lower_half() {
    let (beats, shared) = pack(&[(10, write(3), 1), (11, read(1), 2), (12, read(1), 2)], 4, 0);
    // 6 + 3 + 3 double words in four beats: the last two share none, as the second ends in the lower half too.
    assert_eq!((beats.len(), shared), (4, 2));
    let user = beats[1].1.user;
    assert_eq!((user >> 17 & 0x1f, user >> 10 & 0x1f), (0x17, 0x18), "ends in byte 7, begins in byte 8");
    assert_eq!(user >> 2 & 0xff, 2, "rx_bar_hit is that of the packet that begins");
    assert_eq!(beats[1].1.data[1], 0x0203_0201);
}

#[test]
fn a_packet_that_comes_later_begins_in_a_beat_of_its_own() {
    for (patience, shares) in [(0, 0), (8, 1)] {
        let (beats, shared) = pack(&[(10, write(3), 1), (15, read(1), 2)], 4, patience);
        assert_eq!((beats.len(), shared), (3, shares), "patience {patience}");
    }
    assert_eq!(pack(&[(10, write(4), 1), (11, read(1), 2)], 4, 8).1, 0, "a full upper half has no room");
    assert_eq!(pack(&[(10, write(3), 1), (11, read(1), 2)], 2, 8).1, 0, "never at 64 bits");
}

#[test]
fn header_as_numbers_and_payload_turned_round() {
    let (beats, _) = pack(&[(0, write(1), 1)], 4, 0);
    assert_eq!(beats[0].1.data[..4], [0x4000_0001, 0x0000_010f, 0x1000, 0x0003_0201]);
}

#[test]
fn broken_rules_are_told_in_clear_words() {
    let spoilt = |spoil: &dyn Fn(&mut Vec<Beat>)| {
        let mut beats = user::transmit(&write(3).encode(), 4);
        spoil(&mut beats);
        transmitted(&beats, 4).unwrap_err().to_string()
    };
    assert!(spoilt(&|beats| beats[0].keep = 0xfff).contains("tkeep is 0xfff in beat 0 (not the last)"));
    assert!(spoilt(&|beats| beats[1].keep = 0x7f).contains("tkeep is 0x7f in beat 1 (the last)"));
    assert!(spoilt(&|beats| beats[1].user = 8).contains("tuser[3], the discard of the packet, is 0x1"));
}
