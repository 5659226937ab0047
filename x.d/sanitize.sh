# shellcheck shell=sh
# The test-suites under AddressSanitizer and valgrind. Read by `x`.
#
# AddressSanitizer sees what Rust code does to memory, and its leak checker what is lost when a process
# ends; both the safe crate's and the command's tests run under it. valgrind also sees liburing's own
# code, which is not compiled here, and what is read before it was ever written; it is slow, and runs
# one thread at a time. A test that cannot run under one of them says so itself.

# Fewer of what is many for the sake of luck alone.
address_numbers="URING_POOL_KILLS=20 URING_POOL_ROUNDS=10000 URING_POOL_CLAIMS=200000 URING_POOL_RECYCLINGS=200"
valgrind_numbers="URING_POOL_KILLS=10 URING_POOL_ROUNDS=1000 URING_POOL_CLAIMS=20000 URING_POOL_RECYCLINGS=20"

# Forked children end without dropping what is their parents', which to valgrind is lost. (Of
# AddressSanitizer's leak checker, who leaves by _exit is not asked.)
valgrind_alone="caps io kinds_of_buffers leaks memory one_mapping packed push_raw raw_queues recycle threads"
# Nor is `links`: a wait with a time may end early there, and then buffers are left behind as they should.
valgrind_forking="lib buffers corners corners_leave corners_panic corners_submit dead files fork kill leave links plan raw registered registered_ring sockets"

why_not_under_valgrind() { # TEST
    case $1 in
    locked_memory | refusals | steady) echo "it does not know seccomp(2)" ;;
    policy) echo "it watches for threads of the kernel's" ;;
    compile_fail) echo "it compiles, and runs nothing of the library's" ;;
    first_use) echo "it is about the moment of a fork, and takes hundreds of them" ;;
    timeouts) echo "a wait in io_uring_enter does not end there when a timeout fires" ;;
    machine) echo "it is for a machine of its own" ;;
    many_rings) echo "it keeps descriptors for itself, of which this takes nearly all" ;;
    *) echo "not in the list in x.d/sanitize.sh" ;;
    esac
}

sanitize() { # [--address] [--valgrind]
    which=
    for argument; do
        case $argument in
        --address | --valgrind) which="$which ${argument#--}" ;;
        *) bad_usage "\`sanitize\` does not know $argument" ;;
        esac
    done
    which=${which:-address valgrind}
    needs=$build_needs
    case $which in *valgrind*) needs="$needs valgrind" ;; esac
    set_up "$needs"
    # shellcheck disable=SC2031 # the subshell that set it kept it
    sanitize_target=${CARGO_TARGET_DIR:-$top/target}/sanitize
    mkdir -p -- "$sanitize_target"
    : >"$sanitize_target/left-out"
    host=$(rustc -vV | sed -n 's/^host: //p')
    figures=
    failed=
    for sanitizer in $which; do
        begun=$(date +%s)
        log=$sanitize_target/$sanitizer.log
        : >"$log"
        "under_$sanitizer"
        figures="$figures
    $sanitizer: $(count_tests passed) tests passed, $(count_tests failed) failed, $(left_out | wc -l) left out, $(($(date +%s) - begun)) s"
        left_out >>"$sanitize_target/left-out"
    done
    say "left out, whole or in part:"
    sed 's/^/    /' "$sanitize_target/left-out" >&2
    say "sanitize:$figures"
    [ -z "$failed" ] || die "failed under:$failed"
}

under_address() {
    find_address_sanitizer
    under=
    limit_tests
    # The target is named so that build scripts and macros of the compiler's are left as they are.
    # shellcheck disable=SC2086
    watched env $address_numbers URING_POOL_SANITIZER=AddressSanitizer "$nightly" \
        RUSTFLAGS="-Zsanitizer=address ${RUSTFLAGS:-}" RUSTDOCFLAGS="-Zsanitizer=address ${RUSTDOCFLAGS:-}" \
        CARGO_TARGET_DIR="$sanitize_target" \
        CARGO_PROFILE_DEV_DEBUG=line-tables-only CARGO_INCREMENTAL=0 \
        ASAN_OPTIONS="detect_leaks=1:detect_stack_use_after_return=1:exitcode=99${ASAN_OPTIONS:+:$ASAN_OPTIONS}" \
        cargo test $locked --target "$host" --package uring-pool --package uring-pool-cli --all-features \
        --no-fail-fast -- --show-output
}

# The compiler that builds all else will do, if it comes with the sanitizer: the flag is an unstable
# one, which a stable compiler takes when it is told to.
find_address_sanitizer() {
    nightly=RUSTC_BOOTSTRAP=1
    ! has_address_sanitizer "$(rustc --print sysroot)" || return 0
    if command -v rustup >/dev/null 2>&1; then
        toolchain=$(rustup toolchain list | sed -n 's/^\(nightly[^ ]*\).*/\1/p' | head -n 1)
        nightly=RUSTUP_TOOLCHAIN=$toolchain
        [ -z "$toolchain" ] || ! has_address_sanitizer "$(env "$nightly" rustc --print sysroot)" || return 0
    fi
    die "this compiler comes without AddressSanitizer: rustup's toolchains for $host have it"
}

has_address_sanitizer() { # SYSROOT
    any_file "$1/lib/rustlib/$host/lib"/librustc*rt.asan.a
}

under_valgrind() {
    valgrind_tests full "$valgrind_alone"
    valgrind_tests no "$valgrind_forking"
    for test in tests/*.rs; do
        test=$(basename "$test" .rs)
        case " $valgrind_alone $valgrind_forking " in
        *" $test "*) ;;
        *) echo "LEFT OUT under valgrind: tests/$test.rs: $(why_not_under_valgrind "$test")" >>"$log" ;;
        esac
    done
}

valgrind_tests() { # full|no: its leak check, "TEST TEST …"
    leak_check=$1
    tests=
    for test in $2; do
        case $test in
        lib) tests="$tests --lib" ;;
        *) tests="$tests --test $test" ;;
        esac
    done
    under="valgrind --quiet --error-exitcode=99 --leak-check=$leak_check"
    under="$under --errors-for-leak-kinds=definite --show-leak-kinds=definite --vgdb=no"
    limit_tests
    # shellcheck disable=SC2086
    watched env $valgrind_numbers URING_POOL_SANITIZER=valgrind \
        cargo test $locked --package uring-pool --all-features $tests --no-fail-fast -- --show-output
}

# Shows what a command says, and keeps it in the log.
watched() {
    say "$*"
    {
        "$@" 2>&1 || printf 'x: exit code %s\n' $?
    } | tee -a "$log"
    case $(tail -n 1 "$log") in
    "x: exit code "*) failed="$failed $sanitizer" ;;
    esac
}

count_tests() { # passed|failed
    awk -v what="$1" '/^test result:/ { for (i = 2; i <= NF; i++) if ($i ~ "^" what) sum += $(i - 1) }
        END { print sum + 0 }' "$log"
}

# With what no other command could test here either.
left_out() {
    sed -n -e 's/^LEFT OUT under //p' -e "s/^NOT TESTED/$sanitizer/p" "$log"
}
