//! What was found, a line each.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::process::ExitCode;
use std::sync::Mutex;

use crate::system;

/// The checks of a part.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    failed: bool,
}

impl Checks {
    pub(crate) fn equal<T: Debug + PartialEq>(&mut self, what: &str, found: &T, expected: &T) {
        if found == expected {
            println!("numa: ok {what}");
        } else {
            self.fail(what, &format!("{found:?} in place of {expected:?}"));
        }
    }

    /// All of `places` must be as they should, and there must be some.
    pub(crate) fn near(&mut self, what: &str, places: &Places) {
        let seen = places.seen();
        let far: usize = seen
            .iter()
            .filter(|((home, node), _)| home != node)
            .map(|(_, count)| count)
            .sum();
        if far == 0 && [0, 1].iter().all(|&node| seen.contains_key(&(node, node))) {
            let all: usize = seen.values().sum();
            println!("numa: ok {what}: {all} of {all} on both nodes");
        } else {
            self.fail(what, &format!("(expected, found): {seen:?}"));
        }
    }

    pub(crate) fn fail(&mut self, what: &str, why: &str) {
        self.failed = true;
        println!("numa: FAILED {what}: {why}");
    }

    pub(crate) fn into_exit_code(self) -> ExitCode {
        ExitCode::from(u8::from(self.failed))
    }
}

/// How often something that should be on a node was on which.
#[derive(Debug, Default)]
pub(crate) struct Places(Mutex<BTreeMap<(usize, usize), usize>>);

impl Places {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    pub(crate) fn note(&self, expected: usize, found: usize) {
        *self.lock().entry((expected, found)).or_default() += 1;
    }

    /// Notes the page at an address that is being read, if it is one of the first there:
    /// asking the kernel takes long.
    pub(crate) fn note_page<T>(&self, expected: impl FnOnce() -> usize, at: *const T) {
        if at.addr() % system::PAGE < 64 {
            self.note(expected(), system::node_of_page(at.cast()));
        }
    }

    fn seen(&self) -> BTreeMap<(usize, usize), usize> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(usize, usize), usize>> {
        self.0.lock().unwrap_or_else(|poison| poison.into_inner())
    }
}
