//! The command line.

use std::path::PathBuf;
use std::str::FromStr;

use crate::Result;

/// What `perf help` prints.
pub const USAGE: &str = "\
perf compare [--quick] [--rounds N] [WORKLOAD ...]   engines against each other, in turn
perf sweep [--quick]                                 settings of the environment
perf curves [--quick] [--rounds N] [CURVE ...]       how cost grows
perf expect [--quick] [WORKLOAD ...]                 the expected results, to pin them

--quick       small inputs, to see that all works
--rounds N    rounds that are measured, after one that warms up
--name NAME   name of the record, in perf/record/<date>-<NAME>
--out DIR     where the record goes instead
--skip NAME   leaves engines out whose names begin so; may be given again

A WORKLOAD is the beginning of a name: W3 for all of it, W3-100k for a part.
";

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub struct Args {
    /// Small inputs.
    pub quick: bool,
    /// Rounds to measure, if given.
    pub rounds: Option<usize>,
    /// The name of the record, if given.
    pub name: Option<String>,
    /// The folder of the record, if given.
    pub out: Option<PathBuf>,
    /// How the names of engines begin that are left out.
    pub skip: Vec<String>,
    /// Workloads or curves.
    pub words: Vec<String>,
}

impl Args {
    /// Reads the words behind the command.
    ///
    /// # Errors
    /// If an option is unknown or lacks its value.
    pub fn parse(mut given: impl Iterator<Item = String>) -> Result<Self> {
        let mut args = Self::default();
        while let Some(word) = given.next() {
            match word.as_str() {
                "--quick" => args.quick = true,
                "--rounds" => args.rounds = Some(value(&word, given.next())?),
                "--name" => args.name = Some(value(&word, given.next())?),
                "--out" => args.out = Some(value(&word, given.next())?),
                "--skip" => args.skip.push(value(&word, given.next())?),
                option if option.starts_with('-') => {
                    return Err(format!("unknown option {option}\n\n{USAGE}").into());
                }
                _ => args.words.push(word),
            }
        }
        Ok(args)
    }

    /// Whether something of this name was asked for.
    #[must_use]
    pub fn wants(&self, name: &str) -> bool {
        let begins = |word: &String| name.to_lowercase().starts_with(&word.to_lowercase());
        self.words.is_empty() || self.words.iter().any(begins)
    }

    /// Whether an engine is left out.
    #[must_use]
    pub fn skips(&self, engine: &str) -> bool {
        self.skip.iter().any(|skipped| engine.starts_with(skipped))
    }

    /// Rounds to measure.
    #[must_use]
    pub fn rounds(&self, full: usize, quick: usize) -> usize {
        self.rounds
            .unwrap_or(if self.quick { quick } else { full })
            .max(1)
    }
}

fn value<T: FromStr>(option: &str, value: Option<String>) -> Result<T> {
    value
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| format!("{option} needs a value").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args> {
        Args::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn workloads_are_chosen_by_the_beginning_of_their_name() {
        let args = parse("--quick W3-100k w1 --rounds 9").unwrap();
        assert!(args.quick && args.rounds(7, 5) == 9);
        let wanted = ["W1/1", "W3-100k/2", "W3-1m/2"].map(|name| args.wants(name));
        assert_eq!(wanted, [true, true, false]);
        assert!(parse("").unwrap().wants("W3-1m/2"));
    }

    #[test]
    fn wrong_options_are_named() {
        let error = parse("--fast").unwrap_err().to_string();
        assert!(error.starts_with("unknown option --fast"), "{error}");
        let error = parse("--rounds many").unwrap_err().to_string();
        assert_eq!(error, "--rounds needs a value");
    }
}
