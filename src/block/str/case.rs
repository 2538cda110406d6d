//! Short texts without a copy: eight bytes at a time, in the two words themselves.

use super::Str;
use crate::arch::Words;

/// A byte in each place of a word.
const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The top bit of each byte that is `from` or more. All bytes are ASCII.
const fn at_least(word: u64, from: u8) -> u64 {
    (word + each(0x80 - from)) & each(0x80)
}

/// The same word with the case of the letters from `first` on changed. All bytes
/// are ASCII.
const fn change_case(word: u64, first: u8) -> u64 {
    let letters = at_least(word, first) & !at_least(word, first + 26);
    // The bit that tells the cases apart is two places below the top.
    word ^ letters >> 2
}

impl Str {
    /// The two words of a short text of ASCII characters alone. The length in the
    /// last byte is smaller than any letter.
    #[inline(always)]
    fn ascii_words(&self) -> Option<(u64, u64)> {
        let (low, high) = self.words();
        let short = self.as_shared().is_none();
        (short && (low | high) & each(0x80) == 0).then_some((low, high))
    }

    /// Whether it is short, and known to hold no white space but perhaps spaces.
    #[inline(always)]
    pub(super) fn is_one_word(&self) -> bool {
        let Some((low, high)) = self.ascii_words() else {
            return false;
        };
        // Without the length, which may look like white space.
        let high = high & (u64::MAX >> 8);
        let control = |word| at_least(word, b'\t') & !at_least(word, b'\r' + 1);
        (control(low) | control(high)) == 0
    }

    /// The text in lower case, as [`str::to_lowercase`] gives it. A short text of
    /// ASCII characters is changed in place of its sixteen bytes; any other is
    /// copied.
    ///
    /// # Examples
    /// ```
    /// # use millstream::Str;
    /// assert_eq!(Str::from("Straße").to_lowercase(), "straße");
    /// ```
    #[must_use]
    pub fn to_lowercase(&self) -> Self {
        match self.ascii_words() {
            Some((low, high)) => {
                Self::inline(Words(change_case(low, b'A'), change_case(high, b'A')))
            }
            None => Self::from(self.as_str().to_lowercase()),
        }
    }

    /// The text in upper case, as [`str::to_uppercase`] gives it; costs what
    /// [`to_lowercase`](Self::to_lowercase) costs.
    ///
    /// # Examples
    /// ```
    /// # use millstream::Str;
    /// assert_eq!(Str::from("Straße").to_uppercase(), "STRASSE");
    /// ```
    #[must_use]
    pub fn to_uppercase(&self) -> Self {
        match self.ascii_words() {
            Some((low, high)) => {
                Self::inline(Words(change_case(low, b'a'), change_case(high, b'a')))
            }
            None => Self::from(self.as_str().to_uppercase()),
        }
    }
}
