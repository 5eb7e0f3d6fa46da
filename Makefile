# Every target installs what it needs first; see scripts/setup.sh for what that is.
SHELL := /bin/bash
export PATH := $(HOME)/.cargo/bin:$(PATH):/usr/sbin:/sbin
CONFIG ?= blk
SEEDS ?= 10
REQUESTS ?= 100000

.PHONY: help setup demo test generate soak clean

help:
	@echo 'make demo       a disk image through the generated, Verilated endpoint, checked afterwards'
	@echo 'make test       format, lints, documentation, all tests; prints how many ran'
	@echo 'make generate   Verilog of CONFIG ($(CONFIG)) into build/rtl'
	@echo 'make soak       $(SEEDS) seeds of $(REQUESTS) random requests (SEEDS, REQUESTS)'
	@echo 'make setup      installs the tools on Debian 12 and 13'
	@echo 'make clean      removes everything built'

setup:
	@scripts/setup.sh

demo:
	@scripts/setup.sh demo
	@scripts/demo.sh

test:
	@scripts/setup.sh
	@scripts/test.sh

generate:
	@scripts/setup.sh generate
	cargo run --release -p virtio-hdl -- generate $(CONFIG) --out build/rtl

soak:
	@scripts/setup.sh demo
	@scripts/soak.sh $(SEEDS) $(REQUESTS)

clean:
	rm -rf build
	cargo clean
