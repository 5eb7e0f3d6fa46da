#!/usr/bin/env bash
# Ten seeds of 100,000 random requests, compared with a software model of the disk, as many at once as there are cores.
#   SEEDS="1 2 3" REQUESTS=1000 scripts/soak.sh   for fewer
set -euo pipefail
cd "$(dirname "$0")/.."
seeds=${SEEDS:-0 1 2 3 4 5 6 7 8 9}
requests=${REQUESTS:-100000}
cargo build --release --package virtio-hdl
# the first run builds the model, which all others share
target/release/virtio-hdl sim blk --scenario random --requests 10 --seed 0 >/dev/null
printf '%s\n' $seeds | xargs -P "$(nproc)" -I SEED \
    target/release/virtio-hdl sim blk --scenario random --requests "$requests" --seed SEED
echo "soak: $(wc -w <<<"$seeds") seeds of $requests requests: no difference"
