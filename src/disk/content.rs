//! What is written as one, though it stands in two places.

use std::fmt;
use std::sync::Arc;

/// Bytes that stay where they are until they are written.
pub(crate) type SharedBytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// Bytes for a file: some of its own, and behind them some of somebody else, which are
/// not copied.
pub(crate) struct Content {
    own: Vec<u8>,
    shared: Option<SharedBytes>,
}

impl Content {
    pub(crate) fn new(own: Vec<u8>, shared: SharedBytes) -> Self {
        let shared = Some(shared);
        Self { own, shared }
    }

    pub(crate) fn len(&self) -> usize {
        self.parts().iter().map(|part| part.len()).sum()
    }

    /// Where the bytes are, in their order.
    pub(crate) fn parts(&self) -> [&[u8]; 2] {
        let shared = self.shared.as_ref().map(|shared| (**shared).as_ref());
        [&self.own, shared.unwrap_or_default()]
    }
}

impl From<Vec<u8>> for Content {
    fn from(own: Vec<u8>) -> Self {
        Self { own, shared: None }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
