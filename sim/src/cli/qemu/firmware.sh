# What the guest of `virtio-hdl qemu rng` does with a device that is a program: what it is, and 4 KiB of it where it is an entropy source.
# Run by sim/src/guest/init.sh.
set -e
for device in /sys/bus/virtio/devices/*; do
    echo "$(basename "$device"): virtio id $(cat "$device/device"), driver $(basename "$(readlink "$device/driver" || echo none)")"
done
if [ -e /dev/hwrng ]; then
    echo "hwrng: $(cat /sys/class/misc/hw_random/rng_current)"
    dd if=/dev/hwrng of=/random bs=64 count=64 2>/dev/null
    echo "$(wc -c </random) bytes, SHA-256 $(sha256sum </random | cut -c 1-16)..."
fi
echo "interrupts:"
grep virtio /proc/interrupts
