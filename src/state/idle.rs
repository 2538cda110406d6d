//! Which keys were idle for longer than a time-out.

use std::collections::BTreeMap;
use std::fmt;
use std::mem;

use super::bits::Bits;
use super::size::room;
use super::spare::{clear, move_together};
use super::table::Table;
use crate::arch;
use crate::time::{BatchTime, Duration};

/// An index of rows by the time of their last touch.
///
/// A row is filed under a time at which it was touched, when it is added. A touch
/// only notes the time beside the row. When a file comes due, the rows in it that
/// were touched since are filed anew, under the time of their last touch; the
/// others are idle. So a row is in one file at most, and is filed at most as often
/// as it is touched; nothing is done for a row that is not due. (A list in the
/// order of the touches would be changed at three places by each of them, all of
/// which a later panic may have to take back.)
pub(super) struct Idle {
    timeout: Duration,
    /// When each row was touched last.
    last: Vec<BatchTime>,
    files: BTreeMap<BatchTime, Vec<u32>>,
    /// Places that are in a file. A row that is gone stays there until its file is
    /// due, and so does its place when another row takes it.
    filed: Bits,
    /// The last touch, before this step, of rows that it touched.
    touched: Vec<(u32, BatchTime)>,
}

impl Idle {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            last: Vec::new(),
            files: BTreeMap::new(),
            filed: Bits::default(),
            touched: Vec::new(),
        }
    }

    /// Notes that a row is touched at `time`, that of this step.
    #[inline]
    pub(super) fn touch(&mut self, place: u32, time: BatchTime) {
        match self.last.get_mut(place as usize) {
            Some(last) if *last == time => {}
            Some(last) => self.touched.push((place, mem::replace(last, time))),
            // Rows are added one at a time.
            None => self.last.push(time),
        }
    }

    /// For how many bytes there is memory; each row has a place in one file.
    pub(super) fn bytes(&self) -> u64 {
        let rows = self.last.capacity();
        room::<BatchTime>(rows) + room::<u32>(rows)
    }

    /// When a row was touched last.
    pub(super) fn last(&self, place: u32) -> BatchTime {
        self.last[place as usize]
    }

    /// The rows that this step touched, with the touch before, which may be that of another
    /// row at the same place.
    pub(super) fn touched(&self) -> impl Iterator<Item = (u32, BatchTime)> {
        self.touched.iter().copied()
    }

    /// The same time-out, and no rows.
    pub(super) fn emptied(&self) -> Self {
        Self::new(self.timeout)
    }

    /// A row comes back with its last touch: place by place, with those that are
    /// not used.
    pub(super) fn bring_back(&mut self, last: BatchTime, is_live: bool) {
        let place = self.last.len() as u32;
        self.last.push(last);
        if is_live {
            self.files.entry(last).or_default().push(place);
            self.filed.insert(place);
        }
    }

    /// What looks for a row's last touch soon.
    #[inline]
    pub(super) fn prefetch(&self, place: u32) {
        if let Some(last) = self.last.get(place as usize) {
            arch::prefetch(last);
        }
    }

    /// A row touched before this is idle for too long.
    fn bound(&self, time: BatchTime) -> BatchTime {
        time - self.timeout
    }

    /// How many rows have to be looked at.
    pub(super) fn due(&self, time: BatchTime) -> usize {
        let due = self.files.range(..self.bound(time));
        due.map(|(_, file)| file.len()).sum()
    }

    /// The rows that are idle for too long, after all touches of this step.
    pub(super) fn expired(&self, time: BatchTime, is_live: impl Fn(u32) -> bool) -> Vec<u32> {
        let bound = self.bound(time);
        let due = self.files.range(..bound).flat_map(|(_, file)| file);
        due.copied()
            .filter(|&place| self.last[place as usize] < bound && is_live(place))
            .collect()
    }

    /// Ends a step, in which the rows `inserted` were added, and removed what
    /// expired.
    pub(super) fn commit(
        &mut self,
        time: BatchTime,
        inserted: &[u32],
        is_live: impl Fn(u32) -> bool,
    ) {
        clear(&mut self.touched);
        let later = self.files.split_off(&self.bound(time));
        let due = mem::replace(&mut self.files, later);
        for place in due.into_values().flatten() {
            if is_live(place) {
                let last = self.last[place as usize];
                self.files.entry(last).or_default().push(place);
            } else {
                self.filed.remove(place);
            }
        }
        let mut new = Vec::new();
        for &place in inserted {
            if is_live(place) && self.filed.insert(place) {
                new.push(place);
            }
        }
        if !new.is_empty() {
            self.files.entry(time).or_default().append(&mut new);
        }
    }

    /// Takes back the touches of this step.
    pub(super) fn roll_back(&mut self) {
        for (place, last) in self.touched.drain(..) {
            self.last[place as usize] = last;
        }
    }

    /// The rows have moved together: `moved` has the new place of each old one.
    pub(super) fn rows_moved(&mut self, moved: &[u32]) {
        move_together(&mut self.last, moved);
        self.filed.rows_moved(moved);
        for file in self.files.values_mut() {
            file.retain_mut(|place| {
                *place = moved[*place as usize];
                *place != Table::<(), ()>::GONE
            });
            file.shrink_to_fit();
        }
        self.files.retain(|_, file| !file.is_empty());
    }
}

impl fmt::Debug for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idle")
            .field("timeout", &self.timeout)
            .field("files", &self.files.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn at(seconds: i64) -> BatchTime {
        BatchTime::from_millis(seconds * 1000)
    }

    fn idle(seconds: u64) -> Idle {
        Idle::new(Duration::from_secs(seconds))
    }

    /// One step in which rows are added and touched; gives those that expired, and
    /// how many rows were looked at.
    fn step(idle: &mut Idle, time: i64, added: &[u32], touched: &[u32]) -> (Vec<u32>, usize) {
        for &place in added.iter().chain(touched) {
            idle.touch(place, at(time));
        }
        let seen = Cell::new(0);
        let expired = idle.expired(at(time), |_| {
            seen.set(seen.get() + 1);
            true
        });
        idle.commit(at(time), added, |place| {
            seen.set(seen.get() + 1);
            !expired.contains(&place)
        });
        (expired, seen.get())
    }

    const NOBODY: [u32; 0] = [];

    #[test]
    fn rows_expire_in_the_first_step_after_their_time_out() {
        let mut idle = idle(2);
        assert_eq!(step(&mut idle, 1, &[0, 1], &[]).0, NOBODY);
        assert_eq!(step(&mut idle, 2, &[2], &[]).0, NOBODY);
        assert_eq!(
            step(&mut idle, 3, &[], &[0]).0,
            NOBODY,
            "not yet: 1 is not before 3 - 2"
        );
        assert_eq!(step(&mut idle, 4, &[], &[]).0, [1]);
        assert_eq!(
            step(&mut idle, 5, &[], &[2]).0,
            NOBODY,
            "touched when it was due"
        );
        assert_eq!(step(&mut idle, 6, &[], &[]).0, [0]);
        assert_eq!(step(&mut idle, 9, &[], &[]).0, [2]);
    }

    #[test]
    fn a_step_looks_at_no_row_that_is_not_due() {
        let mut idle = idle(10);
        let rows: Vec<_> = (0..1000).collect();
        // All are looked at once when they are filed.
        assert_eq!(step(&mut idle, 1, &rows, &[]), (vec![], 1000));
        for time in 2..=11 {
            assert_eq!(idle.due(at(time)), 0);
            assert_eq!(step(&mut idle, time, &[], &rows[..500]), (vec![], 0));
        }
        assert_eq!(idle.due(at(12)), 1000);
        let (expired, _) = step(&mut idle, 12, &[], &[]);
        assert_eq!(expired, rows[500..]);
        for time in 13..=21 {
            assert_eq!(step(&mut idle, time, &[], &[]), (vec![], 0));
        }
        assert_eq!(step(&mut idle, 22, &[], &[]).0, rows[..500]);
        assert!(idle.files.is_empty());
    }

    #[test]
    fn a_place_that_is_used_again_stays_in_one_file() {
        let mut idle = idle(100);
        for time in 1..=50 {
            idle.touch(0, at(time));
            idle.commit(at(time), &[0], |_| true);
            // The row goes, another takes its place in the next step.
            idle.commit(at(time), &[], |_| false);
        }
        assert_eq!(idle.files.values().map(Vec::len).sum::<usize>(), 1);
        assert_eq!(step(&mut idle, 102, &[], &[]).0, NOBODY, "touched at 50");
        assert_eq!(step(&mut idle, 151, &[], &[]).0, [0]);
    }

    #[test]
    fn touches_can_be_taken_back() {
        let mut idle = idle(2);
        step(&mut idle, 1, &[0, 1], &[]);
        idle.touch(1, at(3));
        idle.touch(1, at(3));
        idle.roll_back();
        idle.commit(at(3), &[], |_| true);
        assert_eq!(step(&mut idle, 4, &[], &[0]).0, [1]);
    }

    #[test]
    fn rows_move_together() {
        const GONE: u32 = Table::<(), ()>::GONE;
        let mut idle = idle(2);
        step(&mut idle, 1, &[0, 1], &[]);
        step(&mut idle, 2, &[2, 3], &[0]);
        idle.rows_moved(&[0, GONE, GONE, 1]);
        assert_eq!(idle.last, [at(2), at(2)]);
        assert_eq!(
            idle.due(at(4)),
            1,
            "the file of the second 1 has one row left"
        );
        assert_eq!(step(&mut idle, 5, &[], &[]).0, [0, 1]);
    }
}
