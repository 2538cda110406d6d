//! Contenders that take turns in one process.
//!
//! A machine that others use changes its speed between seconds, so only the times
//! of one round are compared.
#![expect(
    clippy::print_stdout,
    reason = "its lines are what these programs are for"
)]

use std::time::Duration;

/// The times of one contender, a round each.
pub(crate) type Times = Vec<Duration>;

pub(crate) fn median<T: Copy + PartialOrd>(values: impl Iterator<Item = T>) -> (T, T, T) {
    let mut values: Vec<T> = values.collect();
    values.sort_by(|a, b| a.partial_cmp(b).expect("times and ratios are numbers"));
    (
        values[values.len() / 2],
        values[0],
        values[values.len() - 1],
    )
}

/// How many times faster `a` is than `b`: the median of the rounds, and their range.
pub(crate) fn report(name: &str, a: &Times, b: &Times) {
    let ratios = a
        .iter()
        .zip(b)
        .map(|(a, b)| b.as_secs_f64() / a.as_secs_f64());
    let (middle, low, high) = median(ratios);
    println!("ratio {name} {middle:.2} ({low:.2}..{high:.2})");
}

pub(crate) fn report_speed(name: &str, times: &Times, lines: usize) {
    let (middle, low, high) = median(times.iter().map(|time| lines as f64 / time.as_secs_f64()));
    println!(
        "speed {name} {:.2} M lines/s ({:.2}..{:.2})",
        middle / 1e6,
        low / 1e6,
        high / 1e6
    );
}

/// Runs all contenders in turn, `rounds` times after a warm-up. Every other
/// round runs them backwards, so that nobody always follows the same one.
pub(crate) fn interleave(
    rounds: usize,
    contenders: &mut [&mut dyn FnMut() -> Duration],
) -> Vec<Times> {
    let mut times = vec![Times::new(); contenders.len()];
    for round in 0..rounds + 2 {
        let mut order: Vec<usize> = (0..contenders.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for i in order {
            let time = contenders[i]();
            if round >= 2 {
                times[i].push(time);
            }
        }
    }
    times
}

/// The time that one step takes, of `steps` that were measured at a time.
pub(crate) fn report_time(name: &str, times: &Times, steps: usize) {
    let (middle, low, high) = median(
        times
            .iter()
            .map(|time| time.as_secs_f64() * 1e3 / steps as f64),
    );
    println!("time {name} {middle:.3} ms ({low:.3}..{high:.3})");
}
