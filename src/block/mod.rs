//! Blocks: where received data rests, and the strings that point into them.

mod line;
mod memory;
#[cfg(any(all(test, not(loom)), feature = "fuzz"))]
pub(crate) mod naive;
mod range;
mod reader;
mod ring;
mod spill;
mod str;
mod text;

pub(crate) use memory::Memory;
pub(crate) use range::{Mend, TextRange};
pub(crate) use reader::{LineReader, LineRules};
pub(crate) use ring::{
    About, Block, Budget, Closed, Cutter, RingOptions, Taken, TextWriter, TypedBlock, TypedWriter,
    text_ring, typed_ring,
};
pub(crate) use spill::{SpillFile, SpillStore};
pub use str::{Split, SplitWhitespace, Str};
pub(crate) use text::{Lease, TextBlock};
