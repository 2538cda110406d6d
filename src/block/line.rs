//! Where lines end.

/// A line at the start of some bytes.
pub(super) struct Line {
    /// Without the terminator.
    pub(super) len: usize,
    /// Behind the terminator.
    pub(super) next: usize,
}

/// The first line of `bytes`, if it ends there.
pub(super) fn first_line(bytes: &[u8]) -> Option<Line> {
    let len = memchr::memchr2(b'\n', b'\r', bytes)?;
    Some(Line {
        len,
        next: behind_terminator(bytes, len),
    })
}

pub(super) fn behind_terminator(bytes: &[u8], at: usize) -> usize {
    if bytes[at..].starts_with(b"\r\n") {
        at + 2
    } else {
        at + 1
    }
}

/// Makes a `\r` at the end of `bytes` a `\n`, and those before it as well, so that
/// it does not become the second half of theirs.
pub(super) fn end_with_feed(bytes: &mut [u8]) {
    for byte in bytes.iter_mut().rev().take_while(|byte| **byte == b'\r') {
        *byte = b'\n';
    }
}
