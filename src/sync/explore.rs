//! Running a model under many schedules.

use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, Runner};

/// Schedules of a model, unless `SHUTTLE_SCHEDULES` says how many.
const SCHEDULES: usize = 10_000;

/// The same ones each time, so that a failure comes again.
const SEED: u64 = 0x6d69_6c6c;

/// Changes of priority in a schedule, of those that are made to meet rare orders.
const DEPTH: usize = 3;

/// The engine's own frames are deeper than those of a small model.
const STACK_BYTES: usize = 256 << 10;

/// Runs `body` under many orders of its threads' steps, half of them random, half of them
/// with random priorities. What it starts has to end: a wait that nobody ends fails it, and a
/// limit of time never runs out.
///
/// A failure prints its schedule; `SHUTTLE_REPLAY` runs that one alone.
pub(crate) fn explore(body: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    config.stack_size = STACK_BYTES;
    config.silence_warnings = true;
    let text = |name| std::env::var(name).ok();
    if let Some(schedule) = text("SHUTTLE_REPLAY") {
        let scheduler = shuttle::scheduler::ReplayScheduler::new_from_encoded(&schedule);
        Runner::new(scheduler, config).run(body);
        return;
    }
    let schedules = text("SHUTTLE_SCHEDULES").map_or(SCHEDULES, |number| {
        number.parse().expect("SHUTTLE_SCHEDULES is a number")
    });
    let body = std::sync::Arc::new(body);
    let random = RandomScheduler::new_from_seed(SEED, schedules.div_ceil(2));
    let again = std::sync::Arc::clone(&body);
    let run = Runner::new(random, config.clone()).run(move || again());
    let pct = PctScheduler::new_from_seed(SEED, DEPTH, schedules / 2);
    let run = run + Runner::new(pct, config).run(move || body());
    assert_eq!(run, schedules);
}
