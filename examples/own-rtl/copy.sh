# What a guest does with the copy device, without a driver: finds it, gives it memory, has it copy, and looks at the result.
#
#   virtio-hdl qemu examples/own-rtl/own.toml --job examples/own-rtl/copy.sh --append 'memmap=1M$0x8000000'
#
# The kernel leaves the 1 MiB from 128 MiB on alone, and the device may have it.
set -e
source=0x8000000
destination=0x8010040
message=0x8020000
words=48

device=
for found in /sys/bus/pci/devices/*; do
    if [ "$(cat "$found/vendor") $(cat "$found/device")" = "0x1234 0xc0de" ]; then device=$found; fi
done
[ -n "$device" ] || { echo "there is no copy device"; exit 1; }
bar=$(head -n 1 "$device/resource" | cut -d ' ' -f 1)
echo "copy device $(basename "$device"), BAR0 at $bar"

register() { devmem $((bar + $1)) 32 ${2:+"$2"}; }
# config PLACE BYTES: writes to configuration space
config() { printf "$2" | dd of="$device/config" bs=1 seek=$(($1)) conv=notrunc 2>/dev/null; }

[ "$(register 0)" = 0x59504F43 ] || { echo "BAR0 says $(register 0)"; exit 1; }
# Memory and Bus Master.
config 4 '\x06'
# MSI-X on; the message goes to memory, where the shell can see it.
config 0x43 '\x80'
devmem $message 32 0
register 0x1000 $message
register 0x1004 0
register 0x1008 0xcafe
register 0x100c 0

word=0
while [ $word -lt $words ]; do
    devmem $((source + 4 * word)) 32 $((0x1000000 * word + 0x5a5a + word))
    word=$((word + 1))
done
register 0x08 $source
register 0x10 $destination
register 0x18 $((4 * words))
register 0x1c 1
tries=0
while [ "$(register 0x20)" != 0x00000002 ]; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || { echo "the status is $(register 0x20)"; exit 1; }
done
word=0
while [ $word -lt $words ]; do
    was=$(devmem $((source + 4 * word)) 32)
    is=$(devmem $((destination + 4 * word)) 32)
    [ "$was" = "$is" ] || { echo "word $word is $is, not $was"; exit 1; }
    word=$((word + 1))
done
[ "$(devmem $message 32)" = 0x0000CAFE ] || { echo "no message: $(devmem $message 32)"; exit 1; }
echo "copied $(register 0x24) bytes, and the message came"
