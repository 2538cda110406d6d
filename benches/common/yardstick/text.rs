//! Text that vectors can be loaded from.

/// Bytes behind a text, so that any word in it can be loaded whole.
const PADDING: usize = 64;

/// Text with room behind it for whole vectors.
pub(crate) struct Padded {
    bytes: Vec<u8>,
    len: usize,
}

impl Padded {
    pub(crate) fn new(text: &[u8]) -> Self {
        Self::from(text.to_vec())
    }

    pub(crate) fn text(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// The bytes, to be used again.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The text with all its padding.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The text in `n` parts of whole lines.
    pub(super) fn parts(&self, n: usize) -> Vec<std::ops::Range<usize>> {
        let mut start = 0;
        (1..=n)
            .map(|i| {
                let near = (self.len * i / n).max(start);
                let end = memchr::memchr(b'\n', &self.text()[near..])
                    .map_or(self.len, |at| near + at + 1);
                let part = start..end;
                start = end;
                part
            })
            .collect()
    }
}

impl From<Vec<u8>> for Padded {
    fn from(mut bytes: Vec<u8>) -> Self {
        let len = bytes.len();
        bytes.resize(len + PADDING, 0);
        Self { bytes, len }
    }
}
