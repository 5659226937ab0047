//! On a machine where something is missing, the build script says what, and which package has it.
//!
//! The build script of this very build is run again, in folders made up here. Cargo is not needed for that.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common;

/// A machine as the build script sees it: nothing but a folder of its own.
struct Machine {
    folder: PathBuf,
    script: Command,
}

impl Machine {
    fn new(name: &str) -> Self {
        let folder = common::scratch(name);
        let mut script = Command::new(env!("URING_POOL_SYS_BUILD_SCRIPT"));
        for (variable, _) in std::env::vars_os() {
            let text = variable.to_string_lossy();
            if ["LIBURING_", "PKG_CONFIG", "DOCS_RS", "CC", "CFLAGS"]
                .iter()
                .any(|start| text.starts_with(start))
            {
                script.env_remove(&variable);
            }
        }
        let (out, pc) = (folder.join("out"), folder.join("pkgconfig"));
        fs::create_dir_all(&out).unwrap();
        fs::create_dir_all(&pc).unwrap();
        script
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("CARGO_MANIFEST_DIR", env!("CARGO_MANIFEST_DIR"))
            .env("OUT_DIR", out)
            .env("TARGET", env!("URING_POOL_SYS_TARGET"))
            .env("HOST", env!("URING_POOL_SYS_HOST"))
            .env("CARGO_CFG_TARGET_OS", std::env::consts::OS)
            .env("CARGO_CFG_TARGET_ARCH", std::env::consts::ARCH)
            .env("CARGO_CFG_TARGET_ENV", if cfg!(target_env = "musl") { "musl" } else { "gnu" })
            .env(
                "CARGO_CFG_TARGET_FEATURE",
                if cfg!(target_feature = "crt-static") { "crt-static" } else { "" },
            )
            .env("OPT_LEVEL", "0")
            .env("DEBUG", "false")
            .env("PKG_CONFIG_LIBDIR", pc);
        Self { folder, script }
    }

    fn with(mut self, variable: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.script.env(variable, value);
        self
    }

    /// A liburing.pc.
    fn told_by_pkg_config(self, version: &str, includes: &[PathBuf], lib: &Path) -> Self {
        let includes: Vec<_> = includes.iter().map(|dir| format!("-I{}", dir.display())).collect();
        let text = format!(
            "Name: liburing\nDescription: made up\nVersion: {version}\nLibs: -L{} -luring\nCflags: {}\n",
            lib.display(),
            includes.join(" ")
        );
        fs::write(self.folder.join("pkgconfig/liburing.pc"), text).unwrap();
        self
    }

    /// All that is said to Cargo.
    fn says(mut self) -> String {
        let output = self.script.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "it should not crash: {errors}");
        assert_eq!(errors, "", "what is for people goes through Cargo");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Only the error.
    fn refuses(self) -> String {
        let said = self.says();
        let lines: Vec<_> =
            said.lines().filter_map(|line| line.strip_prefix("cargo::error=")).collect();
        assert!(!lines.is_empty(), "it should have been an error:\n{said}");
        assert!(lines.len() < 15, "nobody reads so much:\n{}", lines.join("\n"));
        assert!(!said.contains("cargo::rustc-link-lib"), "an error links nothing:\n{said}");
        lines.join("\n")
    }
}

/// The message names this, and the packages with liburing.
#[track_caller]
fn names(message: &str, what: &[&str]) {
    for part in what {
        assert!(message.contains(part), "no {part:?} in:\n{message}");
    }
}

const LIBURING: [&str; 6] =
    ["2.0", "liburing-dev", "liburing-devel", "linux-headers", "pacman -S liburing", "zypper"];

#[test]
fn no_liburing_at_all_names_the_packages_with_it() {
    let message = Machine::new("nothing").refuses();
    names(&message, &LIBURING);
    names(&message, &["pkg-config finds no liburing", "LIBURING_INCLUDE_DIR"]);
}

/// Debian 11's 0.7 has no `__io_uring_sqring_wait`; neither has this one.
#[test]
fn a_liburing_before_2_0_is_named_with_its_version_and_place() {
    let machine = Machine::new("old");
    let (include, lib) = (machine.folder.join("include"), machine.folder.join("lib"));
    fs::create_dir_all(&include).unwrap();
    fs::create_dir_all(&lib).unwrap();
    let header = include.join("liburing.h");
    fs::write(
        &header,
        "struct io_uring;\nint io_uring_queue_init(unsigned, struct io_uring *, unsigned);\n",
    )
    .unwrap();
    let source = machine.folder.join("library.c");
    fs::write(&source, "int io_uring_queue_init(void) { return -38; }\n").unwrap();
    let built = common::cc()
        .args(["-shared", "-o"])
        .arg(lib.join("liburing.so"))
        .arg(&source)
        .status()
        .unwrap();
    assert!(built.success());

    let message = machine.told_by_pkg_config("0.7", &[include], &lib).refuses();
    names(&message, &LIBURING);
    names(&message, &["too old", "0.7", &header.display().to_string()]);
}

#[test]
fn a_library_without_headers_is_told_from_no_library() {
    let machine = Machine::new("no-headers");
    let empty = machine.folder.join("include");
    fs::create_dir_all(&empty).unwrap();
    let lib = machine.folder.join("lib");
    // The system's own headers are out of sight too.
    let message =
        machine.told_by_pkg_config("2.9", &[empty], &lib).with("CFLAGS", "-nostdinc").refuses();
    names(&message, &LIBURING);
    names(&message, &["liburing 2.9 (pkg-config)", "headers cannot be read", "liburing.h"]);
}

#[test]
fn headers_without_a_library_are_told_from_no_headers() {
    let machine = Machine::new("no-library");
    let lib = machine.folder.join("lib");
    fs::create_dir_all(&lib).unwrap();
    // What a removed run-time package leaves behind: a link that leads nowhere.
    fs::write(lib.join("liburing.so"), "INPUT(/nowhere/liburing.so.2)\n").unwrap();
    let message = machine.told_by_pkg_config("2.9", &common::include_dirs(), &lib).refuses();
    names(&message, &LIBURING);
    names(
        &message,
        &["liburing 2.9 (pkg-config)", "library cannot be linked", "/nowhere/liburing.so.2"],
    );
}

#[test]
fn a_folder_without_what_it_should_hold_is_named() {
    let machine = Machine::new("wrong-include");
    let folder = machine.folder.clone();
    let message = machine.with("LIBURING_INCLUDE_DIR", &folder).refuses();
    names(&message, &LIBURING);
    names(&message, &["no liburing.h", &format!("LIBURING_INCLUDE_DIR={}", folder.display())]);

    let machine = Machine::new("wrong-lib");
    let folder = machine.folder.clone();
    let message = machine.with("LIBURING_LIB_DIR", &folder).refuses();
    names(
        &message,
        &["neither liburing.so nor liburing.a", &format!("LIBURING_LIB_DIR={}", folder.display())],
    );
}

#[test]
fn static_linking_without_an_archive_is_refused_rather_than_made_dynamic() {
    let machine = Machine::new("no-archive");
    let lib = machine.folder.join("lib");
    fs::create_dir_all(&lib).unwrap();
    fs::write(lib.join("liburing.so"), "").unwrap();
    let message = machine.with("LIBURING_LIB_DIR", &lib).with("LIBURING_STATIC", "1").refuses();
    names(&message, &["LIBURING_STATIC", &lib.join("liburing.a").display().to_string()]);
}

#[test]
fn a_missing_tool_names_its_own_package_and_not_liburings() {
    let lib = Path::new("/nowhere");
    let includes = common::include_dirs();
    let tools = [
        ("PKG_CONFIG", "/nowhere/pkg-config", "pkgconf"),
        ("CC", "/nowhere/cc", "apt install gcc"),
    ];
    for (variable, path, package) in tools {
        let machine = Machine::new("no-tool").told_by_pkg_config("2.9", &includes, lib);
        let message = machine.with(variable, path).refuses();
        names(&message, &[path, package]);
        assert!(!message.contains("liburing-dev"), "the wrong package:\n{message}");
    }
}

/// Otherwise a machine short of memory would build a library that is short of features.
#[test]
fn a_compiler_that_was_killed_is_no_answer() {
    let machine = Machine::new("killed");
    let compiler = machine.folder.join("cc");
    let real = Path::new(common::cc().get_program()).display().to_string();
    // It dies at one row of the table, and at no other program.
    let script = format!(
        "#!/bin/sh\nfor file; do\n\tcase $file in *.c) ! grep -q '&io_uring_register_ring_fd' \"$file\" || kill -9 $$;; esac\n\
         done\nexec '{real}' \"$@\"\n"
    );
    fs::write(&compiler, script).unwrap();
    fs::set_permissions(&compiler, fs::Permissions::from_mode(0o755)).unwrap();
    names(&here(machine).with("CC", &compiler).refuses(), &["did not end by itself", "signal: 9"]);
}

#[test]
fn a_missing_libclang_names_its_own_package() {
    let message = here(Machine::new("no-libclang")).with("LIBCLANG_PATH", "/nowhere").refuses();
    names(
        &message,
        &["libclang", "libclang-dev", "clang-devel", "clang-libclang", "LIBCLANG_PATH"],
    );
    assert!(!message.contains("liburing-dev"), "the wrong package:\n{message}");
}

#[test]
fn another_system_than_linux_is_refused() {
    let message = Machine::new("not-linux").with("CARGO_CFG_TARGET_OS", "freebsd").refuses();
    names(&message, &["Linux", "freebsd"]);
}

/// The liburing that this crate was built with, through the two folders.
fn here(machine: Machine) -> Machine {
    let includes = std::env::join_paths(common::include_dirs()).unwrap();
    let lib = common::lib_dirs().into_iter().next().expect("the library's folder is known");
    machine
        .with("LIBURING_INCLUDE_DIR", includes)
        .with("LIBURING_LIB_DIR", lib)
        .with("LIBURING_STATIC", env!("URING_POOL_SYS_STATIC"))
}

#[test]
fn headers_of_another_release_than_pkg_config_says_are_worth_a_warning() {
    let lib = common::lib_dirs().into_iter().next().expect("the library's folder is known");
    let machine = Machine::new("mixed").told_by_pkg_config("2.99", &common::include_dirs(), &lib);
    let said = machine.with("LIBURING_STATIC", env!("URING_POOL_SYS_STATIC")).says();
    // Headers tell their release since 2.4; before, pkg-config has to be believed.
    if liburing_sys::HAVE_VERSION {
        names(
            &said,
            &[
                "cargo::warning=",
                "2.99",
                &format!("cargo::metadata=version={}\n", liburing_sys::VERSION),
            ],
        );
    } else {
        names(&said, &["cargo::metadata=version=2.99\n"]);
    }
}

#[test]
fn without_any_version_number_the_functions_tell_the_least_it_can_be() {
    let machine = Machine::new("no-number");
    // A folder with the library alone has no liburing.pc near.
    let lib = machine.folder.join("deeper/lib");
    fs::create_dir_all(&lib).unwrap();
    let known = common::lib_dirs().into_iter().next().expect("the library's folder is known");
    for name in ["liburing.so", "liburing.a"] {
        std::os::unix::fs::symlink(known.join(name), lib.join(name)).unwrap();
    }
    let said = here(machine).with("LIBURING_LIB_DIR", &lib).says();
    assert!(!said.contains("cargo::error"), "{said}");
    assert_eq!(said.contains("is nowhere to be found"), !liburing_sys::HAVE_VERSION, "{said}");
    assert!(said.contains("cargo::metadata=version=2."), "{said}");
}

#[test]
fn docs_rs_gets_types_without_content_where_there_is_no_liburing() {
    let said = Machine::new("docs").with("DOCS_RS", "1").says();
    assert!(!said.contains("cargo::error"), "{said}");
    names(
        &said,
        &["cargo::rustc-cfg=docs_without_liburing\n", "cargo::metadata=docs_without_liburing=1\n"],
    );
    names(
        &said,
        &[
            "cargo::metadata=have_init_mem=0\n",
            "cargo::metadata=version=unknown\n",
            "cargo::warning=",
        ],
    );
    assert!(!said.contains("rustc-link-lib"), "{said}");
}

/// A cross build has no way to run what it compiles.
#[test]
fn nothing_that_is_compiled_is_run() {
    let machine = Machine::new("never-run");
    let compiler = machine.folder.join("cc");
    let real = common::cc().get_program().to_owned();
    // Each program it links loses its permission to be run.
    let script = format!(
        "#!/bin/sh\n'{}' \"$@\" || exit\nfor file in '{}'/out/probes/*.out; do\n\t[ ! -e \"$file\" ] || chmod 644 \"$file\"\ndone\n",
        Path::new(&real).display(),
        machine.folder.display()
    );
    fs::write(&compiler, script).unwrap();
    fs::set_permissions(&compiler, fs::Permissions::from_mode(0o755)).unwrap();
    let said = here(machine).with("CC", &compiler).says();
    let expected =
        format!("cargo::metadata=have_init_mem={}\n", u8::from(liburing_sys::HAVE_INIT_MEM));
    names(&said, &[&expected, &format!("cargo::metadata=version={}\n", liburing_sys::VERSION)]);
}
