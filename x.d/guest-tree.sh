#!/bin/sh
# Puts what a virtual machine runs into /guest: the tests and the command that cell.sh has built, the
# libraries they were linked with, and the few commands of the distribution that guest-init.sh needs.
#
# Not among the tests: those of the documentation, `compile_fail`, and of `sys` all but its NOPs. They
# compile, for which there is no compiler in the guest, and what they find out does not depend on the kernel.
set -eu

export CARGO_HOME=/cargo CARGO_TARGET_DIR=/target CARGO_NET_OFFLINE=true CARGO_INCREMENTAL=0
export CARGO_PROFILE_DEV_DEBUG=line-tables-only
cd /src
rm -rf /guest/*
mkdir -p /guest/tests /guest/proc /guest/sys /guest/dev /guest/tmp

add() { # FILE [PLACE]
    place=/guest${2:-$1}
    mkdir -p "${place%/*}"
    cp -L "$1" "$place"
    ldd "$1" | grep -o '/[^ ]*' | while read -r library; do
        [ -e "/guest$library" ] || { mkdir -p "/guest${library%/*}" && cp -L "$library" "/guest$library"; }
    done
}

for tool in sh mount cat cp ip stty timeout uname; do
    add "$(command -v $tool)" "/bin/$tool"
done
add /target/release/uring-pool /bin/uring-pool
# Where the tests expect what they run: the path is compiled into them.
add /target/debug/uring-pool
add /target/debug/feature-gate
cp x.d/guest-init.sh /guest/init
chmod 755 /guest/init

# As in: Executable tests/caps.rs (/target/debug/deps/caps-1234567890abcdef)
cargo test --locked --workspace --all-features --no-run 2>&1 |
    sed -n 's/^ *Executable \(unittests \)\{0,1\}\([^ ]*\) (\(.*\))$/\2 \3/p' >/tmp/executables
while read -r source executable; do
    name=${executable##*/}
    name=${name%-*}
    # A library and a command share a name.
    [ "$source" != src/main.rs ] || name=$name-command
    [ "$name" != compile_fail ] || continue
    add "$executable" "/tests/$name"
    case $name in
    sys) echo "$name nop::" ;;
    *) echo "$name" ;;
    esac
done </tmp/executables >/guest/tests/list
[ -s /guest/tests/list ]
find /guest/tests /guest/target /guest/bin -type f ! -name list -exec strip --strip-debug {} +


