//! The library against a card that does anything: requests of any form, resets in between, a console that is flooded.
use virtio_hdl_firmware::fake::Fake;
use virtio_hdl_firmware::{layout, Call, Card, Device, Driver, Program, KICK_CYCLES};

const RAM_BYTES: u32 = 16 << 10;
/// Bytes of a request and of a reply there is memory for: a quarter of the shared half, with two queues.
const PART_BYTES: u32 = 2048;

/// Replies with what was asked, as often as there is room for it.
#[derive(Default)]
struct Echo {
    driver: Vec<Driver>,
}

impl Device for Echo {
    const NAME: &'static str = "echo";

    fn request<C: Card>(&mut self, call: &mut Call<'_, C>) {
        let mut at = 0;
        let mut part = [0; 7];
        loop {
            let there = call.read(at, &mut part);
            if there == 0 || call.write(&part[..there]) < there {
                break;
            }
            at += there as u32;
        }
        assert_eq!(call.read(u32::MAX, &mut part), 0);
        assert_eq!(call.read(call.held(), &mut part), 0);
    }

    fn driver<C: Card>(&mut self, _card: &mut C, driver: Driver) {
        self.driver.push(driver);
    }
}

/// Numbers that look random: splitmix64.
struct Rng(u64);

impl Rng {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ mixed >> 31) % u64::from(limit)) as u32
    }
}

fn start(mailboxes: usize) -> (Fake, Program<Echo>) {
    let mut fake = Fake::new(RAM_BYTES, mailboxes);
    let mut program = Program::new(Echo::default());
    program.start(&mut fake).unwrap();
    (fake, program)
}

#[test]
fn a_reply_is_no_longer_than_the_driver_and_the_memory_have_room_for() {
    let (mut fake, mut program) = start(2);
    let request: Vec<u8> = (0..6000u32).map(|at| at as u8).collect();
    for readable in [0, 1, 7, 16, 2047, 2048, 2049, 6000] {
        for writable in [0, 1, 6, 2048, 2049, 0xffff, 0x1_0000, u32::MAX] {
            fake.request(1, &request[..readable], writable);
            program.turn(&mut fake);
            let (queue, reply) = fake.answers.pop().expect("no answer");
            let expected = readable.min(PART_BYTES as usize).min(writable.min(PART_BYTES) as usize);
            assert_eq!((queue, reply.as_slice()), (1, &request[..expected]), "{readable} bytes, room for {writable}");
        }
    }
    assert_eq!((fake.unanswered(), fake.ignored), (0, 0));
}

#[test]
fn requests_that_cannot_be_read_are_answered_and_counted() {
    let (mut fake, mut program) = start(1);
    fake.unreadable = true;
    fake.request(0, b"half of it", 64);
    program.turn(&mut fake);
    assert_eq!(fake.answers.len(), 1);
    assert_eq!(program.statistics().unreadable, 1);
}

#[test]
fn resets_and_new_requests_at_any_time_mix_no_replies() {
    let (mut answered, mut ignored, mut resets) = (0, 0, 0);
    for seed in 0..300 {
        let (mut fake, mut program) = start(3);
        let mut rng = Rng(seed);
        fake.event = Some(Box::new(move |fake| match rng.below(20) {
            0 => fake.reset(),
            1..=3 => {
                // each byte says of what length and queue it is, so that one of another request is seen
                let (queue, bytes) = (rng.below(3), rng.below(120));
                fake.request(queue, &vec![bytes as u8 | (queue as u8) << 7; bytes as usize], rng.below(150));
            }
            4 => fake.driver_ok(rng.below(u32::MAX)),
            _ => {}
        }));
        for _ in 0..40 {
            assert!(program.turn(&mut fake) <= KICK_CYCLES);
        }
        fake.event = None;
        for (queue, reply) in &fake.answers {
            let byte = reply.first().copied().unwrap_or(0);
            assert!(reply.iter().all(|other| *other == byte), "a reply of two requests");
            assert!(reply.len() <= usize::from(byte & 0x7f));
            assert!(reply.is_empty() || byte >> 7 == (*queue as u8 & 1), "a reply of another queue");
        }
        answered += fake.answers.len();
        ignored += fake.ignored;
        resets += program.statistics().resets;
        // and it goes on
        fake.reset();
        fake.request(2, b"still there", 64);
        program.turn(&mut fake);
        assert_eq!(fake.answers.last(), Some(&(2, b"still there".to_vec())));
    }
    assert!(
        answered > 2000 && ignored > 100 && resets > 1000,
        "{answered} answered, {ignored} too late, {resets} resets"
    );
}

#[test]
fn what_the_driver_does_is_told_once_and_before_its_requests() {
    let mut fake = Fake::new(RAM_BYTES, 1);
    struct Order(Vec<String>);
    impl Device for &mut Order {
        const NAME: &'static str = "order";
        fn request<C: Card>(&mut self, call: &mut Call<'_, C>) {
            self.0.push(format!("request in queue {}", call.queue()));
        }
        fn driver<C: Card>(&mut self, _card: &mut C, driver: Driver) {
            self.0.push(format!("ok {}, reset {}, features {:#x}", driver.ok, driver.reset, driver.features));
        }
    }
    let mut order = Order(Vec::new());
    let mut program = Program::new(&mut order);
    program.start(&mut fake).unwrap();
    fake.reset();
    fake.driver_ok(0x15);
    fake.request(0, &[], 0);
    program.turn(&mut fake);
    program.turn(&mut fake);
    assert_eq!(order.0, ["ok true, reset true, features 0x15", "request in queue 0"]);
}

#[test]
fn a_card_that_the_program_is_not_for_is_refused() {
    let refused = |fake: &mut Fake| Program::new(Echo::default()).start(fake).expect_err("it starts");
    let mut other = Fake::new(RAM_BYTES, 1);
    other.identity += 1;
    assert_eq!(refused(&mut other), "the registers are of another version");
    assert_eq!(refused(&mut Fake::new(RAM_BYTES, 17)), "more mailboxes than this program knows");
    assert_eq!(refused(&mut Fake::new(256, 16)), "no memory for requests and replies");
    Program::new(Echo::default()).start(&mut Fake::new(256, 1)).unwrap();
    Program::new(Echo::default()).start(&mut Fake::new(RAM_BYTES, 0)).unwrap();
}

#[test]
fn nothing_but_the_memory_that_is_shared_is_given_to_the_rtl() {
    use virtio_hdl_firmware::Part;
    let mut fake = Fake::new(RAM_BYTES, 1);
    let good = Part { at: 0, bytes: 64 };
    assert!(fake.open(0, good, good));
    for (at, bytes) in [(8, 16), (0, 8), (RAM_BYTES / 2, 16), (0, RAM_BYTES), (!15, 32), (16, !15)] {
        let bad = Part { at, bytes };
        assert!(!fake.open(0, bad, good) && !fake.open(0, good, bad), "{bad:?}");
    }
    assert!(!fake.open(1, good, good));
    let request = layout::MAILBOX + layout::REQUEST;
    let before = fake.read(request);
    fake.write(request, 0);
    assert_eq!(fake.read(request), before);
}

fn typed(fake: &mut Fake, program: &mut Program<Echo>, text: &[u8]) -> String {
    fake.output.clear();
    fake.input.extend(text);
    while !fake.input.is_empty() {
        program.turn(fake);
    }
    program.turn(fake);
    fake.printed()
}

#[test]
fn console_answers() {
    let (mut fake, mut program) = start(2);
    assert_eq!(typed(&mut fake, &mut program, b""), "virtio-hdl echo 0.1.0\r\n> ");
    let mut says = |line: &str| typed(&mut fake, &mut program, line.as_bytes());
    assert!(says("help\r").contains("peek ADDRESS"));
    assert!(says("  version \n").ends_with("registers, version 1\r\nbytes of RAM 16384\r\nmailboxes 2\r\n> "));
    assert!(says("stats\r").contains("requests 0\r\n"));
    assert_eq!(says("hxx\x7f\x08elp\r").matches("version").count(), 1);
    assert_eq!(says("\r"), "\r\n> ");
    assert_eq!(says("peek 0x80000000\r"), "peek 0x80000000\r\n0x76686301\r\n> ");
    assert_eq!(says("peek 3ffc\r"), "peek 3ffc\r\n0x00000000\r\n> ");
    for line in ["peek", "peek 1 2", "peeks 0", "help me", "HELP"] {
        assert!(says(&format!("{line}\r")).contains("what is that?"), "{line}");
    }
    // behind the RAM, not a word, what a read takes, writes only, no register, no mailbox, and the last word of all
    for address in
        ["4000", "2", "80000024", "8000001c", "80000028", "80000118", "80000140", "fffffffc", "7fffffff", "x"]
    {
        assert!(says(&format!("peek {address}\r")).contains("no word of RAM"), "{address}");
    }
}

#[test]
fn console_takes_lines_that_are_too_long_and_any_bytes() {
    let (mut fake, mut program) = start(1);
    let long = [b"peek ".as_slice(), &[b'0'; 5000], b"\r"].concat();
    assert!(typed(&mut fake, &mut program, &long).ends_with("\r\nthe line is too long\r\n> "));
    assert!(typed(&mut fake, &mut program, b"help\r").contains("peek ADDRESS"));
    let mut rng = Rng(1);
    let noise: Vec<u8> = (0..20_000).map(|_| rng.below(256) as u8).collect();
    typed(&mut fake, &mut program, &noise);
    assert!(typed(&mut fake, &mut program, b"\rhelp\r").contains("peek ADDRESS"));
}

#[test]
fn console_waits_neither_for_room_nor_keeps_requests_waiting() {
    let (mut fake, mut program) = start(1);
    fake.out_room = Some(0);
    fake.input.extend(b"help\r".repeat(1000));
    fake.request(0, b"beside it", 64);
    let time = fake.time;
    assert!(program.turn(&mut fake) < KICK_CYCLES, "it sleeps though something waits to go out");
    assert_eq!(fake.answers.len(), 1);
    assert!(fake.time - time < 1000, "{} cycles", fake.time - time);
    assert!(fake.input.len() > 4900, "a turn takes a flood");
    while !fake.input.is_empty() {
        program.turn(&mut fake);
    }
    fake.out_room = None;
    assert!(program.turn(&mut fake) == KICK_CYCLES);
    assert!(fake.output.len() <= 512, "{} bytes waited", fake.output.len());
    let lost = typed(&mut fake, &mut program, b"stats\r");
    assert!(lost.contains("lost bytes of this console 1"), "{lost}");
}

#[test]
fn every_turn_kicks_the_watchdog() {
    let (mut fake, mut program) = start(1);
    for turn in 1..100 {
        fake.request(0, &[], 64);
        program.turn(&mut fake);
        assert_eq!(fake.kicks, turn);
    }
}
