#!/usr/bin/env bash
# The demo: a real ext4 disk, read and written through the generated endpoint, and its files compared afterwards.
set -euo pipefail
cd "$(dirname "$0")/.."
work=build/demo
rm -rf "$work"
mkdir -p "$work/files/empty folder" "$work/out"

echo "== 1. Build the tools"
cargo build --release --package virtio-hdl

echo "== 2. Make a disk: an ext4 file system with this repository's sources in it"
cp -r hdl/src sim/src docs "$work/files"
head -c 1000003 /dev/urandom >"$work/files/random.bin"
mkfs.ext4 -q -F -d "$work/files" "$work/disk.img" 12M

echo "== 3. Generate the endpoint's Verilog"
target/release/virtio-hdl generate blk --out "$work/verilog"

echo "== 4. Verilate it; the host model binds to it, reads the disk, and writes it to a second one"
target/release/virtio-hdl sim blk --disk "$work/disk.img" --to "$work/copy.img" --vcd "$work/first-requests.vcd" \
    --vcd-trigger notify --vcd-to 3000

echo "== 5. Look at the second disk with other tools"
e2fsck -fn "$work/copy.img"
debugfs -R "rdump / $work/out" "$work/copy.img" 2>/dev/null
rm -rf "$work/out/lost+found"
diff -r "$work/files" "$work/out"
echo "all $(find "$work/files" -type f | wc -l) files are identical"
echo "waveforms: gtkwave $PWD/$work/first-requests.vcd"
