//! What is kept of a run: a folder with a table, the single values, and plots.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::args::Args;
use crate::definition::Unit;
use crate::machine;
use crate::plot::bars::bars;
use crate::protocol::Words;
use crate::stats::Spread;

/// What an engine came to in a case.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name.
    pub engine: String,
    /// Its version.
    pub version: String,
    /// Its values in the unit of the case.
    pub shown: Option<Spread>,
    /// How many times faster millstream was.
    pub ratio: Option<Spread>,
    /// How many times faster it should be.
    pub at_least: Option<f64>,
    /// The values round by round.
    pub values: Vec<f64>,
    /// What it told beside, round by round.
    pub facts: Vec<Words>,
}

/// What came out of a case; millstream is the first row.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its name.
    pub case: String,
    /// What is done.
    pub title: String,
    /// The unit of its values.
    pub unit: Unit,
    /// The greatest value that millstream should have.
    pub at_most: Option<f64>,
    /// The engines.
    pub rows: Vec<Row>,
}

impl Unit {
    /// How it is written.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::LinesPerSecond => "M lines/s",
            Self::PerBatch => "ms/batch",
            Self::Latency => "p99 ms",
        }
    }
}

impl Row {
    /// The spread over the rounds of something that it told.
    #[must_use]
    pub fn fact(&self, name: &str) -> Option<Spread> {
        Spread::of(
            self.facts
                .iter()
                .filter_map(|facts| facts.number(name).ok()),
        )
    }
}

impl Outcome {
    /// A line for each engine beside millstream.
    pub fn print_ratios(&self) {
        for row in &self.rows {
            if let Some(ratio) = row.ratio {
                println!("ratio {} {} {ratio}", self.case, row.engine);
            }
        }
        if let (Some(at_most), Some(ours)) = (self.at_most, self.rows[0].shown) {
            let unit = self.unit.text();
            println!("value {} {ours} {unit}, at most {at_most}", self.case);
        }
    }
}

/// The record of a run.
#[derive(Debug)]
pub struct Record {
    folder: PathBuf,
    command: String,
    facts: Vec<(String, String)>,
    outcomes: Vec<Outcome>,
}

impl Record {
    /// An empty record for a command; takes note of the machine.
    ///
    /// # Errors
    /// If its folder cannot be made.
    pub fn new(command: &str, args: &Args, home: &Path) -> Result<Self> {
        Ok(Self {
            folder: folder(command, args, home)?,
            command: std::env::args().skip(1).collect::<Vec<_>>().join(" "),
            facts: machine::facts(home),
            outcomes: Vec::new(),
        })
    }

    /// Adds what came out of a case.
    pub fn add(&mut self, outcome: Outcome) {
        self.outcomes.push(outcome);
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self) -> Result<()> {
        if self.outcomes.is_empty() {
            return Err("no workload has such a name".into());
        }
        let report = format!(
            "# Compared\n\n`perf {}`\n\n{}\n{}",
            self.command,
            facts_table(&self.facts),
            self.table()
        );
        fs::write(self.folder.join("report.md"), report)?;
        fs::write(self.folder.join("results.csv"), self.csv())?;
        for outcome in &self.outcomes {
            let rows = outcome.rows.iter();
            let rows: Vec<_> = rows
                .filter_map(|row| Some((row.engine.as_str(), row.shown?)))
                .collect();
            let title = format!("{}: {}", outcome.case, outcome.title);
            let plot = bars(&title, outcome.unit.text(), &rows);
            fs::write(self.folder.join(plot_name(&outcome.case)), plot)?;
        }
        println!("record {}", self.folder.display());
        Ok(())
    }

    fn table(&self) -> String {
        let mut table = String::from(
            "A ratio says how many times faster millstream is: the median of the rounds, and \
             their range.\n\n\
             | workload | engine | version | unit | median (range) | ratio | at least | |\n\
             | --- | --- | --- | --- | --- | --- | --- | --- |\n",
        );
        for outcome in &self.outcomes {
            for row in &outcome.rows {
                let told = |spread: Option<Spread>| {
                    spread.map_or(String::new(), |spread| spread.to_string())
                };
                let at_least = row.at_least.map_or(String::new(), |x| x.to_string());
                let met = match (row.at_least, row.ratio) {
                    (Some(least), Some(ratio)) if ratio.median >= least => "met",
                    (Some(_), Some(_)) => "**short**",
                    _ => "",
                };
                // Writing to a string does not fail.
                let _ = writeln!(
                    table,
                    "| {} | {} | {} | {} | {} | {} | {at_least} | {met} |",
                    outcome.case,
                    row.engine,
                    row.version,
                    outcome.unit.text(),
                    told(row.shown),
                    told(row.ratio),
                );
            }
        }
        table.push_str(&self.told(
            |unit| unit == Unit::Latency,
            "Latencies in microseconds",
            &[
                ("p50_us", "p50"),
                ("p99_us", "p99"),
                ("p999_us", "p99.9"),
                ("max_us", "max"),
            ],
        ));
        table.push_str(&self.told(
            |unit| unit != Unit::Latency,
            "CPU time of a line in microseconds",
            &[
                ("user_us", "engine"),
                ("system_us", "its system calls"),
                ("sender_user_us", "sender"),
                ("sender_system_us", "its system calls"),
                ("cpus", "CPUs busy"),
            ],
        ));
        for outcome in &self.outcomes {
            let name = plot_name(&outcome.case);
            let _ = write!(table, "\n![{}]({name})", outcome.case);
        }
        table.push('\n');
        table
    }

    /// A table of what engines told in cases of some units, if any did: a column for
    /// each name, with its heading.
    fn told(&self, of: fn(Unit) -> bool, what: &str, columns: &[(&str, &str)]) -> String {
        let mut table = String::new();
        for outcome in self.outcomes.iter().filter(|outcome| of(outcome.unit)) {
            for row in &outcome.rows {
                let values = columns.iter().map(|(name, _)| row.fact(name));
                let values: Vec<Option<Spread>> = values.collect();
                if values.iter().all(Option::is_none) {
                    continue;
                }
                let _ = write!(table, "| {} | {} |", outcome.case, row.engine);
                for value in values {
                    let value = value.map_or(String::new(), |value| value.to_string());
                    let _ = write!(table, " {value} |");
                }
                table.push('\n');
            }
        }
        if table.is_empty() {
            return table;
        }
        let headings: String = columns
            .iter()
            .map(|(_, name)| format!(" {name} |"))
            .collect();
        let lines = " --- |".repeat(columns.len() + 2);
        format!(
            "\n{what}, medians of the rounds:\n\n| workload | engine |{headings}\n|{lines}\n{table}"
        )
    }

    fn csv(&self) -> String {
        let mut csv = String::from("workload,engine,version,unit,round,value,facts\n");
        for outcome in &self.outcomes {
            for row in &outcome.rows {
                for (round, (value, facts)) in (1..).zip(row.values.iter().zip(&row.facts)) {
                    let _ = writeln!(
                        csv,
                        "{},{},\"{}\",{},{round},{value},{facts}",
                        outcome.case,
                        row.engine,
                        row.version,
                        outcome.unit.text(),
                    );
                }
            }
        }
        csv
    }
}

/// Makes the folder of a record.
///
/// # Errors
/// If it cannot be made.
pub fn folder(command: &str, args: &Args, home: &Path) -> Result<PathBuf> {
    let name = args.name.as_deref().unwrap_or(command);
    let folder = match &args.out {
        Some(folder) => folder.clone(),
        None => home.join(format!("record/{}-{name}", machine::date())),
    };
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Facts of the machine as a table.
#[must_use]
pub fn facts_table(facts: &[(String, String)]) -> String {
    let rows = facts
        .iter()
        .map(|(name, value)| format!("| {name} | {value} |\n"));
    format!("| | |\n| --- | --- |\n{}", rows.collect::<String>())
}

fn plot_name(case: &str) -> String {
    format!("{}.svg", case.replace('/', "-"))
}
