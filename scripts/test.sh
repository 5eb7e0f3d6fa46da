#!/bin/bash
# Format, lints, documentation, all tests, area of two endpoints. The last line says how many tests passed and failed.
# With QUICK=1 a part of the tests, for the loop while working.
set -uo pipefail
cd "$(dirname "$0")/.."
mkdir -p build
log=build/test.log

step() {
    printf '== %s\n' "$*"
    "$@" || { echo "failed: $*"; exit 1; }
}

# test_program FOLDER PROGRAM: a program of tests in the folder of its package, as Cargo runs it; one test at a time. Under nohup
# SIGHUP is ignored by all that is started, and its tests would fail.
test_program() {
    local begin=$SECONDS name status
    name=$(basename "$1")/$(basename "$2" | sed 's/-[0-9a-f]*$//')
    local log="build/tests/$(basename "$2").log"
    printf '     Running %s\n' "$name" >"$log"
    (cd "$1" && RUST_TEST_THREADS=1 env --default-signal=HUP "$2") >>"$log" 2>&1
    status=$?
    # what did not come to its end says why
    grep -q '^test result' "$log" || printf 'error: %s ended with %s: %s\n' "$name" "$status" "$(tail -n 1 "$log")" >>"$log"
    # one write, since several programs end at about the same time
    printf '%s\n' "$(grep -E '^(test .* \.\.\. (FAILED|ignored)|test result|error)' "$log" | sed "s|^|$name: |"), $((SECONDS - begin)) s in all"
    # xargs ends at 255
    [ "$status" = 0 ] || return 1
}
export -f test_program

# test_programs [SELECTION...]: the programs of tests that Cargo builds, one more at once than there are processors, since a guest
# and its endpoint wait for each other. Cargo runs one after the other, and a processor rests at the end of each. Those that take
# minutes come first, or one of them is left at the end.
test_programs() {
    local folder_and_program='s|.*"manifest_path":"\([^"]*\)/Cargo.toml".*"profile":{[^}]*"test":true}.*"executable":"\([^"]*\)".*|\1 \2|p'
    # by how long they take
    local longest='guest hard_ip ring hosts serve cli dma events lint net_guest hard_ip_device device_net net formal firmware device
        qtest_registers tools blk device_blk shim'
    rm -rf build/tests
    mkdir -p build/tests
    cargo test --workspace "$@" --no-run --message-format=json-render-diagnostics >build/tests/programs.json || return 1
    sed -n "$folder_and_program" build/tests/programs.json >build/tests/programs
    local name status
    for name in $longest; do grep "/$name-" build/tests/programs; done >build/tests/first
    awk 'NR == FNR { first[$0] } NR == FNR || !($0 in first)' build/tests/first build/tests/programs |
        xargs -P "$(($(nproc) + 1))" -L 1 bash -c 'test_program "$@"' _
    status=$?
    cat build/tests/*.log >"$log"
    return "$status"
}

# How many tests the log says passed and failed.
count() {
    awk '/^test result:/ { passed += $4; failed += $6 } END { printf "%d passed, %d failed\n", passed, failed }' "$log"
}

step cargo fmt --all --check
step cargo fmt --manifest-path firmware/Cargo.toml --check
if [ "${QUICK:-0}" != 0 ]; then
    # Of the whole workspace, so that dependencies have the features that make test builds them with; but for the macros, which --lib
    # would make a program of that does not start.
    tests=(architecture beats blk board cells config device disk driver endpoint endpoint_parts evaluator fuzz lint_source net net_backend \
        pcie plan printer protocol registers root_complex shim time_zero tlp write_a_block)
    test_programs --exclude virtio-hdl-macros --lib "${tests[@]/#/--test=}"
    status=$?
    count
    echo "left out: clippy, documentation, proofs, lint of every example, rings and devices of the RTL alone, hard blocks," \
        "boards, guests, qtest, serve, control events, area; make test runs all"
    exit "$status"
fi
step cargo clippy --workspace --all-targets -- -D warnings
# its programs for the host; tests/tests/firmware_image.rs builds them for the card's processor
step cargo clippy --manifest-path firmware/Cargo.toml --target-dir target/firmware --all-targets -- -D warnings
# As clippy calls the compiler, so that documentation takes what clippy has just checked; else Cargo checks every crate once more.
RUSTC_WORKSPACE_WRAPPER=$(rustup which clippy-driver 2>/dev/null || command -v clippy-driver) \
    CLIPPY_ARGS=-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__ RUSTDOCFLAGS="-D warnings" step cargo doc --workspace --no-deps
printf '== cargo test\n'
status=0
test_programs || status=1
printf '== cargo test --doc\n'
cargo test --workspace --doc --no-fail-fast 2>&1 | tee -a "$log" | grep --line-buffered -E '^(test |error|warning: unused)'
[ "${PIPESTATUS[0]}" = 0 ] || status=1

# A figure that is more than 5 % worse than in docs/resources.md fails; what has the figures of this very text there is not synthesised
# again. Place and route takes longer than all else: make synth.
printf '== virtio-hdl synth\n'
target/debug/virtio-hdl synth blk@7-series-128 net@7-series-128 --only 7-series --check || status=1

count >build/test.count
if [ "$status" -ne 0 ]; then
    awk '/^failures:$/, /^test result:/' "$log"
    echo "the tests failed; all they said is in $log"
fi
cat build/test.count
exit "$status"
