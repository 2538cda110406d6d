//! The kernels, written once over [`Vector`].

use super::buffer::{Buffer, Cursor, LineEnds, SHORT, Words};

/// What [`super::terminators`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terminators {
    /// How many lines end in the slice (`\r\n` is one end).
    pub(crate) count: usize,
    /// Offset behind the last terminator; 0 if there is none.
    pub(crate) end: usize,
}

/// Sixty-four bytes at a time; bit `i` of a mask speaks of byte `i`.
///
/// # Safety
/// The implementor's methods are called only where its instruction set is
/// enabled, with `len` readable bytes behind `ptr`.
pub(super) trait Vector: Copy {
    /// Loads `len` bytes, 1 to 64; the others count as zero.
    unsafe fn load(ptr: *const u8, len: usize) -> Self;
    /// The bytes equal to `byte` (which is not zero).
    unsafe fn equal(self, byte: u8) -> u64;
    /// The bytes with the top bit set.
    unsafe fn high(self) -> u64;
    /// Loads `len <= 15` bytes, zero-filled, with the length in the last byte;
    /// of `readable` bytes that could be read.
    unsafe fn short(ptr: *const u8, len: usize, readable: usize) -> Words;
}

/// See [`super::split_byte`].
///
/// # Safety
/// The instruction set of `V` is enabled in the caller.
#[inline(always)]
pub(super) unsafe fn split_byte<V: Vector>(
    hay: &[u8],
    separator: u8,
    cursor: &mut Cursor,
    out: &mut Buffer<Words>,
) {
    let base = hay.as_ptr();
    let Cursor {
        mut at, mut start, ..
    } = *cursor;
    // A cursor of another text, or one that is done, would lead outside.
    assert!(
        start <= at && at <= hay.len(),
        "a cursor belongs to one text"
    );
    out.clear();
    // A vector gives at most 64 pieces, and the end of the text one more.
    while out.room() > 64 {
        let left = hay.len() - at;
        // The end of the text is one more separator.
        let mut mask = if left >= 64 {
            // SAFETY: `at + 64 <= hay.len()`.
            let bytes = unsafe { V::load(base.wrapping_add(at), 64) };
            // SAFETY: the caller enabled the instruction set.
            unsafe { bytes.equal(separator) }
        } else if left > 0 {
            // SAFETY: `at + left == hay.len()`.
            let bytes = unsafe { V::load(base.wrapping_add(at), left) };
            // SAFETY: the caller enabled the instruction set.
            unsafe { bytes.equal(separator) | 1 << left }
        } else {
            1
        };
        while mask != 0 {
            let end = at + mask.trailing_zeros() as usize;
            mask &= mask - 1;
            let len = end - start;
            let piece = if len <= SHORT {
                // SAFETY: `start + len = end <= hay.len()`.
                unsafe { V::short(base.wrapping_add(start), len, hay.len() - start) }
            } else {
                Words::long(start, len)
            };
            // SAFETY: there was room for 65 pieces before this vector.
            unsafe { out.push(piece) };
            start = end + 1;
        }
        if left < 64 {
            *cursor = Cursor {
                at,
                start,
                done: true,
            };
            return;
        }
        at += 64;
    }
    *cursor = Cursor {
        at,
        start,
        done: false,
    };
}

/// See [`super::line_ends`].
///
/// # Safety
/// The instruction set of `V` is enabled in the caller.
#[inline(always)]
pub(super) unsafe fn line_ends<V: Vector>(
    hay: &[u8],
    from: usize,
    out: &mut LineEnds,
) -> (usize, bool) {
    let base = hay.as_ptr();
    let mut at = from;
    let mut high = 0;
    out.clear();
    while at < hay.len() && out.room() >= 64 {
        let len = (hay.len() - at).min(64);
        // SAFETY: `at + len <= hay.len()`.
        let bytes = unsafe { V::load(base.wrapping_add(at), len) };
        // SAFETY: the caller enabled the instruction set.
        let feed = unsafe { bytes.equal(b'\n') };
        // SAFETY: as above.
        let mut mask = feed | unsafe { bytes.equal(b'\r') };
        // SAFETY: as above.
        high |= unsafe { bytes.high() };
        while mask != 0 {
            let end = at + mask.trailing_zeros() as usize;
            mask &= mask - 1;
            // SAFETY: there was room for 64 ends before this vector.
            unsafe { out.push(end) };
        }
        at += len;
    }
    (at, high == 0)
}

/// See [`super::terminators`].
///
/// # Safety
/// The instruction set of `V` is enabled in the caller.
#[inline(always)]
pub(super) unsafe fn terminators<V: Vector>(hay: &[u8]) -> Terminators {
    let base = hay.as_ptr();
    let mut found = Terminators::default();
    // Whether the byte before the vector was a `\r`, as bit 0.
    let mut carry = 0;
    let mut at = 0;
    while at < hay.len() {
        let len = (hay.len() - at).min(64);
        // SAFETY: `at + len <= hay.len()`.
        let bytes = unsafe { V::load(base.wrapping_add(at), len) };
        // SAFETY: the caller enabled the instruction set.
        let feed = unsafe { bytes.equal(b'\n') };
        // SAFETY: as above.
        let carriage = unsafe { bytes.equal(b'\r') };
        let second_half = feed & (carriage << 1 | carry);
        let ends = feed | carriage;
        found.count += (ends & !second_half).count_ones() as usize;
        if ends != 0 {
            found.end = at + 64 - ends.leading_zeros() as usize;
        }
        carry = carriage >> 63;
        at += len;
    }
    found
}

/// The up to 15 bytes of `short`, without a vector.
#[inline(always)]
pub(super) fn load_short(short: &[u8]) -> Words {
    debug_assert!(short.len() <= SHORT);
    let n = short.len();
    let (low, high) = if n >= 8 {
        // The last eight bytes, moved down to where the ninth byte belongs.
        let high = if n == 8 {
            0
        } else {
            word(short, n - 8) >> ((16 - n) * 8)
        };
        (word(short, 0), high)
    } else if n >= 4 {
        let last = u64::from(half(short, n - 4));
        (u64::from(half(short, 0)) | last << ((n - 4) * 8), 0)
    } else if n > 0 {
        // First, middle and last byte: for one to three bytes that is all.
        let middle = u64::from(short[n / 2]) << (n / 2 * 8);
        let last = u64::from(short[n - 1]) << ((n - 1) * 8);
        (u64::from(short[0]) | middle | last, 0)
    } else {
        (0, 0)
    };
    Words::short(low, high, n)
}

#[inline(always)]
fn word(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

#[inline(always)]
fn half(bytes: &[u8], at: usize) -> u32 {
    let mut half = [0; 4];
    half.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(half)
}
