//! What a seed decides: how the program is set up, and what happens to it.

use crate::disk::sim::random::Random;
use crate::disk::sim::{Fault, Survives};
use crate::time::Duration;

/// So long that segments of the logs are begun anew after a few batches.
pub(super) const INTERVAL: Duration = Duration::from_secs(20);

/// What stays through all lives of a program.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// Whether there is a receiver, and so a log of what it stores.
    pub(super) has_receiver: bool,
    /// Whether the log is synced: if not, only the process crashes.
    pub(super) is_synced: bool,
    /// Whether no checkpoint passes over a batch that failed. If not, only the store outside
    /// fails batches: others would not come again.
    pub(super) holds_failed: bool,
    /// Batches from one checkpoint to the next.
    pub(super) checkpoint_every: u32,
    /// Batches of a window, and from one to the next.
    pub(super) window: u32,
    pub(super) slide: u32,
    pub(super) parallelism: usize,
    /// None is the default.
    pub(super) block_queue_size: Option<usize>,
    pub(super) lives: usize,
}

impl Plan {
    pub(super) fn choose(chance: &mut Random) -> Self {
        let slide = 1 + chance.below(3) as u32;
        Self {
            has_receiver: chance.below(5) > 0,
            is_synced: chance.below(4) > 0,
            holds_failed: chance.below(4) > 0,
            checkpoint_every: 1 + chance.below(3) as u32,
            window: slide * (1 + chance.below(4) as u32),
            slide,
            parallelism: 1 + chance.below(3),
            block_queue_size: (chance.below(4) == 0).then(|| 1 + chance.below(3)),
            lives: 2 + chance.below(4),
        }
    }

    pub(super) fn window_length(&self) -> Duration {
        INTERVAL * self.window
    }

    pub(super) fn slide_interval(&self) -> Duration {
        INTERVAL * self.slide
    }
}

/// How a receiver gives its records away.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stores {
    Single,
    Block,
    Generator,
}

/// What a store outside does with a write.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refusal {
    /// Nothing is written.
    Before,
    /// It is written, but the answer is lost.
    After,
}

/// What happens in a life.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// So many batch intervals pass at once.
    Pass(u32),
    /// Half a batch interval passes.
    PassHalf,
    /// The batches that were cut are waited for.
    Await,
    /// Only other threads go on.
    Yield(usize),
    /// The receiver's source gives so many records, on a thread of its own.
    Store(Stores, u64),
    /// The source with positions has so many more records.
    Produce(u64),
    /// The receiver asks to be started again.
    Restart,
    /// The store refuses so many writes.
    Refuse(Refusal, usize),
    /// An output fails once.
    FailOutput,
    /// Of the next calls of the disk, so many go well, and so many fail.
    FailDisk(u64, u64, Fault),
}

impl Event {
    pub(super) fn choose(chance: &mut Random, plan: &Plan) -> Self {
        let stores = match chance.below(3) {
            0 => Stores::Single,
            1 => Stores::Block,
            _ => Stores::Generator,
        };
        match chance.below(100) {
            0..=33 => Self::Pass(1),
            34..=35 => Self::Pass(2 + chance.below(4) as u32),
            36..=41 => Self::PassHalf,
            42..=51 => Self::Await,
            52..=59 => Self::Yield(1 + chance.below(60)),
            60..=79 if plan.has_receiver => Self::Store(stores, 1 + chance.below(4) as u64),
            60..=95 => Self::Produce(1 + chance.below(6) as u64),
            96 => Self::Restart,
            kind if kind == 97 || !plan.holds_failed => {
                let refusal = match chance.below(2) {
                    0 => Refusal::Before,
                    _ => Refusal::After,
                };
                // A task may fail three times.
                Self::Refuse(refusal, 1 + chance.below(8))
            }
            98 if chance.below(3) == 0 => Self::FailOutput,
            _ => {
                let fault = match chance.below(3) {
                    0 => Fault::Io,
                    1 => Fault::Full,
                    _ => Fault::Short,
                };
                let (well, badly) = (chance.below(10), 1 + chance.below(5));
                Self::FailDisk(well as u64, badly as u64, fault)
            }
        }
    }
}

/// How a life ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    /// It stops as it should, once all is stored.
    Graceful,
    /// It stops at once.
    Hard,
    /// It is there no more while it stops as it should.
    Interrupted,
    /// It is there no more.
    Crash,
}

impl End {
    pub(super) fn choose(chance: &mut Random) -> Self {
        match chance.below(8) {
            0 => Self::Graceful,
            1 => Self::Hard,
            2 => Self::Interrupted,
            _ => Self::Crash,
        }
    }
}

/// What is left on the disk behind a life.
pub(super) fn survives(chance: &mut Random, plan: &Plan) -> Survives {
    match chance.below(4) {
        _ if !plan.is_synced => Survives::Written,
        0 => Survives::Written,
        1 => Survives::Durable,
        _ => Survives::Some(chance.next()),
    }
}
