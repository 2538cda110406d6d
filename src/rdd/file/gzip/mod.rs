//! Compressed files: what is in them, up to a bound. Without the feature `gzip`
//! they are refused.

#[cfg(not(feature = "gzip"))]
mod disabled;
#[cfg(feature = "gzip")]
mod enabled;

#[cfg(not(feature = "gzip"))]
pub(super) use disabled::Inflated;
#[cfg(feature = "gzip")]
pub(super) use enabled::Inflated;

/// How much may come out of a compressed file.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    not(feature = "gzip"),
    expect(dead_code, reason = "nothing is inflated without the feature")
)]
pub(crate) struct Limits {
    /// Bytes of text for each byte of the file.
    pub(crate) max_ratio: u64,
    /// Bytes of text in all.
    pub(crate) max_bytes: u64,
}
