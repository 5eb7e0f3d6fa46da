#!/bin/bash
# Without a guest: an ext4 image with files of this repository is copied, block by block, through the generated, Verilated
# endpoint to a second image; the files in the second image must be those that went into the first.
set -euo pipefail
cd "$(dirname "$0")/.."
out=build/copy-demo
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
head -c 1500000 /dev/urandom >"$out/files/random.bin"
truncate -s 16M "$out/disk.img"
mkfs.ext4 -q -F -d "$out/files" "$out/disk.img"
echo "$out/disk.img: $(find "$out/files" -type f | wc -l) files, $(du -sh --apparent-size "$out/files" | cut -f1)"

step "copying it through the endpoint"
"$virtio_hdl" sim blk --scenario copy --disk "$out/disk.img" --to "$out/copy.img" \
    --vcd "$out/notify.vcd" --vcd-trigger notify --vcd-to 4000 --tlp-log "$out/tlp.log"

step "checking the copy"
e2fsck -fn "$out/copy.img"
mkdir "$out/back"
debugfs -R "rdump / $out/back" "$out/copy.img" 2>/dev/null
rm -rf "$out/back/lost+found"
diff -r "$out/files" "$out/back"
echo "every file in the copy is identical"

step "to look at"
echo "$out/rtl         the endpoint's Verilog, file list, register map"
echo "$out/notify.vcd  ports and decoded TLPs around the first notify: gtkwave $out/notify.vcd"
echo "$out/tlp.log     every TLP of the reading half, one per line"
