#!/bin/busybox sh
# First process of the guest; initramfs.rs puts it there as /init.
/bin/busybox mkdir -p /proc /sys /dev /mnt /tmp
/bin/busybox mount -t proc proc /proc
/bin/busybox --install -s /bin
export PATH=/bin HOME=/ TERM=linux
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
read -r uptime rest </proc/uptime
echo "virtio-hdl: init at $uptime"
while read -r module; do
    insmod "/modules/$module.ko" || echo "virtio-hdl: module $module does not load"
done </modules/order
if [ -e /wait ]; then
    read -r device seconds </wait
    tries=$((seconds * 20))
    while [ ! -b "$device" ] && [ $tries -gt 0 ]; do
        sleep 0.05
        tries=$((tries - 1))
    done
    read -r uptime rest </proc/uptime
    if [ -b "$device" ]; then echo "virtio-hdl: $device at $uptime"; else echo "virtio-hdl: no $device at $uptime"; fi
fi
if [ -e /job ]; then
    sh /job
    echo "virtio-hdl: job exit $?"
else
    echo "virtio-hdl: a shell; 'exit' ends the guest"
    setsid cttyhack sh
fi
sync
# Changing a setting waits until the console has sent everything.
stty echo
poweroff -f
