# shellcheck shell=sh
# The test-suite and the demo on other distributions, on the running kernel and on theirs. Read by `x`.
#
# A cell is a debootstrap root with the distribution's own compiler, libclang, liburing and cargo; where
# its cargo is too old, this machine's toolchain is mounted in. The cache folder keeps
#   roots/NAME    the root; half-made it is called NAME.part, so a root under its own name is whole
#   target/NAME   cargo's target folder in there
#   out/NAME      log, probe.json, demo.json
#   vendor        the crates that Cargo.lock names: cells use no network
# and what kernels.sh says.

all_cells="bookworm trixie sid"
rings=1000
# shellcheck source=x.d/verdict.sh
. x.d/verdict.sh
# shellcheck source=x.d/kernels.sh
. x.d/kernels.sh

cache=${URING_POOL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/uring-pool}
case $cache in
/*) ;;
*) cache=$top/$cache ;;
esac

packages_in() { # NAME
    echo "gcc libc6-dev pkgconf liburing-dev libclang-dev ca-certificates iproute2"
    needs_our_toolchain "$1" || echo "cargo rustc"
}

needs_our_toolchain() { # NAME
    [ "$1" = bookworm ]
}

matrix() { # [--write] [--fresh] [--no-kernels] [NAME…]
    write=
    fresh=
    kernels=yes
    names=
    for argument; do
        case $argument in
        --write) write=yes ;;
        --fresh) fresh=yes ;;
        --no-kernels) kernels= ;;
        -*) bad_usage "\`matrix\` does not know $argument" ;;
        *)
            expectation "$argument" >/dev/null || bad_usage "no such cell: $argument ($all_cells)"
            names="$names $argument"
            ;;
        esac
    done
    names=${names:-$all_cells}
    running=$(uname -r)
    running=${running%%-*}
    at_least "$running" 6.10 ||
        die "the matrix expects what Linux 6.10 and newer do; this is $running"
    [ -z "$kernels" ] || [ "$(uname -m)" = x86_64 ] ||
        die "the other kernels are x86-64's, and this machine is not: --no-kernels leaves them out"
    set_up "certificates cargo debootstrap keyring${kernels:+ qemu cpio}"
    mkdir -p -- "$cache/roots" "$cache/target" "$cache/out" "$cache/kernels" "$cache/guest"
    vendor_crates
    enter_namespace "$@"

    failed=
    : >"$cache/out/rows"
    [ -z "$fresh" ] || rm -rf -- "$cache/kernels"/*
    for name in $names; do
        userland
    done
    table <"$cache/out/rows" | tee "$cache/out/table"
    [ -z "$write" ] || write_page
    [ -z "$failed" ] || die "failed: ${failed#, }"
}

# The cells of $name. Other kernels run what its first cell has built.
userland() {
    out=$cache/out/$name
    root=$cache/roots/$name
    kernel=$running
    rm -rf -- "$out"
    mkdir -p -- "$out"
    faults=
    again=
    begun=$(date +%s)
    ! make_root || ! run_cell || judge combined
    finish "$name" "$begun"
    [ -z "$faults" ] && [ -n "$kernels" ] || return 0

    begun=$(date +%s)
    run_kernels || {
        finish "$name on other kernels" "$begun"
        return 0
    }
    say "$name: other kernels took $(($(date +%s) - begun)) s"
    for suite in $all_kernels; do
        out=$cache/out/$name/linux-$suite
        kernel=$(cat "$cache/kernels/$suite/version")
        kernel=${kernel%%-*}
        faults=
        again=
        judge_kernel
        [ -z "$faults" ] || once_more
        finish "$name on Linux $kernel"
    done
}

finish() { # CELL [BEGUN]
    if [ -z "$faults" ]; then
        say "$1: ok${2:+, $(($(date +%s) - $2)) s}"
    else
        failed="$failed, $1"
        show_failure "$1"
    fi
    row >>"$cache/out/rows"
}

# --- Before the cells

vendor_crates() {
    [ -f Cargo.lock ] || die "no Cargo.lock: \`cargo generate-lockfile\` makes it"
    ! cmp -s Cargo.lock "$cache/vendor.lock" || return 0
    say "fetching the crates"
    rm -rf -- "$cache/vendor" "$cache/vendor.lock"
    cargo vendor --quiet --locked --respect-source-config --versioned-dirs "$cache/vendor" >/dev/null
    cp Cargo.lock "$cache/vendor.lock"
}

# Continues as root in a mount namespace of its own: whatever happens, its mounts vanish with it.
enter_namespace() { # the arguments of `matrix`
    if [ -n "${URING_POOL_IN_NAMESPACE:-}" ]; then
        mount --make-rprivate /
        exec 9>"$cache/lock"
        flock -n 9 || die "another matrix runs in $cache"
        return
    fi
    set -- unshare --mount env URING_POOL_IN_NAMESPACE=1 "$top/x" matrix "$@"
    if [ "$(id -u)" -eq 0 ]; then
        unshare --mount true || die "the matrix needs the right to mount (CAP_SYS_ADMIN)"
        exec "$@"
    fi
    command -v sudo >/dev/null 2>&1 || die "the matrix needs root (it mounts and calls chroot), and there is no sudo"
    say "going on as root, with sudo"
    exec sudo env "PATH=$PATH" "HOME=$HOME" ${CARGO_HOME:+"CARGO_HOME=$CARGO_HOME"} \
        ${RUSTUP_HOME:+"RUSTUP_HOME=$RUSTUP_HOME"} ${CI:+"CI=$CI"} "URING_POOL_CACHE=$cache" \
        ${http_proxy:+"http_proxy=$http_proxy"} ${https_proxy:+"https_proxy=$https_proxy"} \
        ${no_proxy:+"no_proxy=$no_proxy"} "$@"
}

# --- A cell: $name, $root, $out

make_root() {
    # shellcheck disable=SC2046
    set -- $(packages_in "$name")
    if [ -z "$fresh" ] && [ "$(cat "$root/made-with" 2>/dev/null)" = "$*" ]; then
        return 0
    fi
    ! grep -q " $root" /proc/self/mounts || die "something is mounted in $root"
    say "$name: making the root"
    rm -rf -- "$root" "$root.part"
    if bootstrap >"$out/log" 2>&1 && install_inside "$@" >>"$out/log" 2>&1; then
        echo "$*" >"$root.part/made-with"
        mv -- "$root.part" "$root"
    else
        fault "the root could not be made"
        return 1
    fi
}

# An older debootstrap host may lack the keys of a newer distribution: its keyring gets them by upgrade.
bootstrap() {
    PATH=$PATH:/usr/sbin:/sbin
    debootstrap --variant=minbase "$name" "$root.part" && return
    grep -q 'unknown key' "$out/log" || return
    find_manager
    install_packages debian-archive-keyring
    rm -rf -- "$root.part"
    debootstrap --variant=minbase "$name" "$root.part"
}

# debootstrap leaves fresh package lists behind. How this machine reaches the archive holds in there too.
install_inside() { # PACKAGES…
    if command -v apt-config >/dev/null 2>&1; then
        apt-config dump | grep -E '^Acquire::((http|https)::Proxy |Check-|Retries )' \
            >"$root.part/etc/apt/apt.conf.d/90host" || true
    fi
    set -- apt-get install -y --no-install-recommends "$@"
    inside "$root.part" "$@" || { inside "$root.part" apt-get update && inside "$root.part" "$@"; } || return
    inside "$root.part" apt-get clean
}

inside() { # ROOT COMMAND…
    tree=$1
    shift
    chroot "$tree" /usr/bin/env -i DEBIAN_FRONTEND=noninteractive HOME=/root LANG=C.UTF-8 \
        PATH=/opt/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        ${CI:+"CI=$CI"} ${http_proxy:+"http_proxy=$http_proxy"} ${https_proxy:+"https_proxy=$https_proxy"} \
        ${no_proxy:+"no_proxy=$no_proxy"} "$@"
}

run_cell() {
    say "$name: tests and demo"
    mount_all >>"$out/log" 2>&1 || {
        fault "could not mount"
        return 1
    }
    inside "$root" /bin/sh /src/x.d/cell.sh $rings >>"$out/log" 2>&1 || {
        fault "failed at: $(last_step)"
        return 1
    }
}

mount_all() {
    mkdir -p -- "$cache/target/$name" "$cache/guest/$name" "$root/opt/rust"
    mount -t proc proc "$root/proc" && mount --rbind /sys "$root/sys" && mount --rbind /dev "$root/dev" &&
        bind "$cache/target/$name" /target && bind "$out" /out &&
        bind "$cache/kernels" /kernels && bind "$cache/guest/$name" /guest &&
        bind_read_only "$top" /src && bind_read_only "$cache/vendor" /vendor || return
    needs_our_toolchain "$name" || return 0
    sysroot=$(rustc --print sysroot)
    if [ ! -x "$sysroot/bin/cargo" ] || [ "$sysroot" = /usr ]; then
        echo "this cell needs a toolchain of rustup's; rustc's sysroot is $sysroot"
        return 1
    fi
    bind_read_only "$sysroot" /opt/rust
}

bind() { # FOLDER PLACE-IN-ROOT
    mkdir -p -- "$root$2" && mount --bind "$1" "$root$2"
}

bind_read_only() { # FOLDER PLACE-IN-ROOT
    bind "$1" "$2" && mount -o remount,bind,ro "$root$2"
}

last_step() {
    sed -n 's/^== //p' "$out/log" | tail -n 1
}
