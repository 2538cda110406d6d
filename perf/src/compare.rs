//! Engines against each other: they stay alive, and take turns round by round.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::args::Args;
use crate::data::wanted_word;
use crate::definition::{self, Against, Case, Definition, Program, Size, Unit};
use crate::digest::Digest;
use crate::lab::Lab;
use crate::process::Process;
use crate::protocol::{Done, Words};
use crate::record::{Outcome, Record, Row};
use crate::sender::{Pace, Sender};
use crate::stats::Spread;
use crate::{Result, facts, input, twin};

/// Runs `compare`.
///
/// # Errors
/// If an engine fails, or comes to another result than it should.
pub fn compare(args: &Args) -> Result<()> {
    let lab = Lab::open()?;
    let mut record = Record::new("compare", args, &lab.home)?;
    for definition in definition::read_all(&lab.home.join("definitions"))? {
        for case in &definition.case {
            if args.wants(&case.name) {
                eprintln!("{}: {}", case.name, definition.title);
                let outcome = run_case(&lab, &definition, case, args)?;
                outcome.print_ratios();
                record.add(outcome);
            }
        }
    }
    record.write()
}

/// Runs a case with all engines that are there.
///
/// # Errors
/// If an engine fails, or comes to another result than it should.
pub fn run_case(lab: &Lab, definition: &Definition, case: &Case, args: &Args) -> Result<Outcome> {
    Trial::new(lab, definition, case, args)?.run(args.rounds(9, 5))
}

/// A case, with the engines that are there.
struct Trial<'a> {
    definition: &'a Definition,
    case: &'a Case,
    size: &'a Size,
    lab: &'a Lab,
    /// millstream first.
    contenders: Vec<Contender<'a>>,
    /// What is sent, where lines are.
    text: Arc<Vec<u8>>,
}

struct Contender<'a> {
    against: Option<&'a Against>,
    name: &'a str,
    process: Process,
    version: String,
    /// Batches that it has processed.
    processed: usize,
    /// Seconds for a batch, or a latency, round by round.
    times: Vec<f64>,
    facts: Vec<Words>,
}

impl Contender<'_> {
    fn steps(&self, size: &Size) -> usize {
        self.against
            .and_then(|against| against.steps)
            .unwrap_or(size.steps)
    }

    fn warm_up(&self, size: &Size) -> usize {
        self.against
            .and_then(|against| against.warm_up)
            .unwrap_or(size.warm_up)
    }
}

impl<'a> Trial<'a> {
    /// Starts the engines.
    fn new(lab: &'a Lab, definition: &'a Definition, case: &'a Case, args: &Args) -> Result<Self> {
        let size = if args.quick { &case.quick } else { &case.full };
        let name = lab.data.input(definition.program, size)?;
        let text = match definition.program {
            Program::Live => input::read(lab.data.path(&name))?,
            _ => Vec::new(),
        };
        let mut trial = Self {
            definition,
            case,
            size,
            lab,
            contenders: Vec::new(),
            text: Arc::new(text),
        };
        let order = trial.order(&name);
        trial.start("millstream", order.clone(), None)?;
        for against in &case.against {
            if !args.skips(&against.engine) {
                let order = definition::add(order.clone(), &against.settings);
                trial.start(&against.engine, order, Some(against))?;
            }
        }
        Ok(trial)
    }

    fn start(&mut self, name: &'a str, order: Words, against: Option<&'a Against>) -> Result<()> {
        if let Some((process, version)) = self.lab.start(name, order)? {
            self.contenders.push(Contender {
                against,
                name,
                process,
                version,
                processed: 0,
                times: Vec::new(),
                facts: Vec::new(),
            });
        }
        Ok(())
    }

    /// What all engines are told.
    fn order(&self, input: &str) -> Words {
        let size = self.size;
        let words = Words::default()
            .with("program", self.definition.program.name())
            .with("input", input)
            .with("workers", self.case.workers)
            .with("batch", size.batch)
            .with("batches", size.batches)
            .with("keys", size.keys)
            .with("window", size.window);
        let words = match self.definition.program {
            Program::Grep => words.with("needle", wanted_word()),
            _ => words,
        };
        definition::add(words, &self.case.settings)
    }

    /// Warms up, then measures, in turn; every other round backwards, so that nobody
    /// always follows the same one.
    fn run(mut self, rounds: usize) -> Result<Outcome> {
        let expected = self.expected(rounds)?;
        for i in 0..self.contenders.len() {
            let steps = self.contenders[i].warm_up(self.size);
            self.turn(i, steps, &expected)?;
        }
        for round in 0..rounds {
            let mut order: Vec<usize> = (0..self.contenders.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for i in order {
                let steps = self.contenders[i].steps(self.size);
                let (time, facts) = self.turn(i, steps, &expected)?;
                self.contenders[i].times.push(time);
                self.contenders[i].facts.push(facts);
            }
        }
        Ok(self.outcome())
    }

    /// What has to come out after any number of batches that an engine will have
    /// processed. The definition pins the one before the first round.
    fn expected(&self, rounds: usize) -> Result<BTreeMap<usize, Digest>> {
        let size = self.size;
        let live = self.definition.program == Program::Live;
        let mut after = vec![size.warm_up];
        for contender in &self.contenders {
            let (warm_up, steps) = (contender.warm_up(size), contender.steps(size));
            if live {
                // Each connection is a program of its own.
                after.extend([warm_up, steps]);
            } else {
                after.extend((0..=rounds).map(|round| warm_up + round * steps));
            }
        }
        after.sort_unstable();
        after.dedup();
        let program = self.definition.program;
        let results = twin::results(self.case, program, size, &self.lab.data, &after)?;
        let pinned = size.expected()?;
        if pinned.is_some_and(|pinned| results[&size.warm_up] != pinned) {
            return Err(format!(
                "{}: the definition expects {}, the plain computation came to {}",
                self.case.name,
                size.expect,
                told(results[&size.warm_up])
            )
            .into());
        }
        Ok(results)
    }

    /// Has an engine process some batches, checks the result, and gives the seconds
    /// for one, and what else it told.
    fn turn(
        &mut self,
        i: usize,
        steps: usize,
        expected: &BTreeMap<usize, Digest>,
    ) -> Result<(f64, Words)> {
        let (done, right) = match self.definition.program {
            Program::Live => self.live_turn(i, steps, expected[&steps])?,
            _ => {
                let contender = &mut self.contenders[i];
                let order = Words::default().with("steps", steps);
                let done = contender.process.run(&order)?;
                contender.processed += steps;
                (done, expected[&contender.processed])
            }
        };
        let name = self.contenders[i].name;
        if done.digest != right {
            return Err(format!(
                "{}: {name} came to {} in place of {}",
                self.case.name,
                told(done.digest),
                told(right)
            )
            .into());
        }
        let time = match self.definition.unit {
            Unit::Latency => done.facts.number::<f64>("p99_us")? / 1e6,
            _ => done.time.as_secs_f64() / steps as f64,
        };
        Ok((time, done.facts))
    }

    fn live_turn(&mut self, i: usize, steps: usize, mut right: Digest) -> Result<(Done, Digest)> {
        let size = self.size;
        let pace = match size.rate {
            0 => Pace::FlatOut { repeat: steps },
            rate => Pace::Rate {
                rate,
                time: Duration::from_secs(size.seconds),
            },
        };
        if size.rate > 0 {
            right.count = pace.lines(size.batch).0;
        }
        let sender = Sender::start(&self.text, pace)?;
        let order = Words::default()
            .with("port", sender.port)
            .with("records", right.count);
        let process = &mut self.contenders[i].process;
        let before = process.cpu()?;
        let mut done = process.run(&order)?;
        let cpu = process.cpu()? - before;
        let sent = sender.finish()?;
        let (lines, _) = pace.lines(size.batch);
        done.facts = facts::cpu(done.facts, cpu, sent.cpu, lines, done.time);
        if size.rate > 0 {
            right.sum = sent.dues;
        }
        Ok((done, right))
    }

    fn outcome(self) -> Outcome {
        let (size, unit) = (self.size, self.definition.unit);
        let lines = size.batch as f64;
        let shown = |seconds: f64| match unit {
            Unit::LinesPerSecond => lines / seconds / 1e6,
            Unit::PerBatch | Unit::Latency => seconds * 1e3,
        };
        let ours = self.contenders[0].times.clone();
        let row = |contender: Contender<'_>| Row {
            engine: contender.name.to_owned(),
            version: contender.version,
            shown: Spread::of(contender.times.iter().map(|time| shown(*time))),
            ratio: contender.against.and_then(|_| {
                Spread::of(
                    ours.iter()
                        .zip(&contender.times)
                        .map(|(our, their)| their / our),
                )
            }),
            at_least: contender.against.and_then(|against| against.at_least),
            values: contender.times.iter().map(|time| shown(*time)).collect(),
            facts: contender.facts,
        };
        Outcome {
            case: self.case.name.clone(),
            title: self.definition.title.clone(),
            unit,
            at_most: self.case.at_most,
            rows: self.contenders.into_iter().map(row).collect(),
        }
    }
}

/// A result as definitions have it.
#[must_use]
pub fn told(digest: Digest) -> String {
    format!("{}:{:016x}", digest.count, digest.sum)
}
