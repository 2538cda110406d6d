//! A case: a program, what it gets in each batch, and what Spark made of it.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::Value as Json;

use crate::program::{Op, Step, normalize};
use crate::value::Value;

#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) batch_ms: i64,
    pub(crate) num_batches: usize,
    pub(crate) sources: Vec<Source>,
    /// The stream of the last one is observed.
    pub(crate) steps: Vec<Step>,
    pub(crate) remember_ms: Option<i64>,
    /// A checkpoint directory was set.
    pub(crate) checkpoint: bool,
    /// No output operation was declared.
    pub(crate) no_output: bool,
    /// Spark asked the sources only for what the program needed.
    pub(crate) lazy_sources: bool,
}

/// An input stream.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// Of each Rdd.
    pub(crate) partitions: usize,
    pub(crate) feed: Feed,
}

#[derive(Clone, Debug)]
pub(crate) enum Feed {
    /// A queue.
    Queue {
        one_at_a_time: bool,
        /// What an empty queue gives: the records, and how many partitions.
        default: (Vec<Value>, usize),
        /// The Rdds that are put into it before each batch.
        puts: Vec<Vec<Vec<Value>>>,
    },
    /// An input that may give no Rdd for a batch.
    Direct(Vec<Option<Vec<Value>>>),
}

/// What the observed stream gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    /// The records in canonical order by time; of the Rdds of a slice, by number.
    pub(crate) output: Vec<(i64, Vec<Value>)>,
    /// What ended it early.
    pub(crate) failure: Option<Failure>,
}

#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) phase: Phase,
    pub(crate) message: String,
}

/// The message is for people: it is Spark's, ours or the interpreter's.
impl PartialEq for Failure {
    fn eq(&self, other: &Self) -> bool {
        self.phase == other.phase
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an error at {:?}: {}", self.phase, self.message)
    }
}

/// When an error comes, from the earliest on.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    Build,
    Start,
    Run,
    Slice,
}

impl Case {
    /// The time of a batch, from 0 on.
    pub(crate) fn time(&self, batch: usize) -> i64 {
        (batch as i64 + 1) * self.batch_ms
    }

    /// The step that gives a stream, if it is not a source.
    pub(crate) fn step_of(&self, stream: usize) -> Option<&Step> {
        self.steps.get(stream.checked_sub(self.sources.len())?)
    }

    /// The stream that is observed, or sliced.
    pub(crate) fn observed(&self) -> usize {
        match self.steps.last() {
            Some(step) if matches!(step.op, Op::Slice { .. }) => step.inputs[0],
            _ => self.sources.len() + self.steps.len() - 1,
        }
    }

    /// From and to, if a slice is asked for.
    pub(crate) fn slice(&self) -> Option<(i64, i64)> {
        match self.steps.last()?.op {
            Op::Slice { from_ms, to_ms } => Some((from_ms, to_ms)),
            _ => None,
        }
    }

    /// The steps in one line.
    pub(crate) fn describe(&self) -> String {
        let mut text = format!("batches of {} ms; ", self.batch_ms);
        for (i, source) in self.sources.iter().enumerate() {
            let kind = match &source.feed {
                Feed::Queue { one_at_a_time, .. } => {
                    format!("queue, one at a time: {one_at_a_time}")
                }
                Feed::Direct(_) => "direct".to_owned(),
            };
            text += &format!("{i} = {kind}, {} partitions; ", source.partitions);
        }
        for (i, step) in (self.sources.len()..).zip(&self.steps) {
            let Step {
                op,
                inputs,
                num_partitions,
            } = step;
            text += &format!("{i} = {op:?} of {inputs:?}");
            if let Some(n) = num_partitions {
                text += &format!(" into {n}");
            }
            text += "; ";
        }
        text
    }
}

/// A case as it stands in its file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseFile {
    #[serde(rename = "case")]
    _name: String,
    #[serde(rename = "kind")]
    _kind: String,
    batch_ms: i64,
    num_batches: usize,
    sources: Vec<SourceFile>,
    input: BTreeMap<String, Vec<Json>>,
    program: Vec<serde_json::Map<String, Json>>,
    #[serde(default)]
    output: Vec<(i64, Vec<Value>)>,
    expect_error: Option<ErrorFile>,
    remember_ms: Option<i64>,
    checkpoint: Option<bool>,
    no_output: Option<bool>,
    lazy_sources: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceFile {
    name: String,
    kind: SourceKind,
    partitions: usize,
    one_at_a_time: Option<bool>,
    /// Null is another thing than not given.
    #[serde(default, deserialize_with = "given")]
    default: Option<Option<Vec<Value>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum SourceKind {
    Queue,
    QueueMulti,
    Direct,
}

#[derive(Deserialize)]
struct ErrorFile {
    phase: Phase,
    class: String,
    message: String,
}

fn given<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// The case in a line of JSON, and what Spark made of it.
pub(crate) fn parse(json: &str) -> Result<(Case, Outcome), String> {
    let file: CaseFile = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let mut input = file.input;
    let mut names = Vec::new();
    let mut sources = Vec::new();
    for source in file.sources {
        let batches = input.remove(&source.name);
        let batches = batches.ok_or_else(|| format!("no input for source {:?}", source.name))?;
        let name = source.name.clone();
        sources.push(
            parse_source(source, batches).map_err(|error| format!("source {name:?}: {error}"))?,
        );
        names.push(name);
    }
    let mut steps = Vec::new();
    for mut step in file.program {
        let op = step.get("op").map(Json::to_string).unwrap_or_default();
        let number = steps.len() + 1;
        let (step, out) = parse_step(&mut step, &names)
            .map_err(|error| format!("step {number} ({op}): {error}"))?;
        steps.push(step);
        names.push(out);
    }
    if let Some(early) = steps
        .iter()
        .rev()
        .skip(1)
        .find(|step| matches!(step.op, Op::Slice { .. }))
    {
        return Err(format!("only the last step can be a slice: {early:?}"));
    }
    if names.is_empty() {
        return Err("there is no stream".to_owned());
    }
    let case = Case {
        batch_ms: file.batch_ms,
        num_batches: file.num_batches,
        sources,
        steps,
        remember_ms: file.remember_ms,
        checkpoint: file.checkpoint.unwrap_or(true),
        no_output: file.no_output.unwrap_or(false),
        lazy_sources: file.lazy_sources.unwrap_or(false),
    };
    let failure = file.expect_error.map(|error| Failure {
        phase: error.phase,
        message: format!("{}: {}", error.class, error.message),
    });
    let recorded = Outcome {
        output: file.output,
        failure,
    };
    Ok((case, recorded))
}

fn parse_source(source: SourceFile, batches: Vec<Json>) -> Result<Source, String> {
    fn each<T: serde::de::DeserializeOwned>(batches: Vec<Json>) -> Result<Vec<Option<T>>, String> {
        let batches = batches.into_iter().map(serde_json::from_value);
        batches
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())
    }
    let feed = match source.kind {
        SourceKind::Direct => Feed::Direct(each(batches)?),
        SourceKind::Queue => Feed::Queue {
            one_at_a_time: true,
            default: (Vec::new(), 1),
            puts: each(batches)?.into_iter().map(Vec::from_iter).collect(),
        },
        SourceKind::QueueMulti => Feed::Queue {
            one_at_a_time: source.one_at_a_time.unwrap_or(true),
            default: match source.default {
                None => (Vec::new(), 1),
                Some(None) => (Vec::new(), 0),
                Some(Some(records)) => (records, source.partitions),
            },
            puts: each(batches)?
                .into_iter()
                .map(Option::unwrap_or_default)
                .collect(),
        },
    };
    Ok(Source {
        partitions: source.partitions,
        feed,
    })
}

fn parse_step(
    step: &mut serde_json::Map<String, Json>,
    names: &[String],
) -> Result<(Step, String), String> {
    normalize(step);
    let mut inputs = Vec::new();
    for name in take::<Vec<String>>(step, "in")?.unwrap_or_default() {
        let number = names.iter().rposition(|known| *known == name);
        inputs.push(number.ok_or_else(|| format!("there is no stream {name:?}"))?);
    }
    let out = take(step, "out")?.unwrap_or_default();
    let num_partitions = take(step, "num_partitions")?;
    let op: Op = serde_json::from_value(Json::Object(std::mem::take(step)))
        .map_err(|error| error.to_string())?;
    let step = Step {
        op,
        inputs,
        num_partitions,
    };
    step.op.check(&step)?;
    Ok((step, out))
}

fn take<T: serde::de::DeserializeOwned>(
    step: &mut serde_json::Map<String, Json>,
    name: &str,
) -> Result<Option<T>, String> {
    let value = step.remove(name).map(serde_json::from_value).transpose();
    value.map_err(|error| format!("{name}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(step: &str) -> String {
        let json = format!(
            r#"{{"case":"x","kind":"dstream","batch_ms":1,"num_batches":1,
                "sources":[{{"name":"a","kind":"queue","partitions":1}}],
                "input":{{"a":[]}},"program":[{step}],"output":[]}}"#
        );
        parse(&json).unwrap_err()
    }

    #[test]
    fn what_is_not_known_is_named() {
        let error = refused(r#"{"op":"sort","in":["a"],"out":"r"}"#);
        assert!(
            error.starts_with(r#"step 1 ("sort"): unknown variant `sort`"#),
            "{error}"
        );
        let error = refused(r#"{"op":"map","in":["a"],"out":"r","fn":"half"}"#);
        assert!(
            error.starts_with(r#"step 1 ("map"): unknown variant `half`"#),
            "{error}"
        );
        let error = refused(r#"{"op":"count","in":["a"],"out":"r","by":1}"#);
        assert!(
            error.starts_with(r#"step 1 ("count"): unknown field `by`"#),
            "{error}"
        );
        let error = refused(r#"{"op":"count","in":["b"],"out":"r"}"#);
        assert_eq!(error, r#"step 1 ("count"): there is no stream "b""#);
        let error = refused(r#"{"op":"join","in":["a"],"out":"r"}"#);
        assert_eq!(error, r#"step 1 ("join"): 1 input streams"#);
    }
}
