//! virtio-blk on the Verilated endpoint, driven by the host model.
use virtio_hdl::backend::{Disk, DiskPort};
use virtio_hdl::control::Command;
use virtio_hdl::host::blk::{Blk, Operation, Options, Request, Status};
use virtio_hdl::host::pci::Bus;
use virtio_hdl::host::ring::{Buffer, Shape};
use virtio_hdl::host::Platform;
use virtio_hdl::link::CompletionCut;
use virtio_hdl::machine::{Machine, MachineOptions};
use virtio_hdl::model::{DeviceSide as _, Stall};
use virtio_hdl::scenario::{depth, random};
use virtio_hdl_tests::{bound, example};
use vm_memory::{Bytes, GuestAddress};

const SECTORS: u64 = 2048;

fn disk(options: &MachineOptions, driver: &Options) -> (Machine, Bus, Blk) {
    let config = example("blk");
    bound(&config, Disk::in_memory(SECTORS).with_serial(&config.blk_options().serial), options, driver)
}

#[test]
fn reads_what_it_wrote() {
    let (mut machine, _, mut blk) = disk(&MachineOptions::default(), &Options::default());
    let data: Vec<u8> = (0..8192u32).map(|i| ((i * 7) >> 3) as u8).collect();
    blk.write(&mut machine, 3, &data).unwrap();
    blk.flush(&mut machine).unwrap();
    let mut back = vec![0; data.len()];
    blk.read(&mut machine, 3, &mut back).unwrap();
    assert!(back == data);
    let mut behind = vec![0; data.len()];
    machine.side::<DiskPort>().unwrap().disk().read(3, &mut behind).unwrap();
    assert!(behind == data, "the disk behind the device has it");
    assert_eq!(blk.id(&mut machine).unwrap(), "virtio-hdl");
    machine.check().unwrap();
}

#[test]
fn random_requests_do_what_a_disk_does() {
    for seed in 0..3 {
        let mut options = MachineOptions::default();
        options.link.seed = seed;
        options.link.completion_cut = CompletionCut::Random;
        options.stall = Stall { receive: 20, transmit: 20, device: 40 };
        let driver = Options { scatter: Some(seed), ..Options::default() };
        let (mut machine, _, mut blk) = disk(&options, &driver);
        let mut content = vec![0; (SECTORS * 512) as usize];
        let run = random::Options {
            requests: 2000,
            depth: 32,
            seed,
            serial: example("blk").blk_options().serial.clone(),
            read_only: false,
            strict: true,
        };
        let report = random::run(&mut machine, &mut blk, &mut content, &run, &mut |_| {})
            .unwrap_or_else(|error| panic!("{error}"));
        println!("{report:?}");
        let mut behind = vec![0; content.len()];
        machine.side::<DiskPort>().unwrap().disk().read(0, &mut behind).unwrap();
        assert!(behind == content, "seed {seed}: the disk is not what it should be");
        machine.check().unwrap();
    }
}

/// A guest may ask for gigabytes at once.
#[test]
fn long_requests_go_in_pieces_and_take_little_memory() {
    let config = example("blk");
    let bytes = 6_u32 << 20;
    let sectors = 2 * u64::from(bytes) / 512;
    let (mut machine, _, mut blk) =
        bound(&config, Disk::in_memory(sectors), &MachineOptions::default(), &Options::default());
    let buffer = machine.allocate(bytes.into(), 4096).unwrap();
    let content: Vec<u8> = (0..bytes).map(|i| (i ^ i >> 9) as u8).collect();
    machine.memory().write_slice(&content, GuestAddress(buffer)).unwrap();
    for (operation, writable) in [(Operation::Out, false), (Operation::In, true)] {
        let data = vec![Buffer { address: buffer, bytes, writable }];
        let request = Request { operation, sector: 8, data, shape: Shape::Direct };
        blk.submit(&mut machine, &request).unwrap();
        blk.kick(&mut machine).unwrap();
        let mut most = 0;
        let ended = loop {
            machine.run(5000);
            let (port, endpoint) = machine.side_and_endpoint::<DiskPort>().unwrap();
            most = most.max(port.ports().unwrap().read_queued(endpoint).unwrap());
            if let Some(ended) = blk.poll(&mut machine).unwrap().pop() {
                break ended;
            }
            machine.check().unwrap();
        };
        assert_eq!(ended.status, Status::Ok);
        assert!(most <= 4 << 20, "{most} bytes are kept for the endpoint");
        if operation == Operation::Out {
            let mut behind = vec![0; bytes as usize];
            machine.side::<DiskPort>().unwrap().disk().read(8, &mut behind).unwrap();
            assert!(behind == content, "what is on the disk is not what was written");
            machine.memory().write_slice(&vec![0; bytes as usize], GuestAddress(buffer)).unwrap();
        }
    }
    let mut back = vec![0; bytes as usize];
    machine.memory().read_slice(&mut back, GuestAddress(buffer)).unwrap();
    assert!(back == content, "what was read is not what was written");
}

/// A read that has been answered goes on, though the disk ends before it by now; the next one fails.
#[test]
fn a_disk_that_shrinks_amid_a_long_read_finishes_it() {
    let config = example("blk");
    let bytes = 6_u32 << 20;
    let sectors = 2 * u64::from(bytes) / 512;
    let (mut machine, _, mut blk) =
        bound(&config, Disk::in_memory(sectors), &MachineOptions::default(), &Options::default());
    let address = machine.allocate(bytes.into(), 4096).unwrap();
    let data = vec![Buffer { address, bytes, writable: true }];
    let request = Request { operation: Operation::In, sector: 8, data, shape: Shape::Direct };
    let mut ended = |shrinks: bool| {
        blk.submit(&mut machine, &request).unwrap();
        blk.kick(&mut machine).unwrap();
        loop {
            machine.run(5000);
            let (port, endpoint) = machine.side_and_endpoint::<DiskPort>().unwrap();
            if shrinks && port.ports().unwrap().read_queued(endpoint).unwrap() > 0 {
                port.control(&Command::Capacity { sectors: 8 }, endpoint).unwrap();
            }
            if let Some(ended) = blk.poll(&mut machine).unwrap().pop() {
                break ended.status;
            }
            machine.check().unwrap();
        }
    };
    assert_eq!((ended(true), ended(false)), (Status::Ok, Status::IoError));
}

#[test]
fn reads_and_writes_at_depth_32_keep_the_link_busy() {
    for write in [false, true] {
        let machine_options = MachineOptions::default();
        let (mut machine, _, mut blk) = disk(&machine_options, &Options::default());
        for depth in [1, 32] {
            let run = depth::Options { write, bytes: 4096, depth, requests: 10 * depth as u64, seed: 1 };
            let figures = depth::run(&mut machine, &mut blk, &machine_options.link, &run)
                .unwrap_or_else(|error| panic!("{error}"));
            println!("{figures:?}");
            assert!(depth == 1 || figures.share >= 0.9, "{figures:?}");
        }
    }
}

/// 20 bytes are asked for at most, and whatever there is behind them in the buffer becomes zero; the next read is whole.
#[test]
fn get_id_fills_a_buffer_of_any_size() {
    let (mut machine, _, mut blk) = disk(&MachineOptions::default(), &Options::default());
    let mut content = [0; 4096];
    content.iter_mut().enumerate().for_each(|(i, byte)| *byte = i as u8 ^ 0x5a);
    blk.write(&mut machine, 8, &content).unwrap();
    let address = machine.allocate(16384, 4096).unwrap();
    for bytes in [1, 5, 10, 11, 16, 19, 20, 21, 32, 33, 36, 48, 512, 4096, 10_000] {
        machine.memory().write_slice(&[0xee; 16384], GuestAddress(address)).unwrap();
        let data = vec![Buffer::writable(address, bytes)];
        let request = Request { operation: Operation::GetId, sector: 0, data, shape: Shape::Direct };
        assert_eq!(blk.execute(&mut machine, &request, 1_000_000).unwrap(), Status::Ok, "{bytes} bytes");
        let mut name = vec![0; 16384];
        machine.memory().read_slice(&mut name, GuestAddress(address)).unwrap();
        let mut expected = [example("blk").blk_options().serial.as_bytes(), &[0; 16384]].concat();
        expected.truncate(bytes as usize);
        expected.resize(16384, 0xee);
        assert!(name == expected, "{bytes} bytes: {:?}", &name[..bytes as usize + 1]);
        let mut back = [0; 4096];
        blk.read(&mut machine, 8, &mut back).unwrap();
        assert!(back == content, "the read behind get id of {bytes} bytes");
    }
    machine.check().unwrap();
}
