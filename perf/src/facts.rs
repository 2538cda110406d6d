//! What live engines tell beside their result.

use std::time::Duration;

use crate::cpu::Cpu;
use crate::marks::percentile;
use crate::protocol::Words;

/// How late a batch was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delays {
    /// From its cut to the start of its first job.
    pub scheduling: Duration,
    /// From its cut to the end of its last job.
    pub total: Duration,
}

/// Adds the percentiles of sorted latencies in nanoseconds, if there are any.
#[must_use]
pub fn latencies(facts: Words, sorted: &[u64]) -> Words {
    if sorted.is_empty() {
        return facts;
    }
    let us = |per_mille| format!("{:.1}", percentile(sorted, per_mille) as f64 / 1e3);
    facts
        .with("p50_us", us(500))
        .with("p99_us", us(990))
        .with("p999_us", us(999))
        .with("max_us", us(1000))
}

/// Adds the CPU time that each of `lines` took the engine and the sender, in
/// microseconds, and how many CPUs that kept busy in `time`.
#[must_use]
pub fn cpu(facts: Words, engine: Cpu, sender: Cpu, lines: u64, time: Duration) -> Words {
    let us = |time: Duration| format!("{:.4}", time.as_secs_f64() * 1e6 / lines as f64);
    let all = engine.user + engine.system + sender.user + sender.system;
    facts
        .with("user_us", us(engine.user))
        .with("system_us", us(engine.system))
        .with("sender_user_us", us(sender.user))
        .with("sender_system_us", us(sender.system))
        .with(
            "cpus",
            format!("{:.2}", all.as_secs_f64() / time.as_secs_f64()),
        )
}

/// Adds the delays of the batches of a run, in their order: the mean scheduling delay
/// early, when the program has warmed up, and at the end.
#[must_use]
pub fn delays(facts: Words, batches: &[Delays]) -> Words {
    let fifth = batches.len().div_ceil(5);
    let mean = |part: &[Delays]| {
        let sum: Duration = part.iter().map(|batch| batch.scheduling).sum();
        sum.as_secs_f64() * 1e6 / part.len().max(1) as f64
    };
    let early = &batches[fifth.min(batches.len())..(2 * fifth).min(batches.len())];
    let late = &batches[batches.len().saturating_sub(fifth)..];
    let mut totals: Vec<u64> = batches
        .iter()
        .map(|batch| batch.total.as_nanos() as u64)
        .collect();
    totals.sort_unstable();
    let us = |per_mille| format!("{:.1}", percentile(&totals, per_mille) as f64 / 1e3);
    facts
        .with("batches", batches.len())
        .with("scheduling_early_us", format!("{:.1}", mean(early)))
        .with("scheduling_late_us", format!("{:.1}", mean(late)))
        .with("total_p50_us", us(500))
        .with("total_p99_us", us(990))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_times_are_told_for_a_line() {
        let cpu = |user, system| Cpu {
            user: Duration::from_millis(user),
            system: Duration::from_millis(system),
        };
        let time = Duration::from_millis(200);
        let facts = super::cpu(Words::default(), cpu(100, 50), cpu(0, 150), 1_000_000, time);
        assert_eq!(
            facts.to_string(),
            "cpus=1.50 sender_system_us=0.1500 sender_user_us=0.0000 system_us=0.0500 \
             user_us=0.1000"
        );
    }

    #[test]
    fn delays_are_compared_early_and_late() {
        let batch = |us| Delays {
            scheduling: Duration::from_micros(us),
            total: Duration::from_micros(us + 10),
        };
        let batches: Vec<Delays> = (0..10).map(batch).collect();
        let facts = delays(Words::default(), &batches);
        assert_eq!(facts.get("scheduling_early_us"), Some("2.5"));
        assert_eq!(facts.get("scheduling_late_us"), Some("8.5"));
        assert_eq!(facts.get("total_p50_us"), Some("14.0"));
        assert_eq!(delays(Words::default(), &[]).get("batches"), Some("0"));
    }
}
