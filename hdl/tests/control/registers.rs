//! The registers of the program against a model of each: time and alarm, bytes, what the driver has done, the device config.
use std::collections::VecDeque;
use virtio_hdl_rtl::control::layout::*;
use virtio_hdl_rtl::control::port_byte::PortByte;
use virtio_hdl_rtl::control::registers::ControlRegisters;
use virtio_hdl_rtl::testing::{moved, Bench, Feed};

const CONFIG: [u32; 3] = [0x1234_5678, 0, 0xffff_ffff];
const MEMORY: u32 = 16 << 10;
const PATIENCE: u32 = 50;

/// What the registers hold.
#[derive(Default)]
struct Model {
    enable: u32,
    /// What [`TIME`] shows in this cycle.
    time: u32,
    alarm: u32,
    alarm_on: bool,
    /// [`DRIVER_RESET`] and the two behind it.
    events: u32,
    driver_ok: bool,
    features: u32,
    config: [u32; 3],
    /// A cycle later they interrupt.
    external: bool,
    timer: bool,
    soon: bool,
    lost: bool,
    told: bool,
    /// Cycles since the program has given a sign.
    quiet: u32,
}

/// An access of the program.
#[derive(Clone, Copy)]
struct Access {
    write: bool,
    offset: u32,
    data: u32,
}

/// Numbers of what has been seen.
#[derive(Debug, Default)]
struct Counts {
    bytes_out: usize,
    bytes_in: usize,
    lost: usize,
    alarms: usize,
    far_alarms: usize,
    interrupts: usize,
    told: usize,
    config_writes: usize,
    hung: usize,
}

struct World {
    bench: Bench<ControlRegisters>,
    model: Model,
    typed: Feed<PortByte>,
    /// Bytes that have been put out, and not been taken.
    out: VecDeque<u8>,
    counts: Counts,
}

const OFFSETS: [u32; 16] = [
    IDENTITY,
    SHAPE,
    PENDING,
    ENABLE,
    TIME,
    ALARM,
    ALARM_ON,
    WATCHDOG,
    BYTE_OUT,
    BYTE_IN,
    DRIVER,
    FEATURES,
    CONFIG_CHANGED,
    DEVICE_CONFIG,
    DEVICE_CONFIG + 4,
    DEVICE_CONFIG + 8,
];

impl World {
    fn access(&mut self) -> Option<Access> {
        let rng = &mut self.bench.rng;
        if !rng.chance(2, 3) {
            return None;
        }
        let offset = OFFSETS[rng.below(OFFSETS.len() as u64) as usize];
        let data = match offset {
            ALARM if rng.chance(1, 2) => self.model.time.wrapping_add(4090 + rng.below(40) as u32),
            ALARM => self.model.time.wrapping_add(rng.below(40) as u32).wrapping_sub(5),
            _ => rng.next() as u32,
        };
        Some(Access { write: rng.chance(1, 2), offset, data })
    }

    fn cycle(&mut self) {
        let access = self.access();
        let bench = &mut self.bench;
        let uut = &mut bench.uut;
        uut.access.next = access.is_some();
        if let Some(access) = access {
            uut.write.next = access.write;
            uut.offset.next = u64::from(access.offset).into();
            uut.write_data.next = u64::from(access.data).into();
        }
        let mailboxes = bench.rng.below(16) & bench.rng.below(16);
        uut.mailboxes.next = mailboxes.into();
        let reset = bench.rng.chance(1, 40);
        let wrote = bench.rng.chance(1, 40);
        let driver_ok = uut.driver_ok.next ^ bench.rng.chance(1, 40);
        uut.device_reset.next = reset;
        uut.driver_wrote.next = wrote;
        uut.driver_ok.next = driver_ok;
        if bench.rng.chance(1, 40) {
            uut.driver_features.next = bench.rng.below(1 << 32).into();
        }
        let features = uut.driver_features.next.to_u64() as u32;
        if self.typed.values.len() < 3 && bench.rng.chance(1, 4) {
            self.typed.values.push_back(PortByte { data: bench.rng.below(256).into() });
        }
        self.typed.drive(&mut uut.byte_in, &mut bench.rng);
        bench.uut.byte_out.ready.next = bench.rng.chance(1, 40);
        bench.low();

        let (uut, model) = (&bench.uut, &mut self.model);
        let room = self.out.is_empty() || uut.byte_out.ready.val();
        let pending = mailboxes as u32
            | if self.typed.is_offered() { PENDING_BYTE } else { 0 }
            | if model.events != 0 { PENDING_DRIVER } else { 0 };
        assert_eq!(uut.external_interrupt.val(), model.external);
        assert_eq!((uut.timer_interrupt.val(), uut.alarm_soon.val()), (model.timer, model.soon));
        assert_eq!((uut.byte_lost.val(), uut.config_changed.val()), (model.lost, model.told));
        let config = uut.device_config.val();
        for (word, value) in model.config.iter().enumerate() {
            assert_eq!(
                config.get_bits::<32>(32 * word).to_u64(),
                u64::from(*value),
                "word {word} of the device config"
            );
        }
        assert_eq!(uut.hung.val(), model.quiet > PATIENCE, "{} cycles without a sign", model.quiet);
        self.counts.hung += usize::from(uut.hung.val());
        self.counts.interrupts += usize::from(model.external);
        self.counts.alarms += usize::from(model.timer);
        self.counts.far_alarms += usize::from(model.alarm_on && !model.soon);
        self.counts.lost += usize::from(model.lost);
        self.counts.told += usize::from(model.told);
        if let Some(byte) = moved(&uut.byte_out) {
            assert_eq!(Some(byte.data.to_u64() as u8), self.out.pop_front(), "bytes put out");
            self.counts.bytes_out += 1;
        }
        let typed = self.typed.is_offered().then(|| self.typed.values[0].data.to_u64() as u32);
        let taken = self.typed.take(&uut.byte_in);
        let reads = |offset| access.is_some_and(|access| !access.write && access.offset == offset);
        assert_eq!(taken.is_some(), typed.is_some() && reads(BYTE_IN), "a byte is taken when it is read");
        self.counts.bytes_in += usize::from(taken.is_some());
        if let Some(Access { write: false, offset, .. }) = access {
            let want = match offset {
                IDENTITY => IDENTITY_VALUE,
                SHAPE => MEMORY >> 8 << 16 | 2,
                PENDING => pending,
                ENABLE => model.enable,
                TIME => model.time,
                ALARM => model.alarm,
                ALARM_ON => model.alarm_on.into(),
                BYTE_OUT => u32::from(room) * OUT_READY,
                BYTE_IN => typed.map_or(uut.read_data.val().to_u64() as u32 & !IN_VALID, |byte| byte | IN_VALID),
                DRIVER => model.events | if driver_ok { DRIVER_OK } else { 0 },
                FEATURES => features,
                DEVICE_CONFIG.. => model.config[(offset - DEVICE_CONFIG) as usize / 4],
                _ => 0,
            };
            assert_eq!(uut.read_data.val().to_u64(), u64::from(want), "the register at {offset:#x}");
        }

        // ------------------------------------------------------------ the edge
        let written = access.filter(|access| access.write);
        let writes = |offset| written.filter(|access| access.offset == offset).map(|access| access.data);
        model.external = pending & model.enable != 0;
        let due = model.alarm_on && model.time.wrapping_sub(model.alarm) as i32 >= 0;
        model.soon = model.alarm_on && model.time.wrapping_sub(model.alarm) as i32 >= -4096;
        model.timer = due && writes(ALARM).is_none() && writes(ALARM_ON).is_none();
        model.lost = writes(BYTE_OUT).is_some() && !room;
        model.told = writes(CONFIG_CHANGED).is_some();
        if let Some(byte) = writes(BYTE_OUT).filter(|_| room) {
            self.out.push_back(byte as u8);
        }
        model.events &= !writes(DRIVER).unwrap_or(0);
        if reset {
            model.events |= DRIVER_RESET;
        }
        if wrote {
            model.events |= DRIVER_CONFIG;
        }
        if (model.driver_ok, model.features) != (driver_ok, features) {
            model.events |= DRIVER_CHANGED;
        }
        (model.driver_ok, model.features) = (driver_ok, features);
        if let Some(data) = writes(ENABLE) {
            model.enable = data & 0x3_ffff;
        }
        model.alarm = writes(ALARM).unwrap_or(model.alarm);
        model.alarm_on = writes(ALARM_ON).map_or(model.alarm_on, |data| data & 1 != 0);
        for (word, value) in model.config.iter_mut().enumerate() {
            if let Some(data) = writes(DEVICE_CONFIG + 4 * word as u32) {
                *value = data;
                self.counts.config_writes += 1;
            }
        }
        model.quiet = if writes(WATCHDOG).is_some() { 0 } else { model.quiet + 1 };
        model.time = model.time.wrapping_add(1);
        bench.edge();
    }
}

#[test]
fn registers_of_the_program_are_as_their_layout_says() {
    let registers = ControlRegisters::new(MEMORY, 2, &CONFIG, PATIENCE);
    let mut bench = Bench::new("control_registers", registers, |uut| &mut uut.clock);
    bench.cycle(|uut, _| uut.reset.next = true, |_| {});
    bench.uut.reset.next = false;
    let model = Model { config: CONFIG, ..Model::default() };
    let mut world = World { bench, model, typed: Feed::new(3), out: VecDeque::new(), counts: Counts::default() };
    for _ in 0..30_000 {
        world.cycle();
    }
    let counts = &world.counts;
    let all = [
        counts.bytes_out,
        counts.bytes_in,
        counts.lost,
        counts.alarms,
        counts.far_alarms,
        counts.told,
        counts.config_writes,
        counts.hung,
    ];
    assert!(all.iter().all(|count| *count > 250) && counts.interrupts > 3000, "{counts:?}");
    world.bench.finish();
}
