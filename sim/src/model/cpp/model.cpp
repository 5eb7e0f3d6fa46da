#include "model.hpp"
#include "virtio-hdl/src/model/bridge.rs.h"
#include <algorithm>
#include <chrono>
#include <stdexcept>

namespace virtio_hdl {

namespace {
// Cycles for which everything must be still before the clock stops: longer than it takes an input to raise `busy`, and
// longer than the endpoint turns what it has read into the next packet.
constexpr uint32_t QUIET = 64;
// Numbers of watched ports, apart from those of streams.
constexpr uint32_t WATCHES = 1u << 31;
// The same of parts of packets.
constexpr uint32_t PARTS = 1u << 30;
}  // namespace

std::unique_ptr<Model> load(rust::Str library, uint64_t seed, const Clocking& clocking) {
    return std::make_unique<Model>(std::string(library), seed, clocking);
}

namespace {
rust::Vec<PortName> ports_of(const Instance& instance) {
    rust::Vec<PortName> names;
    for (size_t i = 0; i < instance.count(); i++) {
        Port port = instance.port(i);
        names.push_back({rust::String(instance.name(i)), port.width(), port.bytes(), port.input()});
    }
    return names;
}
}  // namespace

rust::Vec<PortName> ports_of(rust::Str library) { return ports_of(Instance(std::string(library), 0)); }

Model::Model(const std::string& library, uint64_t seed, const Clocking& clocking)
    : library_(library), seed_(seed), instance_(library, seed), clock_name_(clocking.clock),
      reset_level_(!clocking.reset_low) {
    clock_ = instance_.input(clock_name_);
    reset_ = instance_.input(std::string(clocking.reset));
    if (!clocking.busy.empty()) {
        busy_ = instance_.output(std::string(clocking.busy));
    }
    for (const Port* port : {&clock_, &reset_, &busy_}) {
        if (*port && port->width() != 1) {
            throw std::runtime_error("clock, reset and busy have one bit");
        }
    }
    reset_.set_bit(!reset_level_);
    instance_.eval();
    check();
}

rust::Vec<PortName> Model::ports() const { return ports_of(instance_); }

uint32_t Model::add_stream(const StreamNames& names) {
    auto payload = [&](const rust::String& name) {
        std::string port(name);
        return names.input ? instance_.input(port) : instance_.output(port);
    };
    StreamPorts ports;
    ports.valid = payload(names.valid);
    std::string ready(names.ready);
    ports.ready = names.input ? instance_.output(ready) : instance_.input(ready);
    if (!names.data.empty()) {
        ports.data = payload(names.data);
    }
    if (!names.keep.empty()) {
        ports.keep = payload(names.keep);
    }
    if (!names.last.empty()) {
        ports.last = payload(names.last);
    }
    for (const rust::String& side : names.side) {
        ports.side.push_back(payload(side));
    }
    if (names.beats) {
        ports.beat = {ports.data, ports.keep, ports.last};
        ports.beat.insert(ports.beat.end(), ports.side.begin(), ports.side.end());
        ports.side.clear();
    }
    ports.check(std::string(names.name));
    return add_stream(std::move(ports), names.input);
}

uint32_t Model::add_stream(StreamPorts ports, bool input) {
    uint32_t number = numbers_.size();
    uint64_t seed = seed_ ^ (uint64_t(number) << 32);
    if (input) {
        numbers_.push_back({true, inputs_.size()});
        inputs_.emplace_back(std::move(ports), number, seed);
    } else {
        numbers_.push_back({false, outputs_.size()});
        outputs_.emplace_back(std::move(ports), number, seed);
    }
    return number;
}

Pace& Model::pace(uint32_t stream) {
    StreamNumber number = numbers_.at(stream);
    return number.input ? inputs_[number.index].pace() : outputs_[number.index].pace();
}

void Model::set_pace(uint32_t stream, uint64_t bytes_per_cycle, uint32_t framing) {
    pace(stream).bytes_per_cycle = bytes_per_cycle;
    pace(stream).framing = framing;
}

void Model::set_upper_address(uint32_t stream, uint32_t word) {
    StreamNumber number = numbers_.at(stream);
    if (number.input) {
        throw std::runtime_error("this stream enters the model");
    }
    outputs_[number.index].pace().upper_address = word;
}

void Model::set_stall(uint32_t stream, uint32_t share) { pace(stream).stall = share; }

void Model::set_held(uint32_t stream, bool held) {
    pace(stream).held = held;
    // What is let go moves, though the model was at rest.
    quiet_cycles_ = 0;
}

void Model::set_lookahead(uint32_t stream, uint64_t cycles) {
    StreamNumber number = numbers_.at(stream);
    if (number.input) {
        throw std::runtime_error("this stream enters the model");
    }
    outputs_[number.index].set_lookahead(cycles);
}

uint32_t Model::set_part(uint32_t stream, uint64_t words) {
    StreamNumber number = numbers_.at(stream);
    if (number.input) {
        throw std::runtime_error("this stream enters the model");
    }
    outputs_[number.index].set_part(words, PARTS | stream);
    return PARTS | stream;
}

InputStream& Model::input_stream(uint32_t stream) {
    StreamNumber number = numbers_.at(stream);
    if (!number.input) {
        throw std::runtime_error("this stream leaves the model");
    }
    return inputs_[number.index];
}

void Model::set_low_water(uint32_t stream, uint64_t words) { input_stream(stream).set_low_water(words); }

uint64_t Model::queued(uint32_t stream) { return input_stream(stream).queued(); }

rust::Vec<uint32_t> Model::take_back(uint32_t stream) {
    rust::Vec<uint32_t> taken;
    for (uint32_t word : input_stream(stream).take_back()) {
        taken.push_back(word);
    }
    return taken;
}

void Model::share_link(uint32_t stream, uint32_t with) {
    StreamNumber one = numbers_.at(stream), other = numbers_.at(with);
    if (one.input || other.input) {
        throw std::runtime_error("these streams enter the model");
    }
    outputs_[one.index].share_link(outputs_[other.index]);
}

void Model::send(uint32_t stream, uint64_t not_before, rust::Slice<const uint32_t> words) {
    input_stream(stream).send(not_before, words.data(), words.size());
}

// A port of at most so many bits.
Port Model::narrow(size_t index, uint32_t bits) const {
    if (index >= instance_.count()) {
        throw std::out_of_range("the model has no such port");
    }
    Port port = instance_.port(index);
    if (port.width() > bits) {
        throw std::runtime_error(std::string("the port ") + instance_.name(index) + " is too wide for this");
    }
    return port;
}

Port Model::input_level(size_t index) const {
    Port port = narrow(index, 64);
    if (!port.input()) {
        throw std::runtime_error(std::string("the port ") + instance_.name(index) + " is no input");
    }
    return port;
}

void Model::set_level(size_t index, uint64_t value) {
    const uint32_t words[2] = {static_cast<uint32_t>(value), static_cast<uint32_t>(value >> 32)};
    input_level(index).set(words);
    quiet_cycles_ = 0;
}

void Model::set_level_at(size_t index, uint64_t cycle, uint64_t value) {
    input_level(index);
    timed_levels_.insert({cycle, {index, value}});
}

void Model::apply_timed_levels() {
    while (!timed_levels_.empty() && timed_levels_.begin()->first <= cycle_) {
        TimedLevel level = timed_levels_.begin()->second;
        timed_levels_.erase(timed_levels_.begin());
        set_level(level.port, level.value);
    }
}

uint32_t Model::watch(size_t index) {
    uint32_t number = WATCHES | static_cast<uint32_t>(watches_.size());
    watches_.emplace_back(narrow(index, 32), number);
    return number;
}

uint64_t Model::level(size_t index) const {
    uint32_t words[2] = {};
    narrow(index, 64).get(words);
    return words[0] | uint64_t(words[1]) << 32;
}

void Model::reset(uint32_t cycles) {
    for (InputStream& input : inputs_) {
        input.clear();
    }
    for (OutputStream& output : outputs_) {
        output.clear();
    }
    for (Watch& watch : watches_) {
        watch.clear();
    }
    timed_levels_.clear();
    events_.clear();
    reset_.set_bit(reset_level_);
    for (uint32_t i = 0; i < cycles; i++) {
        settle();
        edge();
    }
    reset_.set_bit(!reset_level_);
    quiet_cycles_ = 0;
}

// The first half of a cycle: outputs settle on the inputs.
void Model::settle() {
    clock_.set_bit(false);
    instance_.eval();
    if (cycle_ >= sample_from_ && cycle_ < sample_to_) {
        take_sample();
    }
    if (recorder_) {
        recorder_->cycle();
    }
}

// The second half: the clock's edge.
void Model::edge() {
    clock_.set_bit(true);
    instance_.eval();
    cycle_++;
    clocked_++;
}

// Ends a run of a model that has stopped.
void Model::check() const {
    if (const char* failure = instance_.failure(); failure != nullptr) {
        throw std::runtime_error(std::string("the RTL has stopped in cycle ") + std::to_string(cycle_) + ": " + failure);
    }
}

bool Model::quiet() const {
    return busy_ && !busy_.bit() && std::all_of(outputs_.begin(), outputs_.end(), [](auto& output) { return output.idle(); });
}

// The first cycle in which an input stream or a level has something to show. A beat that is on the ports and not taken is nothing new.
uint64_t Model::next_due() const {
    uint64_t due = timed_levels_.empty() ? ~0ull : timed_levels_.begin()->first;
    for (const InputStream& input : inputs_) {
        if (input.pending()) {
            due = std::min(due, input.due());
        }
    }
    return due;
}

Stop Model::run(uint64_t deadline) {
    uint64_t end = deadline;
    bool event = false;
    while (cycle_ < end) {
        if (quiet_cycles_ >= QUIET) {
            uint64_t due = next_due();
            if (due > cycle_) {
                if (event) {
                    return Stop::Event;
                }
                if (due == ~0ull) {
                    return Stop::Quiescent;
                }
                cycle_ = std::min(due, end);
                continue;
            }
            quiet_cycles_ = 0;
        }
        apply_timed_levels();
        for (InputStream& input : inputs_) {
            if (input.drive(cycle_)) {
                quiet_cycles_ = 0;
            }
        }
        for (OutputStream& output : outputs_) {
            output.drive(cycle_);
        }
        settle();
        bool moved = false;
        for (InputStream& input : inputs_) {
            moved |= input.advance();
            if (input.take_low()) {
                append(events_, input.number(), cycle_, cycle_, nullptr, 0);
                event = true;
                end = cycle_ + 1;
            }
        }
        for (OutputStream& output : outputs_) {
            if (output.advance(cycle_, events_)) {
                event = true;
                end = std::min(end, cycle_ + 1 + output.lookahead());
            }
        }
        for (Watch& watch : watches_) {
            if (watch.look(cycle_, events_)) {
                event = true;
                end = cycle_ + 1;
            }
        }
        quiet_cycles_ = moved || !quiet() ? 0 : quiet_cycles_ + 1;
        edge();
        check();
    }
    return event ? Stop::Event : Stop::Deadline;
}

void Model::take_sample() {
    const auto* now = reinterpret_cast<const uint8_t*>(&cycle_);
    samples_.insert(samples_.end(), now, now + sizeof cycle_);
    for (size_t i = 0; i < instance_.count(); i++) {
        Port port = instance_.port(i);
        const auto* data = static_cast<const uint8_t*>(port.data());
        samples_.insert(samples_.end(), data, data + port.bytes());
    }
}

// Runs a fresh instance on what was recorded; `each` sees it once per cycle, settled.
template <class Each> void Model::play(Instance& instance, Each each) const {
    if (!recorder_) {
        throw std::runtime_error("nothing was recorded");
    }
    Port clock = instance.input(clock_name_);
    PortImage inputs(instance, true);
    const uint8_t* image = recorder_->images().data();
    instance.eval();
    for (uint32_t repeat : recorder_->repeats()) {
        inputs.set(image);
        image += inputs.bytes();
        for (uint32_t i = 0; i < repeat; i++) {
            clock.set_bit(false);
            instance.eval();
            each();
            clock.set_bit(true);
            instance.eval();
        }
    }
}

Replayed Model::replay() const {
    Instance instance(library_, seed_);
    uint64_t cycles = 0;
    auto begin = std::chrono::steady_clock::now();
    play(instance, [&] { cycles++; });
    std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    return {cycles, seconds.count()};
}

bool Model::replay_matches() const {
    Instance instance(library_, seed_);
    OutputSum sum(instance);
    play(instance, [&] { sum.mix(); });
    return sum.value() == recorder_->sum();
}

}  // namespace virtio_hdl
