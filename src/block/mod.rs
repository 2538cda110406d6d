//! Blocks: where received data rests, and the strings that point into them.
mod str;
mod text;
pub use str::{Split, Str};
pub(crate) use text::{Lease, TextBlock};
