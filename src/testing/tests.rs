use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;

/// What a failed assertion says.
fn said(assertion: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(assertion)).expect_err("it fails");
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => (*panic.downcast::<&str>().expect("a text")).to_owned(),
    }
}

fn seen<T>(batches: impl IntoIterator<Item = (i64, Vec<T>)>) -> Seen<Vec<T>> {
    let seen = Seen::new();
    for (time, records) in batches {
        seen.add(crate::time::BatchTime::from_millis(time), records);
    }
    seen
}

#[test]
fn what_is_as_expected_is_taken() {
    let seen = seen([(1000, vec![2, 1, 2]), (2000, vec![])]);
    seen.assert_unordered([(1000, vec![1, 2, 2]), (2000, vec![])]);
    seen.assert_batches([]);
}

#[test]
fn a_difference_is_told_with_its_batch_and_its_records() {
    let batches = || seen([(1000, vec![1]), (2000, vec![2, 3, 3])]);
    assert_eq!(
        said(|| batches().assert_batches([(1000, vec![1]), (2000, vec![3, 4])])),
        "batch 2000 ms is not as expected\n  expected: [3, 4]\n      seen: [2, 3, 3]\n   \
         missing: [4]\n   surplus: [2, 3]"
    );
    assert_eq!(
        said(|| batches().assert_batches([(1000, vec![1]), (2000, vec![3, 2, 3])])),
        "batch 2000 ms is not as expected\n  expected: [3, 2, 3]\n      seen: [2, 3, 3]",
        "the same records in another order"
    );
    assert_eq!(
        said(|| batches().assert_unordered([(1000, vec![1]), (1500, vec![])])),
        "batch 1500 ms was expected, and batch 2000 ms came, with [2, 3, 3]"
    );
    assert_eq!(
        said(|| batches().assert_batches([(1000, vec![1])])),
        "1 batches were expected, and 2 came; the next is\n  batch 2000 ms: [2, 3, 3]"
    );
    assert_eq!(
        said(|| seen([]).assert_batches([(1000, vec![7])])),
        "1 batches were expected, and 0 came; the next is\n  batch 1000 ms: [7]"
    );
}

#[test]
fn an_error_of_a_batch_is_told() {
    let test = TestContext::new();
    let (queue, input) = test.queue();
    let seen = watch(&input.map(|x: u64| {
        assert!(x != 7, "no sevens");
        x
    }));
    test.start();
    assert!(test.first_error().is_none());
    for records in [[7], [8]] {
        test.push(&queue, records);
        test.tick();
    }
    test.stop();
    let text = said(|| seen.assert_batches([(1000, vec![7]), (2000, vec![8])]));
    let begin = "batch 1000 ms was expected, and batch 2000 ms came, with [8]\n     error: in \
                 batch 1000 ms: panic: in map at ";
    assert!(text.starts_with(begin), "{text}");
    assert!(text.ends_with("no sevens"), "{text}");
    let error = test.first_error().expect("a batch failed").to_string();
    assert!(error.ends_with("no sevens"), "{error}");
}

#[test]
fn batches_go_in_as_lists_and_as_partitions() {
    let test = TestContext::new();
    let (queue, input) = test.queue();
    let seen = watch_partitions(&input);
    test.start();
    test.push(&queue, [1, 2]);
    test.push_partitions(&queue, [vec![3], vec![], vec![4, 5]]);
    test.push_partitions(&queue, []);
    test.advance(4);
    seen.assert_batches([
        (1000, vec![vec![1, 2]]),
        (2000, vec![vec![3], vec![], vec![4, 5]]),
        (3000, vec![]),
        (4000, vec![vec![]]),
    ]);
}

#[test]
fn time_goes_from_batch_to_batch() {
    let test = TestContext::starting_at(10_350, |builder| {
        builder.batch_interval(crate::time::Duration::from_millis(250))
    });
    let (_queue, input) = test.queue::<u64>();
    let seen = watch(&input);
    test.start();
    test.advance(2);
    assert_eq!(test.now().as_millis(), 10_750);
    test.clock.advance(crate::time::Duration::from_millis(1));
    test.tick();
    seen.assert_batches([10_500, 10_750, 11_000].map(|time| (time, vec![])));
}

#[test]
fn a_test_that_is_wrong_is_told_where() {
    let test = TestContext::new();
    assert_eq!(said(|| test.tick()), "start() comes before tick()");
    let text = said(|| test.start());
    assert!(text.contains("no output operations"), "{text}");
    let text = said(|| drop(TestContext::with(|builder| builder.workers(0))));
    assert!(text.contains("workers"), "{text}");
    let text = said(|| drop(run([vec![0_u64]], |input| input.map(|x| 1 / x))));
    assert!(text.contains("divide by zero"), "{text}");
}
