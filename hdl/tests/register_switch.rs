//! The switch of the register buses: every access reaches its registers, and every answer whoever asked.
use rust_hdl::prelude::*;
use virtio_hdl_rtl::endpoint::register_switch::RegisterSwitch;
use virtio_hdl_rtl::pcie::register_bus::{RegisterMaster, RegisterSlave};
use virtio_hdl_rtl::testing::{Bench, Port, Rng};

/// The switch, which has no clock, with a register behind it.
#[derive(LogicBlock, Default)]
struct Registered {
    clock: Signal<In, Clock>,
    frozen: Signal<In, Bit>,
    host_config: RegisterSlave,
    host_target: Signal<In, Bits<16>>,
    host_bar0: RegisterSlave,
    host_bar1: RegisterSlave,
    window: RegisterSlave,
    window_config: Signal<In, Bit>,
    window_bar0: Signal<In, Bit>,
    window_bar1: Signal<In, Bit>,
    window_target: Signal<In, Bits<16>>,
    config_space: RegisterMaster,
    config_target: Signal<Out, Bits<16>>,
    registers: RegisterMaster,
    table: RegisterMaster,
    counters: RegisterMaster,
    window_done_then: Signal<Out, Bit>,
    switch: RegisterSwitch,
    held: DFF<Bit>,
}

impl Logic for Registered {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, held);
        self.switch.frozen.next = self.frozen.val();
        RegisterSlave::link(&mut self.host_config, &mut self.switch.host_config);
        RegisterSlave::link(&mut self.host_bar0, &mut self.switch.host_bar0);
        RegisterSlave::link(&mut self.host_bar1, &mut self.switch.host_bar1);
        RegisterSlave::link(&mut self.window, &mut self.switch.window);
        RegisterMaster::link(&mut self.config_space, &mut self.switch.config_space);
        RegisterMaster::link(&mut self.registers, &mut self.switch.registers);
        RegisterMaster::link(&mut self.table, &mut self.switch.table);
        RegisterMaster::link(&mut self.counters, &mut self.switch.counters);
        self.switch.host_target.next = self.host_target.val();
        self.switch.window_config.next = self.window_config.val();
        self.switch.window_bar0.next = self.window_bar0.val();
        self.switch.window_bar1.next = self.window_bar1.val();
        self.switch.window_target.next = self.window_target.val();
        self.config_target.next = self.switch.config_target.val();
        self.held.d.next = self.switch.window.done.val();
        self.window_done_then.next = self.held.q.val();
    }
}

/// What is asked of a register bus: `write`, `address`, `enable`, `write_data`.
type Access = (bool, u64, u64, u64);
/// What it says: `done`, `read_data`.
type Answer = (bool, u64);

fn ask(bus: &mut RegisterSlave, valid: bool, rng: &mut Rng) {
    bus.valid.next = valid;
    bus.write.next = Port::random(rng);
    // in each quarter of BAR1 as often
    bus.address.next = (rng.below(4) << 10 | rng.below(16) << 2).into();
    bus.enable.next = Port::random(rng);
    bus.write_data.next = Port::random(rng);
}

fn asked(bus: &RegisterSlave) -> Access {
    (bus.write.val(), bus.address.val().to_u64(), bus.enable.val().to_u64(), bus.write_data.val().to_u64())
}

fn answered(bus: &RegisterSlave) -> Answer {
    (bus.done.val(), bus.read_data.val().to_u64())
}

fn seen(bus: &RegisterMaster) -> (Access, Answer) {
    let access =
        (bus.write.val(), bus.address.val().to_u64(), bus.enable.val().to_u64(), bus.write_data.val().to_u64());
    (access, (bus.done.val(), bus.read_data.val().to_u64()))
}

#[test]
fn registers_are_the_hosts_and_while_all_stands_still_the_state_windows() {
    let mut bench = Bench::new("register_switch", Registered::default(), |uut| &mut uut.clock);
    // of the host, of the window, and of the two in the last quarter of BAR1
    let (mut accesses, mut last_quarter) = ([0; 2], [0; 2]);
    for _ in 0..4000 {
        bench.cycle(
            |uut, rng| {
                uut.frozen.next = Port::random(rng);
                let region = rng.below(4);
                let host = !uut.frozen.next;
                ask(&mut uut.host_config, host && region == 1, rng);
                ask(&mut uut.host_bar0, host && region == 2, rng);
                ask(&mut uut.host_bar1, host && region == 3, rng);
                ask(&mut uut.window, !host && region > 0, rng);
                uut.host_target.next = Port::random(rng);
                uut.window_target.next = Port::random(rng);
                uut.window_config.next = !host && region == 1;
                uut.window_bar0.next = !host && region == 2;
                uut.window_bar1.next = !host && region == 3;
                for bus in [&mut uut.config_space, &mut uut.registers, &mut uut.table, &mut uut.counters] {
                    bus.done.next = false;
                    bus.read_data.next = Port::random(rng);
                }
                let last = |bus: &RegisterSlave| bus.address.next.to_u64() >> 8 == 12;
                let bar1_is_last = last(if host { &uut.host_bar1 } else { &uut.window });
                let answers = match region {
                    1 => &mut uut.config_space,
                    2 => &mut uut.registers,
                    3 if bar1_is_last => &mut uut.counters,
                    _ => &mut uut.table,
                };
                answers.done.next = region > 0 && rng.chance(1, 2);
            },
            |uut| {
                let host = !uut.frozen.val();
                let valid = [&uut.config_space, &uut.registers, &uut.table, &uut.counters].map(|bus| bus.valid.val());
                let (asks, region) = match host {
                    true => {
                        let all = [&uut.host_config, &uut.host_bar0, &uut.host_bar1];
                        let found = all.iter().position(|bus| bus.valid.val());
                        (found.map(|region| all[region]), found)
                    }
                    false => {
                        let all = [&uut.window_config, &uut.window_bar0, &uut.window_bar1];
                        let found = all.iter().position(|valid| valid.val());
                        (found.map(|_| &uut.window), found)
                    }
                };
                let Some((asks, region)) = asks.zip(region) else { return assert_eq!(valid, [false; 4]) };
                let target = if host { uut.host_target.val() } else { uut.window_target.val() };
                assert_eq!(uut.config_target.val(), target);
                let last = asks.address.val().to_u64() >> 8 == 12;
                let which = if region == 2 && last { 3 } else { region };
                let bus = [&uut.config_space, &uut.registers, &uut.table, &uut.counters][which];
                assert_eq!(valid, [0, 1, 2, 3].map(|bus| bus == which), "an access of region {region} went elsewhere");
                assert_eq!(seen(bus), (asked(asks), answered(asks)), "between region {region} and bus {which}");
                accesses[usize::from(!host)] += 1;
                last_quarter[usize::from(!host)] += usize::from(which == 3);
            },
        );
    }
    assert!(accesses.iter().all(|count| *count > 1000), "{accesses:?}");
    assert!(last_quarter.iter().all(|count| *count > 50), "{last_quarter:?}");
    bench.finish();
}
