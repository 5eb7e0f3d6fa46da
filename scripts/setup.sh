#!/usr/bin/env bash
# Installs what virtio-hdl needs on Debian 12 or 13: asks nothing, says what it does, leaves the package sources alone.
#   scripts/setup.sh        what `make demo` needs
#   scripts/setup.sh test   also what `make test` needs
set -euo pipefail

# Oldest Rust that builds the workspace: rust-version in Cargo.toml.
rust_minimum=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$(dirname "$0")/../Cargo.toml")

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: error: %s\n' "$*" >&2; exit 1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "'$*' needs root: run this as root, or install sudo"
    fi
}

# Installs the packages of the arguments COMMAND:PACKAGE whose command is missing.
install_missing() {
    local missing=()
    for pair in "$@"; do
        command -v "${pair%%:*}" >/dev/null || [ -x "/sbin/${pair%%:*}" ] || missing+=("${pair#*:}")
    done
    [ ${#missing[@]} -eq 0 ] && return
    command -v apt-get >/dev/null || fail "this is no Debian system: please install ${missing[*]} yourself"
    say "installing ${missing[*]} with apt-get"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}" >/dev/null 2>&1 && return
    # the package lists may be old
    as_root apt-get update >/dev/null
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}" >/dev/null \
        || fail "apt-get could not install ${missing[*]}"
}

version_at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

have_rust() {
    command -v cargo >/dev/null && version_at_least "$(cargo --version | cut -d ' ' -f 2)" "$rust_minimum"
}

install_rust() {
    [ -x "$HOME/.cargo/bin/cargo" ] && export PATH="$HOME/.cargo/bin:$PATH"
    have_rust && return
    local packaged
    packaged=$(apt-cache policy cargo 2>/dev/null | sed -n 's/ *Candidate: //p' | cut -d + -f 1)
    if [ -n "$packaged" ] && version_at_least "$packaged" "$rust_minimum" && ! command -v rustup >/dev/null; then
        install_missing cargo:cargo rustfmt:rustfmt cargo-clippy:rust-clippy
    elif command -v rustup >/dev/null; then
        say "installing the stable Rust toolchain with rustup"
        rustup toolchain install stable --profile default
        rustup default stable
    else
        install_missing curl:curl
        say "Debian's Rust is older than $rust_minimum: installing the stable toolchain with rustup into $HOME/.cargo"
        curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile default >/dev/null
        export PATH="$HOME/.cargo/bin:$PATH"
    fi
    have_rust || fail "Rust $rust_minimum or newer is needed; $(cargo --version 2>/dev/null || echo 'none was') found"
}

install_missing make:make g++:g++ verilator:verilator mkfs.ext4:e2fsprogs
install_rust
if [ "${1:-}" = test ]; then
    install_missing yosys:yosys iverilog:iverilog
fi
say "ready: $(cargo --version), $(verilator --version | cut -d ' ' -f 1-2)"
