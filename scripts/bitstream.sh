#!/bin/bash
# bitstream.sh BOARD [CONFIG]: generates the endpoint for a card into build/BOARD and runs Vivado there.
set -euo pipefail
cd "$(dirname "$0")/.."
board=${1:?usage: bitstream.sh BOARD [CONFIG]}
config=${2:-blk}
out=${OUT:-build/$board}

if [ -n "${VIRTIO_HDL:-}" ]; then
    "$VIRTIO_HDL" generate "$config" --board "$board" --out "$out"
else
    cargo run --release -q -p virtio-hdl -- generate "$config" --board "$board" --out "$out"
fi

if ! command -v vivado >/dev/null; then
    echo "error: vivado is not in PATH: source settings64.sh of your Vivado (2020.2 or later) and run this again, or copy $out to a" >&2
    echo "machine that has it and run there: vivado -mode batch -source build.tcl" >&2
    exit 1
fi
cd "$out"
exec vivado -mode batch -source build.tcl
