//! Operations on two keyed data sets, against nested loops.

use super::*;

type Pairs = Vec<Vec<(String, u32)>>;

/// A plain data set.
fn flat(parts: &Pairs) -> Vec<(String, u32)> {
    parts.concat()
}

fn has(pairs: &[(String, u32)], key: &str) -> bool {
    pairs.iter().any(|(k, _)| k == key)
}

/// Every pair of values of a key.
fn twin_join(left: &[(String, u32)], right: &[(String, u32)]) -> Vec<(String, (u32, u32))> {
    let mut joined = Vec::new();
    for (key, v) in left {
        for (other, w) in right {
            if key == other {
                joined.push((key.clone(), (*v, *w)));
            }
        }
    }
    joined
}

/// The pairs whose key the other side does not have.
fn twin_only(pairs: &[(String, u32)], other: &[(String, u32)]) -> Vec<(String, u32)> {
    let only = pairs.iter().filter(|(key, _)| !has(other, key));
    only.cloned().collect()
}

fn check_joins<P, Q>(
    left: &Rdd<(String, u32), P>,
    right: &Rdd<(String, u32), Q>,
    twins: (&[(String, u32)], &[(String, u32)]),
    out: usize,
) where
    P: Pipe<Out = (String, u32)>,
    Q: Pipe<Out = (String, u32)>,
{
    let both = twin_join(twins.0, twins.1);
    let only_left = twin_only(twins.0, twins.1);
    let only_right = twin_only(twins.1, twins.0);
    let sides = || (left.clone(), right.clone());

    let (one, two) = sides();
    let joined = one.join_into(two, out);
    assert_eq!(joined.num_partitions(), out);
    assert_eq!(joined.collect_partitions().unwrap().len(), out);
    assert_eq!(sorted(joined.collect().unwrap()), sorted(both.clone()));
    assert_eq!(joined.count().unwrap(), both.len() as u64);
    assert_eq!(joined.take(2).unwrap().len(), both.len().min(2));

    let (one, two) = sides();
    let mut twin: Vec<_> = both
        .iter()
        .cloned()
        .map(|(k, (v, w))| (k, (v, Some(w))))
        .collect();
    twin.extend(only_left.iter().cloned().map(|(k, v)| (k, (v, None))));
    let joined = one.left_outer_join_into(two, out);
    assert_eq!(sorted(joined.collect().unwrap()), sorted(twin));

    let (one, two) = sides();
    let mut twin: Vec<_> = both
        .iter()
        .cloned()
        .map(|(k, (v, w))| (k, (Some(v), w)))
        .collect();
    twin.extend(only_right.iter().cloned().map(|(k, w)| (k, (None, w))));
    let joined = one.right_outer_join_into(two, out);
    assert_eq!(sorted(joined.collect().unwrap()), sorted(twin));

    let (one, two) = sides();
    let mut twin: Vec<_> = both
        .into_iter()
        .map(|(k, (v, w))| (k, (Some(v), Some(w))))
        .collect();
    twin.extend(only_left.iter().cloned().map(|(k, v)| (k, (Some(v), None))));
    twin.extend(only_right.into_iter().map(|(k, w)| (k, (None, Some(w)))));
    let joined = one.full_outer_join_into(two, out);
    assert_eq!(sorted(joined.collect().unwrap()), sorted(twin));

    let (one, two) = sides();
    assert_eq!(
        sorted(one.subtract_by_key(two).collect().unwrap()),
        sorted(only_left)
    );
    check_groups(left, right, twins, out);
    check_sets(left, right, twins);
}

fn check_groups<P, Q>(
    left: &Rdd<(String, u32), P>,
    right: &Rdd<(String, u32), Q>,
    twins: (&[(String, u32)], &[(String, u32)]),
    out: usize,
) where
    P: Pipe<Out = (String, u32)>,
    Q: Pipe<Out = (String, u32)>,
{
    let mut groups: BTreeMap<String, (Vec<u32>, Vec<u32>)> = BTreeMap::new();
    for (key, v) in twins.0 {
        groups.entry(key.clone()).or_default().0.push(*v);
    }
    for (key, w) in twins.1 {
        groups.entry(key.clone()).or_default().1.push(*w);
    }
    let groups = groups
        .into_iter()
        .map(|(k, (v, w))| (k, (sorted(v), sorted(w))));
    let found = left.clone().cogroup_into(right.clone(), out);
    assert_eq!(found.num_partitions(), out);
    let found = sorted(found.collect().unwrap()).into_iter();
    assert_eq!(
        found
            .map(|(k, (v, w))| (k, (sorted(v), sorted(w))))
            .collect::<Vec<_>>(),
        groups.collect::<Vec<_>>()
    );
}

fn check_sets<P, Q>(
    left: &Rdd<(String, u32), P>,
    right: &Rdd<(String, u32), Q>,
    twins: (&[(String, u32)], &[(String, u32)]),
) where
    P: Pipe<Out = (String, u32)>,
    Q: Pipe<Out = (String, u32)>,
{
    let kept = twins.0.iter().filter(|pair| !twins.1.contains(pair));
    assert_eq!(
        sorted(left.clone().subtract(right.clone()).collect().unwrap()),
        sorted(kept.cloned().collect::<Vec<_>>())
    );
    let mut common: Vec<_> = twins
        .0
        .iter()
        .filter(|pair| twins.1.contains(pair))
        .collect();
    common.sort();
    common.dedup();
    let found = left.clone().intersection(right.clone()).collect().unwrap();
    assert_eq!(sorted(found).iter().collect::<Vec<_>>(), common);
}

/// Pairs with many duplicates, of the keys and of the whole.
fn pairs() -> impl Strategy<Value = Pairs> {
    let pair = ("[a-d]{0,1}|[a-d]{20}", 0_u32..3);
    prop::collection::vec(prop::collection::vec(pair, 0..12), 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn joins_give_what_nested_loops_give(
        left in pairs(),
        right in pairs(),
        layouts in prop::sample::select(&[
            (Layout::AtRest, Layout::AtRest),
            (Layout::AtRest, Layout::Shared),
            (Layout::Owned, Layout::AtRest),
            // Both are expected to be large: in many more buckets than partitions.
            (Layout::Shared, Layout::Owned),
        ]),
        workers in prop::sample::select(&[1, 2, 4]),
        out in 1_usize..6,
    ) {
        let (one, two) = (make(&left, layouts.0, workers), make(&right, layouts.1, workers));
        let (left, right) = (flat(&left), flat(&right));
        check_joins(&one, &two, (&left, &right), out);
        // Chains of their own on both sides.
        let keep = |pair: &(String, u32)| pair.1 > 0;
        let rename = |(key, value): (String, u32)| (key.replace('a', "b"), value);
        let (one, two) = (one.filter(keep), two.map(rename));
        let left: Vec<_> = left.into_iter().filter(keep).collect();
        let right: Vec<_> = right.into_iter().map(rename).collect();
        check_joins(&one, &two, (&left, &right), out);
        check_joins(&one.boxed(), &two.boxed(), (&left, &right), out);
    }
}

#[test]
fn a_large_join_runs_on_all_workers() {
    for workers in [1, 2, 4] {
        // Two values of a key here, three there.
        let left = numbers(80_000, 8, workers).map(|x| (x % 40_000, x));
        let right = numbers(120_000, 3, workers).map(|x| (x % 40_000, x));
        let joined = left.join_into(right, 3);
        let twin = (0..80_000)
            .flat_map(|v| (0..3).map(move |i| (v % 40_000, (v, v % 40_000 + i * 40_000))));
        assert_eq!(
            sorted(joined.collect().unwrap()),
            sorted(twin.collect::<Vec<_>>())
        );
        assert_eq!(joined.num_partitions(), 3);
        assert_eq!(joined.count().unwrap(), 240_000);
    }
}

#[test]
fn joined_keys_lie_where_reduced_ones_do() {
    let pairs = || numbers(1000, 3, 2).map(|x| (x, ()));
    let place = |parts: Vec<Vec<u64>>| -> BTreeMap<u64, usize> {
        let parts = parts.into_iter().enumerate();
        parts
            .flat_map(|(p, part)| part.into_iter().map(move |key| (key, p)))
            .collect()
    };
    let joined = pairs().join_into(pairs(), 4).keys();
    let large = make(&[(0..1000).collect(), vec![]], Layout::Shared, 2).map(|x| (x, ()));
    let finely_joined = large.clone().join_into(large, 4).keys();
    let reduced = pairs().reduce_by_key_into(|(), ()| (), 4).keys();
    let places = place(reduced.collect_partitions().unwrap());
    assert_eq!(place(joined.collect_partitions().unwrap()), places);
    assert_eq!(place(finely_joined.collect_partitions().unwrap()), places);
}

#[test]
fn plain_names_take_the_default_parallelism() {
    let pairs = || numbers(6, 1, 4).map(|x| (x, x));
    let n = [
        pairs().join(pairs()).num_partitions(),
        pairs().left_outer_join(pairs()).num_partitions(),
        pairs().right_outer_join(pairs()).num_partitions(),
        pairs().full_outer_join(pairs()).num_partitions(),
        pairs().cogroup(pairs()).num_partitions(),
        pairs().subtract_by_key(pairs()).num_partitions(),
        pairs().subtract(pairs()).num_partitions(),
        pairs().intersection(pairs()).num_partitions(),
        pairs().distinct().num_partitions(),
        pairs().sort().num_partitions(),
        pairs().reduce_by_key(|a, _| a).num_partitions(),
        pairs().group_by_key().num_partitions(),
        pairs()
            .combine_by_key(|a| a, |_, _| (), |_, _| ())
            .num_partitions(),
        pairs().count_by_value().num_partitions(),
    ];
    assert_eq!(n, [4; 14]);
}

#[test]
fn no_partitions_join_to_nothing() {
    let none = || make::<(u64, u64)>(&[], Layout::AtRest, 2);
    assert_eq!(
        none().join_into(none(), 0).collect_partitions().unwrap(),
        [vec![]]
    );
    let some = make(&[vec![(1, 2)]], Layout::AtRest, 2);
    assert_eq!(
        none().right_outer_join(some).collect().unwrap(),
        [(1, (None, 2))]
    );
    assert_eq!(none().cogroup(none()).count().unwrap(), 0);
}

#[test]
fn a_join_clones_no_more_than_it_has_to() {
    let clones = Arc::new(AtomicUsize::new(0));
    for workers in [1, 2, 4] {
        let tracked = |n: usize| {
            let parts = Tracked::parts(&clones, n);
            let at_rest = Rdd::ready(at_rest(parts), executor(workers));
            at_rest.zip_with_index().map(|(x, i)| (i, x))
        };
        let since = || clones.swap(0, Relaxed);
        // Six keys here, ten there: six match.
        let (few, many) = (tracked(5), tracked(9));
        assert_eq!((few.count().unwrap(), many.count().unwrap()), (6, 10));
        since();
        let joined = few.clone().join(many.clone());
        assert_eq!(joined.count().unwrap(), 6);
        assert_eq!(
            since(),
            16 + 6,
            "out of the data, and one of the smaller side per pair"
        );
        let joined = many.clone().left_outer_join(few.clone());
        assert_eq!(joined.count().unwrap(), 10);
        assert_eq!(since(), 16 + 6);
        let grouped = few.clone().cogroup(many.clone());
        assert_eq!(grouped.count().unwrap(), 10);
        assert_eq!(since(), 16);
        let left = many.subtract_by_key(few);
        assert_eq!(left.count().unwrap(), 4);
        assert_eq!(since(), 16);
    }
    assert_eq!(Arc::strong_count(&clones), 1, "nothing is left");
}

/// A key or value that panics when it is cloned.
#[derive(PartialEq, Eq, Hash)]
struct Fragile(u64);

impl Clone for Fragile {
    fn clone(&self) -> Self {
        assert!(no(self.0));
        Self(self.0)
    }
}

#[test]
fn a_panic_in_a_join_names_the_steps() {
    for layout in LAYOUTS {
        let pairs = || make(&[vec![(1, 1)], vec![(1, 2)]], layout, 2);
        let line = line!() + 1;
        let broken = || pairs().map_values(no);
        let steps = |name, at| [("map_values", line), (name, at)];
        let joined = broken().join(pairs());
        assert_names(joined.collect(), &steps("join", line!() - 1));
        let joined = pairs().full_outer_join(broken());
        assert_names(joined.collect(), &steps("full_outer_join", line!() - 1));
        let grouped = pairs().cogroup(broken());
        assert_names(grouped.collect(), &steps("cogroup", line!() - 1));
        let left = pairs().subtract_by_key(broken());
        assert_names(left.collect(), &steps("subtract_by_key", line!() - 1));
        let line = line!() + 1;
        let broken = pairs().map(|pair| (no(pair), 1));
        let left = broken.subtract(pairs().map(|_| (true, 1)));
        assert_names(left.collect(), &[("map", line), ("subtract", line + 1)]);
        assert_eq!(
            pairs().join(pairs()).count().unwrap(),
            4,
            "the pool goes on"
        );
    }
    // In the merge: cloned for the second pair of a key.
    let fragile = || numbers(2, 2, 2).map(|x| ((), Fragile(x)));
    let joined = fragile().join(fragile());
    assert_names(joined.collect(), &[("join", line!() - 1)]);
}

#[test]
fn a_kept_join_does_not_keep_what_it_was_made_of() {
    let probe = Arc::new(());
    let records = vec![vec![Arc::clone(&probe); 3], vec![Arc::clone(&probe); 2]];
    let input = make(&records, Layout::AtRest, 1).map(|_| (1, 1));
    drop(records);
    let joined = input.clone().join(input);
    assert_eq!(Arc::strong_count(&probe), 6);
    assert_eq!(joined.count().unwrap(), 25);
    assert_eq!(Arc::strong_count(&probe), 1);
}
