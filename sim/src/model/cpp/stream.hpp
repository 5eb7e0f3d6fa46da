// The two ends of a valid/ready stream between the test bench and the model.
//
// A packet crosses as words of 32 bits: the payload of its beats (the `data` port), then the sideband ports of its last
// beat. A `keep` port with one bit per 32 bits of data cuts the payload of the last beat to what counts; one with a bit
// per byte adds a word behind the payload, the packet's length in bytes. A stream without `last` has packets of one beat when it leaves the model; into the model, the
// words of one packet make as many beats as they need.
//
// An AXI4-Stream of hard IP is different: a packet is the ports of its beats one behind the other, all of them in every
// beat, and `last` ends a packet that leaves. Packets that enter are any number of beats.
#pragma once
#include "library.hpp"
#include <algorithm>
#include <deque>
#include <memory>

namespace virtio_hdl {

// Cycles in fixed point: 16 bits behind the point.
using FixedCycles = uint64_t;
constexpr unsigned FIXED = 16;

// xorshift64*: small, and the same on every machine.
class Random {
  public:
    explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u | 1) {}
    // True `share` times of 256.
    bool chance(uint32_t share) {
        state_ ^= state_ >> 12;
        state_ ^= state_ << 25;
        state_ ^= state_ >> 27;
        return (state_ * 0x2545f4914f6cdd1du) >> 56 < share;
    }

  private:
    uint64_t state_;
};

// How fast a stream moves.
struct Pace {
    // Bytes per cycle, 16 bits behind the point; 0 is as fast as the ports allow.
    uint64_t bytes_per_cycle = 0;
    // Bytes each packet takes on the link besides its own.
    uint32_t framing = 0;
    // Place of the upper half of an address in a packet: where it is zero, the header on the link is a word shorter. NONE: never.
    static constexpr uint32_t NONE = ~0u;
    uint32_t upper_address = NONE;
    // In how many of 256 cycles the stream stands still at random.
    uint32_t stall = 0;
    // Nothing moves, whatever the stall.
    bool held = false;

    FixedCycles cost(uint64_t bytes) const {
        return bytes_per_cycle == 0 ? 0 : (bytes << (2 * FIXED)) / bytes_per_cycle;
    }
};

// Appends an event: number, words, first and last cycle (64 bits each), the words.
inline void append(std::vector<uint32_t>& events, uint32_t number, uint64_t first, uint64_t last, const uint32_t* words,
                   size_t count) {
    const uint32_t header[] = {
        number,
        static_cast<uint32_t>(count),
        static_cast<uint32_t>(first),
        static_cast<uint32_t>(first >> 32),
        static_cast<uint32_t>(last),
        static_cast<uint32_t>(last >> 32),
    };
    events.insert(events.end(), std::begin(header), std::end(header));
    events.insert(events.end(), words, words + count);
}

// Most words of a beat.
constexpr size_t MAX_WORDS = 64;

// What both ends share: the ports and the rate.
struct StreamPorts {
    // Throws where the ports have widths for which the streams have no room.
    void check(const std::string& name) const;
    // One bit of keep per double word of data.
    bool keeps_words() const { return keep && keep.width() == data.words(); }
    // One bit of keep per byte of data.
    bool keeps_bytes() const { return keep && keep.width() == 4 * data.words(); }
    // The ports of a beat cross one behind the other.
    bool by_beat() const { return !beat.empty(); }
    // Words of a packet behind its payload.
    uint32_t trailing_words() const {
        uint32_t count = keeps_bytes() && !by_beat() ? 1 : 0;
        for (const Port& port : side) {
            count += port.words();
        }
        return count;
    }

    Port valid, ready, data, keep, last;
    std::vector<Port> side;
    std::vector<Port> beat;
    Pace pace;
};

// Feeds the model.
class InputStream {
  public:
    InputStream(StreamPorts ports, uint32_t number, uint64_t seed)
        : ports_(std::move(ports)), random_(seed), number_(number) {}

    // Throws where the words are not a packet of these ports.
    void send(uint64_t not_before, const uint32_t* words, size_t count);
    Pace& pace() { return ports_.pace; }
    uint32_t number() const { return number_; }

    // Before the clock edge: puts the next beat on the ports, if its time has come. Whether it did.
    bool drive(uint64_t cycle) {
        if (valid_ || (packets_.empty() && !shown_)) {
            return false;
        }
        present(cycle);
        return valid_;
    }
    // With settled outputs: whether the beat moves at the coming edge.
    bool advance() {
        if (!valid_ || !ports_.ready.bit()) {
            return false;
        }
        taken();
        return true;
    }
    // There is a beat that comes to the ports when it is due.
    bool pending() const { return !packets_.empty() && !valid_ && !ports_.pace.held; }
    // Words of the packets that have not moved as a whole.
    size_t queued() const { return queued_; }
    // Forgets the packets that have not moved as a whole, and hands them over: of each its number of words, and them.
    std::vector<uint32_t> take_back();
    // Fewer words than these are to be told of; 0: nobody is.
    void set_low_water(size_t words) { low_water_ = words; }
    // A packet has moved, and what is left is little. Once per packet.
    bool take_low() {
        bool low = low_;
        low_ = false;
        return low;
    }
    // Forgets what has not moved.
    void clear();
    // The earliest cycle in which the next beat can be there; only with packets queued.
    uint64_t due() const {
        uint64_t free = (link_free_ + (1 << FIXED) - 1) >> FIXED;
        return position_ != 0 ? 0 : std::max(packets_.front().not_before, free);
    }

  private:
    struct Packet {
        uint64_t not_before;
        std::vector<uint32_t> words;
    };
    void present(uint64_t cycle);
    void present_beat(const Packet& packet);
    void taken();

    StreamPorts ports_;
    Random random_;
    uint32_t number_;
    std::deque<Packet> packets_;
    size_t position_ = 0;       // words of the front packet that have moved
    FixedCycles link_free_ = 0; // when the link can begin the next packet
    size_t queued_ = 0;
    size_t low_water_ = 0;
    bool low_ = false;
    bool valid_ = false;        // a beat is on the ports and has not moved
    bool shown_ = false;        // the valid port is high
};

// Drains the model.
class OutputStream {
  public:
    OutputStream(StreamPorts ports, uint32_t number, uint64_t seed)
        : ports_(std::move(ports)), random_(seed), number_(number) {}

    Pace& pace() { return ports_.pace; }

    // Before the clock edge: says whether a beat is welcome.
    void drive(uint64_t cycle) {
        bool ready = !ports_.pace.held && *link_free_ < (cycle + SLACK) << FIXED;
        if (ready && ports_.pace.stall != 0) {
            ready = !random_.chance(ports_.pace.stall);
        }
        if (ready != ready_) {
            ready_ = ready;
            ports_.ready.set_bit(ready);
        }
    }
    // With settled outputs: takes the beat that moves at the coming edge. True with a packet's last beat, when the
    // packet was appended to `events`.
    bool advance(uint64_t cycle, std::vector<uint32_t>& events) {
        return ready_ && ports_.valid.bit() && take(cycle, events);
    }
    // Nothing is about to move: there is nothing, or it is held.
    bool idle() const { return ports_.pace.held || (!inside_ && !ports_.valid.bit()); }
    // Forgets the beginning of a packet whose end will not come.
    void clear() { inside_ = false; }
    // For how many cycles behind a packet the model may run on before the packet is looked at.
    uint64_t lookahead() const { return lookahead_; }
    // A packet that is longer comes in parts of about so many words, all but the last under this number; 0: as a whole.
    void set_part(size_t words, uint32_t number) {
        part_words_ = words;
        part_number_ = number;
    }
    void set_lookahead(uint64_t cycles) { lookahead_ = cycles; }
    // Both take turns on one link.
    void share_link(const OutputStream& other) { link_free_ = other.link_free_; }

  private:
    // What the link's buffer takes ahead of the wire, in cycles.
    static constexpr uint64_t SLACK = 4;
    bool take(uint64_t cycle, std::vector<uint32_t>& events);
    void take_beat();

    StreamPorts ports_;
    Random random_;
    uint32_t number_;
    std::vector<uint32_t> packet_;
    uint64_t first_cycle_ = 0;
    uint64_t lookahead_ = 0;
    size_t part_words_ = 0;
    uint32_t part_number_ = 0;
    std::shared_ptr<FixedCycles> link_free_ = std::make_shared<FixedCycles>(0);
    bool ready_ = false;
    bool inside_ = false;
};

// Tells of a port of at most 32 bits that has changed.
class Watch {
  public:
    Watch(Port port, uint32_t number) : port_(port), number_(number) {}

    // With settled outputs. True when the port is not as it was, which was appended to `events`.
    bool look(uint64_t cycle, std::vector<uint32_t>& events) {
        uint32_t value = 0;
        port_.get(&value);
        if (known_ && value == value_) {
            return false;
        }
        known_ = true;
        value_ = value;
        append(events, number_, cycle, cycle, &value, 1);
        return true;
    }
    // What it shows next is news.
    void clear() { known_ = false; }

  private:
    Port port_;
    uint32_t number_;
    uint32_t value_ = 0;
    bool known_ = false;
};

}  // namespace virtio_hdl
