//! The record of a sweep: what to choose, a table, and plots.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::args::Args;
use crate::machine;
use crate::plot::curves::{Curve, curves};
use crate::record::{facts_table, folder};
use crate::stats::figure;
use crate::sweep::{Measured, Probe};

/// Where a sweep is recorded.
#[derive(Debug)]
pub(super) struct Report {
    folder: PathBuf,
    facts: Vec<(String, String)>,
}

impl Report {
    /// Takes note of the machine, before it is busy.
    pub(super) fn new(args: &Args, home: &Path) -> Result<Self> {
        Ok(Self {
            folder: folder("sweep", args, home)?,
            facts: machine::facts(home),
        })
    }

    /// Writes all of it. `rate` is that at which all points were compared.
    pub(super) fn write(&self, all: &[Measured], rate: usize) -> Result<()> {
        let choice = choice(all, rate);
        print!("{choice}");
        let report = format!(
            "# Sweep\n\n{}\n{choice}\n{}\n{}\n{PICTURES}",
            facts_table(&self.facts),
            RULE,
            table(all, rate)
        );
        fs::write(self.folder.join("report.md"), report)?;
        fs::write(self.folder.join("probes.csv"), csv(all))?;
        self.plot(
            "throughput",
            "rate that is sustained",
            "M lines/s",
            &sustained(all),
        )?;
        let title = format!("latency at {rate} lines/s");
        self.plot("latency", &title, "ms", &latencies(all))?;
        self.plot("stable", "rates that were tried", "M lines/s", &region(all))?;
        println!("record {}", self.folder.display());
        Ok(())
    }

    fn plot(&self, name: &str, title: &str, unit: &str, lines: &[Curve]) -> Result<()> {
        let plot = curves(title, "batch interval, ms", unit, lines);
        Ok(fs::write(self.folder.join(format!("{name}.svg")), plot)?)
    }
}

const RULE: &str = "A point is stable at a rate if, while lines are offered at that rate, the \
    scheduling delay does not grow, the median of the total delays is at most the batch \
    interval, and the source is not held up.\n";

const PICTURES: &str = "\n![sustained rates](throughput.svg)\n![latencies](latency.svg)\n\
    ![stable and not](stable.svg)\n";

/// The two lines that a person looks for.
fn choice(all: &[Measured], rate: usize) -> String {
    let stable = all.iter().filter(|measured| measured.reference.stable);
    let smallest = stable.min_by(|a, b| {
        let key =
            |measured: &Measured| (measured.point.interval_ms, measured.reference.latency_us[1]);
        key(a)
            .partial_cmp(&key(b))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    let mut text = match smallest {
        Some(Measured {
            point, reference, ..
        }) => format!(
            "smallest stable interval at {rate} lines/s: {} ms, p99 {} ms ({})\n",
            point.interval_ms,
            figure(reference.latency_us[1] / 1e3),
            point.settings()
        ),
        None => format!("no interval is stable at {rate} lines/s\n"),
    };
    let sustained = all
        .iter()
        .filter_map(|measured| Some((measured, measured.sustained.as_ref()?)));
    match sustained.max_by_key(|(_, probe)| probe.rate) {
        Some((Measured { point, .. }, probe)) => {
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "highest sustained rate: {} lines/s at {} ms ({})",
                probe.rate,
                point.interval_ms,
                point.settings()
            );
        }
        None => text.push_str("no rate is sustained\n"),
    }
    text
}

fn table(all: &[Measured], rate: usize) -> String {
    let mut table = format!(
        "Latencies and delays are those at {rate} lines/s.\n\n\
         | interval | settings | stable | p50 ms | p99 ms | p99.9 ms | scheduling delay early, late \
         us | sustained lines/s | flat out lines/s |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
    );
    for measured in all {
        let Probe {
            health,
            stable,
            latency_us,
            ..
        } = &measured.reference;
        let [p50, p99, p999] = latency_us.map(|us| figure(us / 1e3));
        let sustained = measured.sustained.as_ref().map_or(0, |probe| probe.rate);
        let _ = writeln!(
            table,
            "| {} ms | {} | {} | {p50} | {p99} | {p999} | {}, {} | {sustained} | {:.0} |",
            measured.point.interval_ms,
            measured.point.settings(),
            if *stable { "yes" } else { "no" },
            figure(health.scheduling_us.0),
            figure(health.scheduling_us.1),
            measured.capacity,
        );
    }
    table
}

fn csv(all: &[Measured]) -> String {
    let mut csv = String::from(
        "interval_ms,workers,block_bytes,pin,flat_out,rate,stable,scheduling_early_us,\
         scheduling_late_us,total_p50_us,held_up_us,p50_us,p99_us,p999_us\n",
    );
    for Measured {
        point,
        capacity,
        probes,
        ..
    } in all
    {
        for probe in probes {
            let health = &probe.health;
            let [p50, p99, p999] = probe.latency_us;
            let _ = writeln!(
                csv,
                "{},{},{},{},{capacity:.0},{},{},{},{},{},{},{p50},{p99},{p999}",
                point.interval_ms,
                point.workers,
                point.block_bytes,
                point.pin,
                probe.rate,
                probe.stable,
                health.scheduling_us.0,
                health.scheduling_us.1,
                health.total_us,
                health.held_up.as_micros(),
            );
        }
    }
    csv
}

/// A curve over the intervals for each of the other settings.
fn by_settings(all: &[Measured], y: impl Fn(&Measured) -> Option<f64>) -> Vec<Curve> {
    let mut curves: Vec<Curve> = Vec::new();
    for measured in all {
        let name = measured.point.settings();
        let Some(y) = y(measured) else { continue };
        let point = (measured.point.interval_ms as f64, y);
        match curves.iter_mut().find(|curve| curve.name == name) {
            Some(curve) => curve.points.push(point),
            None => curves.push(Curve {
                name,
                points: vec![point],
                joined: true,
            }),
        }
    }
    curves
}

fn sustained(all: &[Measured]) -> Vec<Curve> {
    by_settings(all, |measured| {
        measured
            .sustained
            .as_ref()
            .map(|probe| probe.rate as f64 / 1e6)
    })
}

/// Three percentiles, of the settings whose 99th is least.
fn latencies(all: &[Measured]) -> Vec<Curve> {
    let best = all
        .iter()
        .min_by(|a, b| a.reference.latency_us[1].total_cmp(&b.reference.latency_us[1]));
    let Some(settings) = best.map(|measured| measured.point.settings()) else {
        return Vec::new();
    };
    let chosen: Vec<&Measured> = all
        .iter()
        .filter(|measured| measured.point.settings() == settings)
        .collect();
    ["p50", "p99", "p99.9"]
        .iter()
        .enumerate()
        .map(|(i, name)| Curve {
            name: (*name).to_owned(),
            points: chosen
                .iter()
                .map(|measured| {
                    (
                        measured.point.interval_ms as f64,
                        measured.reference.latency_us[i] / 1e3,
                    )
                })
                .collect(),
            joined: true,
        })
        .collect()
}

/// All that was tried, by whether it was stable.
fn region(all: &[Measured]) -> Vec<Curve> {
    let points = |stable: bool| {
        all.iter()
            .flat_map(|measured| {
                let interval = measured.point.interval_ms as f64;
                let probes = measured.probes.iter();
                probes
                    .filter(move |probe| probe.stable == stable)
                    .map(move |probe| (interval, probe.rate as f64 / 1e6))
            })
            .collect()
    };
    [("stable", true), ("not stable", false)]
        .map(|(name, stable)| Curve {
            name: name.to_owned(),
            points: points(stable),
            joined: false,
        })
        .into()
}
