//! The bridge to the C++ class that loads and runs a Verilated model.
#![allow(unused_qualifications, reason = "cxx writes them")]

#[cxx::bridge(namespace = "virtio_hdl")]
pub(super) mod ffi {
    /// The names of a stream's ports; empty: there is none.
    struct StreamNames {
        /// That of the stream, for messages.
        name: String,
        /// Into the model.
        input: bool,
        valid: String,
        ready: String,
        data: String,
        keep: String,
        last: String,
        /// Data, keep, last and the side ports cross beat by beat.
        beats: bool,
        /// Further ports.
        side: Vec<String>,
    }

    /// The ports that every model has.
    struct Clocking {
        clock: String,
        reset: String,
        /// The reset is active low.
        reset_low: bool,
        /// Empty: there is none, and the model never rests.
        busy: String,
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
        /// The model is at rest, and nothing is on its way to it that it takes.
        Quiescent,
    }

    // SAFETY: what Rust can call here keeps C++ within its own memory, whatever the arguments are.
    //
    // - Numbers of streams and ports are looked up with a check, and what does not exist throws; cxx makes that an `Err`.
    //   Functions that cannot fail take neither.
    // - Buffers of a fixed size are a beat (64 words), a `keep` (32 bits), a level (64 bits) and a watched value (32 bits):
    //   the widths of ports are compared with them where streams are added (`StreamPorts::check`) and ports are looked up
    //   (`Model::narrow`). Packets are compared with the ports of their stream in `InputStream::send`.
    // - A port is a pointer to the model's own storage and a width. The widths are those of `Sources::ports`; the compiler
    //   compares them with the storage when a library is built (see `library.rs`), and a library is loaded from the cache that
    //   `Library` keeps, by a path that nobody outside this module can make.
    // - The storage lives as long as the instance, and the instance as long as its `Model`, which nothing outlives: slices
    //   that it hands out (`events`, `samples`) borrow it, and all that changes it needs it exclusively.
    // - A `Model` stays in the thread that made it: Verilator's runtime keeps state per thread, and `UniquePtr` of an opaque
    //   type is neither `Send` nor `Sync`.
    unsafe extern "C++" {
        include!("virtio-hdl/src/model/cpp/model.hpp");

        type Model;
        fn load(library: &str, seed: u64, clocking: &Clocking) -> Result<UniquePtr<Model>>;
        fn ports_of(library: &str) -> Result<Vec<PortName>>;
        fn ports(&self) -> Vec<PortName>;
        fn add_stream(self: Pin<&mut Model>, names: &StreamNames) -> Result<u32>;
        fn set_pace(self: Pin<&mut Model>, stream: u32, bytes_per_cycle: u64, framing: u32) -> Result<()>;
        fn set_upper_address(self: Pin<&mut Model>, stream: u32, word: u32) -> Result<()>;
        fn set_stall(self: Pin<&mut Model>, stream: u32, share: u32) -> Result<()>;
        fn set_held(self: Pin<&mut Model>, stream: u32, held: bool) -> Result<()>;
        fn set_lookahead(self: Pin<&mut Model>, stream: u32, cycles: u64) -> Result<()>;
        fn set_part(self: Pin<&mut Model>, stream: u32, words: u64) -> Result<u32>;
        fn set_low_water(self: Pin<&mut Model>, stream: u32, words: u64) -> Result<()>;
        fn queued(self: Pin<&mut Model>, stream: u32) -> Result<u64>;
        fn take_back(self: Pin<&mut Model>, stream: u32) -> Result<Vec<u32>>;
        fn share_link(self: Pin<&mut Model>, stream: u32, with: u32) -> Result<()>;
        fn send(self: Pin<&mut Model>, stream: u32, not_before: u64, words: &[u32]) -> Result<()>;
        fn set_level(self: Pin<&mut Model>, port: usize, value: u64) -> Result<()>;
        fn set_level_at(self: Pin<&mut Model>, port: usize, cycle: u64, value: u64) -> Result<()>;
        fn watch(self: Pin<&mut Model>, port: usize) -> Result<u32>;
        fn level(&self, port: usize) -> Result<u64>;
        fn reset(self: Pin<&mut Model>, cycles: u32);
        fn run(self: Pin<&mut Model>, deadline: u64) -> Result<Stop>;
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
