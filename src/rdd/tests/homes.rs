//! Where records were received: partitions keep it through all that reads them in place.

use super::*;
use crate::block::{RingOptions, text_ring, typed_ring};

const RING: RingOptions = RingOptions {
    block: 1 << 20,
    bound: 1 << 24,
    queue: 64,
    lossy: false,
};

/// Lines with their numbers, received on a node.
fn lines(home: Option<usize>, numbers: std::ops::Range<u64>) -> Arc<dyn Partition<Str>> {
    let (mut writer, mut cutter, budget) = text_ring(RING, 1024);
    if let Some(home) = home {
        budget.set_home(home);
    }
    for number in numbers {
        let line = format!("{number}\n");
        writer.spare(line.len()).unwrap()[..line.len()].copy_from_slice(line.as_bytes());
        writer.filled(line.len());
    }
    writer.publish(usize::MAX);
    let mut taken = Vec::new();
    cutter.cut(&mut taken);
    Arc::new(Lines::taken(taken.remove(0), &Arc::default()))
}

fn rdd(executor: &Arc<Executor>, homes: &[Option<usize>]) -> Rdd<Str> {
    let parts = homes.iter().map(|&home| lines(home, 0..9));
    Rdd::ready(parts.collect(), Arc::clone(executor))
}

fn homes_of<T: Data, P: Pipe<Out = T>>(rdd: Rdd<T, P>) -> Vec<Option<usize>> {
    homes(&rdd.boxed().partitions().unwrap()).collect()
}

#[test]
fn partitions_keep_the_node_of_their_receiver() {
    let executor = executor(2);
    let mixed = [Some(1), None, Some(0), Some(1)];
    let rdd = || rdd(&executor, &mixed);
    assert_eq!(homes_of(rdd()), mixed);
    assert_eq!(homes_of(rdd().map(|line| line.len())), mixed);
    assert_eq!(homes_of(rdd().map_partitions(|lines| lines)), mixed);
    assert_eq!(homes_of(rdd().cartesian(numbers(3, 1, 2))), mixed);
    assert_eq!(homes_of(rdd().union(rdd())), [mixed, mixed].concat());
    // They are elsewhere behind a shuffle.
    assert_eq!(homes_of(rdd().repartition(2)), [None, None]);

    let (mut writer, mut cutter, budget) = typed_ring::<u64>(RING);
    budget.set_home(1);
    writer.push(7, 8).unwrap();
    let mut taken = Vec::new();
    cutter.cut(&mut taken);
    let part: Arc<dyn Partition<u64>> = Arc::new(taken.remove(0));
    assert_eq!(part.home(), Some(1));
}

#[test]
fn neighbours_of_one_node_are_on_it_together() {
    let executor = executor(2);
    let two = [Some(1), Some(1), Some(0), Some(1), Some(0), None];
    let coalesced = rdd(&executor, &two).coalesce(3);
    assert_eq!(homes_of(coalesced), [Some(1), None, None]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn no_record_is_lost_on_several_nodes(
        parts in prop::collection::vec(
            (prop::sample::select(&[None, Some(0), Some(1), Some(5)]), 0..20_000_u64),
            0..9,
        ),
        active in 1..5_usize,
    ) {
        static EXECUTOR: OnceLock<Arc<Executor>> = OnceLock::new();
        let executor = EXECUTOR.get_or_init(|| Arc::new(Executor::on_two_nodes(4)));
        executor.set_active(active);
        let received = parts.iter().map(|&(home, n)| lines(home, 0..n + 1)).collect();
        let rdd = Rdd::ready(received, Arc::clone(executor));
        let twin: Vec<_> = parts.iter().map(|&(_, n)| n + 1).collect();
        let counts = rdd.clone().map_partitions(|lines| [lines.count() as u64]);
        prop_assert_eq!(&counts.collect().unwrap(), &twin);
        let mut keyed = BTreeMap::new();
        for number in twin.iter().flat_map(|&n| 0..n) {
            *keyed.entry(number % 1000).or_insert(0_u64) += 1;
        }
        let key = |line: Str| (line.parse::<u64>().unwrap() % 1000, 1_u64);
        let counted = rdd.map(key).reduce_by_key(|a, b| a + b).collect().unwrap();
        prop_assert_eq!(sorted(counted), Vec::from_iter(keyed));
    }
}
