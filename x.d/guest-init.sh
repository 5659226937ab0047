#!/bin/sh
# The first process of a virtual machine: runs the tests and the command, and writes what they say to
# the second serial line, where "@@ NAME" begins a file. kernels.sh takes it apart. From the kernel's
# command line: rings.
export PATH=/bin HOME=/ RUST_BACKTRACE=1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs -o mode=1777 tmpfs /tmp
ip link set lo up
stty -F /dev/ttyS1 raw
exec </dev/null >/dev/ttyS1 2>&1
# A thousand rings and more, without a word about a raised limit.
# shellcheck disable=SC3045 # dash has it
ulimit -n 32768
# Fewer of what is many for the sake of luck alone: the processor is emulated.
export URING_POOL_ROUNDS=2000 URING_POOL_RECYCLINGS=100
# Of rings that take long to fill, the narrowest and the widest.
export URING_POOL_LARGE=1024

echo "@@ release"
uname -r

echo "@@ log"
while read -r name filter; do
    echo "== $name"
    begun=$(cat /proc/uptime)
    # What passing tests say is shown, too: among it, what they could not test. This machine is the
    # tests' own: those that turn its settings run as well.
    # shellcheck disable=SC2086
    timeout -k 5 300 "/tests/$name" --show-output --include-ignored $filter || echo "@@! $name ended with $?"
    now=$(cat /proc/uptime)
    echo "-- $name took $((${now%%.*} - ${begun%%.*})) s"
done </tests/list

echo "@@ probe.json"
timeout 60 uring-pool probe --json 2>/tmp/trouble
echo "@@ demo.json"
# shellcheck disable=SC2154
timeout 300 uring-pool demo --rings "$rings" --json 2>>/tmp/trouble
echo "@@ trouble"
cat /tmp/trouble

echo "@@ end"
echo end
# What is written must have left before the machine does.
exec >/dev/null 2>&1
stty -F /dev/ttyS1 raw
echo b >/proc/sysrq-trigger
