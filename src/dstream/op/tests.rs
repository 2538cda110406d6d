//! Streams that do not give an Rdd at each of their times.

use std::panic::Location;
use std::sync::Arc;

use super::map_with_state::StateSpec;
use super::update_state_by_key::UpdateOptions;
use crate::dstream::{DStream, Graph, Meta, Node, Operator};
use crate::error::Result;
use crate::executor::Executor;
use crate::rdd::pipe::Data;
use crate::rdd::{Rdd, at_rest};
use crate::state::{State, StateBound};
use crate::time::{BatchTime, Duration};

const SECOND: Duration = Duration::from_secs(1);

fn at(seconds: i64) -> BatchTime {
    BatchTime::from_millis(seconds * 1000)
}

/// A stream that gives one record at 2 s and at 4 s, and no Rdd at all at other
/// times.
struct Gaps(Arc<Executor>);

impl Operator for Gaps {
    type Item = (&'static str, i64);

    fn compute(&self, time: BatchTime) -> Result<Option<Rdd<Self::Item>>> {
        let rdd = || Rdd::ready(at_rest([vec![("a", 1)]]), Arc::clone(&self.0));
        Ok([at(2), at(4)].contains(&time).then(rdd))
    }
}

fn with_gaps() -> (Arc<Graph>, DStream<(&'static str, i64)>) {
    let executor = Arc::new(Executor::of(1));
    let graph = Graph::new("test", SECOND, Arc::clone(&executor), StateBound::default());
    let meta = Meta::new(&graph, "gaps", Location::caller(), SECOND, Vec::new());
    let node = Node::declare(&graph, meta, Gaps(executor));
    (Arc::clone(&graph), DStream::from_node(graph, node))
}

/// What a stream gives at 1 s, 2 s, ... 5 s.
fn run<T: Data>(graph: &Graph, stream: &DStream<T>) -> Vec<Option<Vec<T>>> {
    graph.initialize(at(0), None);
    let times = (1..=5).map(|second| {
        graph.set_last_cut(at(second));
        let rdd = stream.at(at(second)).unwrap();
        rdd.map(|rdd| rdd.collect().unwrap())
    });
    times.collect()
}

#[test]
fn a_time_without_an_rdd_is_one_without_values_once_there_is_state() {
    let (graph, pairs) = with_gaps();
    // The number of calls, and of values that they were given.
    let calls = pairs.update_state_by_key(|new: &[i64], old: Option<&(u32, usize)>| {
        let (calls, values) = old.copied().unwrap_or_default();
        Some((calls + 1, values + new.len()))
    });
    let a = |calls, values| Some(vec![("a", (calls, values))]);
    assert_eq!(
        run(&graph, &calls),
        [None, a(1, 1), a(2, 1), a(3, 2), a(4, 2)]
    );
}

#[test]
fn the_initial_state_waits_for_the_first_rdd() {
    let (graph, pairs) = with_gaps();
    let executor = Arc::clone(graph.executor());
    let initial = Rdd::ready(at_rest([vec![("a", 10), ("b", 20)]]), executor);
    let sums = pairs.update_state_by_key_with(
        |_, _, new, old: Option<&i64>| Some(old.copied()? + new.iter().sum::<i64>()),
        UpdateOptions::new().initial_state(initial),
    );
    let sums = run(&graph, &sums);
    assert_eq!(sums[0], None);
    assert_eq!(sums[1], Some(vec![("a", 11), ("b", 20)]));
    assert_eq!(sums[4], Some(vec![("a", 12), ("b", 20)]));
}

#[test]
fn map_with_state_takes_a_time_without_an_rdd_for_one_without_records() {
    let (graph, pairs) = with_gaps();
    let spec = StateSpec::function(|key, value: Option<i64>, state: &mut State<'_, i64>| {
        let before = state.get_option().copied();
        if let Some(value) = value {
            state.update(before.unwrap_or_default() + value);
        }
        (key, value.is_none(), before)
    });
    let calls = pairs.map_with_state(spec.timeout(Duration::ZERO));
    let a = |over, before| Some(vec![("a", over, before)]);
    assert_eq!(
        run(&graph, &calls),
        [
            Some(vec![]),
            a(false, None),
            a(true, Some(1)),
            a(false, None),
            a(true, Some(1))
        ]
    );
}
