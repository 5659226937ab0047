//! Where liburing is: the caller's folders first, else what pkg-config says.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::help::{Failure, Missing};
use crate::version::Version;

/// Folders with the headers; several, separated by `:`, where those need kernel headers of their own.
const INCLUDE_DIR: &str = "LIBURING_INCLUDE_DIR";
/// The folder of liburing.so and liburing.a.
const LIB_DIR: &str = "LIBURING_LIB_DIR";
/// Anything but empty or `0`: liburing.a goes into the program.
const STATIC: &str = "LIBURING_STATIC";

/// A liburing, not looked into yet.
pub(crate) struct Liburing {
    /// Empty where the compiler's own search path has the headers.
    pub(crate) include_dirs: Vec<PathBuf>,
    /// Empty where the linker's own search path has the library.
    pub(crate) lib_dirs: Vec<PathBuf>,
    /// liburing.a, if that is what goes into the program.
    pub(crate) archive: Option<PathBuf>,
    /// What a liburing.pc says. The headers say it themselves only since 2.4.
    pub(crate) stated: Option<Version>,
    /// Who told, for messages.
    pub(crate) source: String,
}

pub(crate) fn find() -> Result<Liburing, Failure> {
    let include_dirs = variable(INCLUDE_DIR).map(|v| env::split_paths(&v).collect::<Vec<_>>());
    let lib_dir = variable(LIB_DIR).map(PathBuf::from);
    let statically = variable(STATIC).is_some_and(|v| v != "0");

    let mut found = if include_dirs.is_none() && lib_dir.is_none() {
        ask_pkg_config(statically)?
    } else {
        look_in_folders(include_dirs, lib_dir)?
    };
    if statically {
        found.archive = Some(archive_in(&found)?);
    }
    Ok(found)
}

/// An environment variable that is set and not empty. Changing it runs the build script again.
fn variable(name: &str) -> Option<String> {
    println!("cargo::rerun-if-env-changed={name}");
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn ask_pkg_config(statically: bool) -> Result<Liburing, Failure> {
    // Its own link lines would come before those of the inline functions' archive, which needs liburing after it.
    let answer = pkg_config::Config::new()
        .cargo_metadata(false)
        .env_metadata(true)
        .statik(statically)
        .probe("liburing")
        .map_err(|error| explain(&error))?;
    let mut lib_dirs = answer.link_paths;
    if statically && lib_dirs.is_empty() {
        // pkg-config leaves system folders out, but the archive's full path is needed.
        lib_dirs.extend(pkg_config::get_variable("liburing", "libdir").ok().map(PathBuf::from));
    }
    Ok(Liburing {
        include_dirs: answer.include_paths,
        lib_dirs,
        archive: None,
        stated: Version::parse(&answer.version),
        source: "pkg-config".to_owned(),
    })
}

fn explain(error: &pkg_config::Error) -> Failure {
    match error {
        pkg_config::Error::Command { command, cause } => {
            Failure::new(Missing::PkgConfig, format!("could not run {command}: {cause}."))
        }
        pkg_config::Error::CrossCompilation => Failure::new(
            Missing::Liburing,
            "pkg-config is not set up for this target: set PKG_CONFIG_ALLOW_CROSS=1 and PKG_CONFIG_SYSROOT_DIR or \
             PKG_CONFIG_LIBDIR, or say where its liburing is.",
        ),
        pkg_config::Error::Failure { output, .. }
        | pkg_config::Error::ProbeFailure { output, .. } => {
            let said = String::from_utf8_lossy(&output.stderr);
            Failure::new(
                Missing::Liburing,
                format!("pkg-config finds no liburing.\n{}", indented(&said)),
            )
        }
        other => Failure::new(Missing::Liburing, format!("pkg-config finds no liburing: {other}.")),
    }
}

/// A half that the caller did not name is left to the compiler's search path; pkg-config might tell of another one.
fn look_in_folders(
    includes: Option<Vec<PathBuf>>,
    lib_dir: Option<PathBuf>,
) -> Result<Liburing, Failure> {
    if let Some(dirs) = &includes {
        if !dirs.iter().any(|dir| dir.join("liburing.h").is_file()) {
            let told = variable(INCLUDE_DIR).unwrap_or_default();
            return Err(Failure::new(
                Missing::Liburing,
                format!("there is no liburing.h in {INCLUDE_DIR}={told}."),
            ));
        }
    }
    if let Some(dir) = &lib_dir {
        if !["liburing.so", "liburing.a"].iter().any(|name| dir.join(name).is_file()) {
            let told = dir.display();
            return Err(Failure::new(
                Missing::Liburing,
                format!("there is neither liburing.so nor liburing.a in {LIB_DIR}={told}."),
            ));
        }
    }
    let source = match (&includes, &lib_dir) {
        (Some(_), Some(_)) => format!("{INCLUDE_DIR} and {LIB_DIR}"),
        (Some(_), None) => format!("{INCLUDE_DIR}, and the linker's search path"),
        _ => format!("{LIB_DIR}, and the compiler's search path"),
    };
    let stated = lib_dir.as_deref().and_then(stated_near);
    Ok(Liburing {
        include_dirs: includes.unwrap_or_default(),
        lib_dirs: lib_dir.into_iter().collect(),
        archive: None,
        stated,
        source,
    })
}

/// The version in the liburing.pc of an installed tree, or of liburing's own source tree.
fn stated_near(lib_dir: &Path) -> Option<Version> {
    ["pkgconfig/liburing.pc", "../pkgconfig/liburing.pc", "liburing.pc", "../liburing.pc"]
        .iter()
        .find_map(|path| fs::read_to_string(lib_dir.join(path)).ok())?
        .lines()
        .find_map(|line| Version::parse(line.strip_prefix("Version:")?))
}

fn archive_in(found: &Liburing) -> Result<PathBuf, Failure> {
    let archives: Vec<PathBuf> = found.lib_dirs.iter().map(|dir| dir.join("liburing.a")).collect();
    archives.iter().find(|path| path.is_file()).cloned().ok_or_else(|| {
        let looked: Vec<String> = archives.iter().map(|path| path.display().to_string()).collect();
        Failure::new(
            Missing::Liburing,
            format!(
                "{STATIC} is set, but there is no liburing.a: looked for {} ({}).",
                if looked.is_empty() {
                    format!("it in {LIB_DIR}, which is not set")
                } else {
                    looked.join(", ")
                },
                found.source
            ),
        )
    })
}

pub(crate) fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}
