//! Keepalive probes on a socket: the one thing about sockets that the standard library cannot do.
//!
//! A peer that vanished without a word (its machine lost power, a cable was pulled) looks like one
//! that has nothing to say. With keepalive the system asks an idle peer now and then, and a read
//! fails when there is no answer.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

/// Probes after which a silent peer is given up.
const PROBES: u32 = 3;

/// Lets reads on `socket` fail when its peer does not answer any more for about `total`: half of
/// it must pass without data, then three probes go unanswered. Whole seconds only, four at the
/// least.
///
/// # Errors
///
/// What the system says; [`io::ErrorKind::Unsupported`] where this is not known how to do.
pub(crate) fn set_keepalive(socket: &TcpStream, total: Duration) -> io::Result<()> {
    let seconds = |duration: Duration| {
        // What the kernel takes at the most.
        i32::try_from(duration.as_secs().clamp(1, 32_767)).unwrap_or(1)
    };
    system::set(
        socket,
        seconds(total / 2),
        seconds(total / (2 * PROBES)),
        i32::try_from(PROBES).unwrap_or(1),
    )
}

#[cfg(all(
    target_os = "linux",
    any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        target_arch = "riscv64"
    )
))]
mod system {
    use std::ffi::{c_int, c_uint, c_void};
    use std::io;
    use std::net::TcpStream;
    use std::os::fd::AsRawFd;
    use std::ptr;

    // From the kernel's headers; the same on the architectures above.
    const SOL_SOCKET: c_int = 1;
    const SO_KEEPALIVE: c_int = 9;
    const IPPROTO_TCP: c_int = 6;
    const TCP_KEEPIDLE: c_int = 4;
    const TCP_KEEPINTVL: c_int = 5;
    const TCP_KEEPCNT: c_int = 6;

    unsafe extern "C" {
        /// `setsockopt(2)`, of the C library that the standard library is linked to.
        fn setsockopt(
            socket: c_int,
            level: c_int,
            name: c_int,
            value: *const c_void,
            len: c_uint,
        ) -> c_int;
    }

    pub(super) fn set(
        socket: &TcpStream,
        idle: c_int,
        interval: c_int,
        probes: c_int,
    ) -> io::Result<()> {
        set_one(socket, IPPROTO_TCP, TCP_KEEPIDLE, idle)?;
        set_one(socket, IPPROTO_TCP, TCP_KEEPINTVL, interval)?;
        set_one(socket, IPPROTO_TCP, TCP_KEEPCNT, probes)?;
        set_one(socket, SOL_SOCKET, SO_KEEPALIVE, 1)
    }

    fn set_one(socket: &TcpStream, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
        // SAFETY: the descriptor is open as long as `socket` is borrowed, and the call reads the
        // four bytes of `value`, no more, before it returns.
        let result = unsafe {
            setsockopt(
                socket.as_raw_fd(),
                level,
                name,
                ptr::from_ref(&value).cast(),
                size_of::<c_int>() as c_uint,
            )
        };
        match result {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

#[cfg(not(all(
    target_os = "linux",
    any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        target_arch = "riscv64"
    )
)))]
mod system {
    use std::io;
    use std::net::TcpStream;

    pub(super) fn set(_: &TcpStream, _: i32, _: i32, _: i32) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
