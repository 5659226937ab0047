#!/bin/sh
# One cell of the matrix. Runs inside a distribution's root, where matrix.sh has put the sources (/src)
# and crates (/vendor), both read-only, cargo's target folder (/target), and a place for answers (/out).
set -eu

rings=$1
export CARGO_HOME=/cargo CARGO_TARGET_DIR=/target CARGO_NET_OFFLINE=true CARGO_INCREMENTAL=0
export CARGO_PROFILE_DEV_DEBUG=line-tables-only RUST_BACKTRACE=1
mkdir -p "$CARGO_HOME"
cat >"$CARGO_HOME/config.toml" <<'EOF'
[source.crates-io]
replace-with = "vendored"

[source.vendored]
directory = "/vendor"
EOF
cd /src

# The last heading in the log says what went wrong.
step() {
    printf '== %s\n' "$*"
}

# shellcheck source=x.d/limit.sh
. x.d/limit.sh

step versions
cargo --version
cargo --version | sed 's/^cargo \([^ ]*\).*/\1/' >/out/cargo
dpkg-query --show --showformat '${source:Upstream-Version}\n' liburing-dev >/out/liburing
cat /out/liburing

step cargo test
limit_tests
# The words of what must not compile are one compiler's, and compared where that is the machine's own; that it
# fails with the right error in the right line is tested here too.
cargo test --locked --workspace --all-features --no-fail-fast -- --skip refused_in_words_that_help

step release build of the command
cargo build --locked --release --package uring-pool-cli

step uring-pool probe
/target/release/uring-pool probe --json >/out/probe.json

step uring-pool demo
/target/release/uring-pool demo --rings "$rings" --json >/out/demo.json
