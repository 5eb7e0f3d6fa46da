# What the guest of `virtio-hdl qemu console` does with its console. Run by sim/src/guest/init.sh.
set -e
echo "hvc0: driver $(basename "$(readlink /sys/class/tty/hvc0/device/driver 2>/dev/null || echo virtio_console)")"
echo "hello from the guest, kernel $(uname -r)" >/dev/hvc0
# The driver learns of the size when it prints for the first time.
sleep 0.2
echo "size: $(stty size </dev/hvc0)"
echo "interrupts:"
grep virtio /proc/interrupts
