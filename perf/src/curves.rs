//! How cost grows: a curve for each thing that there can be more of.

use std::fmt::Write as _;
use std::fs;

use crate::args::Args;
use crate::compare::told;
use crate::definition::{Against, Case, Definition, Program, Setting, Settings, Size, Unit};
use crate::digest::Digest;
use crate::lab::Lab;
use crate::plot::curves::{Curve, curves as plot};
use crate::process::Process;
use crate::protocol::Words;
use crate::record::{facts_table, folder};
use crate::stats::{Spread, figure};
use crate::{Result, compare, machine};

/// A curve's plot: what its axes mean, and its lines.
struct Plot {
    name: &'static str,
    title: &'static str,
    x_label: &'static str,
    y_label: &'static str,
    lines: Vec<Curve>,
}

/// Runs `curves`.
///
/// # Errors
/// If an engine fails or comes to another result than it should.
pub fn curves(args: &Args) -> Result<()> {
    let lab = Lab::open()?;
    let folder = folder("curves", args, &lab.home)?;
    let facts = machine::facts(&lab.home);
    let sources: [(&str, fn(&Lab, &Args) -> Result<Plot>); 5] = [
        ("records", records),
        ("keys", keys),
        ("window", window),
        ("streams", streams),
        ("interval", interval),
    ];
    let mut report = format!("# Curves\n\n{}", facts_table(&facts));
    let mut csv = String::from("curve,engine,x,y\n");
    for (name, measure) in sources {
        if !args.wants(name) {
            continue;
        }
        eprintln!("curve {name}");
        let made = measure(&lab, args)?;
        let svg = plot(made.title, made.x_label, made.y_label, &made.lines);
        fs::write(folder.join(format!("{name}.svg")), svg)?;
        report.push_str(&made.table());
        csv.push_str(&made.csv());
    }
    fs::write(folder.join("report.md"), report)?;
    fs::write(folder.join("curves.csv"), csv)?;
    println!("record {}", folder.display());
    Ok(())
}

impl Plot {
    fn table(&self) -> String {
        let mut table = format!("\n## {}\n\n| {} |", self.title, self.x_label);
        for line in &self.lines {
            // Writing to a string does not fail.
            let _ = write!(table, " {}, {} |", line.name, self.y_label);
        }
        table.push_str("\n| --- |");
        table.push_str(&" --- |".repeat(self.lines.len()));
        table.push('\n');
        let rows = self.lines.iter().map(|line| line.points.len()).max();
        for row in 0..rows.unwrap_or_default() {
            let x = self.lines.iter().find_map(|line| line.points.get(row));
            let _ = write!(table, "| {} |", x.map_or(0.0, |point| point.0));
            for line in &self.lines {
                let y = line
                    .points
                    .get(row)
                    .map_or(String::new(), |point| figure(point.1));
                let _ = write!(table, " {y} |");
            }
            table.push('\n');
        }
        let _ = writeln!(table, "\n![{}]({}.svg)", self.title, self.name);
        table
    }

    fn csv(&self) -> String {
        let mut csv = String::new();
        for line in &self.lines {
            for (x, y) in &line.points {
                let _ = writeln!(csv, "{},{},{x},{y}", self.name, line.name);
            }
        }
        csv
    }
}

/// Runs a program at some sizes, against the loop that is written by hand; gives the
/// seconds of a batch by `y`.
fn at_sizes(
    lab: &Lab,
    args: &Args,
    program: Program,
    settings: &Settings,
    sizes: Vec<(f64, Size)>,
    y: impl Fn(f64, &Size) -> f64,
) -> Result<Vec<Curve>> {
    let mut lines: Vec<Curve> = Vec::new();
    for (x, size) in sizes {
        let definition = Definition {
            title: format!("{x}"),
            program,
            unit: Unit::PerBatch,
            case: Vec::new(),
        };
        let case = Case {
            name: program.name().to_owned(),
            workers: 2,
            settings: settings.clone(),
            full: size.clone(),
            quick: size.clone(),
            at_most: None,
            against: vec![Against::new("by-hand")],
        };
        for row in compare::run_case(lab, &definition, &case, args)?.rows {
            let Some(shown) = row.shown else { continue };
            let point = (x, y(shown.median / 1e3, &size));
            match lines.iter_mut().find(|line| line.name == row.engine) {
                Some(line) => line.points.push(point),
                None => lines.push(line(&row.engine, vec![point])),
            }
        }
    }
    Ok(lines)
}

fn line(name: &str, points: Vec<(f64, f64)>) -> Curve {
    Curve {
        name: name.to_owned(),
        points,
        joined: true,
    }
}

/// Nanoseconds for each of so many things in a batch.
fn nanos_each(seconds: f64, n: usize) -> f64 {
    seconds * 1e9 / n as f64
}

fn records(lab: &Lab, args: &Args) -> Result<Plot> {
    let base = if args.quick { 500 } else { 10_000 };
    let size = |times: usize| Size {
        batch: base * times,
        batches: 1,
        warm_up: 100 / times + 1,
        steps: (100 / times).max(1),
        ..Size::default()
    };
    let sizes = [1, 10, 100].map(|times| ((base * times) as f64, size(times)));
    let y = |seconds, size: &Size| nanos_each(seconds, size.batch);
    Ok(Plot {
        name: "records",
        title: "word count: cost of a line by lines in a batch",
        x_label: "lines in a batch",
        y_label: "ns/line",
        lines: at_sizes(
            lab,
            args,
            Program::WordCount,
            &Settings::new(),
            sizes.into(),
            y,
        )?,
    })
}

fn keys(lab: &Lab, args: &Args) -> Result<Plot> {
    let (batch, most) = if args.quick {
        (20_000, 5)
    } else {
        (1_000_000, 7)
    };
    let size = |keys| Size {
        batch,
        batches: 8,
        keys,
        warm_up: 2,
        steps: 2,
        ..Size::default()
    };
    let sizes = (3..=most).map(|power| 10_usize.pow(power));
    let sizes = sizes.map(|keys| (keys as f64, size(keys))).collect();
    let settings = [("emit".to_owned(), Setting::Text("state".to_owned()))];
    let y = |seconds, size: &Size| nanos_each(seconds, size.batch);
    Ok(Plot {
        name: "keys",
        title: "running sum: cost of an update by keys that are there",
        x_label: "keys",
        y_label: "ns/update",
        lines: at_sizes(lab, args, Program::State, &settings.into(), sizes, y)?,
    })
}

fn window(lab: &Lab, args: &Args) -> Result<Plot> {
    let (batch, keys) = if args.quick {
        (500, 1_000)
    } else {
        (10_000, 100_000)
    };
    let size = |window: usize| Size {
        batch,
        batches: window + 10,
        keys,
        zipf: 1.0,
        window,
        warm_up: window + 10,
        steps: 10,
        ..Size::default()
    };
    let sizes = [10, 100, 1_000].map(|window| (window as f64, size(window)));
    let y = |seconds: f64, _: &Size| seconds * 1e6;
    Ok(Plot {
        name: "window",
        title: "sliding count: cost of a slide by batches in the window",
        x_label: "batches in the window",
        y_label: "us/slide",
        lines: at_sizes(
            lab,
            args,
            Program::Window,
            &Settings::new(),
            sizes.into(),
            y,
        )?,
    })
}

/// The keyed count of the numbers below `records`, so many times.
fn counted(records: u64, times: u64) -> Digest {
    let mut once = Digest::default();
    (0..records).for_each(|key| once.key(key, 1));
    Digest {
        count: once.count * times,
        sum: once.sum.wrapping_mul(times),
    }
}

fn check(what: &str, came: Digest, right: Digest) -> Result<()> {
    if came != right {
        let (came, right) = (told(came), told(right));
        return Err(format!("{what}: {came} in place of {right}").into());
    }
    Ok(())
}

fn streams(lab: &Lab, args: &Args) -> Result<Plot> {
    let (records, steps) = if args.quick {
        (1_000, 20)
    } else {
        (10_000, 200)
    };
    let mut points = Vec::new();
    for streams in [1, 2, 4, 8, 16, 32, 64] {
        let order = Words::default()
            .with("program", "streams")
            .with("workers", 2)
            .with("streams", streams)
            .with("batch", records);
        let started = lab.start("millstream", order)?;
        let (mut engine, _) = started.ok_or("millstream is always there")?;
        let order = Words::default().with("steps", steps);
        let mut times = Vec::new();
        for round in 0..=args.rounds(9, 3) {
            let done = engine.run(&order)?;
            check("streams", done.digest, counted(records, steps))?;
            // The first round warms up.
            if round > 0 {
                times.push(done.time.as_secs_f64() * 1e6 / steps as f64);
            }
        }
        let spread = Spread::of(times).ok_or("there are rounds")?;
        points.push((f64::from(streams), spread.median));
    }
    Ok(Plot {
        name: "streams",
        title: "keyed counts of the same records, in so many streams",
        x_label: "streams",
        y_label: "us/batch",
        lines: vec![line("millstream", points)],
    })
}

fn interval(lab: &Lab, args: &Args) -> Result<Plot> {
    let seconds = if args.quick { 0.5 } else { 5.0 };
    let (mut delays, mut busy) = (Vec::new(), Vec::new());
    for interval_ms in [1_000, 300, 100, 30, 10, 3, 1] {
        let steps = (seconds * 1e3 / f64::from(interval_ms)) as u64;
        // At the longest intervals some seconds are few batches.
        let steps = steps.max(if args.quick { 1 } else { 5 });
        let environment = [("MILLSTREAM_BATCH_INTERVAL", format!("{interval_ms}ms"))];
        let mut command = lab.millstream(&environment);
        let mut engine = Process::start("millstream", &mut command, lab.data.folder())?;
        engine.prepare(&Words::default().with("program", "overhead"))?;
        let done = engine.run(&Words::default().with("steps", steps))?;
        check("interval", done.digest, counted(10, steps))?;
        delays.push((f64::from(interval_ms), done.time.as_secs_f64() * 1e6));
        busy.push((f64::from(interval_ms), done.facts.number("cpu_us")?));
    }
    Ok(Plot {
        name: "interval",
        title: "overhead of a batch of ten records",
        x_label: "batch interval, ms",
        y_label: "us/batch",
        lines: vec![
            line("from cut to end", delays),
            line("processor time", busy),
        ],
    })
}
