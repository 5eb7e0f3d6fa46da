#!/bin/bash
# Random requests against a software model of the disk, random frames, bytes and pages both ways, and control events under load on all
# devices, on the raw link and behind the models of the hard PCIe blocks; with random completion cuts and standstill; as many
# seeds at once as there are processors. What each run said is in build/soak.
# soak.sh SEEDS REQUESTS FRAMES EVENTS; a count of 0 leaves that kind out.
set -euo pipefail
cd "$(dirname "$0")/.."
export seeds=${1:-10} requests=${2:-100000} frames=${3:-50000} events=${4:-2000} logs=build/soak
blocks=(7-series-64 7-series-128 ultrascale+-128 ultrascale+-256)
rm -rf "$logs"
mkdir -p "$logs"
cargo build --release -p virtio-hdl

# What is to run: SEED CONFIG SCENARIO COUNT, a line each.
plan() {
    local seed
    for seed in $(seq "$seeds"); do
        [ "$events" -eq 0 ] || printf '%d %s events %d\n' \
            "$seed" blk "$events" \
            "$seed" net "$events" \
            "$seed" blk-multiqueue $((events / 4 + 1)) \
            "$seed" console $((events / 2 + 1)) \
            "$seed" balloon $((events / 2 + 1)) \
            "$seed" "blk@${blocks[seed % 4]}" $((events / 4 + 1)) \
            "$seed" "net@${blocks[(seed + 1) % 4]}" $((events / 4 + 1))
        [ "$frames" -eq 0 ] || printf '%d %s\n' "$seed" "net frames $frames" "$seed" "console bytes $((frames * 4))" \
            "$seed" "balloon pages $frames"
        [ "$requests" -eq 0 ] || printf '%d %s random %d\n' "$seed" blk "$requests" "$seed" blk-multiqueue $((requests / 4 + 1))
    done
}
plan >"$logs/plan"
total=$(wc -l <"$logs/plan")
export total

# The first run of each model builds it for all others.
awk '{ print 0, $2, $3, 10 }' "$logs/plan" | sort -u | while read -r seed config scenario count; do
    target/release/virtio-hdl sim "$config" --scenario "$scenario" --requests "$count" --seed "$seed" >/dev/null
done

# one_run SEED CONFIG SCENARIO COUNT
one_run() {
    local seed=$1 what="$2, $3, seed $1" log="$logs/$2-$3-$1" start=$SECONDS
    if target/release/virtio-hdl sim "$2" --scenario "$3" --requests "$4" --seed "$seed" \
        --cut random --stall $((seed % 3 * 30)) >"$log.log" 2>&1; then
        touch "$log.passed"
        printf '%s: passed' "$what"
    else
        printf '%s: FAILED: %s' "$what" "$(tail -n 1 "$log.log")"
    fi
    printf ' (%d s; %d of %d runs passed so far)\n' $((SECONDS - start)) "$(find "$logs" -name '*.passed' | wc -l)" "$total"
}
export -f one_run

echo "soak: $seeds seeds of $requests random requests, $frames random frames each way, $events control events, $(nproc) at once"
xargs -P "$(nproc)" -L 1 bash -c 'one_run "$@"' soak <"$logs/plan"
passed=$(find "$logs" -name '*.passed' | wc -l)
echo "$passed of $total runs passed"
[ "$passed" -eq "$total" ]
