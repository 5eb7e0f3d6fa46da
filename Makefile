# Every target installs what it needs first; see scripts/setup.sh for what that is.
SHELL := /bin/bash
export PATH := $(HOME)/.cargo/bin:$(PATH):/usr/sbin:/sbin
CONFIG ?= blk
BOARD ?= vcu118
SEEDS ?= 10
REQUESTS ?= 100000
FRAMES ?= 50000
EVENTS ?= 2000

.PHONY: help setup demo qemu-demo copy-demo test formal firmware generate bitstream synth soak bench compare clean

help:
	@echo 'make demo       a stock QEMU boots Linux on the generated, Verilated endpoint and uses its disk'
	@echo 'make copy-demo  a disk image through the endpoint under the host model, without QEMU'
	@echo 'make test       format, lints, documentation, all tests; prints how many ran (QUICK=1: a part of them, for the loop while working)'
	@echo 'make formal     proofs of FIFOs, splitter, read tags, MSI-X table: docs/formal.md'
	@echo 'make firmware   programs of the cards processor into hdl/firmware: docs/firmware.md (RAM_BYTES)'
	@echo 'make generate   Verilog of CONFIG ($(CONFIG)) into build/rtl'
	@echo 'make bitstream  CONFIG ($(CONFIG)) on a card: build/$(BOARD), then Vivado there (BOARD; virtio-hdl boards lists them)'
	@echo 'make synth      area and speed in open tools, ECP5 bitstreams: docs/resources.md (CONFIGS, else all examples)'
	@echo 'make bench      how near net and blk come to the limit of their links, in cycles: the table in README.md, and build/bench.svg'
	@echo 'make compare    boot time against QEMUs own virtio-blk'
	@echo 'make soak       $(SEEDS) seeds of $(REQUESTS) requests, $(FRAMES) frames, $(EVENTS) control events (SEEDS, REQUESTS, FRAMES, EVENTS)'
	@echo 'make setup      installs the tools on Debian 12 and 13'
	@echo 'make clean      removes everything built'

setup:
	@scripts/setup.sh

demo qemu-demo:
	@scripts/setup.sh demo
	@scripts/demo.sh

copy-demo:
	@scripts/setup.sh demo
	@scripts/copy-demo.sh

test:
	@scripts/setup.sh
	@QUICK=$(QUICK) scripts/test.sh

formal:
	@scripts/setup.sh formal
	cargo test --workspace --test formal

firmware:
	@scripts/setup.sh firmware
	@scripts/firmware.sh

generate:
	@scripts/setup.sh generate
	cargo run --release -p virtio-hdl -- generate $(CONFIG) --out build/rtl

bitstream:
	@scripts/setup.sh generate
	@scripts/bitstream.sh $(BOARD) $(CONFIG)

synth:
	@scripts/setup.sh synth
	cargo run --release -p virtio-hdl -- synth $(CONFIGS)

bench:
	@scripts/setup.sh demo
	cargo run --release -p virtio-hdl -- bench --plot build/bench.svg --table README.md

compare:
	@scripts/setup.sh demo
	cargo run --release -p virtio-hdl -- qemu blk --compare 5

soak:
	@scripts/setup.sh demo
	@scripts/soak.sh $(SEEDS) $(REQUESTS) $(FRAMES) $(EVENTS)

clean:
	rm -rf build
	cargo clean
