//! VERSION, the information commands, register accesses, reset, and what is not supported.
use crate::fake::*;
use vfio_user_server::{irq, region, Errno, ServerOptions};

#[test]
fn version_is_0_0_whatever_minor_version_the_client_has() {
    for minor in [0, 1, 7, u16::MAX] {
        let mut setup = Setup::silent(ServerOptions::default());
        let reply = setup.client.ask(VERSION, &version(0, minor, "{}")).unwrap();
        assert_eq!(reply[..4], [0; 4]);
        assert!(reply.len() - 4 <= 214);
        let json = reply[4..].strip_suffix(b"\0").expect("terminated by NUL");
        let json: serde_json::Value = serde_json::from_slice(json).unwrap();
        assert_eq!(json, serde_json::json!({"capabilities": {"max_msg_fds": 8, "max_data_xfer_size": 1 << 20}}));
        assert_eq!(setup.event(), Event::Attached);
    }
}

#[test]
fn version_with_another_major_is_refused_and_can_be_asked_again() {
    let mut setup = Setup::silent(ServerOptions::default());
    for major in [1, 256, u16::MAX] {
        assert_eq!(setup.client.ask(VERSION, &version(major, 0, "{}")), Err(Errno::INVAL));
    }
    assert_eq!(setup.client.ask(GET_INFO, &words([16, 0, 0, 0])), Err(Errno::PROTO));
    setup.client.agree();
    assert_eq!(setup.event(), Event::Attached);
}

#[test]
fn version_comes_once() {
    let mut setup = Setup::new();
    assert_eq!(setup.client.ask(VERSION, &version(0, 0, "{}")), Err(Errno::INVAL));
    setup.expect_no_event();
}

#[test]
fn version_needs_no_capabilities_but_readable_ones() {
    for body in [vec![0; 4], vec![0; 5], version(0, 0, r#"{"capabilities":{"of_the_future":[1]}}"#)] {
        Setup::silent(ServerOptions::default()).client.ask(VERSION, &body).unwrap();
    }
    let deep = "[".repeat(100_000);
    let mut setup = Setup::silent(ServerOptions::default());
    for json in ["{", "7", "\0\0", r#"{"capabilities":{"max_data_xfer_size":"all"}}"#, &deep] {
        assert_eq!(setup.client.ask(VERSION, &version(0, 0, json)), Err(Errno::INVAL));
    }
    assert_eq!(setup.client.ask(VERSION, &[0; 3]), Err(Errno::INVAL));
    assert_eq!(setup.client.ask(VERSION, &[0, 0, 0, 0, b'"', 0xff, b'"', 0]), Err(Errno::INVAL));
}

#[test]
fn commands_before_version_are_refused() {
    let mut setup = Setup::silent(ServerOptions::default());
    for command in (2..20).chain([0, u16::MAX]) {
        assert_eq!(setup.client.ask(command, &[0; 64]), Err(Errno::PROTO), "command {command}");
    }
    // A reply asks for nothing and gets nothing; a posted command neither.
    setup.client.send(DMA_READ, REPLY, &[0; 64], &[]);
    setup.client.send(REGION_WRITE, NO_REPLY, &[0; 64], &[]);
    setup.client.agree();
    assert_eq!(setup.event(), Event::Attached);
}

#[test]
fn device_is_pci_with_reset_9_regions_and_5_interrupts() {
    let mut setup = Setup::new();
    assert_eq!(setup.client.ask(GET_INFO, &words([16, 0, 0, 0])), Ok(words([16, 3, 9, 5])));
    assert_eq!(setup.client.ask(GET_INFO, &words([99, 0, 0, 0])), Ok(words([16, 3, 9, 5])));
    for wrong in [vec![], vec![16, 0], words([16, 0, 0]), words([15, 0, 0, 0])] {
        assert_eq!(setup.client.ask(GET_INFO, &wrong), Err(Errno::INVAL));
    }
}

/// A client with a later version of the structure waits for all of it, and never for more than `argsz` says.
#[test]
fn device_info_is_as_long_as_the_clients_structure() {
    let mut setup = Setup::new();
    assert_eq!(setup.client.ask(GET_INFO, &words([20, 0, 0, 0, 0])), Ok(words([20, 3, 9, 5, 0])));
    assert_eq!(setup.client.ask(GET_INFO, &words([24, 0, 0, 0, 0, 0])), Ok(words([24, 3, 9, 5, 0, 0])));
    assert_eq!(setup.client.ask(GET_INFO, &words([99, 0, 0, 0, 0, 0, 0])), Ok(words([24, 3, 9, 5, 0, 0])));
    assert_eq!(setup.client.ask(GET_INFO, &words([16, 0, 0, 0, 0])), Ok(words([16, 3, 9, 5])));
    assert_eq!(setup.client.ask(GET_INFO, &words([u32::MAX, 0, 0, 0, 0])), Ok(words([20, 3, 9, 5, 0])));
}

#[test]
fn regions_are_readable_and_writable_or_not_there() {
    let mut setup = Setup::new();
    for index in 0..9 {
        let (flags, size) = match index {
            region::BAR0 => (3, BAR0_BYTES as u64),
            region::CONFIG => (3, CONFIG_BYTES as u64),
            _ => (0, 0),
        };
        let expected = [words([32, flags, index, 0]), [size, 0].map(u64::to_ne_bytes).concat()].concat();
        assert_eq!(setup.client.ask(GET_REGION_INFO, &words([32, 0, index, 0, 0, 0, 0, 0])), Ok(expected));
    }
    for index in [9, u32::MAX] {
        assert_eq!(setup.client.ask(GET_REGION_INFO, &words([32, 0, index, 0, 0, 0, 0, 0])), Err(Errno::INVAL));
    }
    assert_eq!(setup.client.ask(GET_REGION_INFO, &words([32, 0, 0, 0, 0, 0, 0])), Err(Errno::INVAL));
    assert_eq!(setup.client.ask(GET_REGION_INFO, &words([31, 0, 0, 0, 0, 0, 0, 0])), Err(Errno::INVAL));
}

#[test]
fn interrupt_flags_follow_from_the_index() {
    let mut setup = Setup::new();
    let expected = [(irq::INTX, 7, 1), (irq::MSI, 0, 0), (irq::MSIX, 1, VECTORS), (irq::ERR, 1, 1), (irq::REQ, 1, 1)];
    for (index, flags, vectors) in expected {
        assert_eq!(setup.client.ask(GET_IRQ_INFO, &words([16, 0, index, 0])), Ok(words([16, flags, index, vectors])));
    }
    for index in [5, u32::MAX] {
        assert_eq!(setup.client.ask(GET_IRQ_INFO, &words([16, 0, index, 0])), Err(Errno::INVAL));
    }
    assert_eq!(setup.client.ask(GET_IRQ_INFO, &words([16, 0, 0])), Err(Errno::INVAL));
    assert_eq!(setup.client.ask(GET_IRQ_INFO, &words([15, 0, 0, 0])), Err(Errno::INVAL));
}

#[test]
fn registers_are_written_and_read_and_counted() {
    let mut setup = Setup::new();
    assert_eq!(setup.client.write_region(region::BAR0, 8, &[1, 2, 3, 4]), Ok(access(8, region::BAR0, 4)));
    assert_eq!(setup.client.read_region(region::BAR0, 9, 2), Ok(vec![2, 3]));
    assert_eq!(setup.client.read_region(region::CONFIG, 0, CONFIG_BYTES as u32), Ok(vec![0; CONFIG_BYTES]));
    assert_eq!(setup.client.write_region(region::CONFIG, CONFIG_BYTES as u64 - 1, &[9]), Ok(access(255, 7, 1)));
    assert_eq!(setup.client.read_region(region::CONFIG, CONFIG_BYTES as u64 - 1, 1), Ok(vec![9]));
    drop(setup.client.stream.shutdown(std::net::Shutdown::Write));
    let statistics = setup.expect_gone();
    assert_eq!(statistics.region_reads, [1, 0, 0, 0, 0, 0, 0, 2, 0]);
    assert_eq!(statistics.region_writes, [1, 0, 0, 0, 0, 0, 0, 1, 0]);
    assert_eq!(statistics.messages, [("REGION_READ", 3), ("REGION_WRITE", 2), ("VERSION", 1)].into());
}

#[test]
fn accesses_outside_a_region_never_reach_the_device() {
    let mut setup = Setup::new();
    let end = BAR0_BYTES as u64;
    for (offset, region, bytes) in [
        (end, region::BAR0, 1),
        (end - 1, region::BAR0, 2),
        (0, region::BAR0, end as u32 + 1),
        (0, region::BAR0, 0),
        (u64::MAX, region::BAR0, 1),
        (u64::MAX - 3, region::BAR0, 4),
        (0, region::BAR1, 1),
        (0, region::VGA, 1),
        (0, region::COUNT, 1),
        (0, u32::MAX, 1),
        (0, region::CONFIG, (1 << 20) + 1),
        (0, region::CONFIG, u32::MAX),
    ] {
        let head = access(offset, region, bytes);
        assert_eq!(setup.client.ask(REGION_READ, &head), Err(Errno::INVAL), "read {offset:#x} {region} {bytes}");
        let data = vec![0; bytes.min((1 << 20) + 1) as usize];
        let write = [head, data].concat();
        assert_eq!(setup.client.ask(REGION_WRITE, &write), Err(Errno::INVAL), "write {offset:#x} {region} {bytes}");
    }
    assert_eq!(setup.statistics().region_reads, [0; 9]);
}

#[test]
fn register_messages_of_the_wrong_length_are_refused() {
    let mut setup = Setup::new();
    let head = access(0, region::BAR0, 4);
    for body in [vec![], head[..15].to_vec(), [&head[..], &[0]].concat()] {
        assert_eq!(setup.client.ask(REGION_READ, &body), Err(Errno::INVAL));
    }
    for bytes in [0, 3, 5] {
        assert_eq!(setup.client.ask(REGION_WRITE, &[head.clone(), vec![1; bytes]].concat()), Err(Errno::INVAL));
    }
    assert_eq!(setup.client.ask(REGION_WRITE, &head[..15]), Err(Errno::INVAL));
    assert_eq!(setup.client.read_region(region::BAR0, 0, 4), Ok(vec![0; 4]));
}

#[test]
fn posted_writes_have_no_reply_not_even_when_they_fail() {
    let mut setup = Setup::new();
    setup.client.send(REGION_WRITE, NO_REPLY, &[access(4, region::BAR0, 1), vec![7]].concat(), &[]);
    setup.client.send(REGION_WRITE, NO_REPLY, &[access(BROKEN_REGISTER, region::BAR0, 1), vec![7]].concat(), &[]);
    setup.client.send(REGION_WRITE, NO_REPLY, &[access(4, region::BAR5, 1), vec![7]].concat(), &[]);
    setup.client.send(99, NO_REPLY, &[1; 100], &[]);
    assert_eq!(setup.client.read_region(region::BAR0, 4, 1), Ok(vec![7]));
}

#[test]
fn errors_of_the_device_reach_the_client() {
    let mut setup = Setup::new();
    assert_eq!(setup.client.read_region(region::BAR0, BROKEN_REGISTER, 1), Err(Errno::IO));
    assert_eq!(setup.client.write_region(region::BAR0, BROKEN_REGISTER, &[1]), Err(Errno::IO));
    let statistics = setup.statistics();
    assert_eq!((statistics.region_reads[0], statistics.region_writes[0]), (0, 0));
}

#[test]
fn reset_reaches_the_device() {
    let mut setup = Setup::new();
    assert_eq!(setup.client.ask(RESET, &[]), Ok(vec![]));
    assert_eq!(setup.event(), Event::Reset);
}

#[test]
fn what_is_not_supported_leaves_the_stream_in_step() {
    let mut setup = Setup::new();
    for command in [0, 6, DMA_READ, DMA_WRITE, 14, 15, 16, 99, u16::MAX] {
        for bytes in [0, 1, 4096, 1 << 20] {
            assert_eq!(setup.client.ask(command, &vec![0xff; bytes]), Err(Errno::NOTSUP), "command {command}");
        }
    }
    setup.settle();
}
