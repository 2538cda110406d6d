//! What the kernels write: small arrays on the caller's stack.
//!
//! A kernel that called a closure per word would be instantiated for each
//! closure and each instruction set, and the closure would be inlined into none
//! of them (tried: 1.7 times slower). Through a buffer the kernels are compiled
//! once, and the loop of the caller stays one loop.

use std::fmt;
use std::mem::MaybeUninit;

/// The longest piece whose bytes fit into two words beside a length byte.
pub(crate) const SHORT: usize = 15;

/// A piece of text in two words: the bytes of a short one with the length in
/// the last byte, the place of a long one with the top bit set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(16))]
pub(crate) struct Words(pub(crate) u64, pub(crate) u64);

const LONG: u64 = 1 << 63;

impl Words {
    /// Zero-filled bytes of `len <= 15`.
    #[inline(always)]
    pub(crate) fn short(low: u64, high: u64, len: usize) -> Self {
        Self(low, high | (len as u64) << 56)
    }

    #[inline(always)]
    pub(super) fn long(start: usize, len: usize) -> Self {
        Self(start as u64, len as u64 | LONG)
    }

    /// Start and length of a long piece; a short one carries its bytes.
    #[inline(always)]
    pub(crate) fn as_long(self) -> Option<(usize, usize)> {
        (self.1 & LONG != 0).then_some((self.0 as usize, (self.1 & !LONG) as usize))
    }
}

/// Where [`split`](super::split) goes on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cursor {
    /// The next vector.
    pub(super) at: usize,
    /// The piece that is open.
    pub(super) start: usize,
    /// Whether the last piece was given out.
    pub(crate) done: bool,
}

/// How many entries a kernel writes at a time: room for what two vectors can
/// give at the most, and for the end of the text.
const ENTRIES: usize = 129;

/// A stack array that is filled without being cleared first.
pub(crate) struct Buffer<T> {
    entries: [MaybeUninit<T>; ENTRIES],
    len: usize,
}

/// Offsets of line terminators.
pub(crate) type LineEnds = Buffer<usize>;

impl<T: Copy> Buffer<T> {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self {
            entries: [const { MaybeUninit::uninit() }; ENTRIES],
            len: 0,
        }
    }

    #[inline(always)]
    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    #[inline(always)]
    pub(super) fn room(&self) -> usize {
        ENTRIES - self.len
    }

    /// # Safety
    /// There is room.
    #[inline(always)]
    pub(super) unsafe fn push(&mut self, entry: T) {
        debug_assert!(self.len < ENTRIES);
        // SAFETY: the caller saw room for it.
        unsafe { self.entries.get_unchecked_mut(self.len) }.write(entry);
        self.len += 1;
    }

    /// What the last kernel wrote.
    #[inline(always)]
    pub(crate) fn entries(&self) -> &[T] {
        // SAFETY: `push` wrote the first `len` entries.
        unsafe { std::slice::from_raw_parts(self.entries.as_ptr().cast(), self.len) }
    }
}

impl<T> fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
