//! A disk behind an endpoint, with a driver bound to it and buffers in memory: what the tests of the whole device need.
use super::{bound, example, impatient};
use virtio_hdl::backend::Disk;
use virtio_hdl::host::blk::{Blk, Ended, Operation, Options, Request, Ticket};
use virtio_hdl::host::pci::Bus;
use virtio_hdl::host::ring::{Buffer, Descriptor, Shape};
use virtio_hdl::host::{Platform, Width};
use virtio_hdl::link::{CompletionStatus, HostRequest};
use virtio_hdl::machine::{Machine, MachineOptions, SLOT};
use virtio_hdl_rtl::config::EndpointConfig;
use virtio_hdl_rtl::pcie::layout as pci;
use virtio_hdl_rtl::pcie::registers::{DIAGNOSTICS, DIAGNOSTICS_OFFSET, MSIX_PBA_OFFSET};
use virtio_hdl_rtl::virtio::layout;
use vm_memory::{Bytes, GuestAddress};

/// Sectors of the disk.
pub const SECTORS: u64 = 4096;
/// Cycles in which everything that is going to happen has happened; longer than the completion timeout of an [`impatient`] endpoint.
pub const LONG: u64 = 60_000;
/// Cycles after which a request has been lost; longer than the completion timeout.
pub const PATIENCE: u64 = 5_000_000;

/// The machine, its bus, the driver, and where the buffers lie.
pub struct Setup {
    /// The machine.
    pub machine: Machine,
    /// Its functions.
    pub bus: Bus,
    /// The driver of its disk.
    pub blk: Blk,
    /// Guest memory for the buffers of requests.
    pub buffers: u64,
}

/// Bytes of guest memory for the tests' buffers.
const BUFFER_BYTES: u64 = 1 << 20;

/// Behind the plain example's endpoint.
pub fn setup(options: &MachineOptions, driver: &Options) -> Setup {
    setup_of(&example("blk"), options, driver)
}

/// Behind this endpoint.
pub fn setup_of(config: &EndpointConfig, options: &MachineOptions, driver: &Options) -> Setup {
    let mut disk = Disk::in_memory(SECTORS).with_serial(&config.blk_options().serial);
    for sector in 0..SECTORS {
        disk.write(sector, &content(sector)).unwrap();
    }
    let (mut machine, bus, blk) = bound(config, disk, options, driver);
    let buffers = machine.allocate(BUFFER_BYTES, 4096).unwrap();
    Setup { machine, bus, blk, buffers }
}

/// With nothing special.
pub fn default_setup() -> Setup {
    setup(&MachineOptions::default(), &Options::default())
}

/// Behind an endpoint that gives a read up within [`LONG`].
pub fn impatient_setup() -> Setup {
    setup_of(&impatient(example("blk")), &MachineOptions::default(), &Options::default())
}

/// What a sector holds at first.
pub fn content(sector: u64) -> [u8; 512] {
    std::array::from_fn(|i| (sector.wrapping_mul(0x9e37) >> 3) as u8 ^ i as u8)
}

impl Setup {
    /// A request for the `n`th 4 KiB of disk and buffers.
    pub fn request(&self, operation: Operation, n: u64) -> Request {
        let address = self.buffers + 4096 * n;
        let writable = operation == Operation::In;
        let data = vec![Buffer { address, bytes: 4096, writable }];
        Request { operation, sector: 8 * n, data, shape: Shape::Direct }
    }

    /// Submits it.
    pub fn submit(&mut self, operation: Operation, n: u64) -> Ticket {
        let request = self.request(operation, n);
        self.blk.submit(&mut self.machine, &request).unwrap()
    }

    /// 32 reads on their way.
    pub fn begin_reads(&mut self) {
        for n in 0..32 {
            self.submit(Operation::In, n);
        }
        self.blk.kick(&mut self.machine).unwrap();
        self.machine.run(700);
    }

    /// What they must have brought.
    pub fn expect_reads(&mut self) {
        for n in 0..32 {
            let mut data = vec![0; 4096];
            self.machine.memory().read_slice(&mut data, GuestAddress(self.buffers + 4096 * n)).unwrap();
            for (i, sector) in data.chunks(512).enumerate() {
                assert!(sector == content(8 * n + i as u64), "sector {}", 8 * n + i as u64);
            }
        }
    }

    /// Waits until nothing is in flight.
    pub fn wait_all(&mut self) -> Vec<Ended> {
        let mut ended = vec![];
        while self.blk.in_flight() > 0 {
            let deadline = self.machine.now() + PATIENCE;
            ended.extend(self.blk.wait(&mut self.machine, deadline).unwrap_or_else(|error| panic!("{error}")));
        }
        ended
    }

    /// A field of the diagnostics.
    pub fn diagnostic(&mut self, field: u16) -> u32 {
        self.machine.config_read(SLOT, DIAGNOSTICS + 4 * field, Width::Double)
    }

    /// A field of the diagnostics by way of BAR1.
    pub fn window(&mut self, field: u64) -> u32 {
        let address = self.bus.function(SLOT).unwrap().bar(1).unwrap().address;
        self.machine.mmio_read(address + u64::from(DIAGNOSTICS_OFFSET) + 4 * field, Width::Double)
    }

    /// Packets that the device has sent of its own accord.
    pub fn initiated(&self) -> (u64, u64, u64) {
        let statistics = self.machine.statistics();
        (statistics.reads, statistics.writes, statistics.interrupts)
    }

    /// Writes and reads.
    pub fn assert_works(&mut self) {
        let data = [0x5au8; 1024];
        self.blk.write(&mut self.machine, 100, &data).unwrap();
        let mut back = [0; 1024];
        self.blk.read(&mut self.machine, 100, &mut back).unwrap();
        assert_eq!(back, data);
        self.machine.check().unwrap();
    }

    /// Unbinds and binds the driver again, as after a fault.
    pub fn probe_again(mut self) -> Setup {
        self.blk.remove(&mut self.machine, &mut self.bus).unwrap();
        self.blk = Blk::probe(&mut self.machine, &mut self.bus, SLOT, &Options::default()).unwrap();
        self
    }

    /// Where the ring lies, and its size.
    pub fn ring(&mut self) -> (u64, u16) {
        (self.blk.queue().address(), self.blk.queue().size())
    }

    /// Writes a descriptor of the ring.
    pub fn descriptor(&mut self, index: u16, address: u64, bytes: u32, flags: u16, next: u16) {
        let descriptor = Descriptor { address, bytes, flags, next };
        self.blk.queue_mut().write_descriptor(self.machine.memory(), index, descriptor).unwrap();
    }

    /// Writes one of the indirect table.
    pub fn table_entry(&mut self, index: u64, address: u64, bytes: u32, flags: u16, next: u16) {
        let descriptor = Descriptor { address, bytes, flags, next };
        let place = self.table() + 16 * index;
        self.machine.memory().write_slice(&descriptor.to_bytes(), GuestAddress(place)).unwrap();
    }

    /// An indirect table among the buffers.
    pub fn table(&self) -> u64 {
        self.buffers + 0xf0000
    }

    /// Offers a chain.
    pub fn offer(&mut self, head: u16) {
        self.blk.queue_mut().offer(self.machine.memory(), head).unwrap();
    }

    /// A vector that is masked, by itself or with its function, stays pending, and is delivered when it is unmasked.
    pub fn expect_masked_vectors_pending(&mut self, what: &str) {
        let function = self.bus.function(SLOT).unwrap();
        let (table, msix) = (function.bar(1).unwrap(), function.capability(pci::CAPABILITY_MSIX).unwrap());
        let msix = msix + pci::MSIX_CONTROL;
        let control = self.machine.config_read(SLOT, msix, Width::Word);
        for by_function in [false, true] {
            let set = |s: &mut Setup, masked: bool| {
                if by_function {
                    let mask = if masked { u32::from(pci::MSIX_CONTROL_MASK) } else { 0 };
                    s.machine.config_write(SLOT, msix, Width::Word, control | mask);
                } else {
                    for vector in 0..2 {
                        table.write(&mut s.machine, 16 * vector + 12, Width::Double, u32::from(masked));
                    }
                }
            };
            set(self, true);
            self.submit(Operation::In, 0);
            self.blk.kick(&mut self.machine).unwrap();
            let deadline = self.machine.now() + LONG;
            assert_eq!(self.machine.wait_interrupt(deadline), None, "{what}: an interrupt of a masked vector");
            assert_ne!(table.read(&mut self.machine, MSIX_PBA_OFFSET, Width::Double), 0, "{what}: nothing is pending");
            set(self, false);
            let deadline = self.machine.now() + LONG;
            assert!(self.machine.wait_interrupt(deadline).is_some(), "{what}: not delivered on unmask");
            assert_eq!(self.blk.poll(&mut self.machine).unwrap().len(), 1);
            assert_eq!(table.read(&mut self.machine, MSIX_PBA_OFFSET, Width::Double), 0, "{what}: still pending");
        }
    }

    /// Of a driver with INTx only: a sleeping function does not interrupt, however long its interrupt has been due. The
    /// line is down from the first to the last moment of the sleep, and comes up in D0.
    pub fn expect_no_intx_from_sleep(&mut self, what: &str) {
        let function = self.bus.function(SLOT).unwrap().clone();
        let pending =
            |s: &mut Setup| s.machine.config_read(SLOT, pci::STATUS, Width::Word) as u16 & pci::STATUS_INTERRUPT != 0;
        // due before the sleep, and asserted
        self.submit(Operation::In, 0);
        self.blk.kick(&mut self.machine).unwrap();
        self.machine.run(LONG);
        assert!(self.machine.root().intx(), "{what}: no interrupt");
        function.set_power_state(&mut self.machine, 3).unwrap();
        self.machine.run(LONG);
        assert!(!self.machine.root().intx(), "{what}: asserted by a function that sleeps");
        assert!(pending(self), "{what}: Interrupt Status is forgotten");
        function.set_power_state(&mut self.machine, 0).unwrap();
        self.machine.run(LONG);
        assert!(self.machine.root().intx(), "{what}: forgotten in the sleep");
        assert_eq!(self.blk.transport().read(&mut self.machine, layout::ISR, Width::Byte) & 1, 1);
        assert_eq!(self.blk.poll(&mut self.machine).unwrap().len(), 1);
        self.machine.run(LONG);
        assert!(!self.machine.root().intx(), "{what}: asserted for nothing");
        // due at any moment around the beginning of the sleep
        for delay in (0..4000).step_by(250) {
            self.submit(Operation::In, 0);
            self.blk.kick(&mut self.machine).unwrap();
            self.machine.run(delay);
            function.set_power_state(&mut self.machine, 3).unwrap();
            // a level that was on its way arrives, and goes again
            self.machine.run(2000);
            for _ in 0..20 {
                self.machine.run(500);
                assert!(!self.machine.root().intx(), "{what}: asserted in D3hot, {delay} cycles after the kick");
            }
            function.set_power_state(&mut self.machine, 0).unwrap();
            self.wait_all();
        }
    }

    /// Makes a request of the host's processor and waits: status and bytes read.
    pub fn ask(&mut self, request: HostRequest) -> (Option<CompletionStatus>, Vec<u8>) {
        let now = self.machine.now();
        let id = self.machine.root().submit(now, request).unwrap();
        loop {
            if let Some(completion) = self.machine.root().completed(id) {
                return (completion.status, completion.data);
            }
            self.machine.advance(u64::MAX);
            self.machine.check().unwrap();
        }
    }
}
