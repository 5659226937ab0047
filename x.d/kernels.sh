# shellcheck shell=sh
# The cells of the matrix on other kernels: the tests that a userland's cell has built, and the command,
# under the distributions' kernels for virtual machines. Read by matrix.sh.
#
# The processor is emulated, so this needs no right to virtualise and answers alike on every machine;
# the guest has no disk and no network, only an archive in memory (guest-tree.sh makes it, guest-init.sh
# is its first process) and two serial lines. In the cache folder:
#   kernels/NAME          the kernel: vmlinuz, its release, its version
#   guest/NAME            a userland's archive, and what it is made of
#   out/NAME/linux-NAME   console, answers, and what the answers were taken apart into

all_kernels="bullseye bookworm trixie sid"
# What is hung is ended: far more than a guest takes on a busy machine of two slow processors.
guest_seconds=1200

# What each kernel is: its version (and newer, where the distribution moves), and whether many rings fit
# in one mapping, by the best route that the userland has. In between, 6.5 to 6.9 take small rings only.
kernel_expectation() { # KERNEL
    case $1 in
    bullseye) echo "5.10 fixed apart" ;;
    bookworm) echo "6.1 fixed apart" ;;
    trixie) echo "6.12 fixed combined" ;;
    sid) echo "7.2 moves combined" ;;
    esac
}

# All that the tests may say they could not test there.
untested() { # KERNEL
    # 5.10.162 and newer have the io_uring of 5.15, which no longer charges, and 7.2 has stopped again.
    echo "this kernel does not charge rings to locked memory"
    # There is no disk.
    echo "memory of a file on a disk: files here are in memory"
    case $1 in
    bullseye | bookworm)
        echo "one mapping: needs Linux 6.5"
        echo "packed rings: needs Linux 6.5"
        echo "misplaced rings with SQE128: needs Linux 6.10"
        # Where liburing has no function for it, it is not tried.
        [ "$name" = bookworm ] || echo "memory of our own: needs Linux 6.5"
        echo "kernel.io_uring_disabled: needs Linux 6.6"
        # Files in memory are read so since 6.6.
        echo "direct I/O: no file here takes it: Invalid argument (os error 22)"
        ;;
    esac
    [ "$1" = bullseye ] || return 0
    echo "DEFER_TASKRUN: needs Linux 6.1"
    echo "cancel_all: needs Linux 5.19"
    echo "policies: workers are seen since Linux 5.12, and later ones leave /dev/zero to none"
    echo "SINGLE_ISSUER: needs Linux 6.0"
    echo "a request without completion: needs Linux 5.17"
    echo "SQE128 and CQE32: need Linux 5.19"
}

# The cells of $name, two at a time: a guest is mostly one busy processor.
run_kernels() {
    userland_out=$out
    for suite in $all_kernels; do
        fetch_kernel || return
    done
    make_guest || return
    say "$name: tests and demo on other kernels"
    first=
    second=
    trap 'kill $first $second 2>/dev/null; exit 130' INT TERM
    # shellcheck disable=SC2086
    set -- $all_kernels
    while [ $# -gt 0 ]; do
        boot "$1" &
        first=$!
        second=
        [ $# -eq 1 ] || {
            shift
            boot "$1" &
            second=$!
        }
        shift
        # How a guest ended tells less than what it left.
        for guest in $first $second; do
            wait "$guest" || true
        done
    done
    trap - INT TERM
}

fetch_kernel() { # of $suite
    [ ! -d "$cache/kernels/$suite" ] || return 0
    say "$suite: fetching the kernel"
    rm -rf -- "$cache/kernels/$suite.part"
    mkdir -p -- "$cache/kernels/$suite.part"
    inside "$root" /bin/sh /src/x.d/fetch-kernel.sh "$name" "$suite" "/kernels/$suite.part" >"$out/log-kernel" 2>&1 ||
        {
            fault "the kernel of $suite could not be fetched ($out/log-kernel)"
            return 1
        }
    mv -- "$cache/kernels/$suite.part" "$cache/kernels/$suite"
}

make_guest() {
    if inside "$root" /bin/sh /src/x.d/guest-tree.sh >"$out/log-guest" 2>&1 &&
        (cd -- "$cache/guest/$name" && find . | cpio --quiet -o -H newc) \
            >"$cache/guest/$name.cpio" 2>>"$out/log-guest"; then
        return 0
    fi
    fault "what the guests run could not be put together ($out/log-guest)"
    return 1
}

# Does not return: whoever ends this process ends the guest. A reboot, even that after a panic, ends it, too.
boot() { # KERNEL
    guest_out=$userland_out/linux-$1
    mkdir -p -- "$guest_out"
    exec timeout $guest_seconds qemu-system-x86_64 -accel tcg,thread=multi -smp 2 -m 2G \
        -no-user-config -nodefaults -display none -no-reboot \
        -serial "file:$guest_out/console" -serial "file:$guest_out/answers" \
        -kernel "$cache/kernels/$1/vmlinuz" -initrd "$cache/guest/$name.cpio" \
        -append "console=ttyS0 panic=-1 mitigations=off hugepages=64 rings=$rings" >"$guest_out/qemu" 2>&1
}

# On a slow processor, which is emulated besides, time itself can fail a test, or the guest's kernel: what
# failed gets a second chance, with the machine to itself. The table tells.
once_more() {
    show_failure "$name on Linux $kernel"
    say "$name on Linux $kernel: once more"
    rm -rf -- "$out.first"
    mv -- "$out" "$out.first"
    boot "$suite" &
    first=$!
    trap 'kill $first 2>/dev/null; exit 130' INT TERM
    wait "$first" || true
    trap - INT TERM
    faults=
    again=", the second time"
    judge_kernel
}

# A kernel cell is judged like its userland's cell, and by what only a guest tells.
judge_kernel() { # of $suite, in $out
    # What did not even start left nothing.
    : >>"$out/answers"
    awk -v folder="$out" '/^@@ / { file = folder "/" $2; next } file { print >file }' "$out/answers"
    : >>"$out/log"
    cp -- "$userland_out/liburing" "$userland_out/cargo" "$out"
    if [ ! -f "$out/end" ]; then
        fault "the guest did not come to its end (its last words: $out/console, $out/qemu)"
    fi
    # shellcheck disable=SC2046
    set -- $(kernel_expectation "$suite")
    judge "$3"

    case $2 in
    fixed) same_version "$kernel" "$1" || fault "the kernel is $kernel, expected $1" ;;
    moves) at_least "$kernel" "$1" || fault "the kernel is $kernel, expected $1 or newer" ;;
    esac
    release=$(cat "$cache/kernels/$suite/release")
    [ "$(cat "$out/release" 2>/dev/null)" = "$release" ] || fault "another kernel than $release ran"
    expect "$release" probe kernel

    ended=$(sed -n 's/^@@! //p' "$out/log" | in_line)
    [ -z "$ended" ] || fault "$ended"
    wanted=$(wc -l <"$cache/guest/$name/tests/list")
    got=$(grep -c '^test result:' "$out/log") || true
    [ "$got" -eq "$wanted" ] || fault "$got test programs gave a result, expected $wanted"
    wanted=$(untested "$suite" | sort -u | in_line)
    got=$(sed -n 's/^[Nn][Oo][Tt] [Tt][Ee][Ss][Tt][Ee][Dd]: //p' "$out/log" | sort -u | in_line)
    [ "$got" = "$wanted" ] || fault "not tested: \"$got\", expected \"$wanted\""
}
