//! The kernels, written once over [`Vector`].

use super::buffer::{Buffer, Cursor, ENTRIES, Places, SHORT, Words};

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
    /// Loads 64 bytes.
    unsafe fn load(ptr: *const u8) -> Self;
    /// Loads `len` bytes, less than 64; the others count as zero. Not for whole
    /// vectors: a masked load that misses the cache is a third as fast.
    unsafe fn load_part(ptr: *const u8, len: usize) -> Self;
    /// The bytes equal to `byte` (which is not zero).
    unsafe fn equal(self, byte: u8) -> u64;
    /// The bytes with the top bit set.
    unsafe fn high(self) -> u64;
    /// Loads `len <= 15` bytes, zero-filled, with the length in the last byte;
    /// of `readable` bytes that could be read.
    unsafe fn short(ptr: *const u8, len: usize, readable: usize) -> Words;

    /// Writes `at` plus the place of each bit of `mask`, lowest first. `out` has
    /// room for 64, and what is behind the last one is undefined.
    #[inline(always)]
    unsafe fn places(mut mask: u64, at: u32, out: *mut u32) {
        let count = mask.count_ones() as usize;
        let mut i = 0;
        while i < count {
            // Eight, whether or not there are as many: a loop that ends with
            // the last bit ends unforeseen by the processor nearly every time.
            for i in i..i + 8 {
                let place = at.wrapping_add(mask.trailing_zeros());
                // SAFETY: `i` is less than 64: there are no more bits.
                unsafe { out.wrapping_add(i).write(place) };
                mask &= mask.wrapping_sub(1);
            }
            i += 8;
        }
    }
}

/// Finds two bytes in the next vectors, as many as the buffer has room for. The end
/// of the text counts as one more place. Returns whether all bytes searched were
/// ASCII.
///
/// # Safety
/// The instruction set of `V` is enabled in the caller.
#[inline(always)]
unsafe fn find<V: Vector>(
    hay: &[u8],
    bytes: [u8; 2],
    cursor: &mut Cursor,
    out: &mut Places,
) -> bool {
    // A cursor of another text, or one that is done, would lead outside.
    assert!(
        cursor.start <= cursor.at && cursor.at <= hay.len(),
        "a cursor belongs to one text"
    );
    assert!(hay.len() < u32::MAX as usize, "places have 32 bits");
    let base = hay.as_ptr();
    let (mut at, mut count, mut high) = (cursor.at, 0, 0);
    while !cursor.done && ENTRIES - count >= 64 {
        let left = hay.len() - at;
        let from = base.wrapping_add(at);
        let mask = if left >= 64 {
            // SAFETY: `at + 64 <= hay.len()`.
            let vector = unsafe { V::load(from) };
            // SAFETY: the caller enabled the instruction set.
            high |= unsafe { vector.high() };
            // SAFETY: as above.
            unsafe { either(vector, bytes) }
        } else {
            cursor.done = true;
            // SAFETY: `at + left == hay.len()`.
            let vector = unsafe { V::load_part(from, left) };
            // SAFETY: the caller enabled the instruction set.
            high |= unsafe { vector.high() };
            // SAFETY: as above.
            unsafe { either(vector, bytes) | 1 << left }
        };
        // SAFETY: there is room for 64.
        unsafe { V::places(mask, at as u32, out.slot(count)) };
        count += mask.count_ones() as usize;
        at += 64;
    }
    cursor.at = at;
    // SAFETY: so many places were written.
    unsafe { out.filled(count) };
    high == 0
}

/// # Safety
/// The instruction set of `V` is enabled in the caller.
#[inline(always)]
unsafe fn either<V: Vector>(vector: V, [a, b]: [u8; 2]) -> u64 {
    // SAFETY: the caller enabled the instruction set.
    let a = unsafe { vector.equal(a) };
    // SAFETY: as above.
    let b = unsafe { vector.equal(b) };
    a | b
}

/// See [`super::split_bytes`].
///
/// First all ends of pieces, then all pieces: two loops that run long and end
/// seldom are twice as fast as one loop per vector.
///
/// # Safety
/// The instruction set of `V` is enabled in the caller.
#[inline(always)]
pub(super) unsafe fn split_bytes<V: Vector>(
    hay: &[u8],
    separators: [u8; 2],
    cursor: &mut Cursor,
    out: &mut Buffer<Words>,
) {
    let mut ends = Places::new();
    // SAFETY: the caller enabled the instruction set.
    unsafe { find::<V>(hay, separators, cursor, &mut ends) };
    let mut start = cursor.start;
    for (i, &end) in ends.entries().iter().enumerate() {
        let end = end as usize;
        let len = end - start;
        let piece = if len <= SHORT {
            let from = hay.as_ptr().wrapping_add(start);
            // SAFETY: `start + len = end <= hay.len()`.
            unsafe { V::short(from, len, hay.len() - start) }
        } else {
            Words::long(start, len)
        };
        // SAFETY: both buffers have as many entries.
        unsafe { out.slot(i).write(piece) };
        start = end + 1;
    }
    cursor.start = start;
    // SAFETY: so many pieces were written.
    unsafe { out.filled(ends.entries().len()) };
}

/// See [`super::line_ends`].
///
/// # Safety
/// The instruction set of `V` is enabled in the caller.
#[inline(always)]
pub(super) unsafe fn line_ends<V: Vector>(
    hay: &[u8],
    cursor: &mut Cursor,
    out: &mut Places,
) -> bool {
    // SAFETY: the caller enabled the instruction set.
    unsafe { find::<V>(hay, [b'\n', b'\r'], cursor, out) }
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
        let bytes = if len == 64 {
            // SAFETY: `at + 64 <= hay.len()`.
            unsafe { V::load(base.wrapping_add(at)) }
        } else {
            // SAFETY: `at + len == hay.len()`.
            unsafe { V::load_part(base.wrapping_add(at), len) }
        };
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
