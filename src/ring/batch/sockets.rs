//! Operations on sockets, and waiting for descriptors to be ready.

use super::files::{from, into};
use super::{Batch, Prepared};
use crate::ring::extra::Extra;
use crate::ring::{Buf, BufMut, PollEvents, RecvFlags, SendFlags, SocketAddress, Target, op};

impl<'r, 'fd, B: 'static> Batch<'r, 'fd, B> {
    /// Accepts a connection, as
    /// [accept4(2)](https://man7.org/linux/man-pages/man2/accept.2.html) does, with
    /// `SOCK_CLOEXEC`.
    ///
    /// The completion's `fd` is the new socket, its result 0. Where it comes from, the socket
    /// itself tells (`TcpStream::peer_addr`).
    #[doc(alias = "IORING_OP_ACCEPT")]
    pub fn accept(&mut self, listener: &'fd impl Target) -> Prepared<'_, 'r, 'fd, B> {
        let flags = libc::SOCK_CLOEXEC as u32;
        let mut prepared = self.on(listener, |fd| op::accept(fd, flags));
        prepared.request.extra = Extra::Opens(None);
        prepared
    }

    /// Connects a socket, as
    /// [connect(2)](https://man7.org/linux/man-pages/man2/connect.2.html) does.
    #[doc(alias = "IORING_OP_CONNECT")]
    pub fn connect(
        &mut self,
        socket: &'fd impl Target,
        to: &'fd SocketAddress,
    ) -> Prepared<'_, 'r, 'fd, B> {
        // The kernel copies the address when the request is submitted, and the batch borrows it
        // until then.
        let at = to.as_ptr().expose_provenance() as u64;
        self.on(socket, |fd| op::connect(fd, at, to.len()))
    }

    /// Sends `buf`, as [send(2)](https://man7.org/linux/man-pages/man2/send.2.html) does. The
    /// completion's result is the number of bytes sent, which may be fewer.
    #[doc(alias = "IORING_OP_SEND")]
    #[inline(always)]
    pub fn send(
        &mut self,
        socket: &'fd impl Target,
        buf: B,
        flags: SendFlags,
    ) -> Prepared<'_, 'r, 'fd, B>
    where
        B: Buf,
    {
        // Bits without a name could be MSG_ZEROCOPY.
        let flags = flags.intersection(SendFlags::all()).bits();
        self.on(socket, |fd| op::send(fd, flags)).with(buf, from)
    }

    /// Receives into `buf`, at most as many bytes as it is long, as
    /// [recv(2)](https://man7.org/linux/man-pages/man2/recv.2.html) does. The completion's result
    /// is the number of bytes received; 0 if a stream's other side will send no more.
    #[doc(alias = "IORING_OP_RECV")]
    #[inline(always)]
    pub fn recv(
        &mut self,
        socket: &'fd impl Target,
        buf: B,
        flags: RecvFlags,
    ) -> Prepared<'_, 'r, 'fd, B>
    where
        B: BufMut,
    {
        let flags = flags.intersection(RecvFlags::all()).bits();
        self.on(socket, |fd| op::recv(fd, flags)).with(buf, into)
    }

    /// Waits once until a descriptor is ready, as
    /// [poll(2)](https://man7.org/linux/man-pages/man2/poll.2.html) does. The completion's result
    /// is what came: [`PollEvents::from_bits_retain`] of it.
    #[doc(alias = "IORING_OP_POLL_ADD")]
    pub fn poll(&mut self, fd: &'fd impl Target, events: PollEvents) -> Prepared<'_, 'r, 'fd, B> {
        // Bits without a name could be EPOLLET and its kin, which are not of poll.
        let events = events.intersection(PollEvents::all()).bits();
        self.on(fd, |fd| op::poll(fd, events))
    }
}
