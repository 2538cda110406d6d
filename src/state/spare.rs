//! Lists beside the rows of a table, and memory that a peak leaves behind.

use std::collections::VecDeque;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::table::Table;
use crate::error::Error;

/// Room for so many entries is nothing to give back.
const SMALL: usize = 1 << 12;

/// Empties a list. Its memory stays for the next step, unless it is far more than
/// this one needed.
pub(super) fn clear<T>(list: &mut Vec<T>) {
    let used = list.len();
    list.clear();
    if list.capacity() > SMALL.max(used.saturating_mul(16)) {
        *list = Vec::with_capacity(used);
    }
}

/// Gives memory back if most of it is not used. A move of the entries is paid by as
/// many that left, and the next one by as many more.
pub(super) fn shrink<T>(queue: &mut VecDeque<T>) {
    if queue.capacity() > SMALL.max(queue.len().saturating_mul(4)) {
        queue.shrink_to(queue.len() * 2);
    }
}

/// Puts what belongs to a row into its list, at the row's place. Gives what was there.
pub(super) fn put<T>(items: &mut Vec<T>, place: u32, item: T) -> Option<T> {
    match items.get_mut(place as usize) {
        Some(old) => Some(mem::replace(old, item)),
        // Rows are added one at a time.
        None => {
            items.push(item);
            None
        }
    }
}

/// Keeps the items whose rows have a new place in `moved`, in their order and with no more
/// memory than they need. Gives the others, if they are to be dropped.
pub(super) fn move_together<T>(items: &mut Vec<T>, moved: &[u32]) -> Vec<T> {
    let is_kept = |place: &&u32| **place != Table::<(), ()>::GONE;
    let mut kept = Vec::with_capacity(moved.iter().filter(is_kept).count());
    let mut gone = Vec::new();
    for (item, place) in mem::take(items).into_iter().zip(moved) {
        if is_kept(&place) {
            kept.push(item);
        } else if mem::needs_drop::<T>() {
            gone.push(item);
        }
    }
    *items = kept;
    gone
}

/// Drops what is not needed any more, when all else is done: a panic in its own `drop` is
/// told, and changes nothing.
pub(super) fn drop_in_the_end<T>(gone: Vec<T>) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(gone))) {
        let error = Error::from_panic(payload, "dropping a key or what is kept for it");
        tracing::error!(%error, "what is not needed any more was not let go cleanly");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Panics when it is dropped, if it is told to.
    struct Bomb(u32, bool);

    impl Drop for Bomb {
        fn drop(&mut self) {
            if self.1 {
                std::panic::resume_unwind(Box::new("it was dropped"));
            }
        }
    }

    #[test]
    fn items_that_panic_when_they_go_leave_the_others_where_they_belong() {
        let bombs = [(0, false), (1, true), (2, false), (3, false)];
        let mut items: Vec<_> = bombs.map(|(n, goes_off)| Bomb(n, goes_off)).into();
        let gone = move_together(&mut items, &[0, Table::<(), ()>::GONE, 1, 2]);
        assert_eq!(gone.len(), 1);
        drop_in_the_end(gone);
        let left: Vec<_> = items.iter().map(|item| item.0).collect();
        assert_eq!((left, items.capacity()), (vec![0, 2, 3], 3));
    }

    #[test]
    fn a_queue_gives_back_what_a_peak_took_once() {
        let mut queue: VecDeque<_> = (0..1_000_000_u32).collect();
        queue.drain(..990_000);
        shrink(&mut queue);
        let room = queue.capacity();
        assert!((20_000..30_000).contains(&room), "{room}");
        assert!(queue.iter().copied().eq(990_000..1_000_000));
        // What stays about the same is not moved.
        queue.drain(..4_000);
        shrink(&mut queue);
        assert_eq!(queue.capacity(), room);
    }

    #[test]
    fn a_small_queue_keeps_its_room() {
        let mut queue: VecDeque<_> = (0..3000_u32).collect();
        let room = queue.capacity();
        queue.clear();
        shrink(&mut queue);
        assert_eq!(queue.capacity(), room);
    }
}
