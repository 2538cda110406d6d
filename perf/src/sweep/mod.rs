//! Settings by experiment: which batch intervals are stable, and what rate each
//! combination of settings sustains.
//!
//! Each point is a fresh process that is told its settings by `MILLSTREAM_*` variables
//! only, as anybody can: it counts words from a socket. Lines are offered at a rate, and
//! the guide's rule says whether the program keeps up.

mod point;
mod report;
mod rule;

pub use point::{Point, Probe};
pub use rule::Health;

use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::args::Args;
use crate::definition::{Program, Size};
use crate::lab::Lab;
use crate::{Result, input};

/// What is tried.
#[derive(Debug)]
struct Plan {
    points: Vec<Point>,
    /// The rate at which latencies are told, and the smallest stable interval.
    rate: usize,
    /// How long a rate is offered.
    time: Duration,
    /// How often the text is sent to find the capacity.
    repeat: usize,
    lines: usize,
}

impl Plan {
    fn new(quick: bool) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut workers: Vec<usize> = (0..)
            .map(|power| 1 << power)
            .take_while(|n| *n < cores)
            .collect();
        workers.push(cores);
        let (intervals, blocks, pins): (&[u64], &[usize], &[bool]) = if quick {
            workers = vec![cores];
            (&[1, 10, 100], &[1 << 20], &[false])
        } else {
            let intervals = &[1, 2, 5, 10, 20, 50, 100, 500];
            (intervals, &[256 << 10, 1 << 20], &[false, true])
        };
        let mut points = Vec::new();
        for &workers in &workers {
            for &block_bytes in blocks {
                for &pin in pins {
                    points.extend(intervals.iter().map(|&interval_ms| Point {
                        interval_ms,
                        workers,
                        block_bytes,
                        pin,
                    }));
                }
            }
        }
        Self {
            points,
            rate: if quick { 10_000 } else { 100_000 },
            time: Duration::from_millis(if quick { 500 } else { 4_000 }),
            repeat: if quick { 2 } else { 20 },
            lines: 100_000,
        }
    }
}

/// What a point came to.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Its settings.
    pub point: Point,
    /// Lines in a second when the source never waits.
    pub capacity: f64,
    /// At the rate at which all points are compared.
    pub reference: Probe,
    /// The greatest rate at which it kept up, of those that were tried.
    pub sustained: Option<Probe>,
    /// Everything that was tried.
    pub probes: Vec<Probe>,
}

/// Runs `sweep`.
///
/// # Errors
/// If an engine fails or loses a line.
pub fn sweep(args: &Args) -> Result<()> {
    let lab = Lab::open()?;
    let plan = Plan::new(args.quick);
    let size = Size {
        batch: plan.lines,
        batches: 1,
        ..Size::default()
    };
    let name = lab.data.input(Program::Live, &size)?;
    let text = Arc::new(input::read(lab.data.path(&name))?);
    let report = report::Report::new(args, &lab.home)?;
    let bar = ProgressBar::new(plan.points.len() as u64);
    bar.set_style(ProgressStyle::with_template(
        "{bar:30} {pos}/{len} points, {eta} left: {msg}",
    )?);
    let mut all = Vec::new();
    for point in &plan.points {
        bar.set_message(format!("{} ms, {}", point.interval_ms, point.settings()));
        all.push(measure(&lab, &plan, &text, point)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    report.write(&all, plan.rate)
}

/// Rates that are tried are each this part of the next higher one.
const STEP: f64 = 0.8;
/// How many rates there are to try, from twice the capacity down: what is processed when
/// the source never waits is found in too short a time to be the last word.
const STEPS: usize = 15;

fn measure(lab: &Lab, plan: &Plan, text: &Arc<Vec<u8>>, point: &Point) -> Result<Measured> {
    let capacity = point.capacity(lab, text, plan.repeat)?;
    let reference = point.probe(lab, text, plan.rate, plan.time)?;
    let mut probes = vec![reference.clone()];
    // A binary search: what is stable at a rate is taken to be stable below it.
    let (mut too_high, mut stable) = (0, STEPS);
    while too_high < stable {
        let middle = (too_high + stable) / 2;
        let rate = (2.0 * capacity * STEP.powi(middle as i32)) as usize / 1000 * 1000;
        let probe = point.probe(lab, text, rate.max(1000), plan.time)?;
        if probe.stable {
            stable = middle;
        } else {
            too_high = middle + 1;
        }
        probes.push(probe);
    }
    let sustained = probes.iter().filter(|probe| probe.stable);
    Ok(Measured {
        point: point.clone(),
        capacity,
        reference,
        sustained: sustained.max_by_key(|probe| probe.rate).cloned(),
        probes,
    })
}
