//! The accumulators of a context that are saved with its checkpoints.

use std::collections::BTreeMap;
use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use super::accumulator::{Accumulate, Accumulator, Shared};
use crate::codec::records::{RecordReader, RecordWriter};
use crate::codec::{Codec, RecordCodec};
use crate::error::{Error, ErrorKind, Result};
use crate::sync::lock;

/// From so many entries on it is looked for those that nobody holds any more.
const PRUNE: usize = 64;

/// The accumulators of a context, by name, and what a checkpoint has of them.
#[derive(Default)]
pub(crate) struct Registry(Mutex<State>);

#[derive(Default)]
struct State {
    /// Until values are restored several may have one name.
    live: BTreeMap<String, Vec<Arc<dyn Restorable>>>,
    /// How many there were when those without a holder were removed last.
    pruned: usize,
    /// What was saved of those that the program has not made yet.
    saved: BTreeMap<String, SavedAccumulator>,
    /// Values have been restored, so one that is made from now on begins with its own.
    is_restored: bool,
}

impl State {
    /// Whether an accumulator of this name has been restored, so that no other one can be.
    fn is_taken(&self, name: &str) -> bool {
        let mut of_name = self.live.get(name).into_iter().flatten();
        let is_taken = self.is_restored && of_name.any(|other| other.is_held());
        if is_taken {
            tracing::warn!(
                name,
                "this name of an accumulator is taken: it is not saved with checkpoints"
            );
        }
        is_taken
    }

    fn push(&mut self, name: &str, accumulator: Arc<dyn Restorable>) {
        if self.live.len() >= PRUNE.max(2 * self.pruned) {
            self.prune();
        }
        let of_name = self.live.entry(name.to_owned()).or_default();
        of_name.retain(|other| other.is_held());
        of_name.push(accumulator);
    }

    fn prune(&mut self) {
        self.live.retain(|_, of_name| {
            of_name.retain(|accumulator| accumulator.is_held());
            !of_name.is_empty()
        });
        self.pruned = self.live.len();
    }

    /// Those that somebody holds.
    fn live(&mut self) -> Result<Vec<(String, Arc<dyn Restorable>)>> {
        self.prune();
        let live = self.live.iter().map(|(name, of_name)| match &of_name[..] {
            [accumulator] => Ok((name.clone(), Arc::clone(accumulator))),
            _ => Err(Error::illegal_state(format!(
                "there is a checkpoint directory, and {} accumulators have the name {name:?}, \
                 under which one would be saved: give them names of their own, or none",
                of_name.len()
            ))),
        });
        live.collect()
    }
}

/// The value of an accumulator, as bytes: its shape, and what its codec writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SavedAccumulator {
    pub(crate) kind: String,
    pub(crate) bytes: Vec<u8>,
}

/// An accumulator whose value can be written and read.
trait Restorable: Send + Sync {
    fn kind(&self) -> &'static str;

    /// Of its value; no other one has it, held or not, as long as this lives.
    fn address(&self) -> usize;

    /// Whether anybody holds it.
    fn is_held(&self) -> bool;

    /// The value; nothing if nobody holds the accumulator any more.
    fn save(&self) -> Result<Option<Vec<u8>>>;

    fn restore(&self, bytes: &[u8]) -> Result<()>;
}

struct Handle<A> {
    kind: &'static str,
    shared: Weak<Shared<A>>,
    codec: RecordCodec<A>,
}

impl<A: Accumulate> Restorable for Handle<A> {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn address(&self) -> usize {
        self.shared.as_ptr().addr()
    }

    fn is_held(&self) -> bool {
        self.shared.strong_count() > 0
    }

    fn save(&self) -> Result<Option<Vec<u8>>> {
        let Some(shared) = self.shared.upgrade() else {
            return Ok(None);
        };
        let mut value = RecordWriter::new(self.codec);
        value.write(&shared.lock())?;
        let mut bytes = Vec::new();
        value.finish(&mut bytes);
        Ok(Some(bytes))
    }

    fn restore(&self, mut bytes: &[u8]) -> Result<()> {
        let value = RecordReader::new(self.codec, &mut bytes)?.read(&mut bytes)?;
        if !bytes.is_empty() {
            let what = format!("{} bytes more than its value has", bytes.len());
            return Err(Error::new(ErrorKind::Corrupt, what));
        }
        if let Some(shared) = self.shared.upgrade() {
            let old = mem::replace(&mut *shared.lock(), value);
            drop(old);
        }
        Ok(())
    }
}

impl Registry {
    /// Saves an accumulator from now on, under its name, if it is not saved already. One
    /// without a name is not saved, nor is a second one of a name once values have been
    /// restored.
    ///
    /// # Errors
    /// If values have been restored, and its own cannot be.
    pub(crate) fn add<A: Accumulate + Codec>(
        &self,
        kind: &'static str,
        accumulator: &Accumulator<A>,
    ) -> Result<()> {
        let name = accumulator.name();
        if name.is_empty() {
            return Ok(());
        }
        let handle: Arc<dyn Restorable> = Arc::new(Handle {
            kind,
            shared: Arc::downgrade(accumulator.shared()),
            codec: RecordCodec::<A>::new(),
        });
        let saved = {
            let mut state = self.lock();
            let of_name = state.live.get(name);
            let is_there = of_name.is_some_and(|of_name| {
                let address = handle.address();
                of_name.iter().any(|other| other.address() == address)
            });
            if is_there || state.is_taken(name) {
                return Ok(());
            }
            if !state.is_restored {
                state.push(name, handle);
                return Ok(());
            }
            state.saved.get(name).cloned()
        };
        // Before it is there to be saved.
        if let Some(saved) = saved {
            restore(name, &*handle, &saved)?;
        }
        let mut state = self.lock();
        if !state.is_taken(name) {
            state.push(name, handle);
            state.saved.remove(name);
        }
        Ok(())
    }

    /// Gives the accumulators that there are their values, and keeps the other values
    /// for those that the program will make.
    ///
    /// # Errors
    /// If two have one name, or a value is none of the accumulator that has its name.
    pub(crate) fn restore(&self, mut saved: BTreeMap<String, SavedAccumulator>) -> Result<()> {
        let mut state = self.lock();
        let mut found = Vec::new();
        for (name, accumulator) in state.live()? {
            if let Some(saved) = saved.remove(&name) {
                found.push((name, accumulator, saved));
            }
        }
        state.saved = saved;
        state.is_restored = true;
        drop(state);
        found
            .iter()
            .try_for_each(|(name, accumulator, saved)| restore(name, &**accumulator, saved))
    }

    /// The values of all accumulators, those that were saved and not yet made among them.
    ///
    /// # Errors
    /// If a value cannot be written.
    pub(crate) fn save(&self) -> Result<BTreeMap<String, SavedAccumulator>> {
        let (live, mut all) = {
            let mut state = self.lock();
            (state.live()?, state.saved.clone())
        };
        for (name, accumulator) in live {
            // A value's own code runs here.
            let saved =
                Error::caught("saving its value", || accumulator.save()).map_err(|error| {
                    let what = format!("the accumulator {name:?}");
                    Error::new(error.kind(), what).with_source(error)
                })?;
            if let Some(bytes) = saved {
                let kind = accumulator.kind().to_owned();
                all.insert(name, SavedAccumulator { kind, bytes });
            }
        }
        Ok(all)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

fn restore(name: &str, accumulator: &dyn Restorable, saved: &SavedAccumulator) -> Result<()> {
    let advice = || {
        format!(
            "give it another name, or let go of what was saved by \
             discard_saved_accumulator({name:?})"
        )
    };
    if saved.kind != accumulator.kind() {
        return Err(Error::illegal_state(format!(
            "the checkpoint has a {} of the name {name:?}, which is a {} now: {}",
            saved.kind,
            accumulator.kind(),
            advice()
        )));
    }
    Error::caught("reading its value", || accumulator.restore(&saved.bytes)).map_err(|error| {
        let what = format!(
            "what the checkpoint has of the {} {name:?} cannot be read: {}",
            saved.kind,
            advice()
        );
        Error::new(error.kind(), what).with_source(error)
    })
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Registry")
            .field("live", &state.live.keys())
            .field("saved", &state.saved.keys())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One per batch, say, under a name of its own.
    #[test]
    fn accumulators_that_nobody_holds_are_forgotten() {
        let registry = Registry::default();
        let held: Vec<_> = (0..PRUNE)
            .map(|n| Accumulator::new(format!("held {n}"), n as i64))
            .collect();
        for accumulator in &held {
            registry.add("number", accumulator).unwrap();
        }
        for n in 0..10_000 {
            let gone = Accumulator::new(format!("gone {n}"), 0_i64);
            registry.add("number", &gone).unwrap();
            assert!(registry.lock().live.len() <= 2 * PRUNE + 1);
        }
        let saved = registry.save().unwrap();
        assert_eq!(saved.len(), PRUNE);
        let last = SavedAccumulator {
            kind: "number".to_owned(),
            // An i64, and 63 as a zigzag varint.
            bytes: vec![6, 126],
        };
        assert_eq!(saved["held 63"], last);
    }
}
