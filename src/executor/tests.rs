use super::*;

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
fn there_is_a_state_even_without_tasks() {
    let states = executor(2).fold(0, 0, || 7, |_, _| Ok(())).unwrap();
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
        .fold(2, usize::MAX, Vec::new, |names, _| {
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
        let together = std::sync::Barrier::new(active);
        let states = executor.fold(
            12 * active,
            usize::MAX,
            Vec::new,
            |names: &mut Vec<String>, _| {
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
