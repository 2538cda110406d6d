//! Windows: operations over the last batches of a stream.
//!
//! A window of length `w` at time `t` has the batches of the times in `(t - w, t]`
//! and is made once per slide interval; both are multiples of the parent's slide
//! interval, and times count from the zero time of the context. The first windows
//! are partial.
//!
//! The window itself ([`window`]) is the concatenation of its batches. Keyed
//! reductions ([`reduce_by_key_and_window`]) do not look at it again and again:
//! they keep a table and change it by what enters and leaves ([`sliding`]).

mod count_by_value_and_window;
mod count_by_window;
mod disjoint;
mod group_by_key_and_window;
mod reduce_by_key_and_window;
mod reduce_by_window;
mod sliding;
#[expect(
    clippy::module_inception,
    reason = "one operator, one file, named by its verb"
)]
mod window;

use std::panic::Location;

use crate::dstream::DStream;
use crate::error::{Error, Result};
use crate::rdd::Rdd;
use crate::rdd::pipe::{Data, Pipe};
use crate::time::{BatchTime, Duration, DurationExt};

/// The two parameters of a window, which fit the stream.
#[derive(Clone, Copy, Debug)]
struct Extent {
    length: Duration,
    slide: Duration,
}

impl Extent {
    /// The window of a stream: an error if the context was started, or unless both
    /// parameters are multiples of the stream's slide interval.
    fn check<T: Data, P: Pipe<Out = T>>(
        stream: &DStream<T, P>,
        operation: &str,
        length: Duration,
        slide: Duration,
        site: &'static Location<'static>,
    ) -> Result<Self> {
        stream.graph().check_open(site)?;
        let extent = Self { length, slide };
        extent
            .fits(operation, stream.slide_interval())
            .map_err(|error| error.at(site))?;
        Ok(extent)
    }

    fn fits(&self, operation: &str, parent: Duration) -> Result<()> {
        let Self { length, slide } = *self;
        for (what, duration) in [("window length", length), ("slide interval", slide)] {
            if !duration.is_whole_multiple_of(parent) {
                return Err(Error::invalid_argument(format!(
                    "{operation}: the {what} {} is not a multiple of {}, the slide interval of \
                     the stream",
                    duration.to_millis_text(),
                    parent.to_millis_text(),
                )));
            }
        }
        Ok(())
    }

    /// How far before its time a window reads a parent that slides like this.
    fn reach(&self, parent: Duration) -> Duration {
        self.length.saturating_sub(parent)
    }

    /// The length and the slide in panes.
    fn in_panes(&self) -> (u32, u32) {
        let pane = self.pane().as_millis();
        let panes =
            |duration: Duration| u32::try_from(duration.as_millis() / pane).unwrap_or(u32::MAX);
        (panes(self.length), panes(self.slide))
    }

    /// Whether a window has no batch in common with the one before.
    fn is_disjoint(&self) -> bool {
        self.slide >= self.length
    }

    /// The longest interval that the length and the slide are multiples of: what
    /// enters and leaves as one.
    fn pane(&self) -> Duration {
        let (mut a, mut b) = (self.length.as_millis(), self.slide.as_millis());
        while b > 0 {
            (a, b) = (b, a % b);
        }
        Duration::from_millis(u64::try_from(a).unwrap_or(u64::MAX))
    }
}

impl<T: Data, P: Pipe<Out = T>> DStream<T, P> {
    /// The batches of the stream in the interval `(end - length, end]`, oldest
    /// first.
    fn batches_until(&self, end: BatchTime, length: Duration) -> Result<Vec<Rdd<T, P>>> {
        let slide = self.slide_interval();
        let from = (end - length).max(self.graph().zero()) + slide;
        from.through(end, slide)
            .filter_map(|time| self.at(time).transpose())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn both_parameters_are_multiples_of_the_slide() {
        let check = |length, slide| {
            let (length, slide) = (MS(length), MS(slide));
            Extent { length, slide }.fits("window", MS(100))
        };
        assert!(check(300, 100).is_ok());
        assert!(check(100, 300).is_ok());
        for (length, slide, message) in [
            (
                250,
                100,
                "the window length 250 ms is not a multiple of 100 ms",
            ),
            (
                300,
                150,
                "the slide interval 150 ms is not a multiple of 100 ms",
            ),
            (0, 100, "the window length 0 ms is not a multiple of 100 ms"),
            (
                300,
                0,
                "the slide interval 0 ms is not a multiple of 100 ms",
            ),
        ] {
            let error = check(length, slide).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn panes_divide_length_and_slide() {
        let pane = |length, slide| {
            let (length, slide) = (MS(length), MS(slide));
            Extent { length, slide }.pane()
        };
        assert_eq!(pane(300, 100), MS(100));
        assert_eq!(pane(1000, 400), MS(200));
        assert_eq!(pane(60_000, 10_000), MS(10_000));
    }
}
