//! Publishing, cutting, and what a cut takes.

use std::fmt;
use std::sync::{Arc, OnceLock};

use crossbeam_utils::CachePadded;

use super::budget::{Budget, Closed, Intake};
use crate::block::Memory;
use crate::sync::ArrayQueue;
use crate::sync::atomic::{AtomicU64, Ordering};

/// What a ring is made of.
pub(crate) trait Block: Send + Sync + 'static {
    /// Records and bytes between two published states that are `extent` and
    /// `tally` apart.
    fn measure(extent: usize, tally: usize) -> Measure;

    /// Drops the records in the first `end` places.
    ///
    /// # Safety
    /// So far the block was published, and nobody uses it any more.
    unsafe fn drop_records(&mut self, end: usize);
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Measure {
    pub(super) records: usize,
    pub(super) bytes: usize,
}

/// How far a block is filled, as one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress(u64);

impl Progress {
    /// No further record comes into this block.
    const SEALED: u64 = 1 << 63;
    /// The largest place in a block: what 31 bits hold.
    pub(super) const MAX_END: usize = (1 << 31) - 1;
    /// The largest tally: what 32 bits hold.
    pub(super) const MAX_TALLY: usize = u32::MAX as usize;

    /// `end` is the place behind the last record, in the block's own unit;
    /// `tally` is what the block counts beside it.
    #[inline]
    pub(super) fn new(end: usize, tally: usize) -> Self {
        debug_assert!(end <= Self::MAX_END && tally <= Self::MAX_TALLY);
        Self((end as u64) << 32 | tally as u64)
    }

    pub(super) fn sealed(self) -> Self {
        Self(self.0 | Self::SEALED)
    }

    fn is_sealed(self) -> bool {
        self.0 & Self::SEALED != 0
    }

    pub(super) fn end(self) -> usize {
        ((self.0 & !Self::SEALED) >> 32) as usize
    }

    pub(super) fn tally(self) -> usize {
        (self.0 & u64::from(u32::MAX)) as usize
    }
}

/// A block on its way from the writer to the cuts.
pub(super) struct Segment<B: Block> {
    block: B,
    /// Stored by the writer, loaded by the cutter. On a line of its own: the
    /// workers read `block` while the writer goes on.
    progress: CachePadded<AtomicU64>,
}

impl<B: Block> Segment<B> {
    fn new(block: B, progress: Progress) -> Self {
        Self {
            block,
            progress: CachePadded::new(AtomicU64::new(progress.0)),
        }
    }

    pub(super) fn block(&self) -> &B {
        &self.block
    }

    /// Makes everything before `progress` visible to the next cut. The writer
    /// alone calls this, with growing values.
    #[inline]
    pub(super) fn publish(&self, progress: Progress) {
        // Release: the records were written before.
        self.progress.store(progress.0, Ordering::Release);
    }

    fn progress(&self) -> Progress {
        // Acquire: pairs with `publish`.
        Progress(self.progress.load(Ordering::Acquire))
    }
}

impl<B: Block> Drop for Segment<B> {
    fn drop(&mut self) {
        let end = self.progress().end();
        // SAFETY: the last owner of the segment is going.
        unsafe { self.block.drop_records(end) };
    }
}

/// The writer's end of the queue, the same for all kinds of blocks.
pub(super) struct Outlet<B: Block> {
    queue: Arc<ArrayQueue<Arc<Segment<B>>>>,
    pub(super) intake: Intake,
}

impl<B: Block> Outlet<B> {
    /// Waits until the queue has room for one more block. Only the one writer
    /// pushes, so the room stays.
    pub(super) fn wait(&self) -> Result<(), Closed> {
        self.intake.wait_for(|| !self.queue.is_full())
    }

    pub(super) fn is_queue_full(&self) -> bool {
        self.queue.is_full()
    }

    /// Whether a writer would have to wait for bytes, or for the queue if it `opens`
    /// a block.
    pub(super) fn is_full(&self, held: usize, least: usize, opens: bool) -> bool {
        let queue_full = opens && self.queue.is_full() && !self.intake.is_closed();
        queue_full || self.intake.is_full(held, least)
    }

    /// Puts a block into the queue, after [`wait`](Self::wait).
    pub(super) fn open(&self, block: B, progress: Progress) -> Arc<Segment<B>> {
        let segment = Arc::new(Segment::new(block, progress));
        let pushed = self.queue.push(Arc::clone(&segment));
        assert!(
            pushed.is_ok(),
            "the one writer waited for room in the queue"
        );
        self.intake.tell_filled();
        segment
    }
}

impl<B: Block> fmt::Debug for Outlet<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outlet")
            .field("intake", &self.intake)
            .finish_non_exhaustive()
    }
}

/// The two ends of a new ring.
pub(super) fn ring<B: Block>(bound: usize, queue: usize) -> (Outlet<B>, Cutter<B>, Arc<Budget>) {
    let intake = Intake::new(bound);
    let budget = Arc::clone(intake.budget());
    let queue = Arc::new(ArrayQueue::new(queue.max(1)));
    let cutter = Cutter {
        queue: Arc::clone(&queue),
        budget: Arc::clone(&budget),
        current: None,
        taken: Progress::default(),
        empty: 0,
        at_rest: None,
    };
    (Outlet { queue, intake }, cutter, budget)
}

/// Takes what was published. Dropping it closes the ring.
pub(crate) struct Cutter<B: Block> {
    queue: Arc<ArrayQueue<Arc<Segment<B>>>>,
    budget: Arc<Budget>,
    /// The block that was not yet sealed at the last cut.
    current: Option<Arc<Segment<B>>>,
    /// How far `current` was taken.
    taken: Progress,
    /// Cuts in a row that found nothing.
    empty: u32,
    /// Called by the cuts that find nothing, once there were [`REST`] of them.
    at_rest: Option<Box<dyn Fn() + Send>>,
}

/// After so many cuts that found nothing it seems that no more data comes for now.
pub(super) const REST: u32 = 64;

impl<B: Block> Cutter<B> {
    /// What to do when no data comes, in small steps: one for each cut.
    pub(super) fn when_at_rest(&mut self, step: impl Fn() + Send + 'static) {
        self.at_rest = Some(Box::new(step));
    }

    /// Appends to `out` every range that was published before this call and was
    /// not yet taken, in order. What is published meanwhile may be in it, too.
    pub(crate) fn cut(&mut self, out: &mut Vec<Taken<B>>) {
        let before = out.len();
        self.take(out);
        if out.len() > before {
            self.empty = 0;
        } else if self.empty < REST {
            self.empty += 1;
        } else if let Some(step) = &self.at_rest {
            step();
        }
    }

    fn take(&mut self, out: &mut Vec<Taken<B>>) {
        // What was published before is in these blocks: without the limit, a
        // fast writer could keep a cut busy.
        let mut queued = self.queue.len();
        loop {
            if self.current.is_none() {
                if queued == 0 {
                    return;
                }
                queued -= 1;
                self.current = self.queue.pop();
                self.taken = Progress::default();
                self.budget.wake();
            }
            let Some(segment) = &self.current else { return };
            let now = segment.progress();
            let (start, end) = (self.taken.end(), now.end());
            if end > start {
                let measure = B::measure(end - start, now.tally() - self.taken.tally());
                out.push(Taken::new(
                    Arc::clone(segment),
                    start,
                    end,
                    measure,
                    &self.budget,
                ));
                self.taken = now;
            }
            if !now.is_sealed() {
                return;
            }
            self.current = None;
        }
    }
}

impl<B: Block> Drop for Cutter<B> {
    fn drop(&mut self) {
        // Nobody takes any more; a writer that waits would do so for ever.
        self.budget.close();
    }
}

impl<B: Block> fmt::Debug for Cutter<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cutter")
            .field("taken", &self.taken)
            .finish_non_exhaustive()
    }
}

/// What one cut took from one block. Dropping the last clone gives its bytes
/// back to the budget.
pub(crate) struct Taken<B: Block> {
    range: Arc<Range<B>>,
}

struct Range<B: Block> {
    segment: Arc<Segment<B>>,
    start: usize,
    end: usize,
    records: usize,
    /// Behind `segment`, so that a writer that is woken finds the block free.
    bytes: Held,
}

struct Held {
    bytes: usize,
    budget: Arc<Budget>,
    /// What counts the bytes in place of the budget, once their batch is done.
    kept: OnceLock<Arc<Memory>>,
}

impl Drop for Held {
    fn drop(&mut self) {
        match self.kept.get() {
            Some(memory) => memory.give(self.bytes),
            None => self.budget.release(self.bytes),
        }
    }
}

impl<B: Block> Taken<B> {
    fn new(
        segment: Arc<Segment<B>>,
        start: usize,
        end: usize,
        Measure { records, bytes }: Measure,
        budget: &Arc<Budget>,
    ) -> Self {
        let bytes = Held {
            bytes,
            budget: Arc::clone(budget),
            kept: OnceLock::new(),
        };
        Self {
            range: Arc::new(Range {
                segment,
                start,
                end,
                records,
                bytes,
            }),
        }
    }

    pub(crate) fn block(&self) -> &B {
        &self.range.segment.block
    }

    /// Where the range starts in the block: bytes of text, items otherwise.
    pub(crate) fn start(&self) -> usize {
        self.range.start
    }

    pub(crate) fn end(&self) -> usize {
        self.range.end
    }

    pub(crate) fn records(&self) -> usize {
        self.range.records
    }

    /// See [`Budget::home`].
    pub(crate) fn home(&self) -> Option<usize> {
        self.range.bytes.budget.home()
    }

    /// The batch is done but not forgotten: its bytes no longer hold up the
    /// writer, if `memory` has room for them.
    pub(crate) fn keep(&self, memory: &Arc<Memory>) {
        let held = &self.range.bytes;
        if held.kept.get().is_some() || !memory.try_take(held.bytes) {
            return;
        }
        match held.kept.set(Arc::clone(memory)) {
            Ok(()) => held.budget.release(held.bytes),
            Err(_) => memory.give(held.bytes),
        }
    }

    /// What the range weighs in the budget.
    pub(crate) fn weight(&self) -> usize {
        self.range.bytes.bytes
    }
}

impl<B: Block> Clone for Taken<B> {
    fn clone(&self) -> Self {
        Self {
            range: Arc::clone(&self.range),
        }
    }
}

impl<B: Block> fmt::Debug for Taken<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Taken")
            .field("start", &self.start())
            .field("end", &self.end())
            .field("records", &self.records())
            .finish_non_exhaustive()
    }
}
