//! The bound of a ring, and the place where its writer waits.

use std::cell::Cell;
use std::fmt;
use std::sync::{Arc, OnceLock};

use crossbeam_utils::CachePadded;

use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Condvar, Mutex, MutexGuard, unpoisoned};

/// The ring was closed: the stream stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closed;

/// A writer sleeps, or did so since somebody last woke it.
const WAITING: u64 = 1;
const CLOSED: u64 = 1 << 1;
/// One byte, in [`Budget::released`].
const BYTE: u64 = 1 << 2;

/// Drops records that were received before, and says how many; none if it finds
/// nothing to drop.
type MakeRoom = Box<dyn Fn() -> Option<u64> + Send + Sync>;

/// So many bytes are worth a look before their batch is cut.
const MANY: u64 = 1 << 20;

/// The bytes that were published in a ring and whose ranges are still held, and
/// the bound on them.
///
/// Two counts that only grow, as in a ring with a head and a tail: the writer
/// alone adds to one, whoever drops a range adds to the other. A writer that
/// finds room pays one load and one store for it; the lock is for waiting only.
pub(crate) struct Budget {
    /// Set before the writer begins.
    bound: AtomicU64,
    /// Bytes ever published. The writer stores it, anybody reads it.
    received: CachePadded<AtomicU64>,
    /// Bytes ever dropped again, in units of [`BYTE`], and the two flags: in one
    /// word, so that their changes have one order and no waking is lost.
    released: CachePadded<AtomicU64>,
    /// Held around setting `WAITING` until asleep, and around waking.
    lock: Mutex<()>,
    changed: Condvar,
    waits: AtomicU64,
    /// What a writer without room tries before it waits.
    make_room: OnceLock<MakeRoom>,
    /// Whom the writer tells that there is much.
    when_filled: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// Records that were dropped for want of room. The writer stores it.
    dropped: AtomicU64,
    /// The node that the writer stays on.
    home: OnceLock<usize>,
}

impl Budget {
    fn new(bound: usize) -> Self {
        Self {
            bound: AtomicU64::new(bound as u64),
            received: CachePadded::new(AtomicU64::new(0)),
            released: CachePadded::new(AtomicU64::new(0)),
            lock: Mutex::new(()),
            changed: Condvar::new(),
            waits: AtomicU64::new(0),
            make_room: OnceLock::new(),
            when_filled: OnceLock::new(),
            dropped: AtomicU64::new(0),
            home: OnceLock::new(),
        }
    }

    /// Bytes that were published and not yet released.
    pub(crate) fn used(&self) -> usize {
        // In this order the difference is never less than nothing.
        let released = self.released.load(Ordering::Acquire) / BYTE;
        self.received
            .load(Ordering::Relaxed)
            .saturating_sub(released) as usize
    }

    /// Whether more than half of the bytes that may be are published and not released.
    pub(crate) fn is_crowded(&self) -> bool {
        self.used() as u64 > self.bound() / 2
    }

    #[inline]
    fn bound(&self) -> u64 {
        // Relaxed: whoever starts the writer orders it.
        self.bound.load(Ordering::Relaxed)
    }

    /// Lowers the bound, before the writer begins.
    pub(crate) fn narrow(&self, bound: usize) {
        let bound = self.bound().min(bound as u64);
        self.bound.store(bound, Ordering::Relaxed);
    }

    /// Bytes that were ever published.
    pub(crate) fn received(&self) -> u64 {
        // Relaxed: only the count itself matters.
        self.received.load(Ordering::Relaxed)
    }

    /// How often the writer had to wait, for bytes or for a cut.
    pub(crate) fn waits(&self) -> u64 {
        // Acquire: who learns that the writer waits sees what it stored before.
        self.waits.load(Ordering::Acquire)
    }

    /// How many records were dropped for want of room.
    pub(crate) fn dropped(&self) -> u64 {
        // Relaxed: only the count itself matters.
        self.dropped.load(Ordering::Relaxed)
    }

    /// The node that the ring's blocks are on, if that is known: its number among the pools of
    /// workers.
    pub(crate) fn home(&self) -> Option<usize> {
        self.home.get().copied()
    }

    /// From now on the writer stays on this node; the first that is told counts.
    pub(crate) fn set_home(&self, node: usize) {
        self.home.get_or_init(|| node);
    }

    /// A writer without bytes to publish in makes room by this, as long as it can, in
    /// place of waiting. Counts once.
    pub(crate) fn make_room_by(&self, make_room: impl Fn() -> Option<u64> + Send + Sync + 'static) {
        self.make_room.get_or_init(|| Box::new(make_room));
    }

    /// The writer calls this now and then, when it has received many bytes since. Counts
    /// once.
    pub(crate) fn when_filled(&self, tell: Box<dyn Fn() + Send + Sync>) {
        self.when_filled.get_or_init(|| tell);
    }

    /// Stops the writer: from now on it gets [`Closed`], also where it waits.
    /// What was published stays and can be cut.
    pub(crate) fn close(&self) {
        self.released.fetch_or(CLOSED, Ordering::Relaxed);
        let _asleep = self.lock();
        self.changed.notify_all();
    }

    /// Gives bytes back.
    pub(super) fn release(&self, bytes: usize) {
        // Release: `used` must not see these bytes gone before it sees them
        // come. The count guards no other memory.
        self.tell(bytes as u64 * BYTE);
    }

    /// Wakes the writer after something else that it may wait for has changed.
    pub(crate) fn wake(&self) {
        // An update, not a load: if it comes before the writer sets `WAITING`,
        // the writer sees the change that came before it.
        self.tell(0);
    }

    fn tell(&self, change: u64) {
        if self.released.fetch_add(change, Ordering::Release) & WAITING != 0 {
            // The writer sets the flag with the lock held and keeps it until it
            // sleeps, so this notification finds it asleep or looking again.
            let _asleep = self.lock();
            self.released.fetch_and(!WAITING, Ordering::Release);
            self.changed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        // The lock protects no data that a panic could leave half changed.
        unpoisoned(self.lock.lock())
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("bound", &self.bound())
            .field("used", &self.used())
            .field("waits", &self.waits())
            .finish_non_exhaustive()
    }
}

/// The writer's side of a [`Budget`].
#[derive(Debug)]
pub(super) struct Intake {
    budget: Arc<Budget>,
    /// The writer's own copy of `Budget::received`.
    received: u64,
    /// What that was when it told somebody last.
    told: Cell<u64>,
}

impl Intake {
    pub(super) fn new(bound: usize) -> Self {
        Self {
            budget: Arc::new(Budget::new(bound)),
            received: 0,
            told: Cell::new(0),
        }
    }

    pub(super) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Waits until `least` bytes more may be published beside the `held` ones
    /// that the writer has not published yet, and says how many may.
    ///
    /// When nothing is published that anybody could release, there is room for
    /// everything: an item larger than the bound passes alone.
    #[inline]
    pub(super) fn room(&self, held: usize, least: usize) -> Result<usize, Closed> {
        // Relaxed: only the count itself matters.
        let word = self.budget.released.load(Ordering::Relaxed);
        match self.free(word, held, least) {
            Some(free) if word & CLOSED == 0 => Ok(free),
            _ => {
                let make_room = self.budget.make_room.get();
                self.wait(|word| self.free(word, held, least), make_room)
            }
        }
    }

    /// Whether [`room`](Self::room) would have to wait.
    pub(super) fn is_full(&self, held: usize, least: usize) -> bool {
        // Relaxed: only the count itself matters.
        let word = self.budget.released.load(Ordering::Relaxed);
        word & CLOSED == 0 && self.free(word, held, least).is_none()
    }

    pub(super) fn is_closed(&self) -> bool {
        // Relaxed: the flag guards no other memory.
        self.budget.released.load(Ordering::Relaxed) & CLOSED != 0
    }

    /// Counts records that the writer drops in place of waiting.
    pub(super) fn count_dropped(&self, records: u64) {
        let dropped = self.budget.dropped() + records;
        // Relaxed: only the count itself matters.
        self.budget.dropped.store(dropped, Ordering::Relaxed);
    }

    /// Waits until `ready` holds. Whoever makes it hold calls [`Budget::wake`]
    /// afterwards.
    pub(super) fn wait_for(&self, ready: impl Fn() -> bool) -> Result<(), Closed> {
        if !self.is_closed() && ready() {
            Ok(())
        } else {
            self.wait(|_| ready().then_some(()), None)
        }
    }

    /// Tells who wants to know it, if there is much by now.
    pub(super) fn tell_filled(&self) {
        if self.received - self.told.get() >= MANY
            && let Some(tell) = self.budget.when_filled.get()
        {
            self.told.set(self.received);
            tell();
        }
    }

    /// Counts bytes, before they are published.
    #[inline]
    pub(super) fn take(&mut self, bytes: usize) {
        self.received += bytes as u64;
        // Relaxed: the publication that follows orders it before any release.
        self.budget.received.store(self.received, Ordering::Relaxed);
    }

    #[inline]
    fn free(&self, word: u64, held: usize, least: usize) -> Option<usize> {
        let used = self.received - word / BYTE;
        let free = self
            .budget
            .bound()
            .saturating_sub(used.saturating_add(held as u64));
        if free >= least as u64 {
            Some(free as usize)
        } else {
            (used == 0).then_some(usize::MAX)
        }
    }

    #[cold]
    fn wait<R>(
        &self,
        ready: impl Fn(u64) -> Option<R>,
        make_room: Option<&MakeRoom>,
    ) -> Result<R, Closed> {
        let mut guard = self.budget.lock();
        let mut waited = false;
        loop {
            // Acquire: pairs with `wake`, whose caller changed something else.
            let word = self.budget.released.fetch_or(WAITING, Ordering::Acquire);
            if word & CLOSED != 0 {
                return Err(Closed);
            }
            if let Some(answer) = ready(word) {
                return Ok(answer);
            }
            if let Some(make_room) = make_room {
                // Without the lock, which whoever releases takes.
                drop(guard);
                let dropped = make_room();
                guard = self.budget.lock();
                if let Some(records) = dropped {
                    self.count_dropped(records);
                    continue;
                }
                // Relaxed: the flag is cleared with the lock in hand. Whoever did that
                // has woken nobody, as nobody was asleep.
                if self.budget.released.load(Ordering::Relaxed) & WAITING == 0 {
                    continue;
                }
            }
            if !waited {
                self.budget.waits.fetch_add(1, Ordering::Release);
                waited = true;
            }
            guard = unpoisoned(self.budget.changed.wait(guard));
        }
    }
}
