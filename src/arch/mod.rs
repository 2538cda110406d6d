//! Byte kernels: the few loops that touch every byte of the input.
//!
//! Each kernel is written once, generically, over the small private trait
//! [`Vector`]; a file per instruction set implements the trait and
//! instantiates the kernel under `target_feature`. The best set that the
//! machine has is looked up once per call of a kernel, at run time.
//!
//! Invariant: a kernel never reads a byte outside the slice that it was given.
//! Text blocks are still being filled behind the slice by a receiver, so a
//! read past its end would be a data race even if the bytes were masked off.
//! The tail of a slice is therefore read by a masked load or through a copy.

mod buffer;
mod portable;
mod vector;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(test)]
mod tests;

pub(crate) use buffer::{Buffer, Cursor, LineEnds, SHORT, Words};
pub(crate) use vector::Terminators;

/// Runs `$kernel` in the best instantiation that this machine can execute.
macro_rules! dispatch {
    ($kernel:ident ( $($arg:expr),* )) => {{
        #[cfg(target_arch = "x86_64")]
        {
            if x86_64::has_avx512() {
                // SAFETY: the instruction sets were just found on this machine.
                return unsafe { x86_64::avx512::$kernel($($arg),*) };
            }
            if x86_64::has_avx2() {
                // SAFETY: the instruction sets were just found on this machine.
                return unsafe { x86_64::avx2::$kernel($($arg),*) };
            }
        }
        portable::$kernel($($arg),*)
    }};
}

/// Writes the next pieces of `hay` between separators to `out`, until the cursor
/// is done. Pieces are those of `str::split`: `n` separators give `n + 1`, some
/// perhaps empty. The separator is not zero.
#[inline]
pub(crate) fn split_byte(hay: &[u8], separator: u8, cursor: &mut Cursor, out: &mut Buffer<Words>) {
    dispatch!(split_byte(hay, separator, cursor, out));
}

/// Writes the offsets of the next `\n` and `\r` from `from` on to `out`, and
/// returns where to go on (the length of `hay` at its end).
#[inline]
pub(crate) fn line_ends(hay: &[u8], from: usize, out: &mut LineEnds) -> usize {
    dispatch!(line_ends(hay, from, out))
}

/// Calls `each(start, end)` for every line of `hay`, without its terminator.
///
/// `\n`, `\r` and `\r\n` end a line; what follows the last terminator is a
/// line only if it is not empty. Stops early when `each` says `false`.
#[inline]
pub(crate) fn lines(hay: &[u8], mut each: impl FnMut(usize, usize) -> bool) {
    let mut ends = LineEnds::new();
    let (mut start, mut at) = (0, 0);
    while at < hay.len() {
        at = line_ends(hay, at, &mut ends);
        for &end in ends.entries() {
            // The `\n` of a `\r\n` stands where the line behind the `\r` starts.
            let second_half = end == start && end > 0 && hay[end] == b'\n' && hay[end - 1] == b'\r';
            if !second_half && !each(start, end) {
                return;
            }
            start = end + 1;
        }
    }
    if start < hay.len() {
        each(start, hay.len());
    }
}

/// Counts the line ends in `hay` and says where the last one ends.
#[inline]
pub(crate) fn terminators(hay: &[u8]) -> Terminators {
    dispatch!(terminators(hay))
}

/// Whether no byte of `hay` has its top bit set.
#[inline]
#[allow(dead_code, reason = "the receivers that use it come next")]
pub(crate) fn is_ascii(hay: &[u8]) -> bool {
    dispatch!(is_ascii(hay))
}

/// The up to 15 bytes of `short`.
#[inline]
pub(crate) fn load_short(short: &[u8]) -> Words {
    vector::load_short(short)
}
