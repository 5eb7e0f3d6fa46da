// The cycle loop: one clock, any number of streams in and out, and levels. Rust calls it for batches of cycles.
#pragma once
#include "recorder.hpp"
#include "rust/cxx.h"
#include "stream.hpp"
#include <algorithm>
#include <map>
#include <memory>

namespace virtio_hdl {

// Shared with Rust; cxx writes their definitions.
struct StreamNames;
struct Clocking;
struct PortName;
struct Replayed;
enum class Stop : uint8_t;

class Model {
  public:
    Model(const std::string& library, uint64_t seed, const Clocking& clocking);

    rust::Vec<PortName> ports() const;
    // Streams are numbered in the order in which they are added; events carry the number.
    uint32_t add_stream(const StreamNames& names);
    void set_pace(uint32_t stream, uint64_t bytes_per_cycle, uint32_t framing);
    void set_upper_address(uint32_t stream, uint32_t word);
    void set_stall(uint32_t stream, uint32_t share);
    // Lets nothing move on a stream, whatever its stall.
    void set_held(uint32_t stream, bool held);
    void set_lookahead(uint32_t stream, uint64_t cycles);
    // Packets of an output stream that are longer than these words come in parts: events with the number that is returned,
    // and in the end one with the stream's own and the rest.
    uint32_t set_part(uint32_t stream, uint64_t words);
    // A packet of an input stream that has moved is an event without words when fewer words than these are left.
    void set_low_water(uint32_t stream, uint64_t words);
    // Words of an input stream's packets that have not moved as a whole.
    uint64_t queued(uint32_t stream);
    rust::Vec<uint32_t> take_back(uint32_t stream);
    // Output streams that take turns on one link.
    void share_link(uint32_t stream, uint32_t with);
    void send(uint32_t stream, uint64_t not_before, rust::Slice<const uint32_t> words);

    // An input of at most 64 bits; throws where the port is no such.
    void set_level(size_t port, uint64_t value);
    // The same in a cycle to come; in the order of the calls where cycles are equal.
    void set_level_at(size_t port, uint64_t cycle, uint64_t value);
    // Changes of the port, of at most 32 bits, are events from now on, with this number.
    uint32_t watch(size_t port);
    uint64_t level(size_t port) const;

    // Holds the reset for some cycles. Streams stand still.
    void reset(uint32_t cycles);
    // Runs to the first of: `deadline`; the lookahead of a stream after a packet that left by it; quiescence. Throws when the
    // model has stopped.
    Stop run(uint64_t deadline);
    uint64_t cycle() const { return cycle_; }
    // Cycles in which the clock ran.
    uint64_t clocked() const { return clocked_; }
    // Lets time pass with the clock stopped. Only while quiescent.
    void skip_to(uint64_t cycle) { cycle_ = std::max(cycle_, cycle); }

    // The packets that left: number, words, first cycle, last cycle (64 bits each), the words.
    rust::Slice<const uint32_t> events() const { return {events_.data(), events_.size()}; }
    void clear_events() { events_.clear(); }

    // Samples of all ports, cycle by cycle, from `from` up to but not including `to`: the cycle (8 bytes), then every
    // port's storage.
    void sample(uint64_t from, uint64_t to) {
        sample_from_ = from;
        sample_to_ = to;
    }
    rust::Slice<const uint8_t> samples() const { return {samples_.data(), samples_.size()}; }
    void clear_samples() { samples_.clear(); }

    // Keeps every cycle's inputs from now on; for a replay from reset, begin before the first cycle.
    void record() { recorder_ = std::make_unique<Recorder>(instance_); }
    // Runs a fresh instance of the model on what was recorded: the bare model's speed.
    Replayed replay() const;
    // The same, untimed: whether every output had the same value in every cycle.
    bool replay_matches() const;

  private:
    uint32_t add_stream(StreamPorts ports, bool input);
    InputStream& input_stream(uint32_t stream);
    Pace& pace(uint32_t stream);
    Port narrow(size_t index, uint32_t bits) const;
    Port input_level(size_t index) const;
    void settle();
    void edge();
    void check() const;
    template <class Each> void play(Instance& instance, Each each) const;
    bool quiet() const;
    uint64_t next_due() const;
    void apply_timed_levels();
    void take_sample();

    std::string library_;
    uint64_t seed_;
    Instance instance_;
    Port clock_, reset_;
    // None where the model does not say when it rests: then it never does.
    Port busy_;
    std::string clock_name_;
    bool reset_level_;
    struct StreamNumber {
        bool input;
        size_t index;
    };
    std::vector<StreamNumber> numbers_;
    struct TimedLevel {
        size_t port;
        uint64_t value;
    };
    std::vector<InputStream> inputs_;
    std::vector<OutputStream> outputs_;
    std::vector<Watch> watches_;
    std::multimap<uint64_t, TimedLevel> timed_levels_;
    std::vector<uint32_t> events_;
    std::vector<uint8_t> samples_;
    std::unique_ptr<Recorder> recorder_;
    uint64_t cycle_ = 0, clocked_ = 0;
    uint64_t sample_from_ = ~0ull, sample_to_ = 0;
    uint32_t quiet_cycles_ = 0;
};

std::unique_ptr<Model> load(rust::Str library, uint64_t seed, const Clocking& clocking);
// The ports of a library's model.
rust::Vec<PortName> ports_of(rust::Str library);

}  // namespace virtio_hdl
