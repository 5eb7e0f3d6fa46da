# What the guest of `virtio-hdl qemu balloon` does with its balloon: waits until nothing more goes in, and shows what is left. Run by
# sim/src/guest/init.sh.
set -e
in_balloon() {
    awk '/^balloon_inflate/ { n += $2 } /^balloon_deflate/ { n -= $2 } END { print n + 0 }' /proc/vmstat
}
last=-1
while [ "$(in_balloon)" != "$last" ]; do
    last=$(in_balloon)
    sleep 1
done
echo "in the balloon: $((last * 4)) KiB"
grep -E '^Mem(Total|Free|Available):' /proc/meminfo
echo "interrupts:"
grep virtio /proc/interrupts
