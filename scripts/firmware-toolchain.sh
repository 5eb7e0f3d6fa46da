#!/bin/bash
# The compiler for the card's processor, riscv32i-unknown-none-elf, in a folder of its own in the user's cache: Debian's rustc-web
# (that of the browsers, newer than rustc), its lld, and the libraries core and compiler_builtins built of rust-web-src. The packages
# are taken apart, none is installed: rustc-web would drive out rustup. Needs no root and touches no package source.
# Where there is no such package (another system, old lists), a rustc on the PATH that has its sources: rustup component add rust-src.
# firmware-toolchain.sh        installs it, unless it is there
# firmware-toolchain.sh path   prints where: RUSTC=that/bin/rustc cargo build --target riscv32i-unknown-none-elf
set -euo pipefail

target=riscv32i-unknown-none-elf
# What is done here decides what is in the folder.
folder=${XDG_CACHE_HOME:-$HOME/.cache}/virtio-hdl/riscv-toolchain-$(sha256sum "$0" | cut -c 1-8)
if [ "${1:-}" = path ]; then
    echo "$folder"
    exit
fi
[ ! -e "$folder/installed" ] || exit 0

work=$folder.$$
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/apt/partial" "$work/debs" "$work/bin" "$work/lib"
apt_options=()

# fresh_lists: apt's lists anew in our folder, for those of the system are missing or of yesterday.
fresh_lists() {
    apt_options=(-o "Dir::State::lists=$work/apt" -o "Dir::Cache=$work/apt")
    mkdir -p "$work/apt/archives/partial"
    echo "setup: fetching apt's lists into $work, the system's are old or missing"
    apt-get "${apt_options[@]}" update >"$work/apt.log" 2>&1 || true
}

# packages: what the compiler is made of, its libraries as far as the system lacks them.
packages() {
    local version libstd llvm name
    version=$(apt-cache "${apt_options[@]}" policy rustc-web 2>/dev/null | sed -n 's/^ *Candidate: \([0-9]*\.[0-9]*\).*/\1/p')
    # before 1.96 it has not been tried
    [ -n "$version" ] && [ "${version#*.}" -ge 96 ] || return 1
    libstd=libstd-rust-web-$version
    llvm=$(apt-cache "${apt_options[@]}" depends "$libstd" | sed -n 's/^ *Depends: libllvm\([0-9]*\)$/\1/p')
    [ -n "$llvm" ] || return 1
    echo rustc-web "$libstd" "lld-$llvm" rust-web-src
    apt-cache "${apt_options[@]}" depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
        --no-enhances "$libstd" "lld-$llvm" | grep '^[a-z]' | sort -u | while read -r name; do
        case $name in "$libstd" | "lld-$llvm") continue ;; esac
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || echo "$name"
    done
}

download() {
    local list # split into words on purpose
    list=$(packages | tr '\n' ' ') || return 1
    echo "setup: about 100 MB of Debian packages, taken apart in $folder and not installed (remove it at any time):" $list
    (cd "$work/debs" && apt-get "${apt_options[@]}" -o APT::Sandbox::User=root -qq download $list) >"$work/apt.log" 2>&1
}

# unpack DEB PATTERN...: files of a package, in $work/tree
unpack() {
    mkdir -p "$work/tree"
    dpkg-deb --fsys-tarfile "$1" | tar x -C "$work/tree" --wildcards "${@:2}"
}

from_debian() {
    local deb source
    for deb in "$work"/debs/*.deb; do
        case ${deb##*/} in
        rust-web-src_*)
            # core needs the other two, by their paths
            unpack "$deb" '*/library/core/*' '*/library/compiler-builtins/*' '*/library/portable-simd/*' '*/library/stdarch/crates/core_arch/*'
            ;;
        rustc-web_*) unpack "$deb" ./usr/bin/rustc ;;
        lld-*) unpack "$deb" '*/bin/lld' ;;
        *) unpack "$deb" '*.so*' ;;
        esac
    done
    find "$work/tree" -name '*.so*' -exec mv -t "$work/lib" {} +
    mv "$work/tree/usr/bin/rustc" "$work/lib/rustc"
    mv "$work"/tree/usr/lib/llvm-*/bin/lld "$work/lib/lld"
    source=$(echo "$work"/tree/usr/src/rustc-*/library)
    mv "$source" "$work/library"
}

# A rustc that has its sources, with the linker that it comes with; used where it is.
has_sources() {
    command -v rustc >/dev/null || return 1
    sysroot=$(rustc --print sysroot)
    lld=$(find "$sysroot"/lib/rustlib/*/bin -name rust-lld 2>/dev/null | head -n 1)
    [ -n "$lld" ] || lld=$(command -v lld)
    [ -n "$lld" ] && [ -e "$sysroot/lib/rustlib/src/rust/library/core/src/lib.rs" ]
}

from_sources() {
    echo "setup: $(rustc --version) and its sources make the compiler for the card's processor in $folder (remove it at any time)"
    # not rustup's stand-in, which goes by the folder that it is called in
    ln -s "$sysroot/bin/rustc" "$work/lib/rustc"
    ln -s "$lld" "$work/lib/lld"
    cp -r "$sysroot/lib/rustlib/src/rust/library" "$work/library"
}

if command -v apt-get >/dev/null && { download || { fresh_lists && download; }; }; then
    from_debian
elif has_sources; then
    from_sources
else
    echo "error: no compiler for the card's processor: Debian's rustc-web 1.96 is not to be had here ($(tail -n 1 "$work/apt.log" 2>/dev/null))," \
        "and no rustc with its sources: run 'rustup component add rust-src', and this again" >&2
    exit 1
fi

# The libraries of the target, as small as they come; with the bitcode that link-time optimisation needs.
# rustc looks for its linker rust-lld in the host's folder.
cat >"$work/bin/rustc" <<'END'
#!/bin/sh
here=$(dirname "$(dirname "$(readlink -f "$0")")")
LD_LIBRARY_PATH=$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} exec "$here/lib/rustc" --sysroot "$here/sysroot" "$@"
END
chmod +x "$work/bin/rustc"
mkdir -p "$work/sysroot/lib/rustlib/$target/lib"
host=$("$work/bin/rustc" -vV | sed -n 's/^host: //p')
mkdir -p "$work/sysroot/lib/rustlib/$host/bin"
ln -s ../../../../../lib/lld "$work/sysroot/lib/rustlib/$host/bin/rust-lld"
library() {
    RUSTC_BOOTSTRAP=1 CARGO_PKG_VERSION=0.0.0 "$work/bin/rustc" --target "$target" --crate-type rlib --crate-name "$1" --edition 2024 \
        -Copt-level=s -Cpanic=abort -Ccodegen-units=1 -Cdebuginfo=0 -Cembed-bitcode=yes -Zforce-unstable-if-unmarked -Cmetadata="$1" \
        -Cextra-filename=-virtio-hdl --remap-path-prefix "$work/library=/rustc/library" --cap-lints allow \
        --out-dir "$work/sysroot/lib/rustlib/$target/lib" "${@:2}"
}
library core "$work/library/core/src/lib.rs"
# mem: memcpy and its like; a bare target has no other
library compiler_builtins --cfg 'feature="compiler-builtins"' --cfg 'feature="mem"' --cfg 'feature="unmangled-names"' \
    --cfg 'feature="arch"' "$work/library/compiler-builtins/compiler-builtins/src/lib.rs"

rm -rf "$work/debs" "$work/tree" "$work/library" "$work/apt" "$work/apt.log"
"$work/bin/rustc" -vV >"$work/installed"
rm -rf "$folder"
mv "$work" "$folder"
# those of other versions of this script
find "$(dirname "$folder")" -maxdepth 1 -name 'riscv-toolchain-*' ! -name "${folder##*/}" -mtime +30 -exec rm -rf {} +
