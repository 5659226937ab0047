//! What the build script says of liburing is so, and has taken effect.

#[allow(dead_code, reason = "the build script uses more of the table")]
#[path = "../../build/apis.rs"]
mod apis;
#[allow(dead_code, reason = "the build script uses more of it")]
#[path = "../../build/version.rs"]
mod version;

use std::ffi::CString;
use std::fs;

use apis::{APIS, What};
use version::Version;

use crate::{common, inventory};

/// Each cfg as the compiler sees it, next to the constant of the same name.
macro_rules! seen {
    ($($cfg:ident $constant:ident)*) => { [$((stringify!($cfg), cfg!($cfg), liburing_sys::$constant)),*] };
}

#[test]
fn every_cfg_took_effect_where_its_constant_says_so() {
    let seen = seen! {
        have_register_ring_fd HAVE_REGISTER_RING_FD
        have_buf_ring HAVE_BUF_RING
        have_register_sparse HAVE_REGISTER_SPARSE
        have_wait_timeout HAVE_WAIT_TIMEOUT
        have_raw_syscalls HAVE_RAW_SYSCALLS
        have_get_events HAVE_GET_EVENTS
        have_sync_cancel HAVE_SYNC_CANCEL
        have_version HAVE_VERSION
        have_enable_rings HAVE_ENABLE_RINGS
        have_close_ring_fd HAVE_CLOSE_RING_FD
        have_setup_buf_ring HAVE_SETUP_BUF_RING
        have_init_mem HAVE_INIT_MEM
        have_napi HAVE_NAPI
        have_clone_buffers HAVE_CLONE_BUFFERS
        have_register_clock HAVE_REGISTER_CLOCK
        have_wait_min_timeout HAVE_WAIT_MIN_TIMEOUT
        have_register_region HAVE_REGISTER_REGION
        have_resize_rings HAVE_RESIZE_RINGS
        have_set_iowait HAVE_SET_IOWAIT
        have_memory_size HAVE_MEMORY_SIZE
        have_memory_size_params HAVE_MEMORY_SIZE_PARAMS
        have_register_query HAVE_REGISTER_QUERY
        have_enter_ring_fd HAVE_ENTER_RING_FD
        have_ring_mask HAVE_RING_MASK
        have_user_addr HAVE_USER_ADDR
    };
    for (cfg, on, constant) in seen {
        assert_eq!(on, constant, "{cfg}");
    }
    let names: Vec<_> = seen.iter().map(|(cfg, on, _)| (*cfg, *on)).collect();
    assert_eq!(names, liburing_sys::APIS, "a row of the table is not in this test");
}

/// The symbols are looked for without a compiler or linker.
#[test]
fn a_function_is_found_exactly_where_the_library_has_its_symbol() {
    let library = Library::linked();
    assert!(library.has("io_uring_queue_init"), "no symbols can be found at all");
    assert!(!library.has("io_uring_queue"), "a part of a name is found too");
    for (api, (cfg, on)) in APIS.iter().zip(liburing_sys::APIS) {
        assert_eq!(api.cfg, *cfg);
        if let What::Function(name) = api.what {
            assert_eq!(*on, library.has(name), "{name}");
        }
    }
}

/// A probe with a misspelt name finds nothing, and nothing else would notice.
#[test]
fn what_a_release_has_is_found() {
    let is = Version { major: liburing_sys::VERSION_MAJOR, minor: liburing_sys::VERSION_MINOR };
    for (api, (_, on)) in APIS.iter().zip(liburing_sys::APIS) {
        if Version::parse(api.since).unwrap() <= is {
            assert!(on, "{} is of {}, this is {is}", api.cfg, api.since);
        }
    }
}

#[test]
fn the_version_has_the_parts_it_is_written_with() {
    let parsed = Version::parse(liburing_sys::VERSION).unwrap();
    assert_eq!(
        (parsed.major, parsed.minor),
        (liburing_sys::VERSION_MAJOR, liburing_sys::VERSION_MINOR)
    );
    assert!(parsed >= version::OLDEST);
}

#[test]
fn versions_are_compared_as_numbers_and_read_as_distributions_write_them() {
    let parse = |text| Version::parse(text).map(|version| (version.major, version.minor));
    assert_eq!(parse("2.15-rc1"), Some((2, 15)));
    assert_eq!(parse(" 2.9.1\n"), Some((2, 9)));
    assert_eq!(parse("2"), None);
    assert_eq!(parse("two.one"), None);
    assert!(Version::parse("2.15") > Version::parse("2.9"));
}

/// The library in this very program.
enum Library {
    Loaded,
    Archive(Vec<u8>),
}

impl Library {
    fn linked() -> Self {
        // A library that nothing calls is not loaded.
        assert!(!inventory::functions().is_empty());
        if env!("URING_POOL_SYS_STATIC") != "1" {
            return Self::Loaded;
        }
        let mut archives = common::lib_dirs().into_iter().map(|dir| dir.join("liburing.a"));
        let archive = archives.find(|path| path.is_file());
        Self::Archive(
            fs::read(archive.expect("the archive that was linked is not where it was")).unwrap(),
        )
    }

    fn has(&self, name: &str) -> bool {
        let name = CString::new(name).unwrap();
        match self {
            // SAFETY: the name ends with a zero byte, and its address is only compared.
            Self::Loaded => !unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) }.is_null(),
            // The index of an archive holds each name between zero bytes.
            Self::Archive(bytes) => {
                let needle = [b"\0", name.as_bytes_with_nul()].concat();
                bytes.windows(needle.len()).any(|window| window == needle)
            }
        }
    }
}
