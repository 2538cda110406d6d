//! The scalar twin: plain loops for any machine, and for miri.

use super::buffer::{Buffer, Cursor, ENTRIES, Places, SHORT, Words};
use super::vector::{self, Terminators, Vector};

#[derive(Clone, Copy)]
struct Bytes {
    bytes: [u8; 64],
}

impl Bytes {
    #[inline(always)]
    fn mask(self, of: impl Fn(u8) -> bool) -> u64 {
        let mut mask = 0;
        for (i, &byte) in self.bytes.iter().enumerate() {
            mask |= u64::from(of(byte)) << i;
        }
        mask
    }
}

impl Vector for Bytes {
    #[inline(always)]
    unsafe fn load(ptr: *const u8) -> Self {
        // SAFETY: 64 bytes can be read.
        let bytes = unsafe { ptr.cast::<[u8; 64]>().read() };
        Self { bytes }
    }

    #[inline(always)]
    unsafe fn load_part(ptr: *const u8, len: usize) -> Self {
        let mut bytes = [0; 64];
        // SAFETY: `len` bytes can be read; the caller gives less than 64.
        unsafe { ptr.copy_to_nonoverlapping(bytes.as_mut_ptr(), len) };
        Self { bytes }
    }

    #[inline(always)]
    unsafe fn equal(self, byte: u8) -> u64 {
        self.mask(|b| b == byte)
    }

    #[inline(always)]
    unsafe fn high(self) -> u64 {
        self.mask(|b| b >= 0x80)
    }

    #[inline(always)]
    unsafe fn short(ptr: *const u8, len: usize, _readable: usize) -> Words {
        // SAFETY: `len` bytes can be read.
        vector::load_short(unsafe { std::slice::from_raw_parts(ptr, len) })
    }
}

pub(super) fn split_bytes(
    hay: &[u8],
    separators: [u8; 2],
    cursor: &mut Cursor,
    out: &mut Buffer<Words>,
) {
    // SAFETY: plain Rust needs no instruction set.
    unsafe { vector::split_bytes::<Bytes>(hay, separators, cursor, out) }
}

pub(super) fn line_ends(hay: &[u8], cursor: &mut Cursor, out: &mut Places) -> bool {
    // SAFETY: plain Rust needs no instruction set.
    unsafe { vector::line_ends::<Bytes>(hay, cursor, out) }
}

pub(super) fn terminators(hay: &[u8]) -> Terminators {
    // SAFETY: plain Rust needs no instruction set.
    unsafe { vector::terminators::<Bytes>(hay) }
}

/// See [`arch::equal`](crate::arch::equal).
#[cfg(any(test, not(target_arch = "x86_64")))]
pub(super) fn equal(numbers: &[u32; 8], number: u32) -> u8 {
    let bit = |(i, &other): (usize, &u32)| u8::from(other == number) << i;
    numbers.iter().enumerate().map(bit).sum()
}

/// Splits by any character.
pub(super) fn split_char(hay: &str, separator: char, cursor: &mut Cursor, out: &mut Buffer<Words>) {
    let mut count = 0;
    while count < ENTRIES && !cursor.done {
        let rest = &hay[cursor.start..];
        let len = rest.find(separator);
        cursor.done = len.is_none();
        let len = len.unwrap_or(rest.len());
        let piece = if len <= SHORT {
            vector::load_short(&rest.as_bytes()[..len])
        } else {
            Words::long(cursor.start, len)
        };
        // SAFETY: `count` is a place in the buffer.
        unsafe { out.slot(count).write(piece) };
        count += 1;
        cursor.start += len + separator.len_utf8();
    }
    // SAFETY: so many were written.
    unsafe { out.filled(count) };
}
