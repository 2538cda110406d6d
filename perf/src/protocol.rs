//! What an engine and the laboratory say to each other, a line each.
//!
//! ```text
//! -> prepare program=word-count workers=2 input=W1.text ...
//! <- ready version=0.32
//! -> run steps=1
//! <- done nanos=108123456 count=99871 sum=1234567890 p99_us=17
//! ```
//!
//! A line is a word and then names with values, which have no spaces in them. An
//! engine answers `error` and a reason in place of `ready` or `done`. It ends with its
//! input. What it prints to standard error goes to the person.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::io::{self, BufRead, Write};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use crate::Result;
use crate::digest::Digest;

/// The names of a line with their values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(BTreeMap<String, String>);

impl Words {
    /// Reads a line: its first word, and the rest.
    ///
    /// # Errors
    /// If a word has no `=`.
    pub fn parse(line: &str) -> Result<(&str, Self)> {
        let mut words = line.split_whitespace();
        let verb = words.next().unwrap_or_default();
        let pairs = words.map(|word| match word.split_once('=') {
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => Err(format!("{word} in \"{line}\" is no name=value")),
        });
        Ok((verb, Self(pairs.collect::<Result<_, _>>()?)))
    }

    /// The same with one more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.0.insert(name.to_owned(), value.to_string());
        self
    }

    /// The value of a name, if it was given.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The value of a name.
    ///
    /// # Errors
    /// If it was not given.
    pub fn text(&self, name: &str) -> Result<&str> {
        self.get(name)
            .ok_or_else(|| format!("{name} is missing").into())
    }

    /// The value of a name, as a number.
    ///
    /// # Errors
    /// If it was not given or is none.
    pub fn number<N: FromStr>(&self, name: &str) -> Result<N> {
        let text = self.text(name)?;
        text.parse()
            .map_err(|_| format!("{name}={text} is no number").into())
    }

    /// As [`number`](Self::number), and leaves the name out from then on.
    fn take<N: FromStr>(&mut self, name: &str) -> Result<N> {
        let number = self.number(name)?;
        self.0.remove(name);
        Ok(number)
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, value)) in self.0.iter().enumerate() {
            let space = if i > 0 { " " } else { "" };
            write!(f, "{space}{name}={value}")?;
        }
        Ok(())
    }
}

/// What an engine did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Done {
    /// How long it took; of a latency, the latency.
    pub time: Duration,
    /// What came out.
    pub digest: Digest,
    /// What else there is to say, such as percentiles.
    pub facts: Words,
}

impl Done {
    /// Reads the answer of an engine.
    ///
    /// # Errors
    /// If it is another answer, with its reason.
    pub fn parse(line: &str) -> Result<Self> {
        let (verb, mut facts) = answer(line)?;
        if verb != "done" {
            return Err(format!("\"{line}\" is no answer to run").into());
        }
        Ok(Self {
            time: Duration::from_nanos(facts.take("nanos")?),
            digest: Digest {
                count: facts.take("count")?,
                sum: facts.take("sum")?,
            },
            facts,
        })
    }
}

/// Reads an answer: its first word, and the rest.
///
/// # Errors
/// If it is an error, or no answer.
pub fn answer(line: &str) -> Result<(&str, Words)> {
    match line.strip_prefix("error ") {
        Some(reason) => Err(reason.into()),
        None => Words::parse(line),
    }
}

/// A program that was prepared.
pub trait Engine {
    /// Does what `order` says, and tells how long it took.
    ///
    /// # Errors
    /// If it cannot be done.
    fn run(&mut self, order: &Words) -> Result<Done>;
}

/// Serves as an engine on standard input and output. `prepare` makes one ready.
pub fn serve(version: &str, prepare: fn(&Words) -> Result<Box<dyn Engine>>) -> ExitCode {
    match serve_on(io::stdin().lock(), io::stdout(), version, prepare) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn serve_on(
    orders: impl BufRead,
    mut answers: impl Write,
    version: &str,
    prepare: fn(&Words) -> Result<Box<dyn Engine>>,
) -> Result<()> {
    let mut engine = None;
    for order in orders.lines() {
        let answer = obey(&order?, &mut engine, version, prepare)
            .unwrap_or_else(|error| format!("error {error}").replace('\n', " "));
        writeln!(answers, "{answer}")?;
        answers.flush()?;
    }
    Ok(())
}

fn obey(
    order: &str,
    engine: &mut Option<Box<dyn Engine>>,
    version: &str,
    prepare: fn(&Words) -> Result<Box<dyn Engine>>,
) -> Result<String> {
    match Words::parse(order)? {
        ("prepare", words) => {
            *engine = Some(prepare(&words)?);
            Ok(format!("ready version={version}"))
        }
        ("run", words) => {
            let engine = engine.as_mut().ok_or("run comes after prepare")?;
            let Done {
                time,
                digest,
                facts,
            } = engine.run(&words)?;
            let mut answer = format!(
                "done nanos={} count={} sum={}",
                time.as_nanos(),
                digest.count,
                digest.sum
            );
            if facts != Words::default() {
                write!(answer, " {facts}")?;
            }
            Ok(answer)
        }
        (verb, _) => Err(format!("{verb} is neither prepare nor run").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Adder(u64);

    impl Engine for Adder {
        fn run(&mut self, order: &Words) -> Result<Done> {
            self.0 += order.number::<u64>("steps")?;
            let mut digest = Digest::default();
            digest.key(0, self.0 as i64);
            Ok(Done {
                time: Duration::from_micros(3),
                digest,
                facts: Words::default().with("p99_us", 17),
            })
        }
    }

    #[test]
    fn an_engine_answers_each_line() {
        let orders = "run steps=1\nprepare start=5\nrun steps=2\nrun\n";
        let mut answers = Vec::new();
        serve_on(orders.as_bytes(), &mut answers, "7", |order| {
            Ok(Box::new(Adder(order.number("start")?)))
        })
        .unwrap();
        let answers = String::from_utf8(answers).unwrap();
        let answers: Vec<&str> = answers.lines().collect();
        assert_eq!(answers[0], "error run comes after prepare");
        assert_eq!(answers[1], "ready version=7");
        assert_eq!(answers[3], "error steps is missing");
        let done = Done::parse(answers[2]).unwrap();
        let mut digest = Digest::default();
        digest.key(0, 7);
        assert_eq!((done.time.as_nanos(), done.digest), (3_000, digest));
        assert_eq!(done.facts.get("p99_us"), Some("17"));
        let error = Done::parse(answers[3]).unwrap_err();
        assert_eq!(error.to_string(), "steps is missing");
    }
}
