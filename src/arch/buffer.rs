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

/// How many entries a kernel writes at a time: some vectors' worth in a typical
/// text, and always room for one vector's 64.
pub(super) const ENTRIES: usize = 256;

/// A stack array that is filled without being cleared first.
pub(crate) struct Buffer<T> {
    entries: [MaybeUninit<T>; ENTRIES],
    len: usize,
}

/// Offsets into a text: of line terminators, of separators.
pub(crate) type Places = Buffer<u32>;

impl<T: Copy> Buffer<T> {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self {
            entries: [const { MaybeUninit::uninit() }; ENTRIES],
            len: 0,
        }
    }

    /// Where entry `i` goes. Kernels count in a register of their own, and tell
    /// [`filled`](Self::filled) at the end.
    #[inline(always)]
    pub(super) fn slot(&mut self, i: usize) -> *mut T {
        debug_assert!(i < ENTRIES);
        self.entries.as_mut_ptr().cast::<T>().wrapping_add(i)
    }

    /// # Safety
    /// The first `len <= ENTRIES` entries were written.
    #[inline(always)]
    pub(super) unsafe fn filled(&mut self, len: usize) {
        debug_assert!(len <= ENTRIES);
        self.len = len;
    }

    /// What the last kernel wrote.
    #[inline(always)]
    pub(crate) fn entries(&self) -> &[T] {
        // SAFETY: the first `len` entries were written.
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
