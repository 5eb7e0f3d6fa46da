#!/bin/bash
# The demo: a stock QEMU boots Debian's kernel, whose own virtio driver finds the generated, Verilated endpoint on its PCI
# bus, mounts the ext4 file system on it, reads and writes. Afterwards the image is checked from outside.
set -euo pipefail
cd "$(dirname "$0")/.."
out=build/demo
rm -rf "$out"
mkdir -p "$out/files"

step() { printf '\n== %s\n' "$*"; }

step "building virtio-hdl"
cargo build --release -p virtio-hdl
virtio_hdl=target/release/virtio-hdl

step "generating the endpoint"
"$virtio_hdl" generate blk --out "$out/rtl"

step "making an ext4 image"
cp -rL hdl sim Cargo.toml "$out/files/"
truncate -s 64M "$out/disk.img"
mkfs.ext4 -q -F -d "$out/files" "$out/disk.img"
echo "$out/disk.img: $(find "$out/files" -type f | wc -l) files, $(du -sh --apparent-size "$out/files" | cut -f1)"

step "booting QEMU on the endpoint"
"$virtio_hdl" qemu blk --disk "$out/disk.img" --tlp-log "$out/tlp.log" --vcd "$out/notify.vcd" --vcd-trigger notify --vcd-to 4000

step "checking the image"
e2fsck -fn "$out/disk.img"
mkdir "$out/back"
debugfs -R "rdump / $out/back" "$out/disk.img" 2>/dev/null
test -s "$out/back/virtio-hdl.data"
rm -rf "$out/back/lost+found" "$out/back/virtio-hdl.data"
diff -r "$out/files" "$out/back"
echo "every file is as it was, and the guest's virtio-hdl.data is there"

step "to look at"
echo "$out/rtl         the endpoint's Verilog, file list, register map"
echo "$out/notify.vcd  ports and decoded TLPs around the driver's first notify: gtkwave $out/notify.vcd"
echo "$out/tlp.log     every TLP, one per line"
echo "a shell in the guest: $virtio_hdl qemu blk --disk $out/disk.img --shell"
