//! What is outside of the program: its sources, and a store with transactions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::events::{Refusal, Stores};
use super::truth::{Truth, of_positions};
use crate::dstream::{InputBatch, InputSource, PartitionId, TransactionalSink};
use crate::error::{Error, Result};
use crate::id::BlockId;
use crate::rdd::Rdd;
use crate::receiver::{BlockGenerator, BlockGeneratorListener, Receiver, ReceiverHandle};
use crate::sync::lock;
use crate::time::BatchTime;

/// One life of the program, which is heard outside until it is over.
///
/// The lock is not one of the models', and nothing of the engine is called with it in hand: so
/// that life is over at one moment, and not in the middle of a step.
#[derive(Clone)]
pub(super) struct Life {
    truth: Arc<Mutex<Truth>>,
    number: u32,
}

impl Life {
    pub(super) fn first(truth: Truth) -> Self {
        Self {
            number: truth.life,
            truth: Arc::new(Mutex::new(truth)),
        }
    }

    /// The one that goes on.
    pub(super) fn next(&self) -> Self {
        let number = self.with(|truth| truth.life);
        Self {
            number,
            truth: Arc::clone(&self.truth),
        }
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// What is outside, whichever life goes on.
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut Truth) -> R) -> R {
        f(&mut lock(&self.truth))
    }

    /// Does something outside.
    ///
    /// # Errors
    /// If the life is over.
    pub(super) fn act<R>(&self, f: impl FnOnce(&mut Truth) -> R) -> Result<R> {
        self.with(|truth| {
            if truth.life != self.number {
                return Err(Error::other("this life is over"));
            }
            truth.was_heard = true;
            Ok(f(truth))
        })
    }
}

/// What a receiver stores with while it is started.
type Handles = (ReceiverHandle<u64>, BlockGenerator<u64, Acknowledger>);

/// A receiver whose records come from outside.
#[derive(Clone)]
pub(super) struct Received {
    life: Life,
    handles: Arc<Mutex<Option<Handles>>>,
}

impl Received {
    pub(super) fn new(life: &Life) -> Self {
        Self {
            life: life.clone(),
            handles: Arc::default(),
        }
    }

    fn handles(&self) -> Option<Handles> {
        lock(&self.handles).clone()
    }

    fn set(&self, handles: Option<Handles>) {
        let mut now = lock(&self.handles);
        let before = std::mem::replace(&mut *now, handles);
        drop(now);
        drop(before);
    }

    /// Stores the next records, and acknowledges what may be. Nothing if it is not started.
    pub(super) fn store(&self, stores: Stores, count: u64) {
        let Some((handle, generator)) = self.handles() else {
            return;
        };
        let Ok(records) = self.life.act(|truth| truth.give(count)) else {
            return;
        };
        match stores {
            Stores::Single => {
                for record in records {
                    if handle.store(record).is_err() {
                        break;
                    }
                    // Nobody may hear it.
                    let _ = self.life.act(|truth| truth.stored(&[record]));
                }
            }
            Stores::Block => {
                if handle.store_many(records.clone()).is_ok() {
                    let _ = self.life.act(|truth| truth.acknowledged(&records));
                }
            }
            Stores::Generator => {
                for record in records {
                    if generator.add_data_with_callback(record, record).is_err() {
                        break;
                    }
                }
            }
        }
    }

    pub(super) fn restart(&self) {
        if let Some((handle, _)) = self.handles() {
            handle.restart("it was asked to", None);
        }
    }
}

impl Receiver<u64> for Received {
    fn on_start(&mut self, handle: ReceiverHandle<u64>) -> Result<()> {
        let generator = handle.block_generator(Acknowledger {
            life: self.life.clone(),
            blocks: Mutex::default(),
        });
        self.set(Some((handle, generator)));
        Ok(())
    }

    fn on_stop(&mut self) {
        self.set(None);
    }
}

/// Acknowledges the records of a block when it is told to.
pub(super) struct Acknowledger {
    life: Life,
    blocks: Mutex<Blocks>,
}

#[derive(Default)]
struct Blocks {
    added: Vec<u64>,
    ended: BTreeMap<BlockId, Vec<u64>>,
}

impl BlockGeneratorListener for Acknowledger {
    type Metadata = u64;

    fn on_add_data(&self, record: u64) {
        self.blocks.lock().unwrap().added.push(record);
    }

    fn on_generate_block(&self, block: BlockId) {
        let mut blocks = self.blocks.lock().unwrap();
        let added = std::mem::take(&mut blocks.added);
        blocks.ended.insert(block, added);
    }

    fn on_push_block(&self, block: BlockId, records: usize) {
        let ended = self.blocks.lock().unwrap().ended.remove(&block);
        let _ = self.life.act(|truth| match ended {
            Some(ended) if ended.len() == records => truth.acknowledged(&ended),
            ended => truth.blame(format!("{block} of {records} records, that is {ended:?}")),
        });
    }
}

/// A source that keeps its records, and gives to each batch what it has by then.
pub(super) struct Positions {
    pub(super) life: Life,
    pub(super) next: u64,
}

impl InputSource<u64> for Positions {
    fn compute(&mut self, time: BatchTime, batch: &mut InputBatch<'_>) -> Result<Option<Rdd<u64>>> {
        let end = match batch.end() {
            Some([]) => self.next,
            Some(end) => position(end)?,
            None => self.life.act(|truth| truth.available)?,
        };
        if end < self.next {
            let next = self.next;
            let _ = self.life.act(|truth| {
                truth.blame(format!("the batch {time} ends at {end}, before {next}"));
            });
        }
        let records = (self.next..end).map(of_positions);
        self.next = end;
        Ok(Some(batch.parallelize(records, 1 + end as usize % 3)))
    }

    fn position(&mut self) -> Result<Vec<u8>> {
        Ok(self.next.to_le_bytes().to_vec())
    }

    fn resume(&mut self, saved: &[u8]) -> Result<()> {
        self.next = position(saved)?;
        Ok(())
    }
}

fn position(bytes: &[u8]) -> Result<u64> {
    Ok(u64::from_le_bytes(bytes.try_into().map_err(Error::other)?))
}

/// A connection to the store.
pub(super) struct Store(pub(super) Life);

impl TransactionalSink<u64> for Store {
    fn is_written(&mut self, id: &PartitionId) -> Result<bool> {
        self.0
            .act(|truth| truth.is_written(id.batch_time, id.partition))
    }

    fn write(&mut self, id: &PartitionId, records: &[u64]) -> Result<()> {
        self.0.act(|truth| {
            let refusal = truth.refusals.pop_front();
            if !matches!(refusal, Some(Refusal::Before)) {
                truth.write(id.batch_time, id.partition, records);
            }
            refusal.map_or(Ok(()), |refusal| {
                truth.note(format!("refused {refusal:?}"));
                Err(Error::other("the store does not answer"))
            })
        })?
    }
}
