//! Rings of records of any type.

use std::cell::UnsafeCell;
use std::fmt;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr;
use std::sync::Arc;

use super::RingOptions;
use super::budget::{Budget, Closed};
use super::segment::{Block, Cutter, Measure, Outlet, Progress, Segment, Taken, ring};

/// A place for one record. The writer alone fills it, before it is published;
/// then it is only read.
type Slot<T> = UnsafeCell<MaybeUninit<T>>;

/// A fixed number of records, of which the first ones are filled.
///
/// The block does not know how many: that is the segment's progress.
pub(crate) struct TypedBlock<T> {
    slots: Vec<Slot<T>>,
    about: About,
}

/// What is known of a block that was stored as a whole. Such a block comes as one
/// range.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    /// What its receiver says about it.
    pub(crate) metadata: Option<Arc<str>>,
    /// Its number in the write-ahead log, if it is there already.
    pub(crate) sequence: Option<u64>,
}

// SAFETY: a slot is written by one thread before its publication and only read
// after it, by threads that `T` allows to share it.
unsafe impl<T: Send + Sync> Sync for TypedBlock<T> {}

impl<T> TypedBlock<T> {
    fn with_capacity(capacity: usize) -> Self {
        let mut slots = Vec::with_capacity(capacity);
        // SAFETY: an empty slot needs no initialisation.
        unsafe { slots.set_len(capacity) };
        Self {
            slots,
            about: About::default(),
        }
    }

    /// A block of records that are there already; they are not moved.
    fn from_vec(items: Vec<T>, about: About) -> Self {
        let mut items = ManuallyDrop::new(items);
        let (start, len, capacity) = (items.as_mut_ptr(), items.len(), items.capacity());
        // SAFETY: the parts of a vector that is given up, and a slot has the
        // layout of its record.
        let slots = unsafe { Vec::from_raw_parts(start.cast::<Slot<T>>(), len, capacity) };
        Self { slots, about }
    }

    fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// The place of a record.
    fn place(&self, index: usize) -> *mut T {
        debug_assert!(index <= self.slots.len());
        UnsafeCell::raw_get(self.slots.as_ptr().wrapping_add(index)).cast()
    }
}

impl<T: Send + Sync + 'static> Block for TypedBlock<T> {
    fn measure(extent: usize, tally: usize) -> Measure {
        Measure {
            records: extent,
            bytes: tally,
        }
    }

    unsafe fn drop_records(&mut self, end: usize) {
        let records = ptr::slice_from_raw_parts_mut(self.place(0), end);
        // SAFETY: so many were published, and nobody else has the block.
        unsafe { records.drop_in_place() };
    }
}

impl<T> fmt::Debug for TypedBlock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedBlock")
            .field("capacity", &self.slots.len())
            .finish_non_exhaustive()
    }
}

impl<T: Send + Sync + 'static> Taken<TypedBlock<T>> {
    /// The records of the range.
    pub(crate) fn as_slice(&self) -> &[T] {
        let first = self.block().place(self.start()).cast_const();
        // SAFETY: the range was published, so nobody writes to it any more, and
        // `self` keeps the block.
        unsafe { std::slice::from_raw_parts(first, self.end() - self.start()) }
    }

    /// What is known of the block.
    pub(crate) fn about(&self) -> &About {
        &self.block().about
    }
}

/// Makes a ring of records of type `T`.
pub(crate) fn typed_ring<T: Send + Sync + 'static>(
    options: RingOptions,
) -> (TypedWriter<T>, Cutter<TypedBlock<T>>, Arc<Budget>) {
    let (outlet, cutter, budget) = ring(options.bound, options.queue);
    let capacity = (options.block / size_of::<T>().max(1)).clamp(1, Progress::MAX_END);
    let full = options.block.min(Progress::MAX_TALLY);
    (
        TypedWriter {
            outlet,
            open: None,
            capacity,
            full,
            lossy: options.lossy,
        },
        cutter,
        budget,
    )
}

/// The end of a ring that records are stored into.
///
/// A record costs one load and two stores beside its own move: nothing is
/// updated that another thread updates, so there is nothing to save up, and
/// the budget is exact.
pub(crate) struct TypedWriter<T: Send + Sync + 'static> {
    outlet: Outlet<TypedBlock<T>>,
    open: Option<Open<T>>,
    /// Records of one block.
    capacity: usize,
    /// The weight at which a block is full.
    full: usize,
    /// Whether [`offer`](Self::offer) drops.
    lossy: bool,
}

/// The block that is being filled.
struct Open<T: Send + Sync + 'static> {
    segment: Arc<Segment<TypedBlock<T>>>,
    len: usize,
    weight: usize,
}

impl<T: Send + Sync + 'static> Open<T> {
    fn progress(&self) -> Progress {
        Progress::new(self.len, self.weight)
    }
}

/// One range weighs less than 4 GiB for the budget.
fn clamp(weight: usize) -> usize {
    weight.min(Progress::MAX_TALLY)
}

impl<T: Send + Sync + 'static> TypedWriter<T> {
    /// Stores one record of `weight` bytes; waits while there is no room.
    ///
    /// # Errors
    /// The record, when the ring is closed.
    #[inline]
    pub(crate) fn push(&mut self, item: T, weight: usize) -> Result<(), T> {
        let weight = clamp(weight);
        let Some(open) = self.room_for(1, weight) else {
            return Err(item);
        };
        let place = open.segment.block().place(open.len);
        // SAFETY: there is room at this place, it is not published, and this is
        // the one writer.
        unsafe { place.write(item) };
        self.publish(1, weight);
        Ok(())
    }

    /// As [`push`](Self::push); but a ring that may drop records does so in place of
    /// waiting, and gives the record back.
    ///
    /// # Errors
    /// The record, when the ring is closed.
    #[inline]
    pub(crate) fn offer(&mut self, item: T, weight: usize) -> Result<Option<T>, T> {
        if self.lossy {
            let weight = clamp(weight);
            let opens = !self.fits(1, weight);
            if self.outlet.is_full(0, weight, opens) {
                self.outlet.intake.count_dropped(1);
                return Ok(Some(item));
            }
        }
        self.push(item, weight).map(|()| None)
    }

    /// Stores records of `weight` bytes each, all of them in one block and in one
    /// cut; waits while there is no room.
    ///
    /// # Errors
    /// The records, when the ring is closed.
    ///
    /// # Panics
    /// If there are more than 2^31 - 1 records.
    pub(crate) fn push_all(&mut self, items: Vec<T>, weight: usize) -> Result<(), Vec<T>> {
        let (count, weight) = (items.len(), items.len().saturating_mul(weight));
        if count > self.capacity || weight > self.full {
            return self.push_block(items, weight);
        }
        if items.is_empty() {
            return Ok(());
        }
        let Some(open) = self.room_for(count, weight) else {
            return Err(items);
        };
        for (at, item) in (open.len..).zip(items) {
            let place = open.segment.block().place(at);
            // SAFETY: there is room for all of them from `len` on, none is
            // published, and this is the one writer.
            unsafe { place.write(item) };
        }
        self.publish(count, weight);
        Ok(())
    }

    /// Stores records as a block of their own, of `weight` bytes altogether, in
    /// the memory that they are in; waits while there is no room.
    ///
    /// # Errors
    /// The records, when the ring is closed.
    ///
    /// # Panics
    /// If there are more than 2^31 - 1 records.
    pub(crate) fn push_block(&mut self, items: Vec<T>, weight: usize) -> Result<(), Vec<T>> {
        self.push_described(items, weight, About::default())
    }

    /// As [`push_block`](Self::push_block), with what is known of the block.
    ///
    /// # Errors
    /// The records, when the ring is closed.
    ///
    /// # Panics
    /// If there are more than 2^31 - 1 records.
    pub(crate) fn push_described(
        &mut self,
        items: Vec<T>,
        weight: usize,
        about: About,
    ) -> Result<(), Vec<T>> {
        let intake = &self.outlet.intake;
        let refused = intake.room(0, clamp(weight)).is_err() || self.outlet.wait().is_err();
        if refused && !items.is_empty() {
            return Err(items);
        }
        self.put(items, weight, about);
        Ok(())
    }

    /// As [`push_described`](Self::push_described), also if the ring was closed, and
    /// without waiting: for what was taken before that.
    ///
    /// # Errors
    /// The records, if the queue of blocks is full.
    ///
    /// # Panics
    /// As there.
    pub(crate) fn push_last(
        &mut self,
        items: Vec<T>,
        weight: usize,
        about: About,
    ) -> Result<(), Vec<T>> {
        if self.outlet.is_queue_full() {
            return Err(items);
        }
        self.put(items, weight, about);
        Ok(())
    }

    fn put(&mut self, items: Vec<T>, weight: usize, about: About) {
        assert!(
            items.len() <= Progress::MAX_END,
            "a block holds less than 2^31 records"
        );
        if items.is_empty() {
            return;
        }
        let weight = clamp(weight);
        self.outlet.intake.take(weight);
        let progress = Progress::new(items.len(), weight).sealed();
        let block = TypedBlock::from_vec(items, about);
        self.outlet.open(block, progress);
        // Only now: a cut that finds the old block sealed finds the new one.
        self.seal();
    }

    /// Closes the block that is being filled; the next record opens another.
    pub(crate) fn seal(&mut self) {
        if let Some(open) = self.open.take() {
            open.segment.publish(open.progress().sealed());
        }
    }

    /// Waits for room for `count` records, which one block can hold, and opens a
    /// block for them; none when the ring is closed.
    #[inline]
    fn room_for(&mut self, count: usize, weight: usize) -> Option<&Open<T>> {
        self.outlet.intake.room(0, weight).ok()?;
        if !self.fits(count, weight) {
            self.open_next().ok()?;
        }
        self.open.as_ref()
    }

    /// Whether the open block has places for `count` records more.
    #[inline]
    fn fits(&self, count: usize, weight: usize) -> bool {
        self.open.as_ref().is_some_and(|open| {
            open.len + count <= open.segment.block().capacity()
                && (open.weight + weight <= self.full || open.len == 0)
        })
    }

    /// Makes `count` records more visible to the next cut.
    #[inline]
    fn publish(&mut self, count: usize, weight: usize) {
        if let Some(open) = &mut self.open {
            open.len += count;
            open.weight += weight;
            self.outlet.intake.take(weight);
            open.segment.publish(open.progress());
        }
    }

    #[cold]
    fn open_next(&mut self) -> Result<(), Closed> {
        self.outlet.wait()?;
        let block = TypedBlock::with_capacity(self.capacity);
        let segment = self.outlet.open(block, Progress::default());
        self.seal();
        self.open = Some(Open {
            segment,
            len: 0,
            weight: 0,
        });
        Ok(())
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for TypedWriter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedWriter")
            .field("outlet", &self.outlet)
            .finish_non_exhaustive()
    }
}
