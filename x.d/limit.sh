# shellcheck shell=sh
# A time after which a test program is ended, all its processes with it: what waits for ever must fail.
# Read by `x` and cell.sh.

test_seconds=${URING_POOL_TEST_SECONDS:-600}

# Has cargo run tests so from here on, and under the command $under, if any. What the harness says of a
# test that runs for long is in the log by then, and cargo names the program.
limit_tests() {
    host=$(rustc -vV | sed -n 's/^host: //p')
    runner=CARGO_TARGET_$(printf %s "$host" | tr 'a-z-' 'A-Z_')_RUNNER
    export "$runner=timeout --kill-after=10 $test_seconds${under:+ $under}"
}
