//! The loopback: frames of every length, idle cycles and backpressure.
use std::collections::VecDeque;
use virtio_hdl_rtl::device::net::mac_swap::MacSwap;
use virtio_hdl_rtl::testing::{narrow, wide, Bench, Rng};

/// A beat on either side.
type Beat = ([u8; 16], u16, bool, bool);

fn beats(frame: &[u8], error_at: Option<usize>, nothing: u8) -> Vec<Beat> {
    let count = frame.len().div_ceil(16);
    let beat = |index: usize| {
        let chunk = &frame[16 * index..frame.len().min(16 * index + 16)];
        let mut data = [nothing; 16];
        data[..chunk.len()].copy_from_slice(chunk);
        (data, ((1u32 << chunk.len()) - 1) as u16, index + 1 == count, error_at == Some(index))
    };
    (0..count).map(beat).collect()
}

/// With exchanged addresses, and padded.
fn swapped(frame: &[u8]) -> Vec<u8> {
    let mut frame = [&frame[6..12], &frame[0..6], &frame[12..]].concat();
    frame.resize(frame.len().max(60), 0);
    frame
}

/// Runs `frames` through the block; gives the cycles from the first beat in to the last beat out.
fn run(name: &str, frames: &[Vec<u8>], eager: u64, patient: u64) -> u64 {
    let mut bench = Bench::new(name, MacSwap::default(), |uut| &mut uut.clock);
    bench.cycle(|uut, _| uut.reset.next = true, |_| {});
    bench.uut.reset.next = false;
    let mut rng = Rng(7 + eager);
    let (mut input, mut expected): (VecDeque<Beat>, VecDeque<Beat>) = Default::default();
    for frame in frames {
        let error_at = rng.chance(1, 4).then(|| rng.below(frame.len().div_ceil(16) as u64) as usize);
        input.extend(beats(frame, error_at, 0xa5));
        expected.extend(beats(&swapped(frame), error_at, 0));
    }
    let begin = bench.cycles;
    let mut offered = false;
    while !expected.is_empty() {
        assert!(bench.cycles - begin < 50_000, "hangs");
        let (mut taken, mut came) = (false, None);
        bench.cycle(
            |uut, rng| {
                offered |= !input.is_empty() && rng.chance(eager, 4);
                uut.net_tx_valid.next = offered;
                if let Some((data, keep, last, error)) = input.front().filter(|_| offered) {
                    uut.net_tx_data.next = wide(data);
                    uut.net_tx_keep.next = u64::from(*keep).into();
                    uut.net_tx_last.next = *last;
                    uut.net_tx_error.next = *error;
                }
                uut.net_rx_ready.next = rng.chance(patient, 4);
            },
            |uut| {
                taken = uut.net_tx_valid.val() && uut.net_tx_ready.val();
                if uut.net_rx_valid.val() && uut.net_rx_ready.val() {
                    let data = narrow(uut.net_rx_data.val(), 16).try_into().unwrap();
                    let keep = uut.net_rx_keep.val().to_u64() as u16;
                    came = Some((data, keep, uut.net_rx_last.val(), uut.net_rx_error.val()));
                }
            },
        );
        if taken {
            input.pop_front();
            offered = false;
        }
        if came.is_some() {
            assert_eq!(came, expected.pop_front());
        }
    }
    let cycles = bench.cycles - begin;
    bench.finish();
    cycles
}

#[test]
fn mac_swap_sends_every_frame_back_with_its_addresses_exchanged_and_padded() {
    let mut rng = Rng(0x3ac);
    let mut lengths: Vec<u64> = (12..70).chain([1514]).collect();
    lengths.extend((0..20).map(|_| 14 + rng.below(1500)));
    let frames: Vec<Vec<u8>> =
        lengths.into_iter().map(|length| (0..length).map(|_| rng.next() as u8).collect()).collect();
    for (eager, patient) in [(4, 4), (1, 4), (4, 1), (2, 3)] {
        run(&format!("mac_swap_{eager}_{patient}"), &frames, eager, patient);
    }
}

#[test]
fn mac_swap_takes_a_beat_in_every_cycle() {
    let frames: Vec<Vec<u8>> = (0..50u8).map(|index| vec![index; 64]).collect();
    let cycles = run("mac_swap_rate", &frames, 4, 4);
    assert!(cycles <= 4 * 50 + 1, "{cycles} cycles for 200 beats");
}
