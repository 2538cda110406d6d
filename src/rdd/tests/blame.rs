//! What goes wrong names the step and the place.

use super::*;

#[test]
fn a_panic_names_the_steps_that_were_running() {
    for layout in LAYOUTS {
        let rdd = || make(&[vec![1_u64, 2, 3], vec![4, 5]], layout, 2);
        assert_names(rdd().map(no).collect(), &[("map", line!())]);
        assert_names(rdd().map(no).count(), &[("map", line!())]);
        assert_names(rdd().filter(|x| no(*x)).take(1), &[("filter", line!())]);
        assert_names(
            rdd().flat_map(|x| [no(x)]).collect_partitions(),
            &[("flat_map", line!() - 1)],
        );
        // All steps of a chain, since they are one loop.
        let chain = rdd().map(|x| x + 1).filter(|x| no(*x)).map(|x| x);
        let line = line!() - 1;
        let steps = [("map", line), ("filter", line), ("map", line)];
        assert_names(chain.collect(), &steps);
        // Those behind a pointer too, but not those beyond a shuffle.
        let boxed = rdd().map(no).boxed().filter(|_| true);
        let line = line!() - 1;
        assert_names(boxed.collect(), &[("map", line), ("filter", line)]);
        let both = rdd().union(rdd().filter(|x| no(*x)));
        assert_names(both.collect(), &[("filter", line!() - 1)]);
        let dealt = rdd().map(no).repartition(2).filter(|_| true);
        assert_names(dealt.collect(), &[("map", line!() - 1)]);

        let reduced = rdd().reduce(|a, _| u64::from(no(a)));
        assert_names(reduced, &[("reduce", line!() - 1)]);
        let step = Step::new("reduce", Location::caller());
        let line = line!() - 1;
        let reduced = rdd().reduced(step, Arc::new(|a, _| u64::from(no(a))));
        assert_names(reduced.collect(), &[("reduce", line)]);
        let each = rdd().for_each_partition(|records| {
            no(records);
            Ok(())
        });
        assert_names(each, &[("for_each_partition", line!() - 4)]);

        let pairs = || rdd().map(|x| (x % 2, x));
        let line = line!() - 1;
        let steps = [("map", line), ("map_values", line!() + 1)];
        assert_names(pairs().map_values(no).collect(), &steps);
        let reduced = pairs().reduce_by_key_into(|a, _| u64::from(no(a)), 2);
        let steps = [("map", line), ("reduce_by_key", line!() - 1)];
        assert_names(reduced.map(|x| x).collect(), &steps);
        let first = pairs().combine_by_key_into(no, |_, _| (), |_, _| (), 2);
        let steps = [("map", line), ("combine_by_key", line!() - 1)];
        assert_names(first.collect(), &steps);
        let further = pairs().combine_by_key_into(|_| (), |(), x| assert!(no(x)), |_, _| (), 2);
        let steps = [("map", line), ("combine_by_key", line!() - 1)];
        assert_names(further.collect(), &steps);

        assert_eq!(
            rdd().collect().unwrap(),
            [1, 2, 3, 4, 5],
            "the pool goes on"
        );
        assert_eq!(pairs().group_by_key_into(3).count().unwrap(), 2);
    }
}

#[test]
fn a_panic_in_a_merge_names_the_operation() {
    // Both partitions have to run at the same time, on two workers.
    let barrier = std::sync::Barrier::new(2);
    let pairs = make(&[vec![1_u64], vec![2]], Layout::Shared, 2).map(move |x| {
        barrier.wait();
        ((), x)
    });
    let line = line!() - 4;
    let merged = pairs.combine_by_key_into(|_| (), |_, _| (), |_, other| assert!(no(other)), 1);
    assert_names(merged.collect(), &[("combine_by_key", line + 5)]);
}

#[test]
fn an_error_of_the_program_is_not_blamed_on_a_step() {
    let error = numbers(3, 1, 1)
        .map(|x| x)
        .for_each_partition(|_| Err(Error::invalid_argument("not today")))
        .unwrap_err();
    assert_eq!(error.to_string(), "invalid argument: not today");
}

#[test]
fn an_error_is_kept_like_a_result() {
    let calls = Arc::new(AtomicUsize::new(0));
    let reduced = {
        let calls = Arc::clone(&calls);
        let pairs = numbers(1, 1, 1).map(move |x| {
            calls.fetch_add(1, Relaxed);
            (no(x), x)
        });
        pairs.reduce_by_key_into(|a, _| a, 1)
    };
    let first = reduced.collect().unwrap_err().to_string();
    assert_eq!(reduced.count().unwrap_err().to_string(), first);
    assert_eq!(calls.load(Relaxed), 1);
}

#[test]
fn an_action_inside_a_task_is_refused_and_does_no_harm() {
    for workers in [1, 2] {
        let shuffled = numbers(4, 2, workers).map(|x| (x, x)).group_by_key_into(2);
        let inside = shuffled.clone();
        let kinds = make(&[vec![1], vec![2]], Layout::Shared, workers)
            .map(move |_| [inside.collect().err(), inside.count().err()]);
        for error in kinds.collect().unwrap().concat() {
            assert_eq!(error.unwrap().kind(), ErrorKind::IllegalState);
        }
        // The refusal was not kept in place of the result.
        assert_eq!(shuffled.count().unwrap(), 4);
    }
}
