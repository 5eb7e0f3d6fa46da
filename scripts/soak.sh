#!/bin/bash
# Random requests against a software model of the disk, with random completion cuts and standstill; as many seeds at
# once as there are processors. What each run said is in build/soak.
# soak.sh SEEDS REQUESTS
set -euo pipefail
cd "$(dirname "$0")/.."
export seeds=${1:-10} requests=${2:-100000} logs=build/soak
rm -rf "$logs"
mkdir -p "$logs"
cargo build --release -p virtio-hdl
# the first run builds the model that all others use
target/release/virtio-hdl sim blk --scenario random --requests 10 >/dev/null

one_seed() {
    local seed=$1 log=$logs/seed-$1.log start=$SECONDS
    if target/release/virtio-hdl sim blk --scenario random --requests "$requests" --seed "$seed" \
        --cut random --stall $((seed % 3 * 30)) >"$log" 2>&1; then
        touch "$logs/seed-$seed.passed"
        awk -v seed="$seed" '/requests,/ { printf "seed %d: %s requests, %s bytes: no difference", seed, $1, $3 }' "$log"
    else
        printf 'seed %d: FAILED: %s' "$seed" "$(tail -n 1 "$log")"
    fi
    printf ' (%d s; %d of %d seeds passed so far)\n' $((SECONDS - start)) "$(find "$logs" -name '*.passed' | wc -l)" "$seeds"
}
export -f one_seed

echo "soak: $seeds seeds of $requests random requests, $(nproc) at once"
seq "$seeds" | xargs -P "$(nproc)" -I SEED bash -c 'one_seed SEED'
passed=$(find "$logs" -name '*.passed' | wc -l)
echo "$passed of $seeds seeds passed, $requests requests each"
[ "$passed" -eq "$seeds" ]
