//! Writing a file's bytes to the disk ahead of the sync that waits for them: the standard library
//! has no call for it.

use std::fs::File;
use std::io;

/// Lets the system begin to write what it has of a file in its memory only, and does not wait for
/// that. It makes nothing durable.
///
/// # Errors
///
/// What the system says, such as that there is no room; nothing where it has no such call.
pub(crate) fn begin_writeback(file: &File) -> io::Result<()> {
    system::begin(file)
}

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod system {
    use std::ffi::{c_int, c_uint};
    use std::fs::File;
    use std::io::{Error, ErrorKind, Result};
    use std::os::fd::AsRawFd;

    // From the kernel's headers.
    const SYNC_FILE_RANGE_WRITE: c_uint = 2;

    unsafe extern "C" {
        /// `sync_file_range(2)`, of the C library that the standard library is linked to.
        fn sync_file_range(file: c_int, offset: i64, bytes: i64, flags: c_uint) -> c_int;
    }

    pub(super) fn begin(file: &File) -> Result<()> {
        let file = file.as_raw_fd();
        // SAFETY: the call takes numbers only, and the file is open as long as it is borrowed. No
        // bytes means all.
        match unsafe { sync_file_range(file, 0, 0, SYNC_FILE_RANGE_WRITE) } {
            0 => Ok(()),
            _ => match Error::last_os_error() {
                // The file system, or what the process is confined to, does not have it.
                error
                    if matches!(
                        error.kind(),
                        ErrorKind::Unsupported
                            | ErrorKind::InvalidInput
                            | ErrorKind::PermissionDenied
                    ) =>
                {
                    Ok(())
                }
                error => Err(error),
            },
        }
    }
}

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
mod system {
    use std::fs::File;

    pub(super) fn begin(_: &File) -> std::io::Result<()> {
        Ok(())
    }
}
