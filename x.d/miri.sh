# shellcheck shell=sh
# The unit tests under Miri, which knows what Rust's rules for pointers say of each access: all but
# those that ask the kernel, or call C. Read by `x`.

miri() {
    set_up "$build_needs"
    find_miri || {
        say "skipped: Miri (rustup's nightly toolchain has it, and is not to be had here)"
        return 0
    }
    # The queues' addresses are numbers on their way to the kernel and back; proptest asks for its folder.
    # shellcheck disable=SC2031,SC2086 # the subshell that set it kept it
    run env RUSTUP_TOOLCHAIN=nightly MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-permissive-provenance" \
        PROPTEST_CASES=16 CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$top/target}" \
        cargo miri test $locked --package uring-pool --lib --all-features
}

# It belongs to one day's compiler, so a nightly that is there is not changed.
find_miri() {
    command -v rustup >/dev/null 2>&1 || return 1
    ! cargo +nightly miri --version >/dev/null 2>&1 || return 0
    if rustup toolchain list | grep -q '^nightly'; then
        timeout 300 rustup component add --toolchain nightly miri rust-src >&2 || return 1
    else
        timeout 300 rustup toolchain install nightly --profile minimal --component miri,rust-src >&2 || return 1
    fi
    cargo +nightly miri --version >&2
}
