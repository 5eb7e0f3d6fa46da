#!/bin/bash
# Random requests against a software model of the disk, seed by seed, with random completion cuts and standstill.
# soak.sh SEEDS REQUESTS
set -euo pipefail
cd "$(dirname "$0")/.."
seeds=${1:-10}
requests=${2:-100000}
cargo build --release --quiet -p virtio-hdl
failed=()
for ((seed = 1; seed <= seeds; seed++)); do
    printf 'seed %d of %d: ' "$seed" "$seeds"
    if summary=$(target/release/virtio-hdl sim blk --scenario random --requests "$requests" --seed "$seed" \
        --cut random --stall $((seed % 3 * 30))); then
        echo "$summary" | awk '/requests,/ { print $1, "requests,", $3, "bytes: no difference" }'
    else
        failed+=("$seed")
    fi
done
echo "$((seeds - ${#failed[@]})) of $seeds seeds passed, $requests requests each${failed:+; failed: ${failed[*]}}"
[ "${#failed[@]}" -eq 0 ]
