//! What `statx` answers.

use std::time::{Duration, SystemTime};

/// What is known of a file: `struct statx`, as
/// [statx(2)](https://man7.org/linux/man-pages/man2/statx.2.html) explains it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statx {
    bytes: [u8; Self::SIZE],
}

impl Statx {
    /// Bytes that it takes at the start of the buffer that
    /// [`Batch::statx`](crate::Batch::statx) is given.
    pub const SIZE: usize = 256;

    /// Reads it from the buffer that came back with a request that succeeded; `None` if that is
    /// shorter than [`SIZE`](Self::SIZE).
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..Self::SIZE)?.try_into().ok()?;
        Some(Self { bytes })
    }

    fn bytes<const N: usize>(&self, at: usize) -> [u8; N] {
        std::array::from_fn(|i| self.bytes[at + i])
    }

    fn u16(&self, at: usize) -> u16 {
        u16::from_ne_bytes(self.bytes(at))
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_ne_bytes(self.bytes(at))
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from_ne_bytes(self.bytes(at))
    }

    /// `struct statx_timestamp`; `None` if it is none that this type can hold.
    fn time(&self, at: usize) -> Option<SystemTime> {
        let sec = i64::from_ne_bytes(self.bytes(at));
        let nsec = Duration::from_nanos(self.u32(at + 8).into());
        let seconds = Duration::from_secs(sec.unsigned_abs());
        let whole = match sec {
            0.. => SystemTime::UNIX_EPOCH.checked_add(seconds),
            _ => SystemTime::UNIX_EPOCH.checked_sub(seconds),
        };
        whole.and_then(|time| time.checked_add(nsec))
    }

    /// Which of the fields are filled: `STATX_*`. A file system may leave some out.
    #[must_use]
    pub fn mask(&self) -> u32 {
        self.u32(0)
    }

    /// The best size for I/O, in bytes.
    #[must_use]
    pub fn block_size(&self) -> u32 {
        self.u32(4)
    }

    /// `STATX_ATTR_*`.
    #[must_use]
    pub fn attributes(&self) -> u64 {
        self.u64(8)
    }

    /// Which of the attributes the file system knows.
    #[must_use]
    pub fn attributes_mask(&self) -> u64 {
        self.u64(56)
    }

    /// Hard links.
    #[must_use]
    pub fn links(&self) -> u32 {
        self.u32(16)
    }

    /// The owner's number.
    #[must_use]
    pub fn uid(&self) -> u32 {
        self.u32(20)
    }

    /// The group's number.
    #[must_use]
    pub fn gid(&self) -> u32 {
        self.u32(24)
    }

    /// Type and permissions: `S_IF*` and the lower bits.
    #[must_use]
    pub fn mode(&self) -> u16 {
        self.u16(28)
    }

    /// The inode's number.
    #[must_use]
    pub fn inode(&self) -> u64 {
        self.u64(32)
    }

    /// Bytes in the file.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.u64(40)
    }

    /// Units of 512 bytes that it takes.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.u64(48)
    }

    /// When it was last read.
    #[must_use]
    pub fn accessed(&self) -> Option<SystemTime> {
        self.time(64)
    }

    /// When it was made; the epoch where the file system does not say (see [`mask`](Self::mask)).
    #[must_use]
    pub fn created(&self) -> Option<SystemTime> {
        self.time(80)
    }

    /// When its inode last changed.
    #[must_use]
    pub fn changed(&self) -> Option<SystemTime> {
        self.time(96)
    }

    /// When it was last written.
    #[must_use]
    pub fn modified(&self) -> Option<SystemTime> {
        self.time(112)
    }

    /// Of a device file: major and minor number.
    #[must_use]
    pub fn device(&self) -> (u32, u32) {
        (self.u32(128), self.u32(132))
    }

    /// Of the device that the file lies on: major and minor number.
    #[must_use]
    pub fn file_system_device(&self) -> (u32, u32) {
        (self.u32(136), self.u32(140))
    }

    /// The number of its mount (Linux 5.8).
    #[must_use]
    pub fn mount(&self) -> u64 {
        self.u64(144)
    }
}

const _: () = assert!(Statx::SIZE == size_of::<libc::statx>());
