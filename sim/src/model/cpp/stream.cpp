#include "stream.hpp"
#include <algorithm>
#include <stdexcept>

namespace virtio_hdl {

namespace {
void require(bool holds, const std::string& name, const char* what) {
    if (!holds) {
        throw std::runtime_error("the stream " + name + " " + what);
    }
}
}  // namespace

void StreamPorts::check(const std::string& name) const {
    require(valid.width() == 1, name, "has a valid port of more than one bit");
    // A vendor's block may repeat it; bit 0 counts.
    require(ready.width() <= 8, name, "has a ready port of more than 8 bits");
    require(!last || last.width() == 1, name, "has a last port of more than one bit");
    require(!keep || keep.width() <= 32, name, "has a keep port of more than 32 bits");
    if (by_beat()) {
        return;
    }
    require(!data || data.words() <= MAX_WORDS, name, "has a data port of more than 2048 bits");
    require(!keep || (data && (keeps_words() || keeps_bytes())), name,
            "has a keep port that has neither a bit per byte of data nor one per 32 bits");
}

void InputStream::send(uint64_t not_before, const uint32_t* words, size_t count) {
    const std::string name = "into the model";
    if (ports_.by_beat()) {
        size_t beat = 0;
        for (const Port& port : ports_.beat) {
            beat += port.words();
        }
        require(count != 0 && count % beat == 0, name, "takes whole beats only");
    } else {
        size_t trailing = ports_.trailing_words();
        require(count >= trailing, name, "was given fewer words than its side ports have");
        size_t payload = count - trailing;
        require((payload != 0) == bool(ports_.data), name, "was given no data, or has no place for it");
        if (ports_.keeps_bytes()) {
            uint64_t length = words[payload];
            require(length != 0 && (length + 3) / 4 == payload, name, "was given a length that is not that of its data");
        }
    }
    packets_.push_back({not_before, std::vector<uint32_t>(words, words + count)});
    queued_ += count;
}

void InputStream::present(uint64_t cycle) {
    bool here = !ports_.pace.held && !packets_.empty() && due() <= cycle;
    if (here && ports_.pace.stall != 0) {
        here = !random_.chance(ports_.pace.stall);
    }
    if (here) {
        Packet& packet = packets_.front();
        size_t payload = packet.words.size() - ports_.trailing_words();
        if (position_ == 0) {
            FixedCycles begin = std::max(link_free_, packet.not_before << FIXED);
            link_free_ = begin + ports_.pace.cost(4 * packet.words.size() + ports_.pace.framing);
            const uint32_t* side = packet.words.data() + payload + (ports_.keeps_bytes() && !ports_.by_beat() ? 1 : 0);
            for (const Port& port : ports_.side) {
                port.set(side);
                side += port.words();
            }
        }
        if (ports_.by_beat()) {
            present_beat(packet);
        } else if (ports_.data) {
            uint32_t beat[MAX_WORDS] = {};
            size_t count = std::min<size_t>(ports_.data.words(), payload - position_);
            std::copy_n(packet.words.data() + position_, count, beat);
            ports_.data.set(beat);
            size_t kept = count;
            if (ports_.keeps_bytes()) {
                kept = std::min<size_t>(4 * ports_.data.words(), packet.words[payload] - 4 * position_);
            }
            if (ports_.keep) {
                uint32_t keep = kept >= 32 ? ~0u : (1u << kept) - 1;
                ports_.keep.set(&keep);
            }
            position_ += count;
        }
        if (ports_.last && !ports_.by_beat()) {
            ports_.last.set_bit(position_ >= payload);
        }
    }
    valid_ = here;
    if (here != shown_) {
        shown_ = here;
        ports_.valid.set_bit(here);
    }
}

void InputStream::present_beat(const Packet& packet) {
    for (const Port& port : ports_.beat) {
        port.set(packet.words.data() + position_);
        position_ += port.words();
    }
}

void InputStream::taken() {
    valid_ = false;
    if (position_ >= packets_.front().words.size() - ports_.trailing_words()) {
        queued_ -= packets_.front().words.size();
        packets_.pop_front();
        position_ = 0;
        low_ = queued_ < low_water_;
    }
}

std::vector<uint32_t> InputStream::take_back() {
    std::vector<uint32_t> taken;
    for (const Packet& packet : packets_) {
        taken.push_back(static_cast<uint32_t>(packet.words.size()));
        taken.insert(taken.end(), packet.words.begin(), packet.words.end());
    }
    clear();
    return taken;
}

void InputStream::clear() {
    packets_.clear();
    position_ = 0;
    queued_ = low_water_ = 0;
    low_ = false;
    valid_ = false;
    if (shown_) {
        shown_ = false;
        ports_.valid.set_bit(false);
    }
}

bool OutputStream::take(uint64_t cycle, std::vector<uint32_t>& events) {
    uint64_t bytes = 0;
    const bool begins = !inside_;
    if (begins) {
        inside_ = true;
        first_cycle_ = cycle;
        packet_.clear();
        bytes = ports_.pace.framing;
    }
    if (ports_.by_beat()) {
        take_beat();
        uint32_t keep = 0;
        ports_.keep.get(&keep);
        bytes += __builtin_popcount(keep) * (ports_.keeps_words() ? 4 : 1);
        if (begins && ports_.pace.upper_address < packet_.size() && packet_[ports_.pace.upper_address] == 0) {
            bytes -= 4;
        }
    } else if (ports_.data) {
        uint32_t count = ports_.data.words();
        size_t start = packet_.size();
        packet_.resize(start + count);
        ports_.data.get(packet_.data() + start);
        if (ports_.keeps_words()) {
            uint32_t keep = 0;
            ports_.keep.get(&keep);
            count = __builtin_popcount(keep);
            packet_.resize(start + count);
        }
        bytes += 4 * count;
    }
    *link_free_ = std::max(*link_free_, cycle << FIXED) + ports_.pace.cost(bytes);
    if (ports_.last && !ports_.last.bit()) {
        if (part_words_ == 0 || packet_.size() < part_words_) {
            return false;
        }
        append(events, part_number_, first_cycle_, cycle, packet_.data(), packet_.size());
        packet_.clear();
        return true;
    }
    inside_ = false;
    if (ports_.keeps_bytes() && !ports_.by_beat()) {
        uint32_t keep = 0;
        ports_.keep.get(&keep);
        packet_.push_back(4 * (packet_.size() - ports_.data.words()) + __builtin_popcount(keep));
    }
    for (const Port& port : ports_.side) {
        size_t start = packet_.size();
        packet_.resize(start + port.words());
        port.get(packet_.data() + start);
    }
    append(events, number_, first_cycle_, cycle, packet_.data(), packet_.size());
    return true;
}

void OutputStream::take_beat() {
    for (const Port& port : ports_.beat) {
        size_t start = packet_.size();
        packet_.resize(start + port.words());
        port.get(packet_.data() + start);
    }
}

}  // namespace virtio_hdl
