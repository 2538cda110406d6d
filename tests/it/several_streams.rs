//! Operations of a context over several streams (CTX-19).

use millstream::ErrorKind;
use millstream::prelude::*;

use crate::helpers::*;

#[test]
fn ctx_19_transform_of_many() {
    let program = Program::new();
    let (queues, streams): (Vec<_>, Vec<_>) = (0..2).map(|_| program.queue::<u64>()).unzip();
    let both = program.ssc.transform(streams, |rdds, time| {
        let counts = (rdds[0].count()?, rdds[1].count()?);
        Ok(rdds[1].clone().map(move |x| (time.as_millis(), counts, x)))
    });
    let seen = watch(&both.unwrap());
    program.start();
    queues[0].push(program.ssc.parallelize([1, 2, 3], 2));
    queues[1].push(program.ssc.parallelize([7], 1));
    program.tick();
    assert_eq!(seen.take(), [(1000, vec![(1000, (3, 1), 7)])]);
    let none: [DStream<u64>; 0] = [];
    let error = Program::new()
        .ssc
        .transform(none, |_, _| {
            Err::<Rdd<u64>, _>(millstream::Error::illegal_state("never called"))
        })
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

#[test]
fn tun_12_outputs_run_one_after_the_other_and_a_union_is_one() {
    let program = Program::new();
    let (queues, streams): (Vec<_>, Vec<_>) = (0..2).map(|_| program.queue::<u64>()).unzip();
    let seen = Seen::new();
    let output = |stream: &DStream<u64>, name: &'static str| {
        let seen = seen.clone();
        stream.foreach_rdd(move |rdd, time| {
            seen.add(time, (name, rdd.count()?));
            Ok(())
        });
    };
    output(&streams[0], "one");
    output(&streams[1], "two");
    output(&program.ssc.union(streams).unwrap(), "both");
    program.start();
    queues[0].push(program.ssc.parallelize([1, 2], 2));
    queues[1].push(program.ssc.parallelize([3], 1));
    program.tick();
    let jobs = [("one", 2), ("two", 1), ("both", 3)];
    assert_eq!(seen.take(), jobs.map(|job| (1000, job)));
}

#[test]
fn ctx_19_union_of_many() {
    let program = Program::new();
    let (queues, streams): (Vec<_>, Vec<_>) = (0..3).map(|_| program.queue()).unzip();
    let seen = watch(&program.ssc.union(streams).unwrap());
    program.start();
    for (x, queue) in queues.iter().enumerate() {
        queue.push(program.ssc.parallelize([x], 1));
    }
    program.tick();
    assert_eq!(seen.take(), [(1000, vec![0, 1, 2])]);
    let none: [DStream<u64>; 0] = [];
    let error = Program::new().ssc.union(none).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains("list of streams is empty"));
}
