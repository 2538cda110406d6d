//! Errors of the disk that may be those of a moment.

use std::error::Error as _;
use std::io;
use std::iter::successors;

use crate::error::{Error, Result};

/// How often the disk is asked before what it says is an error.
const ATTEMPTS: usize = 3;

/// Does something with the disk, and tries it again if the disk fails. It does not wait: that
/// would keep a start, or the next checkpoint, from others that go well.
///
/// # Errors
/// That of the last attempt; at once what will not be another one the next time, as that there
/// is no such file, that somebody else has the directory, or that a file was damaged.
pub(crate) fn attempt<R>(mut action: impl FnMut() -> Result<R>) -> Result<R> {
    for _ in 1..ATTEMPTS {
        match action() {
            Err(error) if may_pass(&error) => {
                tracing::warn!(%error, "the disk is asked again");
            }
            result => return result,
        }
    }
    action()
}

fn may_pass(error: &Error) -> bool {
    let mut causes = successors(error.source(), |&cause| cause.source());
    let cause = causes.find_map(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| {
        let kind = cause.kind();
        kind != io::ErrorKind::NotFound && kind != io::ErrorKind::ResourceBusy
    })
}
