//! Memory that a peak leaves behind.

use std::collections::VecDeque;

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

#[cfg(test)]
mod tests {
    use super::*;

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
