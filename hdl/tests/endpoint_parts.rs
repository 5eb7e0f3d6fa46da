//! The small blocks of the endpoint: gate, reset sequencer, counters, interrupt controller.
use virtio_hdl_rtl::endpoint::diagnostics::{violation_in_words, Diagnostics, RULES};
use virtio_hdl_rtl::endpoint::gate::TransmitGate;
use virtio_hdl_rtl::endpoint::reset::ResetSequencer;
use virtio_hdl_rtl::testing::Bench;
use virtio_hdl_rtl::virtio::interrupts::InterruptController;
use virtio_hdl_rtl::virtio::types::{Violation, ViolationReport};

#[test]
fn gate_passes_or_swallows_whole_packets() {
    let mut bench = Bench::new("transmit_gate", TransmitGate::default(), |uut| &mut uut.clock);
    bench.cycle(|uut, _| uut.reset.next = true, |_| {});
    bench.uut.reset.next = false;
    // packets of 1 to 4 beats; the tag numbers them
    let (mut packet, mut beat, mut length, mut offered) = (0u64, 0, 1, false);
    let mut passed: Vec<(u64, u64)> = vec![];
    for _ in 0..6000 {
        let mut accepted = false;
        bench.cycle(
            |uut, rng| {
                offered |= rng.chance(3, 4);
                uut.upstream.valid.next = offered;
                let mut data = uut.upstream.data.next;
                data.tag = (packet & 0xff).into();
                data.last = beat + 1 == length;
                data.address = beat.into();
                uut.upstream.data.next = data;
                uut.downstream.ready.next = rng.chance(2, 3);
                if rng.chance(1, 10) {
                    uut.discard.next = !uut.discard.next;
                }
            },
            |uut| {
                accepted = uut.upstream.valid.val() && uut.upstream.ready.val();
                if uut.downstream.valid.val() && uut.downstream.ready.val() {
                    let data = uut.downstream.data.val();
                    assert_eq!((data.tag.to_u64(), data.address.to_u64()), (packet & 0xff, beat));
                    passed.push((packet, beat));
                }
            },
        );
        if accepted {
            offered = false;
            beat += 1;
            if beat == length {
                let beats = passed.iter().filter(|(number, _)| *number == packet).count() as u64;
                assert!(beats == 0 || beats == length, "packet {packet} was torn");
                (packet, beat, length) = (packet + 1, 0, 1 + bench.rng.below(4));
            }
        }
    }
    assert!(passed.len() > 1000);
    bench.finish();
}

/// The reset of the whole reaches the data path through the register of `clear`, and that it drives for one cycle more.
fn clears_behind_the_reset(bench: &mut Bench<ResetSequencer>) {
    bench.cycle(
        |_, _| {},
        |uut| assert!(uut.clear.val() && !uut.busy.val(), "what is behind `clear` has not been reset"),
    );
}

#[test]
fn reset_sequence_is_quiesce_drain_clear() {
    let mut bench = Bench::new("reset_sequencer", ResetSequencer::new(50_000), |uut| &mut uut.clock);
    bench.cycle(|uut, _| uut.reset.next = true, |_| {});
    bench.uut.reset.next = false;
    clears_behind_the_reset(&mut bench);
    let (mut clears, mut requests, mut drained_run, mut drained_before) = (0, 0, 0, 0);
    for cycle in 0..4000 {
        bench.cycle(
            |uut, rng| {
                uut.request.next = cycle % 400 == 10 || (cycle % 400 == 30 && rng.chance(1, 2));
                uut.quiet.next = rng.chance(15, 16);
                uut.drained.next = rng.chance(31, 32);
                uut.device_idle.next = rng.chance(31, 32);
            },
            |uut| {
                requests += usize::from(uut.request.val());
                assert!(!uut.hold.val() || uut.stop.val() || uut.request.val() || uut.busy.val());
                if uut.clear.val() {
                    clears += 1;
                    assert!(uut.stop.val() && drained_before >= 8, "cleared before all was drained");
                }
                if uut.request.val() && !uut.busy.val() {
                    assert!(uut.hold.val(), "an access slips through behind the resetting write");
                }
                // the sequencer looks at it one cycle later
                drained_before = drained_run;
                drained_run = if uut.drained.val() && uut.device_idle.val() { drained_run + 1 } else { 0 };
            },
        );
    }
    assert!(clears >= 10 && clears <= requests, "{clears} resets for {requests} requests");
    assert!(!bench.uut.busy.val());
    bench.finish();
}

#[test]
fn a_drain_waits_for_the_host_and_only_so_long_for_the_device_side() {
    let patience = 300;
    let mut bench = Bench::new("reset_sequencer_bound", ResetSequencer::new(patience), |uut| &mut uut.clock);
    bench.cycle(|uut, _| uut.reset.next = true, |_| {});
    bench.uut.reset.next = false;
    clears_behind_the_reset(&mut bench);
    // (cycles until the host has answered, until the device side has; never) -> cycles to the end
    for (host, device, least, most) in [
        (20, 40, 40, 70),
        (40, 20, 40, 70),
        (20, u64::MAX, patience, patience + 40),
        (patience * 2, u64::MAX, patience * 2, patience * 2 + 40),
        (patience + 5, 10, patience + 5, patience + 40),
    ] {
        let begun = bench.cycles;
        let (mut clears, mut ended) = (0, None);
        while ended.is_none() {
            let cycle = bench.cycles - begun;
            bench.cycle(
                |uut, _| {
                    uut.request.next = cycle == 0;
                    uut.quiet.next = true;
                    uut.drained.next = cycle >= host;
                    uut.device_idle.next = cycle >= device;
                },
                |uut| {
                    clears += usize::from(uut.clear.val());
                    ended = (cycle > 2 && !uut.busy.val()).then_some(cycle);
                },
            );
            assert!(cycle < 10 * patience, "never ends");
        }
        let cycles = ended.unwrap();
        assert_eq!(clears, 1);
        assert!((least..=most).contains(&cycles), "host {host}, device {device}: {cycles} cycles");
    }
    bench.finish();
}

/// What the reset sequencer may do in a freeze, from what was before.
#[derive(Default)]
struct FreezeRules {
    /// Cycles in a row, up to now: settled in a pause; the host owes nothing; the device side owes nothing; no access is under way;
    /// in a pause; stopped.
    settled: u64,
    drained: u64,
    idle: u64,
    at_rest: u64,
    paused: u64,
    stopping: u64,
    /// A reset has been asked for since the last one ended.
    asked: bool,
    /// One cycle ago.
    before: [u64; 2],
    freeze: bool,
    stop: bool,
    frozen: bool,
    clear: bool,
    keep: bool,
    request: bool,
    /// Freezes that became one, resets that kept all, others, and those that put an end to a freeze under way.
    counts: [usize; 4],
}

impl FreezeRules {
    fn look(&mut self, uut: &ResetSequencer, patience: u64) {
        let is = |signal: bool, run: u64| if signal { run + 1 } else { 0 };
        let (stop, keep, frozen, clear) = (uut.stop.val(), uut.keep.val(), uut.frozen.val(), uut.clear.val());
        if stop && !self.stop {
            assert_eq!(keep, !self.request, "a reset comes of a request, else of a freeze");
            assert!(!keep || self.settled >= 64, "frozen after {} settled cycles", self.settled);
        }
        assert!(!keep || uut.pause.val(), "what is outside goes on");
        assert!(uut.pause.val() <= (self.freeze || keep), "a pause without a freeze");
        if self.freeze && !self.stop && !stop && self.paused > 2 {
            assert!(uut.pause.val());
        }
        if uut.pause_all.val() {
            assert!(self.paused > patience, "all is paused after {} cycles", self.paused);
        } else {
            assert!(self.paused <= patience + 1 || stop, "all has not been paused after {} cycles", self.paused);
        }
        if frozen {
            assert!(stop && (keep || self.request), "frozen while it moves");
            assert!(!keep || uut.hold.val(), "an access slips through while frozen");
            if self.frozen {
                assert!(self.freeze && self.keep, "frozen for longer than it is to be");
            } else {
                assert!(self.keep && self.stopping >= 16 && self.at_rest >= 8, "frozen before all is at rest");
                let [drained, idle] = self.before;
                assert!(drained >= 8, "frozen while the host owes something");
                assert!(idle >= 8 || self.stopping > patience, "frozen while the device side owes something");
                self.counts[0] += 1;
            }
        }
        assert!(uut.rewind.val() == (self.clear && !clear), "it goes on in the cycle behind the clear, and only there");
        if uut.rewind.val() {
            assert_eq!(self.keep, !self.asked, "a reset was asked for, and all was kept; or the other way round");
            self.counts[if self.asked { 2 } else { 1 }] += 1;
            self.asked = false;
        }
        if clear {
            assert!(stop && !frozen && self.stopping >= 16);
            assert!(!self.clear || self.request, "cleared for more than a cycle");
        }
        if uut.request.val() {
            self.counts[3] += usize::from(keep && !self.asked);
            self.asked |= !clear || keep;
        }
        // the sequencer looks at these one cycle later
        self.before = [self.drained, self.idle];
        self.settled = is(uut.settled.val() && uut.pause.val() && !stop, self.settled);
        self.at_rest = is(uut.at_rest.val(), self.at_rest);
        self.paused = is(uut.pause.val() && !stop && !uut.rewind.val(), self.paused);
        self.stopping = is(stop, self.stopping);
        self.drained = is(uut.drained.val(), self.drained);
        self.idle = is(uut.device_idle.val(), self.idle);
        (self.freeze, self.stop, self.frozen) = (uut.freeze.val(), stop, frozen);
        (self.clear, self.keep, self.request) = (clear, keep, uut.request.val());
    }
}

/// Freezes and resets at random, between sides that come to rest and do not.
#[test]
fn a_freeze_waits_until_all_has_settled_and_keeps_all_unless_a_reset_is_asked_for() {
    let patience = 300;
    let mut bench = Bench::new("reset_sequencer_freeze", ResetSequencer::new(patience), |uut| &mut uut.clock);
    bench.cycle(|uut, _| uut.reset.next = true, |_| {});
    bench.uut.reset.next = false;
    clears_behind_the_reset(&mut bench);
    let mut rules = FreezeRules::default();
    // one cycle of so many is not at rest
    let mut chances = [64; 5];
    for cycle in 0..60_000 {
        if cycle % 500 == 0 {
            chances.iter_mut().for_each(|chance| *chance = [2, 32, 200, 1000][bench.rng.below(4) as usize]);
        }
        bench.cycle(
            |uut, rng| {
                if rng.chance(1, 200) {
                    uut.freeze.next = !uut.freeze.next;
                }
                uut.request.next = rng.chance(1, 400);
                uut.settled.next = !rng.chance(1, chances[0]);
                uut.quiet.next = !rng.chance(1, chances[1]);
                uut.drained.next = !rng.chance(1, chances[2]);
                uut.device_idle.next = !rng.chance(1, chances[3]);
                uut.at_rest.next = !rng.chance(1, chances[4]);
            },
            |uut| rules.look(uut, patience),
        );
    }
    assert!(rules.counts.iter().all(|count| *count > 8), "{:?}", rules.counts);
    bench.finish();
}

/// In each cycle of a freeze, from its begin to the cycles behind the thaw.
#[test]
fn a_reset_in_any_cycle_of_a_freeze_is_a_whole_one_and_the_freeze_begins_anew() {
    let mut bench = Bench::new("reset_sequencer_sweep", ResetSequencer::new(1000), |uut| &mut uut.clock);
    bench.cycle(|uut, _| uut.reset.next = true, |_| {});
    bench.uut.reset.next = false;
    clears_behind_the_reset(&mut bench);
    let mut rules = FreezeRules::default();
    let thaw = 100;
    let mut froze = [0; 2];
    for moment in 0..thaw + 10 {
        let mut frozen = [false; 2];
        for cycle in 0..thaw + 260 {
            bench.cycle(
                |uut, _| {
                    // the second freeze begins while a reset may be under way
                    uut.freeze.next = cycle < thaw || (thaw + 5..thaw + 200).contains(&cycle);
                    uut.request.next = cycle == moment;
                    uut.quiet.next = true;
                    uut.drained.next = true;
                    uut.device_idle.next = true;
                    uut.settled.next = true;
                    uut.at_rest.next = true;
                },
                |uut| {
                    rules.look(uut, 1000);
                    frozen[usize::from(cycle > thaw + 10)] |= uut.frozen.val() && uut.keep.val();
                },
            );
        }
        (0..2).for_each(|n| froze[n] += usize::from(frozen[n]));
        assert!(frozen[1] && !bench.uut.busy.val(), "a reset in cycle {moment}: it does not freeze any more");
    }
    assert!(froze[0] > 10, "reset while it stood still: {froze:?}");
    assert_eq!(rules.counts[2], thaw as usize + 10, "each request is a reset of its own");
    bench.finish();
}

/// Neither the host's access nor the device side's work is given up for a freeze; a reset ends the wait.
#[test]
fn a_freeze_waits_for_the_access_that_is_under_way() {
    let mut bench = Bench::new("reset_sequencer_at_rest", ResetSequencer::new(50), |uut| &mut uut.clock);
    bench.cycle(|uut, _| uut.reset.next = true, |_| {});
    bench.uut.reset.next = false;
    clears_behind_the_reset(&mut bench);
    for round in 0..4 {
        let (mut frozen_at, mut cleared_at) = (None, None);
        for cycle in 0..800 {
            bench.cycle(
                |uut, rng| {
                    uut.freeze.next = cycle < 700;
                    uut.settled.next = true;
                    uut.quiet.next = true;
                    uut.drained.next = rng.chance(15, 16);
                    // nobody waits for that for more than 50 cycles
                    uut.device_idle.next = cycle < 80;
                    uut.at_rest.next = cycle >= 400 && cycle != 405;
                    uut.request.next = round == 3 && cycle == 300;
                },
                |uut| {
                    if uut.frozen.val() {
                        frozen_at.get_or_insert(cycle);
                    }
                    if uut.clear.val() {
                        cleared_at.get_or_insert(cycle);
                    }
                },
            );
        }
        if round == 3 {
            assert!(cleared_at < Some(400), "a reset waits for an access: {cleared_at:?}");
        } else {
            assert!(frozen_at >= Some(414) && cleared_at > Some(700), "{frozen_at:?}, {cleared_at:?}");
        }
    }
    bench.finish();
}

/// All fields, through the window and as config space sees them, after events of any density, any number of them at once.
#[test]
fn diagnostics_count_events_and_show_the_violation() {
    const FIELDS: usize = 21;
    let mut bench = Bench::new("diagnostics", Diagnostics::new(FIELDS), |uut| &mut uut.clock);
    let rules = [
        Violation::Nothing,
        Violation::AvailableIndex,
        Violation::NextRange,
        Violation::RequestTooShort,
        Violation::AddressRange,
    ];
    // a reset in the middle begins anew
    for round in 0..2 {
        bench.cycle(|uut, _| uut.reset.next = true, |_| {});
        bench.uut.reset.next = false;
        let mut counts = [0u64; FIELDS];
        for (burst, rule) in rules.into_iter().cycle().take(12).enumerate() {
            let chance = [1, 2, 40][burst % 3];
            let (head, queue) = (burst as u64 * 77, burst as u64 & 3);
            for _ in 0..300 {
                bench.cycle(
                    |uut, rng| uut.events.iter_mut().for_each(|event| event.next = rng.chance(1, chance)),
                    |uut| counts.iter_mut().skip(1).zip(&uut.events).for_each(|(n, e)| *n += u64::from(e.val())),
                );
            }
            counts[0] = rule as u64 | queue << 8 | head << 16;
            // two rounds later the counters are what they are
            for _ in 0..2 * FIELDS {
                bench.cycle(
                    |uut, _| {
                        uut.events.iter_mut().for_each(|event| event.next = false);
                        uut.violation.next = ViolationReport { rule, head: head.into() };
                        uut.violation_queue.next = queue.into();
                    },
                    |_| {},
                );
            }
            assert_eq!(bench.uut.violation_word.val().to_u64(), counts[0]);
            for place in 0..64u64 {
                let wanted = counts.get(place as usize).copied().unwrap_or(0);
                let mut cycles = 0;
                let mut done = false;
                while !done {
                    bench.cycle(
                        |uut, rng| {
                            uut.window.valid.next = true;
                            uut.window.write.next = place % 5 == 4;
                            uut.window.write_data.next = (rng.next() & 0xffff_ffff).into();
                            uut.window.address.next = (0xc00 + 4 * place).into();
                            uut.config_address.next = (rng.next() & 0xffc).into();
                        },
                        |uut| {
                            done = uut.window.done.val();
                            if done {
                                assert_eq!(uut.window.read_data.val().to_u64(), wanted, "round {round}, field {place}");
                            }
                        },
                    );
                    cycles += 1;
                }
                assert_eq!(cycles, 3);
                // config space: of the first 256 bytes, from 0xa4 on
                bench.cycle(
                    |uut, _| {
                        uut.window.valid.next = false;
                        uut.config_address.next = (4 * place).into();
                    },
                    |uut| assert!(!uut.window.done.val()),
                );
                let wanted = place.checked_sub(0xa4 / 4).and_then(|field| counts.get(field as usize)).unwrap_or(&0);
                bench
                    .cycle(|_, _| {}, |uut| assert_eq!(uut.config_word.val().to_u64(), *wanted, "at {:#x}", 4 * place));
            }
        }
    }
    bench.finish();
}

/// Every rule has words, and its number is the code of the type.
#[test]
fn every_violation_has_words() {
    for rule in 0..RULES.len() as u32 {
        let field = rule | 1 << 8 | 0x1234 << 16;
        let words = violation_in_words(field);
        assert_eq!(words.is_some(), rule != 0);
        let named = words.is_none_or(|words| {
            words.contains("queue 1") && words.contains("head 4660") && words.contains(RULES[rule as usize])
        });
        assert!(named, "rule {rule}");
    }
    assert_eq!(Violation::Before as usize, RULES.len() - 1, "a rule without words");
    assert!(violation_in_words(0xff).is_some_and(|words| words.contains("255")), "a number without words");
}

#[test]
fn interrupts_set_isr_and_fire_their_vector_or_the_line() {
    let mut bench = Bench::new("interrupt_controller", InterruptController::default(), |uut| &mut uut.clock);
    bench.cycle(|uut, _| uut.reset.next = true, |_| {});
    bench.uut.reset.next = false;
    let vectors = [0u64, 0xffff, 5, 2];
    let (mut raised, mut fired, mut isr) = ([0u64; 5], [0u64; 256], (0, 0));
    for cycle in 0..4000 {
        let active = cycle < 3800;
        bench.cycle(
            |uut, rng| {
                uut.msix_enable.next = true;
                uut.queue_vector.next = vectors.iter().rev().fold(0, |all, vector| all << 16 | vector).into();
                uut.config_vector.next = 7.into();
                let queues = if active && rng.chance(1, 20) { 1 << rng.below(4) } else { 0 };
                uut.queue_interrupt.next = queues.into();
                uut.config_interrupt.next = active && rng.chance(1, 50);
                uut.fire.ready.next = rng.chance(2, 3);
            },
            |uut| {
                (0..4).for_each(|i| raised[i] += u64::from(uut.queue_interrupt.val().get_bit(i)));
                raised[4] += u64::from(uut.config_interrupt.val());
                isr.0 += u64::from(uut.isr_queue.val());
                isr.1 += u64::from(uut.isr_config.val());
                if uut.fire.valid.val() && uut.fire.ready.val() {
                    fired[uut.fire.data.val().to_u64() as usize] += 1;
                }
                assert!(!uut.intx.val(), "the line is down while MSI-X is enabled");
            },
        );
    }
    assert_eq!(isr.1, raised[4]);
    assert_eq!(isr.0, raised[..4].iter().sum::<u64>());
    // two interrupts of one queue may become one, none is lost
    for (queue, vector) in [(0, 0), (2, 5), (3, 2), (4, 7)] {
        assert!(fired[vector] > 0 && fired[vector] <= raised[queue], "vector {vector}");
    }
    let known: u64 = [0, 2, 5, 7].iter().map(|vector: &usize| fired[*vector]).sum();
    assert_eq!(fired.iter().sum::<u64>(), known, "a vector that no queue has");
    // without MSI-X: the line follows the ISR
    for (pending, disabled) in [(false, false), (true, false), (true, true), (false, true)] {
        for _ in 0..3 {
            bench.cycle(
                |uut, _| {
                    uut.msix_enable.next = false;
                    uut.isr_pending.next = pending;
                    uut.intx_disable.next = disabled;
                },
                |_| {},
            );
        }
        assert_eq!(bench.uut.intx.val(), pending && !disabled);
    }
    bench.finish();
}

/// The line stays as it is while it is held, whatever becomes of the ISR and of the ways to tell of it.
#[test]
fn the_line_stays_as_it_is_while_it_is_held() {
    let mut bench = Bench::new("interrupt_hold", InterruptController::default(), |uut| &mut uut.clock);
    bench.cycle(|uut, _| uut.reset.next = true, |_| {});
    bench.uut.reset.next = false;
    let (mut level, mut held) = (false, [[0; 2]; 2]);
    for _ in 0..6000 {
        bench.cycle(
            |uut, rng| {
                let inputs = [&mut uut.hold_level, &mut uut.isr_pending, &mut uut.msix_enable, &mut uut.intx_disable];
                for (input, chance) in inputs.into_iter().zip([4, 4, 8, 8]) {
                    if rng.chance(1, chance) {
                        input.next = !input.next;
                    }
                }
                uut.fire.ready.next = rng.chance(1, 2);
                uut.queue_interrupt.next = if rng.chance(1, 8) { 1 << rng.below(4) } else { 0 }.into();
            },
            |uut| {
                assert_eq!(uut.intx.val(), level);
                let follows = uut.isr_pending.val() && !uut.msix_enable.val() && !uut.intx_disable.val();
                if uut.hold_level.val() {
                    held[usize::from(level)][usize::from(follows)] += 1;
                } else {
                    level = follows;
                }
            },
        );
    }
    assert!(held.iter().flatten().all(|count| *count > 50), "{held:?}");
    bench.finish();
}
