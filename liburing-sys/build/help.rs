//! What to say when the build cannot go on: what was found, what is needed, which package has it.

use std::fmt;

/// A message for the person at the terminal.
pub(crate) struct Failure(String);

/// What has to be installed.
#[derive(Clone, Copy)]
pub(crate) enum Missing {
    Liburing,
    PkgConfig,
    Libclang,
    Compiler,
}

impl Failure {
    /// `found` tells what is wrong here and now, ending in a full stop.
    pub(crate) fn new(missing: Missing, found: impl fmt::Display) -> Self {
        let mut text = format!("{found}\n\n{}:\n", missing.heading());
        for (distribution, command) in missing.packages() {
            text += &format!("  {distribution:<16} {command}\n");
        }
        if let Some(hint) = missing.hint() {
            text += hint;
        }
        Self(text)
    }

    /// Something that no package mends.
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The first line, where a whole message would be too much.
    pub(crate) fn headline(&self) -> &str {
        self.0.lines().next().unwrap_or_default()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Missing {
    fn heading(self) -> &'static str {
        match self {
            Self::Liburing => "uring-pool-sys needs liburing 2.0 or newer, with its headers",
            Self::PkgConfig => "uring-pool-sys needs pkg-config to find liburing",
            Self::Libclang => "uring-pool-sys needs libclang to read liburing's headers",
            Self::Compiler => "uring-pool-sys needs a C compiler and the C library's headers",
        }
    }

    fn packages(self) -> [(&'static str, &'static str); 5] {
        let commands = match self {
            Self::Liburing => [
                "apt install liburing-dev",
                "dnf install liburing-devel",
                "apk add liburing-dev linux-headers",
                "pacman -S liburing",
                "zypper install liburing-devel",
            ],
            Self::PkgConfig => [
                "apt install pkg-config",
                "dnf install pkgconf-pkg-config",
                "apk add pkgconf",
                "pacman -S pkgconf",
                "zypper install pkgconf-pkg-config",
            ],
            Self::Libclang => [
                "apt install libclang-dev",
                "dnf install clang-devel",
                "apk add clang-dev clang-libclang",
                "pacman -S clang",
                "zypper install clang-devel",
            ],
            Self::Compiler => [
                "apt install gcc libc6-dev",
                "dnf install gcc glibc-devel",
                "apk add gcc musl-dev",
                "pacman -S gcc",
                "zypper install gcc glibc-devel",
            ],
        };
        let [debian, fedora, alpine, arch, suse] = commands;
        [
            ("Debian, Ubuntu", debian),
            ("Fedora, RHEL", fedora),
            ("Alpine", alpine),
            ("Arch", arch),
            ("openSUSE", suse),
        ]
    }

    fn hint(self) -> Option<&'static str> {
        match self {
            Self::Liburing | Self::PkgConfig => Some(
                "For a liburing that pkg-config does not know, set LIBURING_INCLUDE_DIR and LIBURING_LIB_DIR.\n",
            ),
            Self::Libclang => Some(
                "For one in an unusual place, set LIBCLANG_PATH to the folder of libclang.so.\n",
            ),
            Self::Compiler => {
                Some("Another compiler is chosen with CC, as the cc crate documents.\n")
            }
        }
    }
}
