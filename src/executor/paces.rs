//! What pieces of work cost, by what they do.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long a unit of weight took, for the last kinds of work.
///
/// Only decides who works. Two kinds that share a place push each other out, and a race
/// loses one measurement; so everything is relaxed.
#[derive(Debug)]
pub(super) struct Paces(Box<[Slot; SLOTS]>);

/// A kind in the upper half, its pace in picoseconds in the lower one; 0 is nothing.
type Slot = AtomicU64;

/// As many as eight bits tell apart.
const SLOTS: usize = 1 << 8;

impl Paces {
    pub(super) fn new() -> Self {
        Self(Box::new([const { AtomicU64::new(0) }; SLOTS]))
    }

    /// How long such work takes with this weight, if it was done before.
    pub(super) fn expect(&self, kind: Kind, weight: usize) -> Option<Duration> {
        let pace = kind.pace(self.slot(kind).load(Ordering::Relaxed))?;
        Some(Duration::from_nanos(
            pace.saturating_mul(weight as u64) / 1000,
        ))
    }

    /// It took all threads together so long.
    ///
    /// What is faster than expected counts more: a thread that was held up tells nothing
    /// of the work.
    pub(super) fn note(&self, kind: Kind, weight: usize, took: Duration) {
        let Some(pace) = (took.as_nanos() * 1000).checked_div(weight as u128) else {
            return;
        };
        let pace = u64::from(u32::try_from(pace).unwrap_or(u32::MAX));
        let slot = self.slot(kind);
        let next = match kind.pace(slot.load(Ordering::Relaxed)) {
            None => pace,
            Some(before) if pace < before => before - (before - pace).div_ceil(2),
            Some(before) => before + (pace - before) / 8,
        };
        slot.store(kind.tag() | next, Ordering::Relaxed);
    }

    fn slot(&self, kind: Kind) -> &Slot {
        &self.0[(kind.0 >> 56) as usize]
    }
}

/// A kind of work: what its tasks do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind(u64);

impl Kind {
    /// What this function does. Two that the compiler has made one are one.
    pub(super) fn of(function: *const ()) -> Self {
        // Addresses are alike in their upper bits: they are spread over all.
        Self((function.addr() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn tag(self) -> u64 {
        self.0 & !u64::from(u32::MAX)
    }

    fn pace(self, slot: u64) -> Option<u64> {
        (slot != 0 && slot & !u64::from(u32::MAX) == self.tag())
            .then_some(slot & u64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Kind = Kind(0x0100_0001_0000_0000);
    const B: Kind = Kind(0x0200_0001_0000_0000);
    /// In the same place as `A`.
    const C: Kind = Kind(0x0100_0002_0000_0000);

    #[test]
    fn kinds_are_told_apart() {
        let paces = Paces::new();
        assert_eq!(paces.expect(A, 10), None);
        paces.note(A, 1000, Duration::from_micros(10));
        paces.note(B, 1000, Duration::from_micros(70));
        assert_eq!(paces.expect(A, 300), Some(Duration::from_micros(3)));
        assert_eq!(paces.expect(B, 300), Some(Duration::from_micros(21)));
        paces.note(C, 1000, Duration::from_micros(5));
        assert_eq!(paces.expect(A, 300), None);
        assert_eq!(paces.expect(C, 300), Some(Duration::from_nanos(1500)));
    }

    #[test]
    fn faster_counts_more_than_slower() {
        let paces = Paces::new();
        let expect = || paces.expect(A, 1000).map(|time| time.as_micros());
        for (took, then) in [(16, 16), (24, 17), (9, 13), (13, 13)] {
            paces.note(A, 1000, Duration::from_micros(took));
            assert_eq!(expect(), Some(then));
        }
        // It comes down to what is measured.
        for _ in 0..40 {
            paces.note(A, 1000, Duration::ZERO);
        }
        assert_eq!(expect(), Some(0));
    }

    #[test]
    fn nothing_overflows() {
        let paces = Paces::new();
        paces.note(A, 0, Duration::MAX);
        assert_eq!(paces.expect(A, 1), None);
        paces.note(A, 1, Duration::MAX);
        assert!(paces.expect(A, usize::MAX) > Some(Duration::from_secs(10_000_000)));
    }
}
