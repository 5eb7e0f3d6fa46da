# What the guest of `virtio-hdl qemu` does: reads and writes the ext4 file system on /dev/vda. Run by sim/src/guest/init.sh.
set -e
for device in /sys/bus/pci/devices/*; do
    if [ "$(cat "$device/vendor")" = 0x1af4 ]; then
        echo "${device##*/}: vendor $(cat "$device/vendor"), device $(cat "$device/device"), driver $(basename "$(readlink "$device/driver")")"
    fi
done
echo "/dev/vda: $(cat /sys/block/vda/size) sectors, serial \"$(cat /sys/block/vda/serial)\""
if ! mount -t ext4 /dev/vda /mnt; then
    echo "there is no ext4 file system on /dev/vda: make one with mkfs.ext4, or give --shell"
    exit 1
fi
find /mnt -xdev -type f | head -n 500 >/tmp/files
xargs -r cat </tmp/files | wc -c >/tmp/bytes
echo "read $(wc -l </tmp/files) files, $(cat /tmp/bytes) bytes"
if [ "$(cat /sys/block/vda/ro)" = 1 ]; then
    echo "the disk is read only: nothing written"
else
    free=$(df -k /mnt | awk 'END { print $4 }')
    size=$((free / 2 < 8192 ? free / 2 : 8192))
    dd if=/dev/urandom of=/tmp/data bs=1k count=$size 2>/dev/null
    dd if=/tmp/data of=/mnt/virtio-hdl.data bs=64k conv=fsync 2>/dev/null
    umount /mnt
    mount -t ext4 /dev/vda /mnt
    cmp /tmp/data /mnt/virtio-hdl.data
    echo "wrote $size KiB to virtio-hdl.data, synced, unmounted, mounted, read back: identical"
fi
umount /mnt
echo "interrupts:"
grep virtio /proc/interrupts
