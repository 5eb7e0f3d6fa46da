#!/usr/bin/env bash
# The whole test suite, and a last line that counts the tests: "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/.."

passed=0
failed=0

# Runs a check that is one test by itself.
check() {
    local name=$1
    shift
    printf '== %s\n' "$name"
    if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); printf '== %s FAILED\n' "$name"; fi
}

check "cargo fmt" cargo fmt --all --check
check "cargo clippy" cargo clippy --quiet --release --workspace --all-targets -- -D warnings
check "cargo doc" env RUSTDOCFLAGS="-D warnings" cargo doc --quiet --release --workspace --no-deps
check "shell scripts" bash -n scripts/*.sh .ci/run

printf '== cargo test\n'
log=$(mktemp)
trap 'rm -f "$log"' EXIT
cargo test --release --workspace --no-fail-fast 2>&1 | tee "$log"
built=${PIPESTATUS[0]}
counts=$(sed -n 's/^test result: .* \([0-9]*\) passed; \([0-9]*\) failed.*/\1 \2/p' "$log")
while read -r good bad; do
    passed=$((passed + ${good:-0}))
    failed=$((failed + ${bad:-0}))
done <<<"$counts"
# a test that does not build or that dies is a failure that no line counts
if [ "$built" != 0 ] && [ "$failed" = 0 ]; then failed=1; fi

printf '\n%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
