#!/bin/bash
# Random requests against a software model of the disk, and random frames both ways, with random completion cuts and
# standstill; as many seeds at once as there are processors. What each run said is in build/soak.
# soak.sh SEEDS REQUESTS FRAMES
set -euo pipefail
cd "$(dirname "$0")/.."
export seeds=${1:-10} requests=${2:-100000} frames=${3:-50000} logs=build/soak
rm -rf "$logs"
mkdir -p "$logs"
cargo build --release -p virtio-hdl
# the first runs build the models that all others use
target/release/virtio-hdl sim blk --scenario random --requests 10 >/dev/null
target/release/virtio-hdl sim net --scenario frames --requests 10 >/dev/null

# one_seed SEED CONFIG SCENARIO COUNT
one_seed() {
    local seed=$1 log=$logs/$2-$1.log start=$SECONDS
    if target/release/virtio-hdl sim "$2" --scenario "$3" --requests "$4" --seed "$seed" \
        --cut random --stall $((seed % 3 * 30)) >"$log" 2>&1; then
        touch "$logs/$2-$seed.passed"
        awk -v what="$2, seed $seed" '/requests,/ { printf "%s: %s %s bytes: no difference", what, $1, $3 }' "$log"
    else
        printf '%s, seed %d: FAILED: %s' "$2" "$seed" "$(tail -n 1 "$log")"
    fi
    printf ' (%d s; %d of %d runs passed so far)\n' $((SECONDS - start)) "$(find "$logs" -name '*.passed' | wc -l)" $((2 * seeds))
}
export -f one_seed

echo "soak: $seeds seeds of $requests random requests, $seeds of $frames random frames each way, $(nproc) at once"
{
    seq -f "%g net frames $frames" "$seeds"
    seq -f "%g blk random $requests" "$seeds"
} | xargs -P "$(nproc)" -L 1 bash -c 'one_seed "$@"' soak
passed=$(find "$logs" -name '*.passed' | wc -l)
echo "$passed of $((2 * seeds)) runs passed"
[ "$passed" -eq $((2 * seeds)) ]
