//! The bridge to the C++ class that loads and runs a Verilated model.

#[cxx::bridge(namespace = "virtio_hdl")]
pub(super) mod ffi {
    /// The ports of a stream: `NAME_valid`, `NAME_ready` and those said to be there.
    struct StreamNames {
        name: String,
        /// Into the model.
        input: bool,
        data: bool,
        keep: bool,
        last: bool,
        /// An AXI4-Stream: `NAME_tvalid`, `tready`, `tdata`, `tkeep`, `tlast`, `tuser`, which cross beat by beat.
        beats: bool,
        /// Names of further ports, without the stream's name and the underscore; empty: the stream's name itself.
        side: Vec<String>,
    }

    /// A port of the top module, in the order of its ports.
    struct PortName {
        name: String,
        /// Bits.
        width: u32,
        /// Bytes of its storage, hence of its place in a sample.
        bytes: u32,
        input: bool,
    }

    /// A run of the bare model.
    struct Replayed {
        cycles: u64,
        seconds: f64,
    }

    /// Why a run stopped.
    #[derive(Debug)]
    enum Stop {
        /// A packet left the model, and the lookahead has passed.
        Event,
        /// The deadline was reached.
        Deadline,
        /// The model is at rest and nothing is on its way to it.
        Quiescent,
    }

    unsafe extern "C++" {
        include!("virtio-hdl/src/model/cpp/model.hpp");

        type Model;
        fn load(library: &str, seed: u64) -> Result<UniquePtr<Model>>;
        fn ports(&self) -> Vec<PortName>;
        fn add_stream(self: Pin<&mut Model>, names: &StreamNames) -> Result<u32>;
        fn set_pace(self: Pin<&mut Model>, stream: u32, bytes_per_cycle: u64, framing: u32) -> Result<()>;
        fn set_stall(self: Pin<&mut Model>, stream: u32, share: u32) -> Result<()>;
        fn set_lookahead(self: Pin<&mut Model>, stream: u32, cycles: u64) -> Result<()>;
        fn share_link(self: Pin<&mut Model>, stream: u32, with: u32) -> Result<()>;
        fn send(self: Pin<&mut Model>, stream: u32, not_before: u64, words: &[u32]) -> Result<()>;
        fn set_level(self: Pin<&mut Model>, port: usize, value: u64);
        fn set_level_at(self: Pin<&mut Model>, port: usize, cycle: u64, value: u64);
        fn watch(self: Pin<&mut Model>, port: usize) -> u32;
        fn level(&self, port: usize) -> u64;
        fn reset(self: Pin<&mut Model>, cycles: u32);
        fn run(self: Pin<&mut Model>, deadline: u64) -> Stop;
        fn cycle(&self) -> u64;
        fn clocked(&self) -> u64;
        fn skip_to(self: Pin<&mut Model>, cycle: u64);
        fn events(&self) -> &[u32];
        fn clear_events(self: Pin<&mut Model>);
        fn sample(self: Pin<&mut Model>, from: u64, to: u64);
        fn samples(&self) -> &[u8];
        fn clear_samples(self: Pin<&mut Model>);
        fn record(self: Pin<&mut Model>);
        fn replay(&self) -> Result<Replayed>;
        fn replay_matches(&self) -> Result<bool>;
    }
}
