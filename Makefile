# Each target installs what it needs (scripts/setup.sh), asking nothing: as root directly, else with sudo.
#
#   make demo       generate the virtio-blk endpoint, build it, and use a real ext4 disk through it
#   make test       everything that CI runs
#   make generate   the example endpoints' Verilog, into build/verilog
#   make soak       ten seeds of 100,000 random requests
#   make setup      the tools of all targets
#   make clean      removes what was built

SHELL := /bin/bash
export PATH := $(PATH):$(HOME)/.cargo/bin:/usr/sbin:/sbin

CONFIGS := blk blk-intx blk-memory-bar blk-plain
VIRTIO_HDL := cargo run --release --quiet --package virtio-hdl --

.PHONY: demo test generate soak setup clean

demo:
	@scripts/setup.sh
	@scripts/demo.sh

test:
	@scripts/setup.sh test
	@scripts/test.sh

generate:
	@scripts/setup.sh
	@for config in $(CONFIGS); do $(VIRTIO_HDL) generate $$config --out build/verilog/$$config || exit 1; done

soak:
	@scripts/setup.sh
	@scripts/soak.sh

setup:
	@scripts/setup.sh test

clean:
	cargo clean
	rm -rf build
