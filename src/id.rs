//! Numbers that name the parts of a running program.
//!
//! Each is a plain number with a type of its own, so that one cannot be taken for another. They are
//! given out by the parts that own the things, upwards from zero, and are stable for the life of a
//! context.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $word:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($word, "-{}"), self.0)
            }
        }
    };
}

id! {
    /// An input stream that receives data.
    StreamId, "stream"
}
id! {
    /// An output operation.
    OutputId, "output"
}
id! {
    /// A stream in the graph of operations.
    NodeId, "node"
}

/// A received block: the stream it came in by and its place in the order of that stream.
///
/// The order of block ids of one stream is the order in which its data was received.
///
/// ```
/// use millstream::id::{BlockId, StreamId};
///
/// let block = BlockId { stream: StreamId(3), index: 17 };
/// assert_eq!(block.to_string(), "block-3-17");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockId {
    /// The input stream.
    pub stream: StreamId,
    /// Which block of that stream, counted from zero.
    pub index: u64,
}

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block-{}-{}", self.stream.0, self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_name_what_they_number() {
        assert_eq!(StreamId(0).to_string(), "stream-0");
        assert_eq!(OutputId(4_294_967_295).to_string(), "output-4294967295");
        assert_eq!(NodeId(12).to_string(), "node-12");
    }

    #[test]
    fn blocks_sort_by_stream_and_then_by_age() {
        let id = |stream, index| BlockId {
            stream: StreamId(stream),
            index,
        };
        let mut ids = [id(1, 0), id(0, 10), id(0, 9)];
        ids.sort();
        assert_eq!(ids, [id(0, 9), id(0, 10), id(1, 0)]);
    }
}
