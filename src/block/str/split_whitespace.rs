//! Texts in words.

use super::Str;

impl Str {
    /// The words between white space, as [`str::split_whitespace`] gives them, each
    /// a `Str` that stands on its own. None is empty.
    ///
    /// # Examples
    /// ```
    /// # use millstream::Str;
    /// let words: Vec<Str> = Str::from(" to be\tor  not ").split_whitespace().collect();
    /// assert_eq!(words, ["to", "be", "or", "not"]);
    /// ```
    #[inline]
    pub fn split_whitespace(self) -> SplitWhitespace {
        SplitWhitespace {
            text: self,
            from: 0,
        }
    }
}

/// The iterator of [`Str::split_whitespace`].
///
/// `for_each`, `fold` and everything built on them run the vector kernel, as those
/// of [`Split`](super::Split) do.
#[derive(Clone, Debug)]
#[must_use = "iterators do nothing unless they are consumed"]
pub struct SplitWhitespace {
    text: Str,
    /// Behind the last word.
    from: usize,
}

impl Iterator for SplitWhitespace {
    type Item = Str;

    fn next(&mut self) -> Option<Str> {
        let rest = &self.text.as_str()[self.from..];
        let word = rest.split_whitespace().next()?;
        let start = self.text.len() - rest.trim_start().len();
        let word = self.text.part(start, start + word.len());
        self.from = start + word.len();
        Some(word)
    }

    #[inline]
    fn fold<B, F>(self, init: B, mut f: F) -> B
    where
        F: FnMut(B, Str) -> B,
    {
        let rest = if self.from == 0 {
            self.text
        } else {
            self.text.part(self.from, self.text.len())
        };
        // Of the parts between spaces most are words already.
        rest.split(' ').fold(init, |mut folded, mut part| {
            while let Some(word) = take_word(&mut part) {
                folded = f(folded, word);
            }
            folded
        })
    }
}

impl std::iter::FusedIterator for SplitWhitespace {}

/// The first word of a part between spaces, which it loses.
#[inline(always)]
fn take_word(part: &mut Str) -> Option<Str> {
    if part.is_one_word() {
        return (!part.is_empty()).then(|| std::mem::take(part));
    }
    take_from_many(part)
}

#[inline(never)]
fn take_from_many(part: &mut Str) -> Option<Str> {
    let rest = part.as_str().trim_start();
    let word = rest.split(char::is_whitespace).next()?;
    let behind = part.slice_ref(&rest[word.len()..]);
    let word = part.slice_ref(word);
    *part = behind;
    (!word.is_empty()).then_some(word)
}
