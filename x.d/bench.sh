# shellcheck shell=sh
# What the work costs, next to C and the io-uring crate: benches/ measures, this builds it. Read by `x`.

bench() { # [WORK…] [OPTIONS…]: benches/src/plan.rs reads them
    set_up "$build_needs valgrind strace"
    # The profile `measure` is release with the names of lines.
    # shellcheck disable=SC2086
    run cargo build $locked --profile measure --package uring-pool-bench
    # shellcheck disable=SC2031 # the subshell that set it kept it
    program=${CARGO_TARGET_DIR:-$top/target}/measure/uring-pool-bench
    page=
    for argument; do
        shift
        case $argument in
        --write) page=$top/docs/performance.md ;;
        *) set -- "$@" "$argument" ;;
        esac
    done
    cd -- "$start" # paths among the arguments are the caller's
    exec "$program" all "$@" ${page:+"--write=$page"}
}
