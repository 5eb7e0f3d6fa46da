#!/bin/bash
# The images of the programs in firmware/src/bin, with the compiler that firmware-toolchain.sh installs: for each a .bin, what goes into
# RAM from address 0 on, and a .toml that says what made it.
# firmware.sh [FOLDER]   into FOLDER, else hdl/firmware
# RAM_BYTES=8192 firmware.sh build/firmware   for less RAM, or more, than 16 KiB
set -euo pipefail

out=$(realpath -m "${1:-$(dirname "$0")/../hdl/firmware}")
cd "$(dirname "$0")/.."
toolchain=$(scripts/firmware-toolchain.sh path)
ram_bytes=${RAM_BYTES:-16384}
target=riscv32i-unknown-none-elf

[ -e "$toolchain/installed" ] || {
    echo "error: no compiler for the card's processor in $toolchain: run scripts/setup.sh firmware" >&2
    exit 1
}
# Nothing of the caller's decides what is in an image; what lld writes is the bytes of RAM, not an ELF file.
unset CARGO_ENCODED_RUSTFLAGS RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER
export RUSTC="$toolchain/bin/rustc"
export RUSTFLAGS="-Clink-arg=-Tmemory.x -Clink-arg=--defsym=RAM_BYTES=$ram_bytes -Clink-arg=--oformat=binary"
(cd firmware && cargo build --quiet --locked --release --bins --target "$target" --target-dir ../target/firmware)

mkdir -p "$out"
for program in firmware/src/bin/*.rs; do
    name=$(basename "$program" .rs)
    image=$out/$name.bin
    cp "target/firmware/$target/release/$name" "$image"
    chmod 644 "$image"
    cat >"$out/$name.toml" <<END
# Written by make firmware.
bytes = $(stat -c %s "$image")
sha256 = "$(sha256sum "$image" | cut -c 1-64)"
# The program, what it shares with the RTL and its stack are within so much.
ram_bytes = $ram_bytes
# rustc -vV
compiler = """
$("$RUSTC" -vV | grep -v '^host:')
"""
END
    echo "$image: $(stat -c %s "$image") bytes, for $ram_bytes bytes of RAM"
done
