//! Every operation against a naive twin on plain vectors.

mod blame;
mod homes;
mod invalid_utf8;
mod joins;
mod order;
mod regroup;
mod saved;

use std::collections::BTreeMap;
use std::panic::Location;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock};

use proptest::prelude::*;

use super::op::group_by_key::Grouper;
use super::op::reduce_by_key::Reducer;
use super::partition::CHUNK;
use super::pipe::Chunk;
use super::shuffle::HashPartitioner;
use super::*;
use crate::block::Str;
use crate::error::ErrorKind;
use crate::hash::KeyHash;

/// One executor for each number of workers: threads are not free.
fn executor(workers: usize) -> Arc<Executor> {
    static EXECUTORS: [OnceLock<Arc<Executor>>; 5] = [const { OnceLock::new() }; 5];
    let executor = EXECUTORS[workers].get_or_init(|| Arc::new(Executor::of(workers)));
    Arc::clone(executor)
}

/// How the records of a data set lie there.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Layout {
    /// At rest; too few to wake the workers.
    AtRest,
    /// In chunks of three that others share, worth all workers.
    Shared,
    /// In chunks of three that are made anew, worth all workers.
    Owned,
}

const LAYOUTS: [Layout; 3] = [Layout::AtRest, Layout::Shared, Layout::Owned];

/// A partition that is not at rest.
struct Chunked<T> {
    records: Vec<T>,
    owned: bool,
}

impl<T: Data> Partition<T> for Chunked<T> {
    fn chunks(&self, each: &mut dyn FnMut(Chunk<'_, T>) -> ControlFlow<()>) -> Result<()> {
        for chunk in self.records.chunks(3) {
            let flow = if self.owned {
                each(Chunk::Owned(&mut chunk.to_vec()))
            } else {
                each(Chunk::Shared(chunk))
            };
            if flow.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn count(&self) -> Option<usize> {
        None
    }

    fn weight(&self) -> usize {
        1 << 20
    }
}

fn make<T: Data>(parts: &[Vec<T>], layout: Layout, workers: usize) -> Rdd<T> {
    let partitions = parts
        .iter()
        .map(|records| -> Arc<dyn Partition<T>> {
            let records = records.clone();
            match layout {
                Layout::AtRest => return Arc::clone(&at_rest([records])[0]),
                Layout::Shared | Layout::Owned => Arc::new(Chunked {
                    records,
                    owned: layout == Layout::Owned,
                }),
            }
        })
        .collect();
    Rdd::ready(partitions, executor(workers))
}

/// `0..n` in `p` partitions at rest.
fn numbers(n: u64, p: u64, workers: usize) -> Rdd<u64> {
    let parts: Vec<Vec<u64>> = (0..p)
        .map(|i| (n * i / p..n * (i + 1) / p).collect())
        .collect();
    make(&parts, Layout::AtRest, workers)
}

fn sorted<T: Ord>(mut records: Vec<T>) -> Vec<T> {
    records.sort();
    records
}

/// The error of an action that panicked in a step at this line of the caller's file.
#[track_caller]
fn assert_names<T>(result: Result<T>, steps: &[(&str, u32)]) {
    let file = Location::caller().file();
    let error = result.err().expect("an error");
    assert_eq!(error.kind(), ErrorKind::Panic);
    let steps: Vec<_> = steps
        .iter()
        .map(|(name, line)| format!("{name} at {file}:{line}"))
        .collect();
    let text = error.to_string();
    let start = format!("panic: in {}: panic: partition ", steps.join(", "));
    assert!(
        text.starts_with(&start),
        "{text}\ndoes not start with\n{start}"
    );
    assert!(text.ends_with(" panicked: no"), "{text}");
}

fn no<T>(_: T) -> bool {
    panic!("no")
}

/// All actions and all operations with a shuffle, on records that own memory.
fn check<P: Pipe<Out = String>>(rdd: &Rdd<String, P>, twin: &[Vec<String>], out: usize) {
    let all = twin.concat();
    assert_eq!(rdd.num_partitions(), twin.len());
    assert_eq!(rdd.collect().unwrap(), all);
    assert_eq!(rdd.collect_partitions().unwrap(), twin);
    assert_eq!(rdd.count().unwrap(), all.len() as u64);
    for n in [0, 1, 2, all.len().saturating_sub(1), all.len(), usize::MAX] {
        assert_eq!(rdd.take(n).unwrap(), all[..n.min(all.len())]);
    }
    let longest = |a: String, b: String| a.max(b);
    assert_eq!(
        rdd.reduce(longest).unwrap(),
        all.iter().cloned().reduce(longest)
    );

    let seen = Mutex::new(Vec::new());
    rdd.for_each_partition(|records| {
        assert_eq!(records.len(), twin[records.partition_index()].len());
        let index = records.partition_index();
        seen.lock().unwrap().push((index, records.collect()));
        Ok(())
    })
    .unwrap();
    let seen = sorted(seen.into_inner().unwrap());
    assert_eq!(
        seen,
        twin.iter().cloned().enumerate().collect::<Vec<_>>(),
        "each partition once"
    );

    let both = rdd
        .clone()
        .union(rdd.clone().map(|text| format!("{text}!")));
    assert_eq!(both.num_partitions(), 2 * twin.len());
    let shouted = all.iter().map(|text| format!("{text}!"));
    assert_eq!(
        both.collect().unwrap(),
        all.iter().cloned().chain(shouted).collect::<Vec<_>>()
    );

    let dealt = rdd.clone().repartition(out);
    assert_eq!(dealt.num_partitions(), out);
    let parts = dealt.collect_partitions().unwrap();
    let lens = parts.iter().map(Vec::len);
    let uneven = lens.clone().max().unwrap() - lens.min().unwrap();
    // Each worker, and the calling thread, deals in turn, so each can leave a
    // difference of one.
    assert!(
        uneven <= rdd.executor().default_parallelism() + 1,
        "{parts:?}"
    );
    assert_eq!(sorted(parts.concat()), sorted(all.clone()));

    check_keyed(rdd, &all, out);
}

fn check_keyed<P: Pipe<Out = String>>(rdd: &Rdd<String, P>, all: &[String], out: usize) {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for text in all {
        let group = groups.entry(text.chars().take(1).collect()).or_default();
        group.push(text.clone());
    }
    for group in groups.values_mut() {
        group.sort();
    }
    let pairs = rdd
        .clone()
        .map(|text| (text.chars().take(1).collect::<String>(), text));

    let bytes = pairs.clone().map_values(|text| text.len());
    let parts = bytes.collect_partitions().unwrap();
    assert_eq!(parts.len(), rdd.num_partitions(), "partitions stay");
    let twin = all
        .iter()
        .map(|text| (text.chars().take(1).collect(), text.len()));
    assert_eq!(parts.concat(), twin.collect::<Vec<(String, usize)>>());
    assert_eq!(bytes.take(2).unwrap(), parts.concat()[..all.len().min(2)]);

    let grouped = pairs.clone().group_by_key_into(out);
    assert_eq!(grouped.num_partitions(), out);
    let parts = grouped.collect_partitions().unwrap();
    assert_eq!(parts.len(), out);
    let found = parts.concat();
    assert_eq!(found.len(), groups.len(), "each key in one partition");
    let found: BTreeMap<_, _> = found.into_iter().map(|(k, v)| (k, sorted(v))).collect();
    assert_eq!(found, groups);

    let reduced = pairs.clone().reduce_by_key_into(|a, b| a.max(b), out);
    assert_eq!(
        sorted(reduced.collect().unwrap()),
        groups
            .iter()
            .map(|(k, v)| (k.clone(), v.iter().max().unwrap().clone()))
            .collect::<Vec<_>>()
    );

    let combined = pairs.combine_by_key_into(
        |text| (text.len(), 1),
        |(bytes, n), text| {
            *bytes += text.len();
            *n += 1;
        },
        |(bytes, n), (other_bytes, other_n)| {
            *bytes += other_bytes;
            *n += other_n;
        },
        out,
    );
    assert_eq!(
        sorted(combined.collect().unwrap()),
        groups
            .iter()
            .map(|(k, v)| (k.clone(), (v.iter().map(String::len).sum(), v.len())))
            .collect::<Vec<_>>()
    );

    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for text in all {
        *counts.entry(text.clone()).or_default() += 1;
    }
    assert_eq!(
        sorted(rdd.clone().count_by_value_into(out).collect().unwrap()),
        counts.into_iter().collect::<Vec<_>>()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_operation_gives_what_its_twin_gives(
        parts in prop::collection::vec(prop::collection::vec("[a-d]{0,3}|[a-d]{20}", 0..20), 0..8),
        layout in prop::sample::select(&LAYOUTS),
        workers in prop::sample::select(&[1, 2, 4]),
        out in 1_usize..6,
    ) {
        let rdd = make(&parts, layout, workers);
        check(&rdd, &parts, out);
        check(&rdd.clone().boxed(), &parts, out);

        let twin: Vec<Vec<String>> = parts
            .iter()
            .map(|part| {
                part.iter()
                    .map(|text| format!("{text}ab"))
                    .filter(|text| !text.starts_with('d'))
                    .flat_map(|text| {
                        text.split('a').map(str::to_owned).collect::<Vec<_>>()
                    })
                    .collect()
            })
            .collect();
        let keep = |text: &String| !text.starts_with('d');
        let split = |text: String| text.split('a').map(str::to_owned).collect::<Vec<_>>();
        let chain = rdd.clone().map(|text| text + "ab").filter(keep).flat_map(split);
        check(&chain, &twin, out);
        check(&chain.boxed(), &twin, out);
        let boxed = rdd.map(|text| text + "ab").boxed().filter(keep).boxed();
        check(&boxed.flat_map(split), &twin, out);
    }

    #[test]
    fn tables_keep_nothing_of_the_batch_before(
        batches in prop::collection::vec(
            prop::collection::vec(prop::collection::vec((0_u8..9, "[a-c]{0,18}"), 0..12), 0..6),
            1..6,
        ),
        layout in prop::sample::select(&LAYOUTS),
        workers in prop::sample::select(&[1, 2, 4]),
        out in 1_usize..6,
    ) {
        let step = Step::new("group_by_key", Location::caller());
        let aggregate = Arc::new(Aggregate::new(Grouper, out, step));
        for parts in batches {
            let mut twin: BTreeMap<u8, Vec<String>> = BTreeMap::new();
            for (key, value) in parts.concat() {
                twin.entry(key).or_default().push(value);
            }
            let grouped = make(&parts, layout, workers).aggregate_with(Arc::clone(&aggregate));
            let found = sorted(grouped.collect().unwrap()).into_iter();
            prop_assert_eq!(
                found.map(|(k, v)| (k, sorted(v))).collect::<Vec<_>>(),
                twin.into_iter().map(|(k, v)| (k, sorted(v))).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn lines_are_those_of_the_twin(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 0..60),
    ) {
        let text = pieces.concat();
        let lines = lines_of(&text);
        let twin = twin_lines(&text);
        prop_assert_eq!(lines.count().unwrap(), twin.len() as u64);
        prop_assert_eq!(lines.take(2).unwrap(), &twin[..twin.len().min(2)]);
        prop_assert_eq!(lines.collect().unwrap(), twin);
    }
}

const PIECES: &[&[u8]] = &[
    b"\n",
    b"\r",
    b"\r\n",
    b"a",
    b" ",
    "\u{e9}".as_bytes(),
    b"\xff",
    b"\xe2\x82",
    b"fifteen bytes..",
    b"sixteen bytes...",
    &[b'y'; 300],
];

/// The lines of a text in one block.
fn lines_of(text: &[u8]) -> Rdd<Str> {
    let lines = Lines::copy_of(text, &Arc::default());
    Rdd::ready(
        Arc::new([Arc::new(lines) as Arc<dyn Partition<Str>>]),
        executor(2),
    )
}

fn twin_lines(text: &[u8]) -> Vec<Str> {
    let mut lines = vec![Vec::new()];
    let mut rest = text.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        match byte {
            b'\r' => {
                rest.next_if_eq(&b'\n');
                lines.push(Vec::new());
            }
            b'\n' => lines.push(Vec::new()),
            byte => lines.last_mut().unwrap().push(byte),
        }
    }
    // What follows the last end of a line is one only if it is not empty.
    lines.pop_if(|last| last.is_empty());
    lines
        .iter()
        .map(|line| Str::from(String::from_utf8_lossy(line).into_owned()))
        .collect()
}

#[test]
fn lines_by_hand() {
    let texts = |text: &[u8]| -> Vec<String> {
        let lines = lines_of(text).collect().unwrap();
        lines.iter().map(|line| line.to_string()).collect()
    };
    assert_eq!(texts(b""), Vec::<String>::new());
    assert_eq!(texts(b"\n"), [""]);
    assert_eq!(texts(b"a\r\n\r\nb\rc\nd"), ["a", "", "b", "c", "d"]);
    assert_eq!(texts(b"\n\r"), ["", ""]);
    assert_eq!(texts(b"ok\nb\xffd\n"), ["ok", "b\u{fffd}d"]);
}

#[test]
fn a_large_partition_is_shared_and_stays_one() {
    let line = "some words of a line that is longer than a short string";
    for workers in [1, 2, 4] {
        let text = format!("{line}\r\n").repeat(5_000);
        let lines = Rdd::ready(
            Arc::new([Arc::new(Lines::copy_of(text.as_bytes(), &Arc::default()))
                as Arc<dyn Partition<Str>>]),
            executor(workers),
        );
        let words = lines.clone().flat_map(|line| line.split(' '));
        assert_eq!(words.num_partitions(), 1);
        assert_eq!(words.count().unwrap(), 60_000);
        let counts = words.clone().boxed().count_by_value_into(1);
        assert!(counts.collect().unwrap().contains(&("line".into(), 5_000)));
        let naive: Vec<&str> = line.split(' ').collect();
        assert_eq!(words.collect().unwrap(), naive.repeat(5_000));

        let numbers = numbers(50_000, 1, workers);
        assert_eq!(numbers.reduce(|a, b| a + b).unwrap(), Some(1_249_975_000));
        assert_eq!(numbers.collect().unwrap(), (0..50_000).collect::<Vec<_>>());
        let dealt = numbers.repartition(3).collect().unwrap();
        assert_eq!(sorted(dealt), (0..50_000).collect::<Vec<_>>());
    }
}

#[test]
fn a_merge_of_many_keys_runs_on_all_workers() {
    for workers in [1, 2, 4] {
        let pairs = numbers(60_000, 8, workers).map(|x| (x % 20_000, 1_u64));
        let counts = pairs.reduce_by_key_into(|a, b| a + b, 5);
        let found = sorted(counts.collect().unwrap());
        assert_eq!(found, (0..20_000).map(|key| (key, 3)).collect::<Vec<_>>());
    }
}

#[test]
fn a_batch_after_a_large_one_is_right_too() {
    let step = Step::new("reduce_by_key", Location::caller());
    let aggregate = Arc::new(Aggregate::new(Reducer(|a, b| a + b), 2, step));
    for n in [200_000, 3, 0, 100_000] {
        let pairs = numbers(n, 3, 2).map(|x| (x, x));
        let sums = pairs.aggregate_with(Arc::clone(&aggregate));
        let found = sorted(sums.collect().unwrap());
        assert_eq!(found, (0..n).map(|x| (x, x)).collect::<Vec<_>>());
    }
}

#[test]
fn what_workers_have_for_a_key_stays_apart_if_they_share_few() {
    let step = Step::new("reduce_by_key", Location::caller());
    let executor = Executor::of(2);
    let aggregate = Aggregate::new(Reducer(|a, b| a + b), 3, step);
    // Of `keys` keys, in two partitions; whoever works on them.
    let entries = |n: u64, keys: u64| {
        let pairs = numbers(n, 2, 2).map(move |x| (x % keys, 1_u64));
        let parts = aggregate.run_apart(&pairs, &executor).unwrap();
        assert_eq!(parts.len(), 3);
        let entries = sorted(
            Rdd::ready(parts, Arc::new(Executor::of(1)))
                .collect()
                .unwrap(),
        );
        let mut sums = BTreeMap::new();
        for (key, count) in &entries {
            *sums.entry(*key).or_insert(0) += count;
        }
        let expected = (0..keys.min(n)).map(|key| (key, n / keys + u64::from(key < n % keys)));
        assert_eq!(
            sums.into_iter().collect::<Vec<_>>(),
            expected.collect::<Vec<_>>()
        );
        entries.len()
    };
    // All keys come to both workers, if both take part.
    assert_eq!(entries(20_000, 100), 100);
    // None does.
    assert_eq!(entries(20_000, 20_000), 20_000);
    // Every third does.
    let apart = entries(20_000, 15_000);
    assert!((15_000..=20_000).contains(&apart), "{apart}");
    assert_eq!(entries(0, 1), 0);
}

#[test]
fn take_runs_no_more_than_it_needs() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = {
        let calls = Arc::clone(&calls);
        numbers(10_000, 2, 2).map(move |x| {
            calls.fetch_add(1, Relaxed);
            x
        })
    };
    assert_eq!(counted.take(3).unwrap(), [0, 1, 2]);
    assert_eq!(calls.swap(0, Relaxed), 3);
    assert_eq!(counted.take(0).unwrap(), [0_u64; 0]);
    assert_eq!(calls.swap(0, Relaxed), 0);
    assert_eq!(counted.boxed().take(3).unwrap(), [0, 1, 2]);
    assert_eq!(calls.swap(0, Relaxed), CHUNK, "a boxed chain makes a chunk");
    // An iterator without an end is fine, too.
    let endless = numbers(4, 2, 2).flat_map(|x| x..);
    assert_eq!(endless.take(4).unwrap(), [0, 1, 2, 3]);
}

#[test]
fn a_shuffle_is_computed_once_and_only_when_asked() {
    let calls = Arc::new(AtomicUsize::new(0));
    let reduced = {
        let calls = Arc::clone(&calls);
        let pairs = numbers(10, 3, 2).map(move |x| {
            calls.fetch_add(1, Relaxed);
            (x % 2, x)
        });
        pairs.reduce_by_key_into(|a, b| a + b, 2)
    };
    assert_eq!(calls.load(Relaxed), 0);
    assert_eq!(reduced.count().unwrap(), 2);
    assert_eq!(sorted(reduced.collect().unwrap()), [(0, 20), (1, 25)]);
    assert_eq!(calls.load(Relaxed), 10);
}

#[test]
fn a_count_is_free_where_it_is_known() {
    assert_eq!(numbers(10, 3, 1).boxed().known_count(), 10);
    assert_eq!(numbers(10, 3, 1).map(|x| x).known_count(), 0);
    let pairs = make(&[vec![(1, 2)]], Layout::AtRest, 1);
    assert_eq!(pairs.known_count(), 1);
    assert_eq!(pairs.map_values(|x| x).known_count(), 0);
    assert_eq!(numbers(10, 3, 1).union(numbers(4, 1, 1)).known_count(), 14);
    assert_eq!(numbers(0, 1, 1).counted().collect().unwrap(), [0]);
    assert_eq!(
        numbers(9, 2, 1).map(|x| x).counted().collect().unwrap(),
        [9]
    );
}

#[test]
fn no_partitions_are_fine() {
    let none = || make::<u64>(&[], Layout::AtRest, 2);
    assert_eq!(none().collect().unwrap(), [0_u64; 0]);
    assert_eq!(none().counted().collect().unwrap(), [0]);
    assert_eq!(
        none().repartition(0).collect_partitions().unwrap(),
        [[0_u64; 0]]
    );
    let grouped = none().map(|x| (x, x)).group_by_key_into(0);
    assert_eq!(
        grouped.collect_partitions().unwrap(),
        [Vec::<(u64, Vec<u64>)>::new()]
    );
}

/// A value that tells how often it was cloned and how many of it live.
struct Tracked(Arc<AtomicUsize>);

impl Tracked {
    fn parts(clones: &Arc<AtomicUsize>, n: usize) -> Vec<Vec<Self>> {
        let one = || Self(Arc::clone(clones));
        vec![(0..n).map(|_| one()).collect(), vec![one()]]
    }
}

impl Clone for Tracked {
    fn clone(&self) -> Self {
        self.0.fetch_add(1, Relaxed);
        Self(Arc::clone(&self.0))
    }
}

#[test]
fn records_are_cloned_out_of_shared_memory_only_and_all_are_dropped() {
    let clones = Arc::new(AtomicUsize::new(0));
    for workers in [1, 2, 4] {
        let parts = Tracked::parts(&clones, 9);
        let rdd = Rdd::ready(at_rest(parts), executor(workers));
        let since = || clones.swap(0, Relaxed);
        since();
        assert_eq!(rdd.collect().unwrap().len(), 10);
        assert_eq!(since(), 10);
        assert_eq!(rdd.count().unwrap(), 10);
        assert_eq!(since(), 0);
        assert_eq!(rdd.take(4).unwrap().len(), 4);
        assert_eq!(since(), 4);
        let mapped = rdd.clone().map(|x| x).boxed().filter(|_| true).boxed();
        assert_eq!(mapped.collect().unwrap().len(), 10);
        assert_eq!(since(), 10, "chains move what they made");
        let dealt = rdd.clone().repartition(3);
        assert_eq!(dealt.count().unwrap(), 10);
        assert_eq!(since(), 10, "a shuffle moves");
        let reduced = rdd.clone().map(|x| (0, x)).reduce_by_key_into(|a, _| a, 2);
        assert_eq!(reduced.count().unwrap(), 1);
        assert_eq!(since(), 10 + 9, "one for each value that is taken in");
        let grouped = rdd.clone().map(|x| (0, x)).group_by_key_into(2);
        assert_eq!(grouped.count().unwrap(), 1);
        assert_eq!(since(), 10);
    }
    assert_eq!(Arc::strong_count(&clones), 1, "nothing is left");
}

#[test]
fn a_panic_drops_all_records() {
    let clones = Arc::new(AtomicUsize::new(0));
    for workers in [1, 2, 4] {
        let rdd = make(&Tracked::parts(&clones, 9), Layout::Shared, workers);
        let calls = AtomicUsize::new(0);
        let pairs = rdd.map(move |x| {
            assert!(calls.fetch_add(1, Relaxed) < 5);
            (0, x)
        });
        let reduced = pairs.reduce_by_key_into(|a, _| a, 2);
        assert_eq!(reduced.collect().err().unwrap().kind(), ErrorKind::Panic);
    }
    assert_eq!(Arc::strong_count(&clones), 1, "nothing is left");
}

#[test]
fn keys_go_to_the_same_partition_in_every_batch() {
    let place = |n| {
        let pairs = numbers(n, 3, 2).map(|x| (x, ()));
        let parts = pairs.group_by_key_into(4).collect_partitions().unwrap();
        let keys = parts
            .into_iter()
            .enumerate()
            .flat_map(|(p, part)| part.into_iter().map(move |(key, _)| (key, p)));
        keys.collect::<BTreeMap<_, _>>()
    };
    let (small, large) = (place(10), place(1_000));
    assert!(small.iter().all(|(key, p)| large[key] == *p));
    let used: std::collections::BTreeSet<_> = large.values().collect();
    assert_eq!(used.len(), 4, "all partitions are used");
}

#[test]
fn a_kept_result_does_not_keep_what_it_was_made_of() {
    let probe = Arc::new(());
    let records = vec![vec![Arc::clone(&probe); 3], vec![Arc::clone(&probe); 2]];
    let input = make(&records, Layout::AtRest, 1);
    drop(records);
    let counts = input.map(|_| ((), 1)).reduce_by_key_into(|a, b| a + b, 1);
    assert_eq!(Arc::strong_count(&probe), 6);
    assert_eq!(counts.collect().unwrap(), [((), 5)]);
    assert_eq!(Arc::strong_count(&probe), 1);
    assert_eq!(counts.collect().unwrap(), [((), 5)]);
}

/// Many keys, few, and both: with tables that are too small, that are not worth
/// while, and that are both in turn.
#[test]
fn aggregations_that_outgrow_their_tables() {
    const N: u64 = 40_000;
    let uniform = |keys: u64| move |i: u64| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) % keys;
    let cases: [(&str, Box<dyn Fn(u64) -> u64>); 6] = [
        ("few", Box::new(uniform(50))),
        ("as many as a table has room for", Box::new(uniform(3_000))),
        ("some more", Box::new(uniform(8_000))),
        ("hardly one twice", Box::new(|i| i / 2)),
        ("three times, far apart", Box::new(uniform(N / 3))),
        (
            "hot and cold",
            Box::new(|i| if i % 4 == 0 { i } else { i % 7 }),
        ),
    ];
    for (name, key_of) in cases {
        let mut twin = BTreeMap::new();
        for i in 0..N {
            let (sum, count) = twin.entry(key_of(i)).or_insert((0, 0));
            *sum += i;
            *count += 1;
        }
        let twin: Vec<_> = twin.into_iter().collect();
        let records: Vec<_> = (0..N).map(|i| (key_of(i), (i, 1_u64))).collect();
        for (workers, out) in [(1, 1), (1, 3), (2, 1), (2, 2), (4, 100)] {
            let parts: Vec<_> = records.chunks(3_333).map(<[_]>::to_vec).collect();
            let rdd = Rdd::ready(at_rest(parts), executor(workers));
            let sums = rdd.reduce_by_key_into(|a, b| (a.0 + b.0, a.1 + b.1), out);
            let found = sums.collect_partitions().unwrap();
            assert_eq!(found.len(), out, "{name}");
            // The partition of a key is that of its hash, also when it had been in
            // one of many buckets.
            let partitioner = HashPartitioner::new(out);
            for (i, part) in found.iter().enumerate() {
                for (key, _) in part {
                    assert_eq!(partitioner.of(KeyHash::get().hash(key)), i, "{name}");
                }
            }
            assert_eq!(
                sorted(found.concat()),
                twin,
                "{name} with {workers} workers"
            );
        }
    }
}
