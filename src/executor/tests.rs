use std::sync::Barrier;

use super::*;

fn tasks(n: usize) -> impl Iterator<Item = Pieces> {
    whole((0..n).map(|_| None))
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
