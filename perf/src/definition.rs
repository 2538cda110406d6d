//! The workloads, as `definitions/*.toml` has them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Deserialize;

use crate::Result;
use crate::digest::Digest;
use crate::protocol::Words;

/// A workload: a program, in some cases.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// What is done.
    pub title: String,
    /// Which program of the engines does it.
    pub program: Program,
    /// How its times are told.
    pub unit: Unit,
    /// Its cases.
    pub case: Vec<Case>,
}

/// The programs that engines may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Program {
    /// Counts the words of a text.
    WordCount,
    /// Counts the lines that hold a word.
    Grep,
    /// The most frequent words of a sliding window.
    Top,
    /// Sums by key over a sliding window.
    Window,
    /// Running sums by key.
    State,
    /// Lines from a socket, by the clock.
    Live,
}

impl Program {
    /// The name that engines know it by.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::WordCount => "word-count",
            Self::Grep => "grep",
            Self::Top => "top",
            Self::Window => "window",
            Self::State => "state",
            Self::Live => "live",
        }
    }
}

/// How times are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Unit {
    /// Millions of lines in a second.
    #[serde(rename = "M lines/s")]
    LinesPerSecond,
    /// Milliseconds for a batch.
    #[serde(rename = "ms/batch")]
    PerBatch,
    /// The 99th percentile of latencies in milliseconds.
    #[serde(rename = "p99 ms")]
    Latency,
}

/// A workload at one size and number of workers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Such as `W1/2`.
    pub name: String,
    /// Threads that process.
    pub workers: usize,
    /// More that the engines are told.
    #[serde(default)]
    pub settings: Settings,
    /// The size to measure.
    pub full: Size,
    /// A size to see that all works.
    pub quick: Size,
    /// The greatest value that millstream should have, in the case's unit.
    pub at_most: Option<f64>,
    /// Who runs beside millstream.
    pub against: Vec<Against>,
}

/// How much there is of everything.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Size {
    /// Records of a batch.
    pub batch: usize,
    /// Different batches, which come again and again.
    pub batches: usize,
    /// Distinct keys.
    pub keys: usize,
    /// The exponent of the keys' distribution; zero is uniform.
    pub zipf: f64,
    /// Batches in a window.
    pub window: usize,
    /// Batches before the first measured round.
    pub warm_up: usize,
    /// Batches in a round. Over a socket the clock makes the batches; this is then how
    /// often the text is sent.
    pub steps: usize,
    /// Lines that are sent in a second; zero is as many as are taken.
    pub rate: usize,
    /// For how long they are sent.
    pub seconds: u64,
    /// The result after the batches before the first round, as `count:sum`.
    pub expect: String,
}

impl Size {
    /// The pinned result, if there is one.
    ///
    /// # Errors
    /// If it is written wrongly.
    pub fn expected(&self) -> Result<Option<Digest>> {
        if self.expect.is_empty() {
            return Ok(None);
        }
        let parse = || {
            let (count, sum) = self.expect.split_once(':')?;
            Some(Digest {
                count: count.parse().ok()?,
                sum: u64::from_str_radix(sum, 16).ok()?,
            })
        };
        let error = || format!("expect = \"{}\" is no count:sum", self.expect).into();
        parse().ok_or_else(error).map(Some)
    }
}

/// An engine beside millstream.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Against {
    /// Its name in `engines/engines.toml`.
    pub engine: String,
    /// How many times faster millstream should be.
    pub at_least: Option<f64>,
    /// Batches in a round, if a round of the others would take it too long.
    pub steps: Option<usize>,
    /// Batches before the first round, if those of the others would.
    pub warm_up: Option<usize>,
    /// More that this engine is told.
    #[serde(default)]
    pub settings: Settings,
}

impl Against {
    /// An engine that is told nothing more.
    #[must_use]
    pub fn new(engine: &str) -> Self {
        Self {
            engine: engine.to_owned(),
            at_least: None,
            steps: None,
            warm_up: None,
            settings: Settings::new(),
        }
    }
}

/// More that engines are told, by name.
pub type Settings = BTreeMap<String, Setting>;

/// The value of a setting.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Setting {
    /// A number.
    Number(u64),
    /// A text without spaces.
    Text(String),
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

/// Adds settings to what an engine is told.
#[must_use]
pub fn add(words: Words, settings: &Settings) -> Words {
    let add = |words: Words, (name, value): (&String, _)| words.with(name, value);
    settings.iter().fold(words, add)
}

/// Reads all definitions of a folder, by name.
///
/// # Errors
/// If one cannot be read, with its name.
pub fn read_all(folder: &Path) -> Result<Vec<Definition>> {
    let mut files: Vec<_> = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|file| file.extension().is_some_and(|ext| ext == "toml"));
    files.sort();
    files.iter().map(|file| read(file)).collect()
}

/// Reads a file of settings, and names it in an error.
///
/// # Errors
/// If it cannot be read.
pub fn read<T: for<'de> Deserialize<'de>>(file: &Path) -> Result<T> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| format!("{}: {error}", file.display()))?;
    toml::from_str(&text).map_err(|error| format!("{}: {error}", file.display()).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Data;
    use crate::lab::Kind;
    use crate::twin;

    fn home() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR"))
    }

    fn definitions() -> Vec<Definition> {
        read_all(&home().join("definitions")).unwrap()
    }

    #[test]
    fn definitions_name_engines_that_are_there() {
        let engines: BTreeMap<String, Kind> = read(&home().join("engines/engines.toml")).unwrap();
        for definition in definitions() {
            for against in definition.case.iter().flat_map(|case| &case.against) {
                assert!(engines.contains_key(&against.engine), "{}", against.engine);
            }
        }
    }

    #[test]
    fn names_of_cases_differ_and_tell_the_workers() {
        let mut names = Vec::new();
        for case in definitions().iter().flat_map(|definition| &definition.case) {
            if let Some((_, workers)) = case.name.split_once('/') {
                assert_eq!(workers, case.workers.to_string(), "{}", case.name);
            }
            assert!(!names.contains(&case.name), "{}", case.name);
            names.push(case.name.clone());
        }
        assert!(names.len() >= 10);
    }

    #[test]
    fn the_plain_computation_comes_to_what_is_pinned() {
        let folder = std::env::temp_dir().join(format!("perf-lab-{}", std::process::id()));
        let data = Data::in_folder(&folder).unwrap();
        for definition in definitions() {
            for case in &definition.case {
                let size = &case.quick;
                let Some(pinned) = size.expected().unwrap() else {
                    continue;
                };
                let after = [size.warm_up];
                let results = twin::results(case, definition.program, size, &data, &after);
                assert_eq!(results.unwrap()[&size.warm_up], pinned, "{}", case.name);
            }
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
