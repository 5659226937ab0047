# shellcheck shell=sh
# What a cell of the matrix must answer, whether it did, and the table. Read by matrix.sh, which sets
# $name, $out (the cell's answers), and $rings.

# What must come out: liburing's version (and newer, where the distribution moves), have_init_mem, route.
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

judge() {
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
    expect "$4" probe caps.route
    expect true outcome checksum_ok
    expect $((2 * rings)) mode separate maps_added
    expect 1 mode pooled maps_added
    expect "$4" mode pooled route
    case $(count failed) in
    0) [ "$(count passed)" -gt 0 ] || fault "no test ran" ;;
    *) fault "$(count failed) tests failed" ;;
    esac
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

ratio() {
    awk -v a="$(mode separate fork_exit_us)" -v b="$(mode pooled fork_exit_us)" \
        'BEGIN { if (b > 0) printf "%.1f", a / b; else print "?" }'
}

row() {
    result=ok
    [ -z "$faults" ] || result=FAILED
    printf '%s|' "$(title "$name")" "$(cat "$out/liburing" 2>/dev/null)" "$(cat "$out/cargo" 2>/dev/null)" \
        "$(probe liburing.have_init_mem)" "$(probe caps.route)" \
        "$(mode separate maps_added) / $(mode pooled maps_added)" "$(ratio)" \
        "$(count passed) / $(count failed)"
    echo "$result"
}

table() {
    awk -F '|' '
        BEGIN {
            n = split("userland|liburing|cargo|have_init_mem|route|maps separate / pooled|fork+exit ratio|tests passed / failed|result", head, "|")
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

show_failure() {
    say "$name: FAILED$faults"
    say "$name: the end of $out/log:"
    tail -n 30 "$out/log" | sed 's/^/    /' >&2
}

write_page() {
    [ -z "$failed" ] || die "docs/compatibility.md is not written: failed:$failed"
    [ "$(printf %s "$names" | wc -w)" -eq "$(printf %s "$all_cells" | wc -w)" ] ||
        die "docs/compatibility.md is not written: not all cells ran"
    release=${kernel#*.}
    {
        cat <<EOF
# Compatibility

What \`./x matrix\` saw, on Linux ${kernel%%.*}.${release%%.*} ($(uname -m)): in each distribution's own userland the whole
test-suite, then \`uring-pool demo --rings $rings\`. "maps" are the lines that the rings added to
\`/proc/self/maps\`; the ratio says how much longer fork, exit and wait took with separate rings.
\`./x matrix --write\` writes this page.

EOF
        cat "$cache/out/table"
    } >docs/compatibility.md
    say "wrote docs/compatibility.md"
}
