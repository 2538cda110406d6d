//! The rules of [`LineReader`](super::LineReader) without any haste, for tests to compare with.

use super::Str;

/// The lines that start in `from..until`, and how many of them were too long.
pub(crate) fn lines_between(
    bytes: &[u8],
    max_line: usize,
    from: u64,
    until: u64,
) -> (Vec<Str>, u64) {
    let mark = if bytes.starts_with(b"\xef\xbb\xbf") {
        3
    } else {
        0
    };
    let mut at = mark;
    let (mut lines, mut oversize) = (Vec::new(), 0);
    while at < bytes.len() {
        let rest = &bytes[at..];
        let len = rest
            .iter()
            .position(|byte| matches!(byte, b'\n' | b'\r'))
            .unwrap_or(rest.len());
        let starts = if at == mark { 0 } else { at };
        if (from..until).contains(&(starts as u64)) {
            if len <= max_line {
                lines.push(Str::from(String::from_utf8_lossy(&rest[..len])));
            } else {
                oversize += 1;
            }
        }
        at += len
            + if rest[len..].starts_with(b"\r\n") {
                2
            } else {
                1
            };
    }
    (lines, oversize)
}
