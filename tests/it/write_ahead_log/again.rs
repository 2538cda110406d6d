//! Batches that come again after a crash are what they were (S-7, G-12, R-2, R-7, R-9, R-10).

use std::sync::{Arc, Mutex};

use millstream::listener::{BatchInfo, StreamingListener};

use super::*;

/// What was in batches since the last checkpoint comes again in the same batches, in
/// the same partitions, with the same things said about them.
#[test]
fn rerun_batch_is_identical() {
    #[derive(Clone, Default)]
    struct Metadata(Arc<Mutex<BTreeMap<i64, Vec<String>>>>);

    impl StreamingListener for Metadata {
        fn on_batch_completed(&self, batch: &BatchInfo) {
            let metadata = batch.inputs[0].block_metadata.iter();
            let metadata = metadata.map(ToString::to_string).collect();
            let mut all = self.0.lock().unwrap();
            all.insert(batch.batch_time.as_millis(), metadata);
        }
    }

    let dir = Scratch::new("log-again");
    let run = Run::start(&dir, 0, NEVER);
    let told = Metadata::default();
    run.program.ssc.add_listener(told.clone());
    run.handle.store(1).unwrap();
    run.handle
        .store_many_with_metadata(vec![2, 3], "two and three")
        .unwrap();
    run.handle.store(4).unwrap();
    run.handle.store(5).unwrap();
    run.program.tick();
    run.program.tick();
    run.handle.store_many(vec![6]).unwrap();
    run.program.tick();
    run.handle.store_many(vec![7]).unwrap();
    let batches = run.batches.take();
    let first = vec![vec![1], vec![2, 3], vec![4, 5]];
    assert_eq!(
        batches,
        [(1000, first), (2000, vec![]), (3000, vec![vec![6]])]
    );
    let now = run.crash();
    assert_eq!(now, 3000);
    let told = told.0.lock().unwrap().clone();
    assert_eq!(told[&1000], ["two and three"]);

    // There is no checkpoint at all: all of it is in the first batch.
    let run = Run::start(&dir, now, SECOND);
    run.program.tick();
    let first = [vec![1], vec![2, 3], vec![4, 5], vec![6], vec![7]];
    assert_eq!(run.batches.take(), [(4000, first.to_vec())]);
    run.handle.store(8).unwrap();
    run.program.tick();
    let now = run.crash();

    let run = Run::start(&dir, now, NEVER);
    run.handle
        .store_many_with_metadata(vec![9], "nine")
        .unwrap();
    run.program.tick();
    run.handle.store(10).unwrap();
    run.program.tick();
    run.program.tick();
    run.handle.store_many(vec![11]).unwrap();
    let batches = run.batches.take();
    let now = run.crash();

    // Some time passes until the next start.
    let run = Run::start(&dir, now + 2500, NEVER);
    let told = Metadata::default();
    run.program.ssc.add_listener(told.clone());
    run.handle.store(12).unwrap();
    run.program.ssc.await_batch(at(now + 2000));
    let mut again = run.batches.take();
    let later = again.split_off(batches.len());
    assert_eq!(again, batches);
    // Nothing new in what an earlier process may have cut.
    assert_eq!(later, [(now + 1000, vec![]), (now + 2000, vec![])]);
    run.program.clock.set(at(now + 3000));
    run.program.ssc.await_batch(at(now + 3000));
    let fresh = vec![vec![11], vec![12]];
    assert_eq!(run.batches.take(), [(now + 3000, fresh)]);
    assert_eq!(run.counts(), once(1..=12));
    // Then all listeners were told.
    run.crash();
    assert_eq!(told.0.lock().unwrap()[&batches[0].0], ["nine"]);
}
