# shellcheck shell=sh
# What this workspace needs from the system: how it is recognised, what packages have it, and how
# they get installed. Read by `x`.

build_needs="cc headers pkg-config liburing libclang certificates cargo"
liburing_floor=2.0
msrv=$(sed -n 's/^rust-version *= *"\(.*\)"/\1/p' Cargo.toml)

say() {
    printf 'x: %s\n' "$*" >&2
}

die() {
    say "$*"
    exit 1
}

# Installs whichever of the needs are missing, and ends the script when they cannot be had.
set_up() { # "NEED NEED …"
    find_missing "$1"
    [ -n "$missing" ] || return 0
    for need in $missing; do
        say "missing: $(in_words "$need")"
    done
    install_missing
    find_missing "$1"
    for need in $missing; do
        say "still missing: $(in_words "$need"); $(remedy "$need")"
    done
    [ -z "$missing" ] || exit 1
}

# A need that cannot be checked for lack of another counts as missing, so one round finds them all.
find_missing() { # "NEED NEED …"
    missing=
    for need in $1; do
        "have_$(printf %s "$need" | tr - _)" || missing="$missing $need"
    done
}

# --- Each need: in words, and how it is recognised

in_words() {
    case $1 in
    cc) echo "a C compiler" ;;
    headers) echo "headers of the C library and the kernel" ;;
    pkg-config) echo "pkg-config" ;;
    liburing) echo "liburing $liburing_floor or newer, with headers$(found_liburing)" ;;
    libclang) echo "libclang, with clang's own headers (bindgen reads C with it)" ;;
    certificates) echo "certificate authorities (cargo downloads over https)" ;;
    cargo) echo "cargo $msrv or newer$(found_cargo)" ;;
    rustfmt) echo "rustfmt" ;;
    clippy) echo "clippy" ;;
    debootstrap) echo "debootstrap (makes the roots of the distributions)" ;;
    keyring) echo "the keys of the Debian archive" ;;
    qemu) echo "QEMU for x86-64 (runs other kernels)" ;;
    cpio) echo "cpio (packs what they run)" ;;
    valgrind) echo "valgrind" ;;
    strace) echo "strace" ;;
    esac
}

remedy() {
    case $1 in
    liburing) echo "use a newer distribution, or set LIBURING_INCLUDE_DIR and LIBURING_LIB_DIR" ;;
    libclang) echo "set LIBCLANG_PATH to the folder that has libclang.so" ;;
    cargo) echo "$cargo_remedy" ;;
    *) echo "please install it" ;;
    esac
}

cargo_remedy="install Rust with rustup, or use a newer distribution (Debian 13 has 1.85)"

have_cc() {
    compiler=${CC:-cc}
    command -v "${compiler%% *}" >/dev/null 2>&1
}

have_headers() {
    # shellcheck disable=SC2086 # CC may carry options
    printf '#include <stdio.h>\n#include <linux/types.h>\n' | ${CC:-cc} -E -x c - >/dev/null 2>&1
}

own_liburing() {
    [ -n "${LIBURING_INCLUDE_DIR:-}${LIBURING_LIB_DIR:-}" ]
}

have_pkg_config() {
    own_liburing || command -v "${PKG_CONFIG:-pkg-config}" >/dev/null 2>&1
}

have_liburing() {
    own_liburing || "${PKG_CONFIG:-pkg-config}" --atleast-version="$liburing_floor" liburing 2>/dev/null
}

found_liburing() {
    version=$("${PKG_CONFIG:-pkg-config}" --modversion liburing 2>/dev/null) || return 0
    have_liburing || echo " (found $version)"
}

# The folders that bindgen's clang-sys searches, in its order of names.
have_libclang() {
    if [ -n "${LIBCLANG_PATH:-}" ]; then
        any_file "$LIBCLANG_PATH" "$LIBCLANG_PATH"/libclang*.so*
        return
    fi
    prefix=$("${LLVM_CONFIG_PATH:-llvm-config}" --prefix 2>/dev/null) || prefix=/usr
    any_file "$prefix"/lib/libclang[.-]*so* "$prefix"/lib64/libclang[.-]*so* \
        /usr/lib*/libclang[.-]*so* /usr/lib*/*/libclang[.-]*so* /usr/lib*/*/*/libclang[.-]*so* \
        /usr/local/lib*/libclang[.-]*so* /usr/local/lib*/*/libclang[.-]*so* \
        /usr/local/lib*/*/*/libclang[.-]*so* /usr/local/llvm*/lib*/libclang[.-]*so* || return
    any_file "$prefix"/lib*/clang/*/include/stddef.h /usr/lib*/clang/*/include/stddef.h \
        /usr/lib*/llvm*/lib*/clang/*/include/stddef.h /usr/local/lib*/clang/*/include/stddef.h \
        /usr/local/llvm*/lib*/clang/*/include/stddef.h
}

# Patterns that matched nothing arrive as themselves; libclang-cpp is another library.
any_file() {
    for file; do
        case $file in
        */libclang-cpp*) continue ;;
        esac
        [ ! -f "$file" ] || return 0
    done
    return 1
}

have_certificates() {
    [ -n "${SSL_CERT_FILE:-}${SSL_CERT_DIR:-}${CARGO_HTTP_CAINFO:-}" ] ||
        any_file /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt \
            /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem
}

# rustup's cargo is often not on the PATH of a script, or stands behind the distribution's old one.
have_cargo() {
    if at_least "$(cargo_version)" "$msrv"; then
        return 0
    fi
    rustup_bin=${CARGO_HOME:-${HOME:-}/.cargo}/bin
    if [ -x "$rustup_bin/cargo" ] && at_least "$(PATH=$rustup_bin:$PATH cargo_version)" "$msrv"; then
        PATH=$rustup_bin:$PATH
        export PATH
        return 0
    fi
    return 1
}

cargo_version() {
    cargo --version 2>/dev/null | sed -n 's/^cargo \([0-9.]*\).*/\1/p'
}

found_cargo() {
    version=$(cargo_version)
    [ -z "$version" ] || echo " (found $version)"
}

have_rustfmt() {
    cargo fmt --version >/dev/null 2>&1
}

have_clippy() {
    cargo clippy --version >/dev/null 2>&1
}

have_debootstrap() {
    command -v debootstrap >/dev/null 2>&1 || [ -x /usr/sbin/debootstrap ]
}

have_keyring() {
    any_file /usr/share/keyrings/debian-archive-keyring.gpg /usr/share/keyrings/debian-archive-keyring.pgp
}

have_qemu() {
    command -v qemu-system-x86_64 >/dev/null 2>&1
}

have_cpio() {
    command -v cpio >/dev/null 2>&1
}

have_valgrind() {
    command -v valgrind >/dev/null 2>&1
}

have_strace() {
    command -v strace >/dev/null 2>&1
}

at_least() { # MAJOR.MINOR[.…] MAJOR.MINOR
    [ -n "$1" ] || return 1
    major=${1%%.*} minor=${1#*.}
    minor=${minor%%.*}
    [ "$major" -gt "${2%%.*}" ] || { [ "$major" -eq "${2%%.*}" ] && [ "$minor" -ge "${2#*.}" ]; }
}

# --- Getting it

install_missing() {
    packages=
    components=
    for need in $missing; do
        case $need in
        rustfmt | clippy)
            if command -v rustup >/dev/null 2>&1; then
                components="$components $need"
                continue
            fi
            ;;
        esac
        find_manager
        packages="$packages $(packages_for "$need")"
    done
    if [ -n "$packages" ]; then
        # shellcheck disable=SC2086
        install_packages $packages
    fi
    if [ -n "$components" ]; then
        # shellcheck disable=SC2086
        run rustup component add $components
    fi
}

find_manager() {
    for manager in apt-get dnf apk pacman zypper; do
        ! command -v $manager >/dev/null 2>&1 || return 0
    done
    die "no package manager that this script knows (apt-get, dnf, apk, pacman, zypper): please install the above"
}

packages_for() { # NEED
    case $manager:$1 in
    *:cc) echo gcc ;;
    apt-get:headers) echo libc6-dev linux-libc-dev ;;
    dnf:headers) echo glibc-devel kernel-headers ;;
    apk:headers) echo musl-dev linux-headers ;;
    pacman:headers) echo glibc linux-api-headers ;;
    zypper:headers) echo glibc-devel linux-glibc-devel ;;
    dnf:pkg-config) echo pkgconf-pkg-config ;;
    apk:pkg-config | pacman:pkg-config) echo pkgconf ;;
    *:pkg-config) echo pkg-config ;;
    apt-get:liburing | apk:liburing) echo liburing-dev ;;
    pacman:liburing) echo liburing ;;
    *:liburing) echo liburing-devel ;;
    apt-get:libclang) echo libclang-dev ;;
    apk:libclang) echo clang-dev ;;
    pacman:libclang) echo clang ;;
    *:libclang) echo clang-devel ;;
    zypper:certificates) echo ca-certificates-mozilla ;;
    *:certificates) echo ca-certificates ;;
    pacman:cargo | pacman:rustfmt | pacman:clippy) echo rust ;;
    apt-get:cargo) echo cargo rustc ;;
    *:cargo) echo cargo ;;
    *:rustfmt) echo rustfmt ;;
    apt-get:clippy | apk:clippy) echo rust-clippy ;;
    *:clippy) echo clippy ;;
    *:debootstrap) echo debootstrap ;;
    *:keyring) echo debian-archive-keyring ;;
    apt-get:qemu) echo qemu-system-x86 ;;
    dnf:qemu) echo qemu-system-x86-core ;;
    apk:qemu) echo qemu-system-x86_64 ;;
    pacman:qemu) echo qemu-base ;;
    zypper:qemu) echo qemu-x86 ;;
    *:cpio) echo cpio ;;
    *:valgrind) echo valgrind ;;
    *:strace) echo strace ;;
    esac
}

install_packages() { # PACKAGES…
    case $manager in
    apt-get) set -- apt-get install -y --no-install-recommends "$@" ;;
    dnf) set -- dnf install -y "$@" ;;
    apk) set -- apk add "$@" ;;
    pacman) set -- pacman -S --needed --noconfirm "$@" ;;
    zypper) set -- zypper --non-interactive install "$@" ;;
    esac
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null 2>&1; then
        refuse_old_cargo
        say "this needs root, and there is no sudo. Please run as root:"
        [ "$manager" != apt-get ] || echo "apt-get update"
        echo "$*"
        exit 1
    fi
    if [ "$manager" = apt-get ]; then
        # Package lists may be missing (as in a container) or too old to fetch by.
        "$@" --simulate >/dev/null 2>&1 || as_root apt-get update || true
        refuse_old_cargo
        as_root "$@" || { as_root apt-get update && as_root "$@"; } || die "failed: $*"
    else
        as_root "$@" || die "failed: $*"
    fi
}

# A distribution's cargo that is too old is not worth its download.
refuse_old_cargo() {
    case "$manager $missing " in
    "apt-get "*" cargo "*) ;;
    *) return 0 ;;
    esac
    candidate=$(apt-cache policy rustc 2>/dev/null | sed -n 's/^ *Candidate: \([0-9][0-9.]*\).*/\1/p')
    [ -z "$candidate" ] || at_least "$candidate" "$msrv" ||
        die "this distribution's Rust is $candidate, and $msrv or newer is needed: $cargo_remedy"
}

# sudo forgets the environment: what packages are fetched through must be handed on.
as_root() {
    say "$*"
    if [ "$(id -u)" -eq 0 ]; then
        DEBIAN_FRONTEND=noninteractive "$@"
    else
        sudo env DEBIAN_FRONTEND=noninteractive ${http_proxy:+"http_proxy=$http_proxy"} \
            ${https_proxy:+"https_proxy=$https_proxy"} ${HTTP_PROXY:+"HTTP_PROXY=$HTTP_PROXY"} \
            ${HTTPS_PROXY:+"HTTPS_PROXY=$HTTPS_PROXY"} ${no_proxy:+"no_proxy=$no_proxy"} "$@"
    fi
}
