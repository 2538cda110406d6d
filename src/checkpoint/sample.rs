//! A program of one stream, for tests.

use std::any::Any;
use std::panic::Location;
use std::sync::{Arc, Mutex, OnceLock};

use crate::dstream::Graph;
use crate::dstream::durable::{Durable, Keep, NewPiece, Piece, Saved, Uid};
use crate::dstream::node::{Control, Meta};
use crate::error::{Error, Result};
use crate::executor::Executor;
use crate::id::NodeId;
use crate::state::StateBound;
use crate::time::{BatchTime, Duration};

pub(super) const DIR: &str = "/checkpoints";
pub(super) const SECOND: Duration = Duration::from_secs(1);

pub(super) fn at(seconds: u8) -> BatchTime {
    BatchTime::from_millis(i64::from(seconds) * 1000)
}

pub(super) fn graph() -> Arc<Graph> {
    static EXECUTOR: OnceLock<Arc<Executor>> = OnceLock::new();
    let executor = EXECUTOR.get_or_init(|| Arc::new(Executor::of(1)));
    let graph = Graph::new(
        "sample",
        SECOND,
        Arc::clone(executor),
        StateBound::default(),
    );
    graph.initialize(at(0), None);
    graph
}

/// Where saving a stream fails. It has told then what it had.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fails {
    /// When it is asked.
    Asked,
    /// When its piece is written.
    Written,
}

/// Keeps which batches there were; a piece has those since the one before.
pub(super) struct Batches {
    meta: Meta,
    uid: Uid,
    /// With how many of them were saved.
    state: Mutex<(Vec<u8>, usize)>,
    fails: Mutex<Option<Fails>>,
}

impl Batches {
    pub(super) fn declare(graph: &Graph) -> Arc<Self> {
        let meta = Meta::new(graph, "batches", Location::caller(), SECOND, Vec::new());
        let batches = Arc::new(Self {
            meta,
            uid: Uid::default(),
            state: Mutex::default(),
            fails: Mutex::default(),
        });
        graph.add_node(Arc::clone(&batches) as Arc<dyn Control>);
        batches
    }

    pub(super) fn add(&self, second: u8) {
        self.state.lock().unwrap().0.push(second);
    }

    /// Saving it fails the next time.
    pub(super) fn fail(&self, fails: Fails) {
        *self.fails.lock().unwrap() = Some(fails);
    }
}

/// Which batches the pieces of a checkpoint have.
pub(super) fn batches_of(pieces: &[Piece]) -> Vec<u8> {
    let bytes = pieces.iter().flat_map(|piece| &piece.bytes);
    bytes.copied().collect()
}

impl Control for Batches {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn clear(&self, _: BatchTime) {}

    fn durable(&self) -> Option<&dyn Durable> {
        Some(self)
    }
}

impl Durable for Batches {
    fn node(&self) -> NodeId {
        self.meta.id
    }

    fn uid(&self) -> &Uid {
        &self.uid
    }

    fn kind(&self) -> &'static str {
        "batches"
    }

    fn offer_codec(&self, _: &dyn Any) -> bool {
        false
    }

    fn can_be_saved(&self) -> bool {
        true
    }

    fn begin(&self) {}

    fn save(&self, time: BatchTime, all: bool) -> Result<Saved> {
        let (batches, saved) = &mut *self.state.lock().unwrap();
        let from = if all { 0 } else { *saved };
        *saved = batches.len();
        let piece = match self.fails.lock().unwrap().take() {
            None => NewPiece::new(time, batches[from..].to_vec()),
            Some(Fails::Asked) => return Err(Error::illegal_state("asked")),
            Some(Fails::Written) => {
                NewPiece::to_make(time, Box::new(|| Err(Error::illegal_state("written"))))
            }
        };
        Ok(Saved {
            keep: if all { Keep::None } else { Keep::All },
            pieces: vec![piece],
        })
    }

    fn restore(&self, _: BatchTime, pieces: Vec<Piece>) -> Result<()> {
        let batches = batches_of(&pieces);
        let saved = batches.len();
        *self.state.lock().unwrap() = (batches, saved);
        Ok(())
    }

    fn begin_behind(&self, _: BatchTime) {}
}
