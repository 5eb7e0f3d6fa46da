# What the guest of `virtio-hdl qemu net` does with eth0. Run by sim/src/guest/init.sh.
set -e
echo "eth0: $(cat /sys/class/net/eth0/address), driver $(basename "$(readlink /sys/class/net/eth0/device/driver)")"
ip link set eth0 up
cat >/tmp/dhcp <<'SCRIPT'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip address add "$ip/$mask" dev "$interface"
SCRIPT
chmod +x /tmp/dhcp
udhcpc -q -n -i eth0 -s /tmp/dhcp 2>&1 | grep lease
peer=10.0.2.2
ping -q -A -c 20 $peer | tail -n 2
sum() { md5sum "$@" | cut -d ' ' -f 1; }
size=4194304
wget -q -O /tmp/data "http://$peer/random/$size/1"
[ "$(sum /tmp/data)" = "$(wget -q -O - "http://$peer/md5/$size/1")" ]
echo "received $size bytes by TCP: identical"
[ "$(sum /tmp/data)" = "$(wget -q -O - --post-file=/tmp/data "http://$peer/sink")" ]
echo "sent $size bytes by TCP: identical"
echo "interrupts:"
grep virtio /proc/interrupts
