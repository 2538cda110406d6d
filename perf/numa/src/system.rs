//! Calls to the system that the standard library does not have.

use std::ffi::{CString, c_char, c_int, c_long, c_short, c_uint, c_ulong, c_void};
use std::io::{Error, Result};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::ptr;

pub(crate) const PAGE: usize = 4096;

// From the kernel's headers, for x86-64.
const SYS_MOVE_PAGES: c_long = 279;
const RB_POWER_OFF: c_int = 0x4321_fedc;
const SIOCSIFFLAGS: c_ulong = 0x8914;
const IFF_UP: c_short = 1;

/// `struct ifreq`, as far as it is needed.
#[repr(C)]
struct InterfaceFlags {
    name: [u8; 16],
    flags: c_short,
    rest: [u8; 22],
}

unsafe extern "C" {
    #[link_name = "mount"]
    fn c_mount(
        source: *const c_char,
        target: *const c_char,
        kind: *const c_char,
        flags: c_ulong,
        data: *const c_void,
    ) -> c_int;
    fn getcpu(cpu: *mut c_uint, node: *mut c_uint) -> c_int;
    fn ioctl(descriptor: c_int, request: c_ulong, ...) -> c_int;
    fn reboot(what: c_int) -> c_int;
    fn sync();
    fn syscall(number: c_long, ...) -> c_long;
}

fn checked(result: c_int) -> Result<()> {
    match result {
        0 => Ok(()),
        _ => Err(Error::last_os_error()),
    }
}

/// Mounts a file system of this kind on a folder, which is made.
pub(crate) fn mount(kind: &str, folder: &str) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let (kind, folder) = (CString::new(kind)?, CString::new(folder)?);
    // SAFETY: three strings that end with zero, and no data.
    let result = unsafe {
        c_mount(
            kind.as_ptr(),
            folder.as_ptr(),
            kind.as_ptr(),
            0,
            ptr::null(),
        )
    };
    checked(result)
}

/// Lets programs reach each other at 127.0.0.1.
pub(crate) fn loopback_up() -> Result<()> {
    // Any socket will do.
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    let mut lo = InterfaceFlags {
        name: [0; 16],
        flags: IFF_UP,
        rest: [0; 22],
    };
    lo.name[..2].copy_from_slice(b"lo");
    // SAFETY: the descriptor is open, and the call reads a `struct ifreq`.
    let result = unsafe { ioctl(socket.as_raw_fd(), SIOCSIFFLAGS, ptr::from_ref(&lo)) };
    checked(result)
}

/// Ends the machine.
pub(crate) fn power_off() -> ! {
    // SAFETY: no arguments.
    unsafe { sync() };
    // SAFETY: a number only.
    let result = unsafe { reboot(RB_POWER_OFF) };
    panic!("the machine goes on: {:?}", checked(result));
}

/// The node that the calling thread is on, as the kernel numbers it.
pub(crate) fn node_of_thread() -> usize {
    let (mut cpu, mut node) = (0, 0);
    // SAFETY: two numbers to be written.
    let result = unsafe { getcpu(&raw mut cpu, &raw mut node) };
    checked(result).expect("the kernel tells the CPU of a thread");
    node as usize
}

/// The node of the page at an address that was just read.
///
/// # Panics
/// If the kernel does not tell.
pub(crate) fn node_of_page(address: *const u8) -> usize {
    let page = address.map_addr(|address| address & !(PAGE - 1));
    let mut status: c_int = -1;
    let nowhere = ptr::null::<c_int>();
    // SAFETY: one page of this process, to be moved nowhere, and its status to be written.
    let result = unsafe {
        syscall(
            SYS_MOVE_PAGES,
            0 as c_int,
            1 as c_ulong,
            &raw const page,
            nowhere,
            &raw mut status,
            0 as c_int,
        )
    };
    assert_eq!(result, 0, "move_pages: {}", Error::last_os_error());
    usize::try_from(status).unwrap_or_else(|_| panic!("{address:?} is on no node: {status}"))
}
