//! Clients that break the protocol: the connection ends, the server goes on.
use crate::fake::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::cell::RefCell;
use std::fs::File;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use vfio_user_server::{irq, Server, ServerOptions};

/// A header with any size.
fn header(size: u32, flags: u32) -> Vec<u8> {
    [vec![1, 0, GET_INFO as u8, 0], words([size, flags, 0])].concat()
}

#[test]
fn impossible_sizes_end_the_connection() {
    for size in [0, 1, 15, (1 << 20) + 4097, u32::MAX] {
        let mut setup = Setup::new();
        setup.client.send_raw(&header(size, 0), &[]).unwrap();
        setup.expect_gone();
    }
}

#[test]
fn the_largest_message_is_taken() {
    let mut setup = Setup::new();
    let body = vec![0; (1 << 20) + 4096 - 16];
    assert!(setup.client.ask(99, &body).is_err());
    setup.settle();
}

#[test]
fn what_is_neither_command_nor_reply_ends_the_connection() {
    for flags in [2, 3, 0xf, u32::MAX] {
        let mut setup = Setup::new();
        setup.client.send_raw(&header(16, flags), &[]).unwrap();
        setup.expect_gone();
    }
}

#[test]
fn an_end_within_a_message_ends_the_connection() {
    let message = message(1, REGION_READ, 0, 0, &access(0, 0, 4));
    for bytes in 0..message.len() {
        let mut setup = Setup::new();
        setup.client.send_raw(&message[..bytes], &[]).unwrap();
        setup.client.stream.shutdown(Shutdown::Write).unwrap();
        assert!(!setup.expect_gone().messages.contains_key("REGION_READ"));
    }
}

#[test]
fn messages_may_come_byte_by_byte() {
    let mut setup = Setup::new();
    let message = message(9, REGION_READ, 0, 0, &access(0, 0, 4));
    for byte in message {
        setup.client.send_raw(&[byte], &[]).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(setup.client.answer(9, REGION_READ).map(|reply| reply.len()), Ok(20));
}

#[test]
fn many_messages_may_come_at_once() {
    let mut setup = Setup::new();
    let many: Vec<u8> = (0..1000).flat_map(|id| message(id, REGION_READ, 0, 0, &access(0, 0, 4))).collect();
    setup.client.send_raw(&many, &[]).unwrap();
    for id in 0..1000 {
        setup.client.answer(id, REGION_READ).unwrap();
    }
}

#[test]
fn descriptors_belong_to_the_message_that_they_come_with() {
    let mut setup = Setup::new();
    let file = memfd(0x1000);
    // One without, one with, one without, before any is handled.
    setup.client.send(DMA_MAP, 0, &dma_map(READ_WRITE, 0, 0, 0x1000), &[]);
    setup.client.send(DMA_MAP, 0, &dma_map(READ_WRITE, 0, 0x1000, 0x2000), &[file.as_fd()]);
    setup.client.send(DMA_MAP, 0, &dma_map(READ_WRITE, 0, 0x4000, 0x2000), &[]);
    let failed = [(); 3].map(|()| setup.client.receive().unwrap().flags & FAILED != 0);
    assert_eq!(failed, [false, true, false], "only the second is larger than its file");
}

#[test]
fn descriptors_that_nobody_takes_are_closed() {
    let mut setup = Setup::new();
    for (command, flags) in [(GET_INFO, 0), (99, 0), (DMA_READ, REPLY), (REGION_WRITE, NO_REPLY), (VERSION, 0)] {
        let (write, read) = witness();
        setup.client.send(command, flags, &[0; 32], &[write.as_fd(); 8]);
        drop(write);
        if flags == 0 {
            setup.client.receive().unwrap();
        }
        setup.settle();
        assert!(is_closed(&read), "command {command}");
    }
}

#[test]
fn too_many_descriptors_end_the_connection() {
    for descriptors in [9, 10, 64] {
        let (write, read) = witness();
        let mut setup = Setup::new();
        setup.client.send(GET_INFO, 0, &words([16, 0, 0, 0]), &vec![write.as_fd(); descriptors]);
        drop(write);
        setup.expect_gone();
        assert!(is_closed(&read));
    }
    // In pieces.
    let (write, _read) = witness();
    let mut setup = Setup::new();
    let message = message(1, GET_INFO, 0, 0, &words([16, 0, 0, 0]));
    setup.client.send_raw(&message[..20], &[write.as_fd(); 5]).unwrap();
    setup.client.send_raw(&message[20..], &[write.as_fd(); 5]).unwrap();
    setup.expect_gone();
}

#[test]
fn a_client_that_does_not_read_is_dropped_and_blocks_nobody() {
    let mut setup = Setup::new();
    setup.order(|client| client.dma_write(0, &vec![1; 64 << 16]));
    // A long time after the socket is full; the errors of these fill the rest.
    let request = message(1, 99, 0, 0, &[]);
    let requests = request.repeat(4096);
    let start = Instant::now();
    while setup.client.send_raw(&requests, &[]).is_ok() {
        assert!(start.elapsed() < Duration::from_secs(60), "the server keeps everything");
    }
    assert!(matches!(setup.event(), Event::Detached(_)));
}

/// What a hostile client sends at once.
#[derive(Clone, Debug)]
enum Attack {
    /// Anything.
    Noise(Vec<u8>),
    /// A message of the right size with some command, flags and words in its body, and descriptors.
    Message { command: u16, flags: u32, id: u16, body: Vec<u8>, descriptors: Vec<usize> },
    /// The same with a header that claims another size.
    Lie { command: u16, size: u32, body: Vec<u8> },
}

/// Numbers that tend to hurt, and others.
fn number() -> impl Strategy<Value = u32> {
    let edges = [0, 1, 2, 3, 4, 7, 8, 16, 20, 31, 32, 64, 255, 256, 4096, 1 << 20, 1 << 31, u32::MAX - 1, u32::MAX];
    prop_oneof![3 => proptest::sample::select(edges.to_vec()), 1 => any::<u32>(), 1 => 0..10u32]
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let numbers = proptest::collection::vec(number(), 0..12);
    let noise = proptest::collection::vec(any::<u8>(), 0..5);
    (numbers, noise).prop_map(|(numbers, noise)| numbers.into_iter().flat_map(u32::to_ne_bytes).chain(noise).collect())
}

/// Bodies as they should be, with numbers that may be right.
fn likely() -> impl Strategy<Value = (u16, Vec<u8>)> {
    let offset = || prop_oneof![0..300u64, any::<u64>()];
    let page = || prop_oneof![(0..6u64).prop_map(|page| page * 4096), any::<u64>()];
    prop_oneof![
        (offset(), 0..10u32, 0..300u32)
            .prop_map(|(offset, region, count)| (REGION_READ, access(offset, region, count))),
        (offset(), 0..10u32, 0..70u32).prop_map(|(offset, region, count)| {
            (REGION_WRITE, [access(offset, region, count), vec![3; count as usize]].concat())
        }),
        (0..64u32, 0..6u32, 0..4u32, 0..4u32).prop_map(|(flags, index, start, count)| {
            (SET_IRQS, [set_irqs(flags, index, start, count), vec![1; 4]].concat())
        }),
        (0..4u32, page(), page(), page()).prop_map(|(flags, a, b, c)| (DMA_MAP, dma_map(flags, a, b, c))),
        (0..4u32, page(), page()).prop_map(|(flags, a, b)| (DMA_UNMAP, dma_unmap(flags, a, b))),
        (page(), 0..100u64).prop_map(|(address, bytes)| {
            (DMA_READ, [dma_access(address, bytes), vec![5; bytes as usize]].concat())
        }),
    ]
}

fn attack() -> impl Strategy<Value = Attack> {
    let command = || prop_oneof![5 => 0..18u16, 1 => any::<u16>()];
    let flags = || prop_oneof![8 => Just(0u32), 3 => Just(REPLY), 1 => Just(REPLY | FAILED), 2 => Just(NO_REPLY), 1 => number()];
    let descriptors = || proptest::collection::vec(0..4usize, 0..4);
    prop_oneof![
        1 => proptest::collection::vec(any::<u8>(), 0..200).prop_map(Attack::Noise),
        6 => (command(), flags(), 0..80u16, body(), descriptors())
            .prop_map(|(command, flags, id, body, descriptors)| Attack::Message { command, flags, id, body, descriptors }),
        12 => (likely(), flags(), 0..80u16, descriptors()).prop_map(|((command, body), flags, id, descriptors)| {
            Attack::Message { command, flags, id, body, descriptors }
        }),
        1 => (command(), number(), body()).prop_map(|(command, size, body)| Attack::Lie { command, size, body }),
    ]
}

#[test]
fn whatever_a_client_sends_the_next_one_is_served() {
    const TIME: Duration = Duration::from_secs(4);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let server = Server::bind(&path, ServerOptions::default()).unwrap();
    let setup = RefCell::new(Setup::with(server, || UnixStream::connect(&path).unwrap()));
    let (memory, eventfd, (pipe, _end), root) = (memfd(3 * 4096), new_eventfd(), witness(), File::open("/").unwrap());
    let descriptors = [memory.as_fd(), eventfd.as_fd(), pipe.as_fd(), root.as_fd()];
    let start = Instant::now();
    let config = Config { failure_persistence: None, max_shrink_time: 10_000, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let test = |attacks: Vec<Attack>| {
        let mut setup = setup.borrow_mut();
        setup.reconnect(&path);
        setup.client.agree();
        setup.look(|client| {
            for page in 0..6 {
                client.dma_read(page, page << 12, 100);
                client.dma_write(page << 12, &[page as u8; 100]);
                client.interrupt(irq::MSIX, page as u32 % VECTORS);
                client.interrupt(irq::INTX, 0);
            }
        });
        for attack in &attacks {
            let (bytes, taken) = match attack {
                Attack::Noise(bytes) => (bytes.clone(), vec![]),
                Attack::Message { command, flags, id, body, descriptors } => {
                    (message(*id, *command, *flags, 5, body), descriptors.clone())
                }
                Attack::Lie { command, size, body } => {
                    ([words([u32::from(*command) << 16, *size, 0, 0]), body.clone()].concat(), vec![])
                }
            };
            let taken: Vec<_> = taken.into_iter().map(|index| descriptors[index]).collect();
            // The connection may have ended already.
            if setup.client.send_raw(&bytes, &taken).is_err() {
                break;
            }
        }
        setup.reconnect(&path);
        setup.client.agree();
        setup.settle();
        setup.forget_events();
        Ok(())
    };
    while start.elapsed() < TIME {
        let attacks = proptest::collection::vec(attack(), 1..40).new_tree(&mut runner).unwrap();
        runner.run_one(attacks, test).unwrap();
    }
}
