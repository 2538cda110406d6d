//! The recorded cases.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::bundle::{Entry, bundled, further};
use crate::case::{Case, Outcome, parse};
use crate::engine::{self, SETTINGS};
use crate::naive::{self, DEFINITION, RULES, SPARK};
use crate::pid;
use crate::printed;
use crate::report::{Report, Verdict};

#[test]
fn the_engine_does_as_spark_did_or_as_defined() {
    let mut cases = bundled();
    cases.extend(further().unwrap_or_else(|error| panic!("{error}")));
    // A folder may hold cases of the bundle, too.
    cases.sort_by(|a, b| (&a.name, &a.json).cmp(&(&b.name, &b.json)));
    cases.dedup_by(|a, b| a.json == b.json);
    let mut report = Report::default();
    for entry in &cases {
        let (operations, verdict) = judge(entry);
        report.add(&entry.name, operations, verdict);
    }
    println!("{report}");
    assert!(!report.has_failures(), "the report above names what failed");
}

/// With the quirks that the rules replace, the interpreter gives exactly what was
/// recorded. So these are all the differences.
#[test]
fn the_interpreter_does_as_spark_did() {
    for entry in bundled().iter().filter(|entry| entry.kind == "dstream") {
        let (case, recorded) = parse(&entry.json).unwrap();
        let got = naive::run(&case, SPARK);
        let difference = difference(&recorded, &got);
        assert_eq!(difference, None, "{}: {}", entry.name, case.describe());
        assert_eq!(got.failure, recorded.failure, "{}", entry.name);
    }
}

/// The operations of a case, and what became of it.
fn judge(entry: &Entry) -> (BTreeSet<String>, Verdict) {
    let kind = BTreeSet::from([entry.kind.clone()]);
    let simple = |result: Result<(), String>| result.err().map_or(Verdict::Passed, Verdict::Failed);
    match entry.kind.as_str() {
        "dstream" => match parse(&entry.json) {
            Ok((case, recorded)) => {
                let operations = case.steps.iter().map(|step| step.op.name()).collect();
                // A record of the wrong type ends in a panic of the interpreter.
                let verdict = catch_unwind(AssertUnwindSafe(|| compare(&case, &recorded)));
                let verdict = verdict.unwrap_or_else(|panic| {
                    let error = millstream::Error::from_panic(panic, "the case");
                    Verdict::Failed(format!("{error}\n  {}", case.describe()))
                });
                (operations, verdict)
            }
            Err(error) => (kind, Verdict::Failed(error)),
        },
        "print" => (kind, simple(printed::print(&entry.json))),
        "save_as_text_files" => (kind, simple(printed::save_as_text_files(&entry.json))),
        "pid" => (kind, simple(pid::pid(&entry.json))),
        "streaming_kmeans" | "streaming_linear_regression" | "streaming_logistic_regression" => {
            (kind, Verdict::Skipped(entry.kind.clone()))
        }
        unknown => {
            let error = format!("there is no kind {unknown:?}");
            (kind, Verdict::Failed(error))
        }
    }
}

/// Runs the engine in all settings, against Spark or the definition.
fn compare(case: &Case, recorded: &Outcome) -> Verdict {
    let (expected, rules) = expected(case, recorded);
    for setting in SETTINGS {
        let got = match engine::run(case, setting) {
            Ok(got) => got,
            Err(missing) => return Verdict::NotImplemented(missing),
        };
        if let Some(difference) = difference(&expected, &got) {
            let by = if rules.is_empty() {
                "Spark"
            } else {
                "definition"
            };
            return Verdict::Failed(format!(
                "under {setting:?}, expected by {by}\n  {}\n  {difference}",
                case.describe(),
            ));
        }
    }
    match rules.is_empty() {
        true => Verdict::Passed,
        false => Verdict::ByDefinition(rules),
    }
}

/// What the engine has to give, and the rules by which that is the definition's
/// result in place of Spark's.
///
/// A rule counts only if it explains the difference: with the quirks that the
/// rules replace the interpreter gives what was recorded.
fn expected(case: &Case, recorded: &Outcome) -> (Outcome, Vec<&'static str>) {
    let defined = naive::run(case, DEFINITION);
    if difference(recorded, &defined).is_none() {
        return (recorded.clone(), Vec::new());
    }
    let spark = naive::run(case, SPARK);
    if difference(recorded, &spark).is_some() {
        return (recorded.clone(), Vec::new());
    }
    let replaced = RULES
        .iter()
        .filter(|(_, rules)| naive::run(case, *rules) != spark);
    (defined, replaced.map(|(name, _)| *name).collect())
}

/// How a result differs from the one expected, in short. An error may come
/// earlier than expected, never later.
fn difference(expected: &Outcome, got: &Outcome) -> Option<String> {
    const SHORT: usize = 400;
    let short = |text: String| match text.char_indices().nth(SHORT) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    };
    match (&expected.failure, &got.failure) {
        (None, Some(failure)) => return Some(format!("got {failure}")),
        (Some(failure), None) => return Some(format!("expected {failure}, got none")),
        (Some(expected), Some(got)) if got.phase > expected.phase => {
            return Some(format!("expected {expected}, got {got}"));
        }
        (Some(expected), Some(got)) if got.phase < expected.phase => return None,
        _ => {}
    }
    let mut pairs = expected.output.iter().zip(&got.output);
    if let Some((expected, got)) = pairs.find(|(expected, got)| expected != got) {
        let [expected, got] =
            [expected, got].map(|(time, records)| short(format!("at {time} {records:?}")));
        return Some(format!("expected {expected}\n  got      {got}"));
    }
    let [expected, got] = [expected, got].map(|outcome| outcome.output.len());
    (expected != got).then(|| format!("expected {expected} batches, got {got}"))
}
