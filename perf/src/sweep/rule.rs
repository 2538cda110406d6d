//! When a program keeps up, by the rule of the Spark Streaming guide: the scheduling
//! delay does not grow, and the total delay stays comparable to the batch interval.

use std::time::Duration;

use crate::Result;
use crate::protocol::Words;
use crate::sender::Sent;

/// How a program did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Health {
    /// The mean scheduling delay, in microseconds: after a fifth of the batches, and of
    /// the last fifth.
    pub scheduling_us: (f64, f64),
    /// The median of total delays, in microseconds.
    pub total_us: f64,
    /// How late the source was at the end: it is held up when more comes than is taken.
    pub held_up: Duration,
}

impl Health {
    /// From what an engine told and what was sent.
    ///
    /// # Errors
    /// If the engine did not tell enough.
    pub fn of(facts: &Words, sent: &Sent) -> Result<Self> {
        Ok(Self {
            scheduling_us: (
                facts.number("scheduling_early_us")?,
                facts.number("scheduling_late_us")?,
            ),
            total_us: facts.number("total_p50_us")?,
            held_up: sent.late,
        })
    }

    /// Whether it is stable at a batch interval.
    #[must_use]
    pub fn is_stable(&self, interval: Duration) -> bool {
        let interval_us = interval.as_secs_f64() * 1e6;
        let (early, late) = self.scheduling_us;
        // A tenth of an interval is no growth, and neither is what a busy machine does.
        let grows = late > 1.5 * early + 0.1 * interval_us + 200.0;
        !grows && self.total_us <= interval_us && self.held_up <= interval.max(HICCUP)
    }
}

/// A sender may be late by this much for reasons of its own.
const HICCUP: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(10);

    fn health() -> Health {
        Health {
            scheduling_us: (100.0, 150.0),
            total_us: 4_000.0,
            held_up: Duration::ZERO,
        }
    }

    #[test]
    fn steady_delays_are_stable() {
        assert!(health().is_stable(INTERVAL));
    }

    #[test]
    fn a_growing_scheduling_delay_is_not() {
        let grown = Health {
            scheduling_us: (100.0, 1_400.0),
            ..health()
        };
        assert!(!grown.is_stable(INTERVAL));
        assert!(grown.is_stable(INTERVAL * 10));
    }

    #[test]
    fn batches_that_take_longer_than_their_interval_are_not() {
        let slow = Health {
            total_us: 11_000.0,
            ..health()
        };
        assert!(!slow.is_stable(INTERVAL));
    }

    #[test]
    fn a_source_that_is_held_up_is_not() {
        let late = Health {
            held_up: Duration::from_millis(30),
            ..health()
        };
        assert!(!late.is_stable(INTERVAL));
        assert!(late.is_stable(INTERVAL * 5));
    }
}
