//! Starting plain named threads, and pinning.
//!
//! Receivers, timers, the scheduler and the log writers start here, so that each thread of the
//! crate can be told apart in `top -H` and in a debugger. Pool workers are started by their pool,
//! which calls [`pin_current`].

use std::{cell::Cell, io, sync::Arc, time::Duration};

use super::affinity;
use super::topology::allowed_cpus;
use crate::sync::engine::{Builder, Condvar, JoinHandle, Mutex, lock, thread_local};
use crate::sync::unpoisoned;

/// What all names of our threads begin with, to find them in a program that embeds us.
const NAME_PREFIX: &str = "ms-";

/// Linux keeps 16 bytes of a name, the last of them zero.
const MAX_NAME_BYTES: usize = 15;

/// Starts a thread that runs `body`, pinned to `cpus` if there are any.
///
/// The name gets the prefix `ms-` and is cut to 15 bytes, so tell threads apart by the first 12.
/// The new thread pins itself before it runs `body`, so all memory it touches first is near those
/// CPUs. If that fails there is a warning, and the thread runs unpinned.
///
/// A thread without `cpus` has the mask of the thread that starts it: it is free to move only if
/// that one is.
///
/// # Errors
///
/// What the system says when it has no room for another thread.
pub(crate) fn spawn(
    name: impl Into<String>,
    cpus: &[usize],
    body: impl FnOnce() + Send + 'static,
) -> io::Result<Thread> {
    let cpus = cpus.to_vec();
    let name = thread_name(&name.into());
    let ended = Arc::new(Ended::default());
    let signal = SignalOnDrop(Arc::clone(&ended));
    let handle = Builder::new().name(name.clone()).spawn(move || {
        // Also when the body panics.
        let _signal = signal;
        if !cpus.is_empty() && !pin_current(&cpus) {
            tracing::warn!(
                thread = name,
                ?cpus,
                "cannot pin the thread; it runs unpinned"
            );
        }
        ENGINE.with(|engine| engine.set(true));
        body();
    })?;
    Ok(Thread { handle, ended })
}

/// A thread that [`spawn`] started. Dropping the handle leaves the thread to itself.
#[derive(Debug)]
pub(crate) struct Thread {
    handle: JoinHandle<()>,
    ended: Arc<Ended>,
}

impl Thread {
    /// Waits for its end, for `limit` at the most; says whether it came.
    pub(crate) fn wait(&self, limit: Duration) -> bool {
        self.ended.wait(limit)
    }

    /// Waits for its end, for `limit` at the most, and then for the system to be done with it. A
    /// thread that does not end in time is left to itself, and the answer is `false`.
    #[must_use]
    pub(crate) fn join(self, limit: Duration) -> bool {
        let ended = self.wait(limit);
        if ended {
            let name = self.handle.thread().name().unwrap_or_default().to_owned();
            if self.handle.join().is_err() {
                tracing::error!(thread = name, "a thread panicked");
            }
        }
        ended
    }
}

/// Whether a thread has ended: what the standard handle cannot be asked with a limit.
#[derive(Debug, Default)]
struct Ended {
    ended: Mutex<bool>,
    changed: Condvar,
}

impl Ended {
    fn wait(&self, limit: Duration) -> bool {
        let ended = lock(&self.ended);
        let (ended, _) = unpoisoned(
            self.changed
                .wait_timeout_while(ended, limit, |ended| !*ended),
        );
        *ended
    }
}

struct SignalOnDrop(Arc<Ended>);

impl Drop for SignalOnDrop {
    fn drop(&mut self) {
        *lock(&self.0.ended) = true;
        self.0.changed.notify_all();
    }
}

thread_local! {
    static ENGINE: Cell<bool> = const { Cell::new(false) };
}

/// Whether the calling thread was started by [`spawn`]: such a thread must not wait for the end of
/// the threads of its context, as it is one of them.
pub(crate) fn is_engine_thread() -> bool {
    ENGINE.with(Cell::get)
}

/// Pins the calling thread to `cpus` and says whether that worked.
///
/// Only the CPUs that this process was allowed at first are tried. Others would leave the limits
/// that `taskset` sets, and ids beyond the size of the system's mask are beyond what
/// `core_affinity` can take.
#[must_use]
pub(crate) fn pin_current(cpus: &[usize]) -> bool {
    cpus.iter().all(|cpu| allowed_cpus().contains(cpu)) && affinity::set_current(cpus)
}

/// The name as the system will show it. Zero bytes are left out: a name cannot hold them.
fn thread_name(name: &str) -> String {
    let mut name = format!("{NAME_PREFIX}{}", name.replace('\0', ""));
    name.truncate(name.floor_char_boundary(MAX_NAME_BYTES));
    name
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread};

    use super::*;

    /// What `probe` says on a new thread.
    fn on_thread<T: Send + 'static>(
        name: &str,
        cpus: &[usize],
        probe: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let (send, receive) = mpsc::channel();
        let thread = spawn(name, cpus, move || send.send(probe()).unwrap()).unwrap();
        assert!(thread.join(Duration::MAX));
        receive.recv().unwrap()
    }

    /// The affinity mask of the calling thread.
    fn mask() -> Vec<usize> {
        core_affinity::get_core_ids()
            .unwrap_or_default()
            .into_iter()
            .map(|core| core.id)
            .collect()
    }

    #[test]
    fn threads_carry_their_names() {
        let name = || thread::current().name().map(String::from);
        assert_eq!(
            on_thread("receiver-0", &[], name).as_deref(),
            Some("ms-receiver-0")
        );
    }

    #[test]
    fn a_thread_is_waited_for_as_long_as_wanted() {
        let held = |name| {
            let (go, wait) = mpsc::channel::<()>();
            let body = move || assert!(wait.recv().is_err());
            (spawn(name, &[], body).unwrap(), go)
        };
        let (thread, go) = held("slow");
        assert!(!thread.wait(Duration::ZERO));
        assert!(!thread.wait(Duration::from_millis(1)));
        drop(go);
        assert!(thread.wait(Duration::MAX));
        assert!(thread.join(Duration::ZERO));
        let panics = spawn("panics", &[], || panic!("expected")).unwrap();
        assert!(panics.join(Duration::MAX));
        let (endless, _go) = held("endless");
        assert!(!endless.join(Duration::ZERO));
    }

    #[test]
    fn names_are_cut_between_characters() {
        assert_eq!(thread_name("block-writer-7"), "ms-block-writer");
        assert_eq!(thread_name("elf Zeichen"), "ms-elf Zeichen");
        // The last letter would be bytes 15 and 16.
        assert_eq!(thread_name("elf Zeichenß"), "ms-elf Zeichen");
        assert_eq!(thread_name("a\0b"), "ms-ab");
        assert_eq!(thread_name(""), "ms-");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn pins_the_new_thread_and_not_its_starter() {
        let before = mask();
        for &cpu in allowed_cpus() {
            assert_eq!(on_thread("pinned", &[cpu], mask), [cpu]);
        }
        let all = allowed_cpus();
        assert_eq!(on_thread("node", all, mask), all);
        assert_eq!(mask(), before);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn runs_unpinned_where_it_cannot_pin() {
        let before = mask();
        assert_eq!(on_thread("far", &[usize::MAX], mask), before);
    }

    #[test]
    fn cpus_outside_the_mask_are_refused() {
        let outside = (0..).find(|cpu| !allowed_cpus().contains(cpu)).unwrap();
        for cpu in [outside, 1_024, usize::MAX] {
            assert!(!on_thread("outside", &[], move || pin_current(&[cpu])));
            let with_one_inside = move || pin_current(&[allowed_cpus()[0], cpu]);
            assert!(!on_thread("outside", &[], with_one_inside));
        }
        assert!(!on_thread("nowhere", &[], || pin_current(&[])));
    }
}
