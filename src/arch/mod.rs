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

use buffer::Places;
pub(crate) use buffer::{Buffer, Cursor, SHORT, Words};
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
/// perhaps empty.
#[inline]
pub(crate) fn split(hay: &str, separator: char, cursor: &mut Cursor, out: &mut Buffer<Words>) {
    if let Some(separator) = as_byte(separator) {
        split_bytes(hay.as_bytes(), [separator; 2], cursor, out);
    } else {
        portable::split_char(hay, separator, cursor, out);
    }
}

/// The separator as a byte, if the kernels can look for it.
#[inline]
pub(crate) fn as_byte(separator: char) -> Option<u8> {
    // A zero byte is what fills the unread end of a vector.
    (separator.is_ascii() && separator != '\0').then_some(separator as u8)
}

/// As [`split`], by either of two bytes that are not zero.
#[inline]
pub(crate) fn split_bytes(
    hay: &[u8],
    separators: [u8; 2],
    cursor: &mut Cursor,
    out: &mut Buffer<Words>,
) {
    dispatch!(split_bytes(hay, separators, cursor, out));
}

/// Writes the offsets of the next `\n` and `\r` to `out`, and behind the last one
/// the length of `hay`, until the cursor is done. Returns whether all bytes up to
/// the cursor were ASCII.
#[inline]
fn line_ends(hay: &[u8], cursor: &mut Cursor, out: &mut Places) -> bool {
    dispatch!(line_ends(hay, cursor, out))
}

/// Calls `each(start, end, ascii)` for every line of `hay`, without its
/// terminator; `ascii` is true only if all its bytes are ASCII.
///
/// `\n`, `\r` and `\r\n` end a line; what follows the last terminator is a
/// line only if it is not empty. Stops early when `each` says `false`.
#[inline]
pub(crate) fn lines(hay: &[u8], mut each: impl FnMut(usize, usize, bool) -> bool) {
    let mut ends = Places::new();
    let mut cursor = Cursor::default();
    let mut start = 0;
    // The open line may have begun before the part that was just scanned.
    let mut before = true;
    while !cursor.done {
        let ascii = line_ends(hay, &mut cursor, &mut ends);
        for &end in ends.entries() {
            let end = end as usize;
            // The `\n` of a `\r\n` stands where the line behind the `\r` starts;
            // behind the last terminator there is no line.
            let no_line = end == start
                && (end == hay.len() || end > 0 && hay[end] == b'\n' && hay[end - 1] == b'\r');
            if !no_line && !each(start, end, ascii && before) {
                return;
            }
            before = true;
            start = end + 1;
        }
        before &= ascii;
    }
}

/// Counts the line ends in `hay` and says where the last one ends.
#[inline]
pub(crate) fn terminators(hay: &[u8]) -> Terminators {
    dispatch!(terminators(hay))
}

/// The up to 15 bytes of `short`.
#[inline]
pub(crate) fn load_short(short: &[u8]) -> Words {
    vector::load_short(short)
}

/// Which of eight numbers are equal to `number`: a bit for each, from the lowest on.
#[inline(always)]
pub(crate) fn equal(numbers: &[u32; 8], number: u32) -> u8 {
    #[cfg(target_arch = "x86_64")]
    return x86_64::equal(numbers, number);
    #[cfg(not(target_arch = "x86_64"))]
    portable::equal(numbers, number)
}

/// Asks for the cache line that `value` begins in.
#[inline(always)]
pub(crate) fn prefetch<T>(value: &T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every such machine has it, and it reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast()) };
    }
    #[cfg(any(not(target_arch = "x86_64"), miri))]
    let _ = value;
}
