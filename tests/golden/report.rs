//! What became of the cases, in counts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What became of a case.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    /// The engine did as Spark.
    Passed,
    /// The engine did what the definition says, where these rules replace what
    /// Spark did.
    ByDefinition(Vec<&'static str>),
    /// What was expected and what came instead.
    Failed(String),
    /// The engine lacks this.
    NotImplemented(String),
    /// There is nothing yet that runs cases of this kind.
    Skipped(String),
}

#[derive(Default)]
pub(crate) struct Report {
    operations: BTreeMap<String, Counts>,
    total: Counts,
    rules: BTreeMap<&'static str, usize>,
    not_implemented: BTreeMap<String, usize>,
    skipped: BTreeMap<String, usize>,
    failures: Vec<String>,
}

#[derive(Default)]
struct Counts {
    passed: usize,
    failed: usize,
    by_definition: usize,
}

impl Report {
    /// Enters the verdict on a case that uses these operations.
    pub(crate) fn add(&mut self, name: &str, operations: BTreeSet<String>, verdict: Verdict) {
        let count: fn(&mut Counts) = match verdict {
            Verdict::Passed => |counts| counts.passed += 1,
            Verdict::ByDefinition(rules) => {
                for rule in rules {
                    *self.rules.entry(rule).or_default() += 1;
                }
                |counts| counts.by_definition += 1
            }
            Verdict::Failed(how) => {
                self.failures.push(format!("FAILED {name}: {how}"));
                |counts| counts.failed += 1
            }
            Verdict::NotImplemented(what) => {
                *self.not_implemented.entry(what).or_default() += 1;
                return;
            }
            Verdict::Skipped(kind) => {
                *self.skipped.entry(kind).or_default() += 1;
                return;
            }
        };
        for operation in operations {
            count(self.operations.entry(operation).or_default());
        }
        count(&mut self.total);
    }

    pub(crate) fn has_failures(&self) -> bool {
        !self.failures.is_empty()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} by definition",
            self.passed, self.failed, self.by_definition
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for failure in &self.failures {
            writeln!(f, "{failure}")?;
        }
        for (operation, counts) in &self.operations {
            writeln!(f, "{operation}: {counts}")?;
        }
        for (rule, cases) in &self.rules {
            writeln!(f, "by definition, {rule}: {cases}")?;
        }
        for (what, cases) in &self.not_implemented {
            writeln!(f, "not implemented, {what}: {cases}")?;
        }
        for (kind, cases) in &self.skipped {
            writeln!(f, "skipped, {kind}: {cases}")?;
        }
        write!(f, "golden: {}", self.total)
    }
}
