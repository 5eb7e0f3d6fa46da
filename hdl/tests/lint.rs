//! What the tools say of every block's Verilog, and that no X is left of the time before the reset.
use rust_hdl::prelude::*;
use virtio_hdl_rtl::testing::{accepted, starts_known_where};
use virtio_hdl_rtl::{cells, config, control, device, dma, endpoint, pcie, shim, tlp, verilog, virtio};

fn check<U: Block>(uut: U, top: &str) {
    check_where(uut, top, &[]);
}

/// The Verilog of a block, which the tools accept.
fn accepted_verilog<U: Block>(uut: &mut U, top: &str) -> verilog::Design {
    uut.connect_all();
    check_all(uut).unwrap_or_else(|error| panic!("{top}: {error:?}"));
    let design = verilog::print(uut, top).unwrap_or_else(|error| panic!("{error}"));
    accepted(&design);
    design
}

/// With inputs that are not high at any time: see [`starts_known_where`].
fn check_where<U: Block>(mut uut: U, top: &str, allowed: &[(&str, &str)]) {
    let design = accepted_verilog(&mut uut, top);
    let ports = verilog::ports(&uut).unwrap_or_else(|error| panic!("{error}"));
    starts_known_where(&design, &ports, allowed);
}

/// No read is answered here: random answers would come without the data that they announce, and with heads that are unknown. What
/// it shows then is seen with the whole data path.
#[test]
fn available_reader() {
    let uut = virtio::available::AvailableReader::new(1, 256, true);
    check_where(uut, "available_reader", &[("returns_retire_valid", "1'b0")]);
}

/// Slots that nobody has asked for do not come.
#[test]
fn head_guess() {
    check_where(virtio::guess::HeadGuess::default(), "head_guess", &[("returned", "1'b0")]);
}

/// Combinational: before the reset it knows as much as what is around it.
#[test]
fn register_switch() {
    accepted_verilog(&mut endpoint::register_switch::RegisterSwitch::default(), "register_switch");
}

/// Only a context that there is can be freed, once.
#[test]
fn window_reader() {
    let uut = virtio::window::WindowReader::new(1, 256);
    check_where(uut, "window_reader", &[("view_free", "view_ready & ~view_failed & ~view_free")]);
}

macro_rules! blocks {
    ($($name:ident: $uut:expr;)*) => {
        $(
            #[test]
            fn $name() {
                check($uut, stringify!($name));
            }
        )*
    };
}

fn function() -> pcie::FunctionConfig {
    pcie::FunctionConfig {
        vendor_id: 0x1af4,
        device_id: 0x1001,
        revision: 0,
        class: 0x01_0000,
        subsystem_vendor_id: 0x1af4,
        subsystem_id: 2,
        bar0_space: pcie::BarSpace::Io,
        bar0_size: 64,
        vectors: 20,
        max_payload: 1,
        link_speed: 2,
        link_width: 4,
        diagnostics: 16,
    }
}

fn control_options() -> control::ControlOptions {
    let image = include_bytes!("../firmware/rng.bin").to_vec();
    control::ControlOptions { image, memory_bytes: 16 << 10, queues: 2, device_config: vec![], patience: 1 << 20 }
}

blocks! {
    receive_unpack: tlp::receive_unpack::ReceiveUnpack::default();
    transmit_pack: tlp::transmit_pack::TransmitPack::default();
    transmit_arbiter: tlp::transmit_arbiter::TransmitArbiter::default();
    config_space: pcie::ConfigSpace::new(&function());
    msix_table: pcie::MsixTable::new(20);
    messages: pcie::FunctionMessages::default();
    completer: pcie::completer::Completer::new(64, 4096);
    read_engine: dma::SizedReadEngine::new(32, 1000);
    read_engine_64: dma::SizedReadEngine::new(64, 1000);
    write_engine: dma::WriteEngine::default();
    turn_arbiter: dma::TurnArbiter::new(4);
    write_arbiter: dma::WriteArbiter::new(3);
    gather: dma::Gather::<8>::new(3);
    scatter: dma::Scatter::<6>::new(4);
    give_back: dma::GiveBack::default();
    head_runs: virtio::runs::HeadRuns::new(1, 256);
    chain_walker: virtio::walker::ChainWalker::new(256);
    used_writer: virtio::used::UsedWriter::new(1, 256);
    interrupt_decision: virtio::interrupt_decision::InterruptDecision::new(1, 256);
    interrupt_controller: virtio::interrupts::InterruptController::default();
    state_window: endpoint::state_window::StateWindow::new(2, 2, 3, true);
    data_path: endpoint::data_path::DataPath::new(&[virtio::types::Buffers::Both; 2], 256, 64, 1000);
    virtqueue_readable: virtio::queue::Virtqueue::new(256, virtio::types::Buffers::Readable);
    virtqueue_writable: virtio::queue::Virtqueue::new(256, virtio::types::Buffers::Writable);
    diagnostics: endpoint::diagnostics::Diagnostics::new(21);
    blk_device: device::blk::BlkDevice::new(1000);
    net_device: device::net::NetDevice::new(device::net::types::FrameSizes::new(1522), 256);
    net_device_jumbo: device::net::NetDevice::new(device::net::types::FrameSizes::new(9022), 256);
    console_transmit: device::console::transmit::Transmit::default();
    console_receive: device::console::receive::Receive::default();
    console_uart: device::console::uart::Uart::new(16);
    balloon_pages: device::balloon::pages::Pages::default();
    balloon_statistics: device::balloon::statistics::Statistics::default();
    program_ram: cells::ProgramRam::new(1 << 12, &[0x1234_5678, 0x9abc_def0], false);
    program_ram_registered: cells::ProgramRam::new(1 << 10, &[0x1234_5678], true);
    control_processor: control::Processor::default();
    control_mailbox: control::mailbox::Mailbox::default();
    control_registers: control::registers::ControlRegisters::new(16 << 10, 2, &[1, 2], 1000);
    control_registers_no_config: control::registers::ControlRegisters::new(16 << 10, 2, &[], 1000);
    control_block: control::ControlBlock::new(&control_options());
    ram_disk: device::blk::ram_disk::RamDisk::<10>::new("virtio-hdl");
    mac_swap: device::net::mac_swap::MacSwap::default();
    pcie_7series_64: shim::SevenSeries64::new(1);
    pcie_7series_128: shim::SevenSeries128::new(1);
    pcie_usp_128: shim::UltraScalePlus128::new(1);
    pcie_usp_256: shim::UltraScalePlus256::new(1);
}

/// The whole endpoint of every example configuration.
#[test]
fn endpoints() {
    for (name, _) in device::examples() {
        let config = config::EndpointConfig::load(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        accepted(&endpoint::generate(&config).unwrap_or_else(|error| panic!("{name}: {error}")).design);
    }
}

/// Every device behind every hard block.
#[test]
fn endpoints_behind_hard_blocks() {
    for (interface, bits) in [("7-series", 64), ("7-series", 128), ("ultrascale+", 128), ("ultrascale+", 256)] {
        for device in device::TYPES {
            let link = format!("interface = \"{interface}\"\ndata_bits = {bits}\nclock_hz = 250_000_000");
            let ids = match device.virtio_id {
                config::DeviceType::ANY_VIRTIO_ID => "[ids]\nsubsystem = 4\n",
                _ => "",
            };
            let text = format!("device = \"{}\"\n{ids}[link]\n{link}", device.name);
            let config = config::EndpointConfig::parse(&text, "x.toml").unwrap_or_else(|error| panic!("{error}"));
            accepted(&endpoint::generate(&config).unwrap_or_else(|error| panic!("{text}: {error}")).design);
        }
    }
}

/// Time that this thread has been on a processor: other tests run at the same time.
fn processor_time() -> std::time::Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel's figures of a thread");
    let nanoseconds = stat.split(' ').next().and_then(|first| first.parse().ok());
    std::time::Duration::from_nanos(nanoseconds.expect("nanoseconds on a processor"))
}

/// 100 ms in a release build, as the user has it; a build without optimisation takes longer. The best of several runs counts.
#[test]
fn printing_is_quick() {
    let config = config::EndpointConfig::blk();
    let run = |_| {
        let start = processor_time();
        let lines = endpoint::generate(&config).map(|generated| generated.design.single_file().lines().count());
        (processor_time() - start, lines.unwrap_or_else(|error| panic!("{error}")))
    };
    let (time, lines) = (0..5).map(run).min().expect("five runs");
    println!("{lines} lines in {time:?}");
    let limit = if cfg!(debug_assertions) { 300 } else { 100 };
    assert!(time.as_millis() < limit, "{lines} lines in {time:?}");
}
