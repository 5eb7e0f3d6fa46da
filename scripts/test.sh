#!/bin/bash
# Format, lints, documentation, all tests, area of two endpoints. The last line says how many tests passed and failed.
set -uo pipefail
cd "$(dirname "$0")/.."
mkdir -p build
log=build/test.log

step() {
    printf '== %s\n' "$*"
    "$@" || { echo "failed: $*"; exit 1; }
}

step cargo fmt --all --check
step cargo clippy --workspace --all-targets -- -D warnings
RUSTDOCFLAGS="-D warnings" step cargo doc --workspace --no-deps
printf '== cargo test\n'
cargo test --workspace --no-fail-fast 2>&1 | tee "$log" | grep --line-buffered -E '^(test |error|warning: unused| +(Compiling|Running|Finished) )'
status=${PIPESTATUS[0]}

# A figure that is more than 5 % worse than in docs/resources.md fails. Place and route takes longer than all else: make synth.
printf '== virtio-hdl synth\n'
cargo run --quiet -p virtio-hdl -- synth blk@7-series-128 net@7-series-128 --only 7-series --check || status=1

awk '/^test result:/ { passed += $4; failed += $6 } END { printf "%d passed, %d failed\n", passed, failed }' "$log" >build/test.count
if [ "$status" -ne 0 ]; then
    awk '/^failures:$/, /^test result:/' "$log"
    echo "the tests failed; all they said is in $log"
fi
cat build/test.count
exit "$status"
