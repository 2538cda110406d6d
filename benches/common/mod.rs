//! What the benches share: seeded inputs and the hand-written yardsticks.
#![allow(dead_code, unused_imports, reason = "each bench uses a part of it")]

pub(crate) mod args;
pub(crate) mod driver;
pub(crate) mod engine;
pub(crate) mod generate;
pub(crate) mod rounds;
pub(crate) mod yardstick;

use std::time::Duration;

/// Measures `body` once.
#[expect(
    clippy::disallowed_methods,
    reason = "measures the machine, not stream time"
)]
pub(crate) fn timed<R>(body: impl FnOnce() -> R) -> (Duration, R) {
    let since = std::time::Instant::now();
    let result = body();
    (since.elapsed(), result)
}
