// A record of a model's inputs, cycle by cycle, to run the model alone on the same stimulus.
#pragma once
#include "library.hpp"

namespace virtio_hdl {

// All ports of one direction as one run of bytes.
class PortImage {
  public:
    PortImage(const Instance& instance, bool input) {
        for (size_t i = 0; i < instance.count(); i++) {
            Port port = instance.port(i);
            if (port.input() == input) {
                ports_.push_back(port);
                bytes_ += port.bytes();
            }
        }
    }
    size_t bytes() const { return bytes_; }
    void get(uint8_t* to) const {
        for (const Port& port : ports_) {
            std::memcpy(to, port.data(), port.bytes());
            to += port.bytes();
        }
    }
    void set(const uint8_t* from) const {
        for (const Port& port : ports_) {
            std::memcpy(port.data(), from, port.bytes());
            from += port.bytes();
        }
    }

  private:
    std::vector<Port> ports_;
    size_t bytes_ = 0;
};

// FNV-1a over a model's outputs, cycle by cycle: two runs with equal sums behaved the same.
class OutputSum {
  public:
    explicit OutputSum(const Instance& instance) : outputs_(instance, false), image_(outputs_.bytes()) {}
    void mix() {
        outputs_.get(image_.data());
        for (uint8_t byte : image_) {
            sum_ = (sum_ ^ byte) * 0x100000001b3u;
        }
    }
    uint64_t value() const { return sum_; }

  private:
    PortImage outputs_;
    std::vector<uint8_t> image_;
    uint64_t sum_ = 0xcbf29ce484222325u;
};

class Recorder {
  public:
    explicit Recorder(const Instance& instance)
        : inputs_(instance, true), now_(inputs_.bytes()), last_(inputs_.bytes()), outputs_(instance) {}

    // With all inputs set and the outputs settled, before the clock edge.
    void cycle() {
        inputs_.get(now_.data());
        if (repeats_.empty() || now_ != last_) {
            images_.insert(images_.end(), now_.begin(), now_.end());
            repeats_.push_back(0);
            last_.swap(now_);
        }
        repeats_.back()++;
        outputs_.mix();
    }

    const std::vector<uint8_t>& images() const { return images_; }
    const std::vector<uint32_t>& repeats() const { return repeats_; }
    uint64_t sum() const { return outputs_.value(); }

  private:
    PortImage inputs_;
    std::vector<uint8_t> now_, last_;
    std::vector<uint8_t> images_;    // each set of inputs that differs from the one before
    std::vector<uint32_t> repeats_;  // for how many cycles it stood
    OutputSum outputs_;
};

}  // namespace virtio_hdl
