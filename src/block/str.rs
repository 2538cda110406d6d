//! [`Str`]: a string in sixteen bytes.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::ptr::{self, NonNull};

use memchr::memmem;

use super::text::{self, Header, TextBlock};
use crate::arch::{self, SHORT as INLINE, Words};
use crate::hash::KeyHash;
pub use split::Split;
pub use split_whitespace::SplitWhitespace;

/// An immutable UTF-8 string in 16 bytes.
///
/// Up to 15 bytes stand inline; a longer string is a counted slice of the
/// block that it was received in, without a copy. Cloning never copies text.
/// It dereferences to [`str`], hashes and compares as two machine words when it
/// is inline. The methods of its own that are named as those of `str` give a `Str`
/// in place of a `&str`, or of a `String`; for all others there is
/// [`slice_ref`](Str::slice_ref).
///
/// A long `Str` keeps its whole block (1 MiB by default) in memory: one that
/// outlives its batch should be [`compact`](Str::compact)ed.
///
/// # Examples
/// ```
/// use millstream::Str;
///
/// let line = Str::from("to be or not to be");
/// let words: Vec<Str> = line.split(' ').collect();
/// assert_eq!(words.len(), 6);
/// assert_eq!(words[3], "not");
/// ```
#[repr(C)]
pub struct Str {
    // Two plain words and no union: the compiler keeps a pair in two registers,
    // a union in memory.
    /// The first eight bytes of an inline text, or the block of a shared one.
    low: *mut Header,
    /// The further bytes of an inline text with its length in the top byte, or
    /// offset and length of a shared one; the top bit tells them apart.
    high: u64,
}

/// A string in a block, taken apart.
#[derive(Clone, Copy)]
struct Shared {
    header: NonNull<Header>,
    offset: u32,
    length: u32,
}

/// What is longer cannot be told in 31 bits.
const TOO_LONG: usize = 1 << 31;
/// The bit of a shared string.
const SHARED: u64 = 1 << 63;

impl Shared {
    #[inline]
    fn as_ptr(self) -> *const u8 {
        text::bytes_of(self.header)
            .cast_const()
            .wrapping_add(self.offset as usize)
    }

    #[inline]
    fn len(self) -> usize {
        self.length as usize
    }

    /// The text.
    ///
    /// # Safety
    /// A `Str` that this is a copy of lives as long as the result is used.
    unsafe fn bytes<'a>(self) -> &'a [u8] {
        // SAFETY: the caller sees to it that the block is kept; what a `Str`
        // points to was published, so nobody writes to it.
        unsafe { std::slice::from_raw_parts(self.as_ptr(), self.len()) }
    }
}

#[cfg(not(all(target_pointer_width = "64", target_endian = "little")))]
compile_error!("the top bit of the second word tells the forms of a Str apart");

const _: () = assert!(size_of::<Str>() == 16);

// SAFETY: the bytes are immutable and the count of their block is atomic.
unsafe impl Send for Str {}
// SAFETY: as above.
unsafe impl Sync for Str {}

impl Str {
    /// The empty string.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            low: ptr::null_mut(),
            high: 0,
        }
    }

    /// A short piece of valid UTF-8.
    #[inline(always)]
    fn inline(piece: Words) -> Self {
        debug_assert!(piece.as_long().is_none());
        Self {
            low: ptr::without_provenance_mut(piece.0 as usize),
            high: piece.1,
        }
    }

    /// A range of a block.
    ///
    /// # Safety
    /// The range was published, is valid UTF-8, and `header` is alive.
    #[inline(always)]
    unsafe fn shared(header: NonNull<Header>, offset: usize, len: usize) -> Self {
        debug_assert!(offset <= u32::MAX as usize && len < TOO_LONG);
        // SAFETY: the caller has the block.
        unsafe { text::acquire(header) };
        Self {
            low: header.as_ptr(),
            high: offset as u64 | (len as u64) << 32 | SHARED,
        }
    }

    /// The string in `start..end` of a block.
    ///
    /// # Safety
    /// `start <= end`, and the range was published and is valid UTF-8.
    #[inline]
    pub(crate) unsafe fn slice_of(block: &TextBlock, start: usize, end: usize) -> Self {
        debug_assert!(start <= end);
        let len = end - start;
        if len <= INLINE {
            // SAFETY: the caller gives the range.
            Self::inline(arch::load_short(unsafe { block.slice(start, end) }))
        } else {
            // SAFETY: the caller gives the range; the handle keeps the block.
            unsafe { Self::shared(block.header(), start, len) }
        }
    }

    #[inline(always)]
    fn words(&self) -> (u64, u64) {
        (self.low.addr() as u64, self.high)
    }

    #[inline(always)]
    fn as_shared(&self) -> Option<Shared> {
        if self.high & SHARED == 0 {
            return None;
        }
        Some(Shared {
            // SAFETY: the bit tells that the first word is the address of a block.
            header: unsafe { NonNull::new_unchecked(self.low) },
            offset: self.high as u32,
            length: ((self.high & !SHARED) >> 32) as u32,
        })
    }

    /// The text.
    #[inline]
    #[must_use]
    pub fn as_str(&self) -> &str {
        // SAFETY: every constructor was given valid UTF-8.
        unsafe { std::str::from_utf8_unchecked(self.as_bytes()) }
    }

    /// The text as bytes.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self.as_shared() {
            // SAFETY: `self` keeps the block alive for as long as it is borrowed.
            Some(shared) => unsafe { shared.bytes() },
            None => {
                let len = (self.high >> 56) as usize;
                // SAFETY: the inline bytes of `self`, of which there are `len`.
                unsafe { std::slice::from_raw_parts((&raw const *self).cast(), len) }
            }
        }
    }

    /// The same text in a block of its own, so that it no longer keeps the
    /// block alive that it was received in. Free for an inline string.
    ///
    /// # Examples
    /// ```
    /// # use millstream::Str;
    /// let kept = Str::from("a rather long key").compact();
    /// assert_eq!(kept, "a rather long key");
    /// ```
    #[must_use]
    pub fn compact(self) -> Self {
        if self.as_shared().is_none() {
            self
        } else {
            Self::from(self.as_str())
        }
    }

    /// The `Str` of a part of this text, which is not copied: for what the methods
    /// of [`str`] return.
    ///
    /// # Panics
    /// If `part` is not a part of this text.
    ///
    /// # Examples
    /// ```
    /// # use millstream::Str;
    /// let line = Str::from("warning: disk nearly full");
    /// let message = line.strip_prefix("warning: ").map(|message| line.slice_ref(message));
    /// assert_eq!(message.as_deref(), Some("disk nearly full"));
    /// ```
    #[must_use]
    pub fn slice_ref(&self, part: &str) -> Self {
        let start = part.as_ptr().addr().wrapping_sub(self.as_ptr().addr());
        if start > self.len() || part.len() > self.len() - start {
            // An empty text may point anywhere.
            assert!(part.is_empty(), "{part:?} is not a part of {self:?}");
            return Self::new();
        }
        self.part(start, start + part.len())
    }

    /// The parts between separators, as [`str::split`] gives them, each a `Str`
    /// that stands on its own.
    ///
    /// The iterator owns its text, so `|line| line.split(' ')` can be returned
    /// from a closure.
    ///
    /// # Examples
    /// ```
    /// # use millstream::Str;
    /// let parts: Vec<Str> = Str::from("a,b,,c").split(',').collect();
    /// assert_eq!(parts, ["a", "b", "", "c"]);
    /// ```
    #[inline]
    pub fn split(self, separator: char) -> Split {
        Split::new(self, separator)
    }

    /// What stands before and behind the first separator, a character or a text, as
    /// [`str::split_once`] gives it; `None` if there is no separator.
    ///
    /// # Examples
    /// ```
    /// # use millstream::Str;
    /// let (key, value) = Str::from("user: ann: 1").split_once(": ").unwrap();
    /// assert_eq!((&*key, &*value), ("user", "ann: 1"));
    /// assert_eq!(Str::from("user").split_once(':'), None);
    /// ```
    #[must_use]
    pub fn split_once(&self, separator: impl Into<Self>) -> Option<(Self, Self)> {
        let separator = separator.into();
        let at = memmem::find(self.as_bytes(), separator.as_bytes())?;
        let behind = at + separator.len();
        Some((self.part(0, at), self.part(behind, self.len())))
    }

    /// The text without white space at both ends, as [`str::trim`] gives it.
    ///
    /// # Examples
    /// ```
    /// # use millstream::Str;
    /// assert_eq!(Str::from("  42\t").trim(), "42");
    /// ```
    #[must_use]
    pub fn trim(&self) -> Self {
        self.slice_ref(self.as_str().trim())
    }

    /// The text without white space at its start, as [`str::trim_start`] gives it.
    #[must_use]
    pub fn trim_start(&self) -> Self {
        self.slice_ref(self.as_str().trim_start())
    }

    /// The text without white space at its end, as [`str::trim_end`] gives it.
    #[must_use]
    pub fn trim_end(&self) -> Self {
        self.slice_ref(self.as_str().trim_end())
    }

    /// A part of this string, on the boundaries of characters. Not inlined: the
    /// loops over short words stay small without it.
    #[inline(never)]
    fn part(&self, start: usize, end: usize) -> Self {
        let len = end - start;
        match self.as_shared() {
            Some(shared) if len > INLINE => {
                // SAFETY: a part of a published range, of a block that `self`
                // keeps alive.
                unsafe { Self::shared(shared.header, shared.offset as usize + start, len) }
            }
            _ => Self::inline(arch::load_short(&self.as_bytes()[start..end])),
        }
    }
}

impl From<&str> for Str {
    /// Copies the text.
    ///
    /// # Panics
    /// If the text is longer than 2 GiB.
    fn from(text: &str) -> Self {
        let len = text.len();
        if len <= INLINE {
            return Self::inline(arch::load_short(text.as_bytes()));
        }
        assert!(len < TOO_LONG, "a Str holds less than 2 GiB");
        let block = TextBlock::copy_of(text.as_bytes());
        // SAFETY: the whole block was just written from a `str`.
        unsafe { Self::slice_of(&block, 0, len) }
    }
}

impl From<String> for Str {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<Cow<'_, str>> for Str {
    fn from(text: Cow<'_, str>) -> Self {
        Self::from(&*text)
    }
}

impl From<char> for Str {
    fn from(c: char) -> Self {
        Self::from(&*c.encode_utf8(&mut [0; 4]))
    }
}

impl Clone for Str {
    #[inline]
    fn clone(&self) -> Self {
        if let Some(shared) = self.as_shared() {
            // SAFETY: `self` is a reference to the block.
            unsafe { text::acquire(shared.header) };
        }
        Self {
            low: self.low,
            high: self.high,
        }
    }
}

impl Drop for Str {
    #[inline]
    fn drop(&mut self) {
        #[inline(never)]
        fn release(shared: Shared) {
            // SAFETY: the string that gives up its reference is going.
            unsafe { text::release(shared.header) };
        }
        if let Some(shared) = self.as_shared() {
            release(shared);
        }
    }
}

impl Default for Str {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Str {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Str {
    fn as_ref(&self) -> &str {
        self
    }
}

impl AsRef<[u8]> for Str {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl PartialEq for Str {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        // By value, so that the strings themselves can stay in registers.
        #[inline(never)]
        fn same_text(a: Shared, b: Shared) -> bool {
            // SAFETY: the compared strings are borrowed by the caller.
            let a = unsafe { a.bytes() };
            // SAFETY: as above.
            let b = unsafe { b.bytes() };
            a == b
        }
        // Equal words are equal text in both forms; an inline string is never
        // equal to a shared one, as the length decides the form.
        let (a, b) = (self.words(), other.words());
        if ((a.0 ^ b.0) | (a.1 ^ b.1)) == 0 {
            return true;
        }
        match (self.as_shared(), other.as_shared()) {
            (Some(a), Some(b)) => same_text(a, b),
            _ => false,
        }
    }
}

impl Eq for Str {}

impl PartialEq<str> for Str {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Str {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialEq<String> for Str {
    fn eq(&self, other: &String) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<Str> for String {
    fn eq(&self, other: &Str) -> bool {
        self == other.as_str()
    }
}

impl PartialEq<Str> for str {
    fn eq(&self, other: &Str) -> bool {
        self == other.as_str()
    }
}

impl PartialEq<Str> for &str {
    fn eq(&self, other: &Str) -> bool {
        *self == other.as_str()
    }
}

impl PartialOrd for Str {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Str {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Str {
    /// Two words for an inline string. Not the hash of the same `str`, which is
    /// why `Str` does not implement `Borrow<str>`.
    #[inline(always)]
    fn hash<H: Hasher>(&self, state: &mut H) {
        // By value, so that neither the string nor the hasher has to leave its
        // registers for the sake of the rare long key.
        #[inline(never)]
        fn digest(shared: Shared) -> u64 {
            // SAFETY: the hashed string is borrowed by the caller.
            KeyHash::get().hash_bytes(unsafe { shared.bytes() })
        }
        let (low, high) = self.words();
        match self.as_shared() {
            None => state.write_u128(u128::from(low) | u128::from(high) << 64),
            Some(shared) => state.write_u64(digest(shared)),
        }
    }
}

impl fmt::Display for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl FromIterator<char> for Str {
    fn from_iter<I: IntoIterator<Item = char>>(chars: I) -> Self {
        Self::from(String::from_iter(chars))
    }
}

mod case;
mod keep;
#[cfg(feature = "serde")]
mod serde;
mod split;
mod split_whitespace;
#[cfg(all(test, not(loom)))]
mod tests;
