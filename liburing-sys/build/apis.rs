//! The one table of what differs between liburing releases and is worth knowing at compile time.
//!
//! A row is a cfg of this crate (`have_init_mem`), a constant (`HAVE_INIT_MEM`) and metadata for dependents
//! (`DEP_URING_HAVE_INIT_MEM`). Nothing else has to be told of a new row, except the test that names every cfg.

/// One thing that a liburing has or has not.
pub(crate) struct Api {
    /// The cfg; in capitals, the constant.
    pub(crate) cfg: &'static str,
    /// The first release with it, used only to tell a lower bound where no version is written anywhere.
    /// Whether it is there is always tried: distributions backport.
    pub(crate) since: &'static str,
    pub(crate) what: What,
}

/// How to try.
pub(crate) enum What {
    /// Declared by the headers *and* there at link time.
    Function(&'static str),
    /// A field, as `struct`, `field`: only the headers matter.
    Member(&'static str, &'static str),
}

impl Api {
    pub(crate) fn constant(&self) -> String {
        self.cfg.to_uppercase()
    }

    /// What the constant says, for its documentation.
    pub(crate) fn doc(&self) -> String {
        match self.what {
            What::Function(name) => {
                format!("Whether liburing has `{name}()` (first in {}).", self.since)
            }
            What::Member(of, field) => {
                format!("Whether `struct {of}` has the field `{field}` (first in {}).", self.since)
            }
        }
    }
}

const fn function(cfg: &'static str, since: &'static str, name: &'static str) -> Api {
    Api { cfg, since, what: What::Function(name) }
}

const fn member(
    cfg: &'static str,
    since: &'static str,
    of: &'static str,
    field: &'static str,
) -> Api {
    Api { cfg, since, what: What::Member(of, field) }
}

pub(crate) const APIS: &[Api] = &[
    function("have_register_ring_fd", "2.2", "io_uring_register_ring_fd"),
    function("have_buf_ring", "2.2", "io_uring_register_buf_ring"),
    function("have_register_sparse", "2.2", "io_uring_register_buffers_sparse"),
    function("have_wait_timeout", "2.2", "io_uring_submit_and_wait_timeout"),
    function("have_raw_syscalls", "2.3", "io_uring_setup"),
    function("have_get_events", "2.3", "io_uring_get_events"),
    function("have_sync_cancel", "2.3", "io_uring_register_sync_cancel"),
    function("have_version", "2.4", "io_uring_major_version"),
    // Declared since 2.0, but shared libraries do not export it before 2.4.
    function("have_enable_rings", "2.4", "io_uring_enable_rings"),
    function("have_close_ring_fd", "2.4", "io_uring_close_ring_fd"),
    function("have_setup_buf_ring", "2.4", "io_uring_setup_buf_ring"),
    function("have_init_mem", "2.5", "io_uring_queue_init_mem"),
    function("have_napi", "2.6", "io_uring_register_napi"),
    function("have_clone_buffers", "2.8", "io_uring_clone_buffers"),
    function("have_register_clock", "2.8", "io_uring_register_clock"),
    function("have_wait_min_timeout", "2.8", "io_uring_submit_and_wait_min_timeout"),
    function("have_register_region", "2.9", "io_uring_register_region"),
    function("have_resize_rings", "2.9", "io_uring_resize_rings"),
    function("have_set_iowait", "2.10", "io_uring_set_iowait"),
    function("have_memory_size", "2.11", "io_uring_memory_size"),
    function("have_memory_size_params", "2.11", "io_uring_memory_size_params"),
    function("have_register_query", "2.15", "io_uring_register_query"),
    member("have_enter_ring_fd", "2.2", "io_uring", "enter_ring_fd"),
    member("have_ring_mask", "2.3", "io_uring_sq", "ring_mask"),
    member("have_user_addr", "2.5", "io_sqring_offsets", "user_addr"),
];
