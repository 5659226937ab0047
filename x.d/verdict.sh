# shellcheck shell=sh
# What a cell of the matrix must answer, whether it did, and the table. Read by matrix.sh, which sets
# $name, $kernel, $out (the cell's answers), and $rings.

# What must come out: liburing's version (and newer, where the distribution moves), have_init_mem, and
# the route where the kernel lets rings share a mapping.
expectation() { # NAME
    case $1 in
    bookworm) echo "2.3 fixed false direct" ;;
    trixie) echo "2.9 fixed true init_mem" ;;
    sid) echo "2.15 moves true init_mem" ;;
    *) return 1 ;;
    esac
}

title() { # NAME
    case $1 in
    bookworm) echo "Debian 12" ;;
    trixie) echo "Debian 13" ;;
    sid) echo "Debian sid" ;;
    esac
}

fault() {
    faults="$faults
    $*"
}

judge() { # combined|apart: what the kernel does with many rings
    kernel_does=$1
    # shellcheck disable=SC2046
    set -- $(expectation "$name")
    version=$(cat "$out/liburing" 2>/dev/null) || version=
    case $2 in
    fixed) same_version "$version" "$1" || fault "liburing is $version, expected $1" ;;
    moves) at_least "$version" "$1" || fault "liburing is $version, expected $1 or newer" ;;
    esac
    same_version "$(probe liburing.headers)" "$version" ||
        fault "probe: liburing.headers is $(probe liburing.headers), the package is $version"
    expect "$3" probe liburing.have_init_mem
    expect true probe caps.checked
    expect true outcome checksum_ok
    expect $((2 * rings)) mode separate maps_added
    if [ "$kernel_does" = combined ]; then
        expect "$4" probe caps.route
        expect "$4" mode pooled route
        expect null probe caps.reason
        expect 1 mode pooled maps_added
    else
        expect separate probe caps.route
        expect separate mode pooled route
        expect null probe caps.mem_init_size
        [ "$(probe caps.reason)" != null ] || fault "probe caps.reason: null, expected a reason"
        # One more: what the processes agree on lies in a mapping of the pool's.
        expect $((2 * rings + 1)) mode pooled maps_added
    fi
    expect true probe caps.registrations.files
    expect true probe caps.registrations.buffers
    expect "$(since 5.18)" probe caps.registrations.descriptor
    expect "$(since 6.12)" probe caps.registrations.shared_buffers
    case $(count failed) in
    0) [ "$(count passed)" -gt 0 ] || fault "no test ran" ;;
    *) fault "$(count failed) tests failed: $(sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p' "$out/log" | in_line)" ;;
    esac
}

# Whether this cell's kernel has what came with that one.
since() { # VERSION
    if at_least "$kernel" "$1"; then echo true; else echo false; fi
}

expect() { # VALUE probe|outcome|mode PATH…
    wanted=$1
    shift
    got=$("$@")
    [ "$got" = "$wanted" ] || fault "$*: ${got:-absent}, expected $wanted"
}

same_version() { # 2.9.1 2.9
    case $1 in
    "$2" | "$2".*) return 0 ;;
    esac
    return 1
}

probe() { # PATH
    json probe.json "$1"
}

outcome() { # PATH, in what the demo said
    json demo.json "$1"
}

mode() { # separate|pooled FIELD
    for index in 0 1 2 3; do
        if [ "$(json demo.json "modes.$index.mode")" = "$1" ]; then
            json demo.json "modes.$index.$2"
        fi
    done
}

json() { # FILE PATH
    awk -f "$top/x.d/json.awk" "$out/$1" 2>/dev/null | awk -F '\t' -v path="$2" '$1 == path { print $2 }'
}

count() { # passed|failed
    awk -v what="$1" '/^test result:/ { for (i = 2; i <= NF; i++) if ($i ~ "^" what) sum += $(i - 1) }
        END { print sum + 0 }' "$out/log"
}

# Nothing to compare where both modes go the same way.
ratio() {
    [ "$(mode pooled route)" != separate ] || {
        echo -
        return
    }
    awk -v a="$(mode separate fork_exit_us)" -v b="$(mode pooled fork_exit_us)" \
        'BEGIN { if (b > 0) printf "%.1f", a / b; else print "?" }'
}

in_line() {
    tr '\n' ';'
}

row() {
    result=ok$again
    [ -z "$faults" ] || result=FAILED
    printf '%s|' "$(title "$name")" "$kernel" "$(cat "$out/liburing" 2>/dev/null)" "$(cat "$out/cargo" 2>/dev/null)" \
        "$(probe liburing.have_init_mem)" "$(probe caps.route)" \
        "$(mode separate maps_added) / $(mode pooled maps_added)" "$(ratio)" \
        "$(count passed) / $(count failed)"
    echo "$result"
}

table() {
    awk -F '|' '
        BEGIN {
            n = split("userland|Linux|liburing|cargo|have_init_mem|route|maps separate / pooled|fork+exit ratio|tests passed / failed|result", head, "|")
            for (i = 1; i <= n; i++) { cell[0, i] = head[i]; width[i] = length(head[i]) }
        }
        { for (i = 1; i <= n; i++) { cell[NR, i] = $i; if (length($i) > width[i]) width[i] = length($i) } }
        END {
            for (r = 0; r <= NR; r++) {
                line = "|"; rule = "|"
                for (i = 1; i <= n; i++) {
                    line = line sprintf(" %-" width[i] "s |", cell[r, i])
                    dashes = sprintf("%" (width[i] + 2) "s", ""); gsub(/ /, "-", dashes); rule = rule dashes "|"
                }
                print line
                if (r == 0) print rule
            }
        }'
}

show_failure() { # CELL
    say "$1: FAILED$faults"
    say "$1: the end of $out/log:"
    { tail -n 30 "$out/log" 2>/dev/null || true; } | sed 's/^/    /' >&2
}

write_page() {
    [ -z "$failed" ] || die "docs/compatibility.md is not written: failed: ${failed#, }"
    [ "$(printf %s "$names" | wc -w) ${kernels:-no}" = "$(printf %s "$all_cells" | wc -w) yes" ] ||
        die "docs/compatibility.md is not written: not all cells ran"
    release=${running#*.}
    mkdir -p docs
    {
        cat <<EOF
# Compatibility

What \`./x matrix\` saw ($(uname -m)): in each distribution's own userland the whole test-suite, then
\`uring-pool demo --rings $rings\`. On Linux ${running%%.*}.${release%%.*}, the kernel of the machine that built it, that is
all of the tests; on the other kernels, Debian's under an emulated processor, all but those that
need a compiler. "maps" are the lines that the rings added to \`/proc/self/maps\`; the ratio says how
much longer fork, exit and wait took with separate rings. \`./x matrix --write\` writes this page.

EOF
        cat "$cache/out/table"
    } >docs/compatibility.md
    say "wrote docs/compatibility.md"
}
