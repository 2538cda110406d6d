//! Order, and what is left of many records: `sort`, `top`, `distinct`,
//! `aggregate`.

use std::cmp::Reverse;

use super::*;

fn texts() -> impl Strategy<Value = Vec<Vec<String>>> {
    prop::collection::vec(prop::collection::vec("[a-d]{0,2}|[a-d]{20}", 0..30), 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn sorting_gives_what_a_vector_gives(
        parts in texts(),
        layout in prop::sample::select(&LAYOUTS),
        workers in prop::sample::select(&[1, 2, 4]),
    ) {
        let rdd = make(&parts, layout, workers);
        let all = parts.concat();
        let ascending = rdd.clone().sort();
        prop_assert_eq!(ascending.num_partitions(), workers);
        prop_assert_eq!(ascending.collect().unwrap(), sorted(all.clone()));
        // Equal keys keep the order of their records.
        let mut twin = all.clone();
        twin.sort_by_key(|text| Reverse(text.len()));
        let by_len = rdd.clone().sort_by(|text| Reverse(text.len()));
        prop_assert_eq!(by_len.collect().unwrap(), twin);

        twin = sorted(all.clone());
        twin.reverse();
        for n in [0, 1, 5, all.len(), usize::MAX] {
            prop_assert_eq!(rdd.top(n).unwrap(), &twin[..n.min(twin.len())]);
        }
        twin.dedup();
        twin.reverse();
        prop_assert_eq!(sorted(rdd.clone().distinct().collect().unwrap()), twin);

        let take = |total: &mut (usize, usize), text: String| {
            total.0 += text.len();
            total.1 += 1;
        };
        let join = |total: &mut (usize, usize), other: (usize, usize)| {
            total.0 += other.0;
            total.1 += other.1;
        };
        let bytes = all.iter().map(String::len).sum();
        prop_assert_eq!(rdd.aggregate((0, 0), take, join).unwrap(), (bytes, all.len()));
        prop_assert_eq!(rdd.first().unwrap(), all.first().cloned());
    }
}

#[test]
fn sorted_partitions_are_about_even() {
    for workers in [2, 4] {
        let mixed = numbers(100_000, 7, workers).map(|x| x.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let parts = mixed.clone().sort().collect_partitions().unwrap();
        let even = 100_000 / workers;
        for part in &parts {
            assert!((even * 9 / 10..=even * 11 / 10).contains(&part.len()));
        }
        assert_eq!(parts.concat(), sorted(mixed.collect().unwrap()));
    }
}

#[test]
fn records_that_are_all_equal_can_be_sorted() {
    let same = numbers(10_000, 5, 4).map(|_| 7).sort();
    assert_eq!(same.collect().unwrap(), vec![7; 10_000]);
    let none = make::<u64>(&[], Layout::AtRest, 2);
    assert_eq!(
        none.clone().sort().collect_partitions().unwrap(),
        [[], [0_u64; 0]]
    );
    assert_eq!(none.first().unwrap(), None);
    assert_eq!(none.top(3).unwrap(), [0_u64; 0]);
}

#[test]
fn a_sort_key_is_made_once_for_each_record() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let by_key = numbers(1000, 3, 2).sort_by(move |&x| {
        counted.fetch_add(1, Relaxed);
        Reverse(x)
    });
    assert_eq!(calls.load(Relaxed), 0);
    assert_eq!(by_key.first().unwrap(), Some(999));
    assert_eq!(by_key.count().unwrap(), 1000);
    assert_eq!(calls.load(Relaxed), 1000);
}

/// Panics when it is compared.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Incomparable(u64);

impl PartialOrd for Incomparable {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Incomparable {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        assert!(no(other.0));
        self.0.cmp(&other.0)
    }
}

/// The error of a panic that happened beyond the partitions.
#[track_caller]
fn assert_names_merge<T>(result: Result<T>, name: &str, line: u32) {
    let text = result.err().expect("an error").to_string();
    let file = file!();
    assert_eq!(
        text,
        format!(
            "panic: in {name} at {file}:{line}: panic: the merge of all partitions panicked: no"
        )
    );
}

#[test]
fn a_panic_names_the_operation() {
    for layout in LAYOUTS {
        let rdd = || make(&[vec![1_u64, 2], vec![4, 5]], layout, 2);
        let line = line!() + 1;
        let odd = || rdd().map(Incomparable);
        assert_names(odd().sort().collect(), &[("map", line), ("sort", line!())]);
        assert_names(odd().top(1), &[("map", line), ("top", line!())]);
        let by_key = rdd().sort_by(|&x| no(x));
        assert_names(by_key.collect(), &[("sort_by", line!() - 1)]);
        let all = rdd().aggregate((), |(), x| assert!(no(x)), |(), ()| ());
        assert_names(all, &[("aggregate", line!() - 1)]);
        let all = rdd().aggregate((), |(), _| (), |(), other| assert!(no(other)));
        assert_names_merge(all, "aggregate", line!() - 1);
        let line = line!() + 1;
        let once = rdd().map(no).distinct();
        assert_names(once.collect(), &[("map", line), ("distinct", line)]);
        // One record in each partition: nothing to compare before the merge.
        let single = make(&[vec![1_u64], vec![2]], layout, 2).map(Incomparable);
        assert_names_merge(single.sort().collect(), "sort", line!());
    }
}

#[test]
fn a_reduce_may_panic_beyond_the_partitions() {
    // Both partitions have to run at the same time, on two workers.
    let barrier = std::sync::Barrier::new(2);
    let pairs = make(&[vec![1_u64], vec![2]], Layout::Shared, 2).map(move |x| {
        barrier.wait();
        x
    });
    let reduced = pairs.reduce(|a, _| u64::from(no(a)));
    assert_names_merge(reduced, "reduce", line!() - 1);
}
