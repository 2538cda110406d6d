//! Threads that wait for work.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Threads that each own a part of the keys, and work on it when told to.
pub(crate) struct Team<P, W> {
    members: Vec<Member<P, W>>,
}

struct Member<P, W> {
    part: Arc<Mutex<P>>,
    todo: Sender<W>,
    done: Receiver<()>,
}

impl<P: Send + 'static, W: Clone + Send + 'static> Team<P, W> {
    /// A thread for each part; `work` does a piece of work.
    pub(crate) fn new(parts: impl Iterator<Item = P>, work: fn(&mut P, W)) -> Self {
        let members = parts.map(|part| Member::spawn(part, work)).collect();
        Self { members }
    }

    /// Gives the same work to all threads, and waits for them.
    pub(crate) fn each(&self, work: &W) {
        for member in &self.members {
            member
                .todo
                .send(work.clone())
                .expect("a thread waits for work");
        }
        for member in &self.members {
            member.done.recv().expect("work does not panic");
        }
    }

    /// The parts, one by one, between two pieces of work.
    pub(crate) fn parts(&self) -> impl Iterator<Item = MutexGuard<'_, P>> {
        self.members.iter().map(|member| lock(&member.part))
    }
}

impl<P: Send + 'static, W: Send + 'static> Member<P, W> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the engine has no part in what is written by hand"
    )]
    fn spawn(part: P, work: fn(&mut P, W)) -> Self {
        let part = Arc::new(Mutex::new(part));
        let (todo, orders) = channel();
        let (report, done) = channel();
        let mine = Arc::clone(&part);
        std::thread::spawn(move || {
            for order in orders {
                work(&mut lock(&mine), order);
                if report.send(()).is_err() {
                    break;
                }
            }
        });
        Self { part, todo, done }
    }
}

fn lock<P>(part: &Mutex<P>) -> MutexGuard<'_, P> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}
