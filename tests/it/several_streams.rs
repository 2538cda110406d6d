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
