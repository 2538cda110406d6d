use std::sync::{Barrier, OnceLock};

use super::*;

fn tasks(n: usize) -> impl Iterator<Item = Pieces> {
    whole((0..n).map(|_| None))
}

/// One partition of so many pieces.
fn pieces(count: usize) -> [Pieces; 1] {
    [Pieces { count, home: None }]
}

fn executor(workers: usize) -> Executor {
    Executor::of(workers)
}

#[test]
fn every_task_runs_once_whatever_the_workers_and_the_weight() {
    for workers in [1, 2, 5] {
        let executor = executor(workers);
        for n in [0, 1, 2, 7, 100] {
            for weight in [0, SOON, usize::MAX] {
                let done = executor.map(n, weight, Ok).unwrap();
                assert_eq!(done, (0..n).collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn every_task_runs_once_wherever_its_home_is() {
    let homes = [None, Some(1), Some(0), Some(0), Some(9)];
    for executor in [
        executor(2),
        Executor::on_two_nodes(1),
        Executor::on_two_nodes(5),
    ] {
        for n in [0, 1, 2, 7, 100] {
            for weight in [0, SOON, usize::MAX] {
                let homes = homes.into_iter().cycle().take(n);
                let done = executor.map_at(homes, weight, Ok).unwrap();
                assert_eq!(done, (0..n).collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn there_is_a_state_even_without_tasks() {
    let states = executor(2)
        .fold(tasks(0), 0, || 7, |_, _, _| Ok(()))
        .unwrap();
    assert_eq!(states, [7]);
}

#[test]
fn a_panic_is_an_error_that_names_the_partition() {
    let executor = executor(2);
    for weight in [0, SOON, usize::MAX] {
        let error = executor
            .map(5, weight, |i| {
                if i == 3 {
                    panic!("no number {i}")
                } else {
                    Ok(i)
                }
            })
            .unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Panic);
        assert!(error.to_string().contains("no number 3"), "{error}");
        assert!(error.to_string().contains("partition 3"), "{error}");
    }
    assert_eq!(executor.map(2, 0, Ok).unwrap(), [0, 1], "the pool goes on");
}

#[test]
fn an_action_inside_a_task_is_refused() {
    let executor = executor(2);
    for weight in [0, SOON, usize::MAX] {
        let error = executor
            .map(2, weight, |_| executor.map(1, 0, Ok))
            .unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::IllegalState);
    }
}

#[test]
fn one_worker_works_alone() {
    let executor = executor(1);
    let names = executor.map(9, SOON, |_| {
        Ok(std::thread::current().name().map(str::to_owned))
    });
    let worker = Some("ms-worker-0".to_owned());
    assert_eq!(names.unwrap(), vec![worker; 9]);
}

#[test]
fn workers_have_names() {
    let executor = executor(2);
    let mut names = executor
        .fold(tasks(2), usize::MAX, Vec::new, |names, _, _| {
            names.push(std::thread::current().name().map(str::to_owned));
            Ok(())
        })
        .unwrap()
        .concat();
    names.sort();
    names.dedup();
    assert!(
        names
            .iter()
            .all(|name| name.as_ref().unwrap().starts_with("ms-worker-"))
    );
}

#[test]
fn the_calling_thread_takes_the_part_of_a_worker() {
    for active in 2..=4 {
        let executor = executor(4);
        executor.set_active(active);
        // So many tasks have to run at the same time.
        let together = Barrier::new(active);
        let here = std::thread::current().id();
        let states = executor.fold(tasks(active), SOON, Vec::new, |ids, _, _| {
            together.wait();
            ids.push(std::thread::current().id());
            Ok(())
        });
        let mut ids = states.unwrap().concat();
        assert_eq!(ids.iter().filter(|&&id| id == here).count(), 1);
        ids.sort_unstable_by_key(|id| format!("{id:?}"));
        ids.dedup();
        assert_eq!(ids.len(), active, "as many threads");
    }
}

#[test]
fn helpers_come_from_all_pools() {
    let pools = &Executor::on_two_nodes(8).pools;
    for helpers in 0..=8 {
        let mut called: Vec<_> = (0..=helpers).map(|_| AtomicUsize::new(0)).collect();
        pool::run_beside(pools, helpers, &|worker| {
            called[worker].fetch_add(1, Ordering::Relaxed);
        });
        assert!(called.iter_mut().all(|calls| *calls.get_mut() == 1));
    }
}

#[test]
fn only_active_workers_take_part() {
    let executor = executor(3);
    for (set, active) in [(3, 3), (2, 2), (1, 1), (0, 1), (9, 3)] {
        executor.set_active(set);
        assert_eq!(executor.active(), active);
        // So many tasks have to run at the same time.
        let together = Barrier::new(active);
        let states = executor.fold(
            tasks(12 * active),
            usize::MAX,
            Vec::new,
            |names: &mut Vec<String>, _, _| {
                together.wait();
                names.extend(std::thread::current().name().map(str::to_owned));
                Ok(())
            },
        );
        let mut names = states.unwrap().concat();
        assert_eq!(names.len(), 12 * active);
        names.sort();
        names.dedup();
        let expected: Vec<_> = (0..active).map(|i| format!("ms-worker-{i}")).collect();
        assert_eq!(names, expected);
    }
}

/// Which node's worker ran each task, when all workers take as many tasks.
fn nodes_of(executor: &Executor, homes: &[Option<usize>]) -> Vec<Option<usize>> {
    let together = Barrier::new(executor.workers());
    let ran = executor.map_at(homes.iter().copied(), usize::MAX, |_| {
        together.wait();
        Ok(pool::node())
    });
    ran.unwrap()
}

#[test]
fn tasks_go_to_the_workers_of_their_node() {
    let executor = Executor::on_two_nodes(4);
    for _ in 0..20 {
        let homes = [1, 1, 0, 0, 0, 1, 1, 0].map(Some);
        assert_eq!(nodes_of(&executor, &homes), homes);
    }
    // Those of no node stay with the worker of their number: two on each node.
    let mixed = [Some(1), Some(1), Some(0), Some(0)];
    let expected = [0, 0, 1, 1].map(Some);
    assert_eq!(nodes_of(&executor, &mixed), mixed);
    assert_eq!(nodes_of(&executor, &[None; 4]), expected);
}

#[test]
fn a_node_without_work_helps_the_other() {
    let executor = Executor::on_two_nodes(4);
    let mut nodes = nodes_of(&executor, &[Some(1); 8]);
    nodes.sort_unstable();
    assert_eq!(nodes, [0, 0, 0, 0, 1, 1, 1, 1].map(Some));
    // Of a node without active workers, or that there is not.
    executor.set_active(2);
    let done = executor.map_at([Some(1), Some(9), None], usize::MAX, Ok);
    assert_eq!(done.unwrap(), [0, 1, 2]);
}

#[test]
fn few_tasks_are_left_to_the_workers_that_wake_up() {
    let executor = Executor::on_two_nodes(4);
    for home in [Some(0), Some(1)].into_iter().cycle().take(100) {
        for n in [1, 2] {
            let homes = [home].repeat(n);
            let ran = executor.map_at(homes.clone(), usize::MAX, |_| Ok(pool::node()));
            assert_eq!(ran.unwrap(), homes);
        }
    }
    let small = executor.map_at([Some(1)], 0, |_| Ok(pool::node()));
    assert_eq!(small.unwrap(), [None], "not worth waking anybody");
}

#[test]
fn spares_stay_on_their_node() {
    let executor = Executor::on_two_nodes(2);
    let spares = Spares::new();
    let both = [Some(0), Some(1)];
    for round in 0..3 {
        let together = Barrier::new(2);
        let taken = executor.map_at(both, usize::MAX, |_| {
            together.wait();
            Ok(spares.take(|| (pool::node(), round)))
        });
        for (spare, home) in taken.unwrap().into_iter().zip(both) {
            assert_eq!((spare.home(), *spare), (home, (home, 0)));
            spares.put(spare);
        }
    }
    spares.for_each(|spare| spare.1 = 7);
    // This thread is on no node, and gets none of theirs.
    assert_eq!(*spares.take(|| (None, 9)), (None, 9));
    let together = Barrier::new(2);
    let taken = executor.map_at(both, usize::MAX, |_| {
        together.wait();
        Ok(*spares.take(|| (None, 9)))
    });
    assert_eq!(taken.unwrap(), both.map(|home| (home, 7)));
}

/// A number of tasks each of which fails so often before it succeeds, as panics and
/// errors in turn.
struct Flaky(Vec<(usize, AtomicUsize)>);

impl Flaky {
    fn new(failures: &[usize]) -> Self {
        let tasks = failures
            .iter()
            .map(|&failures| (failures, AtomicUsize::new(0)));
        Self(tasks.collect())
    }

    fn run(&self, task: usize) -> Result<usize> {
        let (failures, calls) = &self.0[task];
        let call = calls.fetch_add(1, Ordering::Relaxed);
        match call % 2 {
            _ if call >= *failures => Ok(task),
            0 => panic!("call {call} of {task}"),
            _ => Err(Error::illegal_state(format!("call {call} of {task}"))),
        }
    }

    fn calls(&self) -> Vec<usize> {
        let calls = self.0.iter().map(|(_, calls)| calls);
        calls.map(|calls| calls.load(Ordering::Relaxed)).collect()
    }
}

/// What tasks append counts when they are committed.
struct Append(Arc<Mutex<Vec<usize>>>, Vec<usize>);

impl task::Effect for Append {
    fn commit(self: Box<Self>) -> Result<()> {
        lock(&self.0).extend(self.1);
        Ok(())
    }
}

fn append(log: &Arc<Mutex<Vec<usize>>>, n: usize) {
    let make = || Append(Arc::clone(log), Vec::new());
    task::change_effect(Arc::as_ptr(log).addr(), make, |append| append.1.push(n));
}

fn sorted(log: &Arc<Mutex<Vec<usize>>>) -> Vec<usize> {
    let mut all = std::mem::take(&mut *lock(log));
    all.sort_unstable();
    all
}

const FAILURES: &[usize] = &[0, 1, 0, 3, 2, 0, 0, 3, 0];

#[test]
fn tasks_of_their_own_are_tried_again_alone() {
    for workers in [1, 2] {
        let executor = Executor::trying(workers, 4);
        for weight in [0, SOON, usize::MAX] {
            let (flaky, log) = (Flaky::new(FAILURES), Arc::default());
            let done = executor.map(FAILURES.len(), weight, |i| {
                append(&log, i);
                flaky.run(i)
            });
            let all: Vec<_> = (0..FAILURES.len()).collect();
            assert_eq!(done.unwrap(), all);
            assert_eq!(sorted(&log), all, "effects of failed attempts are dropped");
            let calls: Vec<_> = FAILURES.iter().map(|failures| failures + 1).collect();
            assert_eq!(flaky.calls(), calls);
        }
    }
}

#[test]
fn a_state_that_a_task_leaves_half_changed_is_made_anew() {
    for workers in [1, 2, 3] {
        let executor = Executor::trying(workers, 4);
        for weight in [0, SOON, usize::MAX] {
            let (flaky, log) = (Flaky::new(FAILURES), Arc::default());
            let states = executor.fold(tasks(FAILURES.len()), weight, Vec::new, |state, i, _| {
                append(&log, i);
                state.push(i);
                flaky.run(i)?;
                Ok(())
            });
            let mut all = states.unwrap().concat();
            all.sort_unstable();
            assert_eq!(all, (0..FAILURES.len()).collect::<Vec<_>>());
            assert_eq!(sorted(&log), all);
        }
    }
}

/// However many tasks fail, and whenever: a success is lost once at the most.
#[test]
fn what_was_done_is_done_twice_at_the_most() {
    let executor = Executor::trying(1, 4);
    let n = 100;
    for every in [1, 3, 10] {
        let failures: Vec<_> = (0..n).map(|i| usize::from(i % every == 0)).collect();
        let flaky = Flaky::new(&failures);
        let states = executor.fold(pieces(n), SOON, Vec::new, |state, _, i| {
            state.push(flaky.run(i)?);
            Ok(())
        });
        assert_eq!(states.unwrap().concat().len(), n);
        let most = failures.iter().map(|failures| failures + 2);
        assert!(
            flaky
                .calls()
                .iter()
                .zip(most)
                .all(|(calls, most)| *calls <= most)
        );
    }
}

#[test]
fn a_task_that_fails_too_often_is_told_with_its_attempts() {
    for workers in [1, 2] {
        let executor = Executor::trying(workers, 3);
        for weight in [0, SOON, usize::MAX] {
            let flaky = Flaky::new(&[0, 3, 0]);
            let error = executor.map(3, weight, |i| flaky.run(i)).unwrap_err();
            let panicked = "panic: partition 1 (attempt 3 of 3) panicked: call 2 of 1";
            assert_eq!(error.to_string(), panicked);
            let refused = executor.map(3, weight, |i| match i {
                2 => Err(Error::invalid_argument("no")),
                _ => Ok(()),
            });
            assert_eq!(
                refused.unwrap_err().to_string(),
                "invalid argument: partition 2 (attempt 3 of 3) failed: invalid argument: no"
            );
        }
    }
}

/// Tasks that use up what others made: all is done again, and counts once.
#[test]
fn a_stage_is_run_again_when_input_is_used_up() {
    for workers in [1, 2] {
        let executor = Executor::trying(workers, 4);
        for (failures, first) in [(0, 1), (1, 2), (3, 4), (4, 4)] {
            let (flaky, makes) = (Flaky::new(&[failures, 0]), AtomicUsize::new(0));
            let log = Arc::default();
            let stage = executor.stage(|| {
                makes.fetch_add(1, Ordering::Relaxed);
                let made = executor.map(2, usize::MAX, |i| {
                    append(&log, i);
                    Ok(vec![i])
                })?;
                executor.consume(made, usize::MAX, |i, mut made| {
                    append(&log, 10 + i);
                    made.push(flaky.run(i)?);
                    Ok(made)
                })
            });
            assert_eq!(makes.into_inner(), first);
            match stage {
                Ok(made) => {
                    assert_eq!(made, [[0, 0], [1, 1]]);
                    assert_eq!(sorted(&log), [0, 1, 10, 11]);
                }
                Err(error) => {
                    assert_eq!(failures, 4);
                    let text = error.to_string();
                    assert!(text.contains("partition 0 (attempt 4 of 4)"), "{text}");
                    assert_eq!(sorted(&log), [0_usize; 0]);
                }
            }
        }
        // What can be tried again by itself is not tried again by the stage.
        let calls = AtomicUsize::new(0);
        let failed = executor.stage(|| {
            executor.map(1, 0, |_| {
                calls.fetch_add(1, Ordering::Relaxed);
                Err::<(), _>(Error::illegal_state("no"))
            })
        });
        failed.unwrap_err();
        assert_eq!(calls.into_inner(), 4);
    }
}

#[test]
fn a_stage_inside_of_another_stands_for_itself() {
    let executor = Executor::trying(1, 4);
    let (log, made) = (Arc::default(), OnceLock::new());
    let (inner, outer) = (Flaky::new(&[2]), Flaky::new(&[1]));
    let use_up = |flaky: &Flaky, n| {
        executor.consume(vec![()], 0, |_, ()| {
            append(&log, n);
            flaky.run(0)
        })
    };
    let result = executor.stage(|| {
        let made = made.get_or_init(|| executor.stage(|| use_up(&inner, 1)));
        assert_eq!(made.as_ref().unwrap(), &[0]);
        use_up(&outer, 2)
    });
    assert_eq!(result.unwrap(), [0]);
    assert_eq!((inner.calls(), outer.calls()), (vec![3], vec![2]));
    assert_eq!(sorted(&log), [1, 2]);
}
