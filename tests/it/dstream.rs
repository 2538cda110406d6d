//! Discretized streams (DST-1 to DST-7).

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier, OnceLock};

use millstream::ErrorKind;
use millstream::prelude::*;

use crate::helpers::*;

#[test]
fn dst_1_streams_slide_by_the_batch_interval() {
    let program = Program::new();
    let (_queue, input) = program.queue::<u64>();
    assert_eq!(input.slide_interval(), SECOND);
    assert_eq!(input.map(|x| x).slide_interval(), SECOND);
    assert_eq!(input.count().slide_interval(), SECOND);
    assert_eq!(input.union(&input).unwrap().slide_interval(), SECOND);
}

#[test]
fn dst_2_a_stream_is_built_once_per_batch() {
    let program = Program::new();
    let (queue, input) = program.queue();
    let (transforms, records) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let shared = {
        let (transforms, records) = (Arc::clone(&transforms), Arc::clone(&records));
        input.transform(move |rdd, _| {
            transforms.fetch_add(1, Relaxed);
            let records = Arc::clone(&records);
            let pairs = rdd.map(move |x: u64| {
                records.fetch_add(1, Relaxed);
                (x, x)
            });
            Ok(pairs.reduce_by_key_into(|a, b| a + b, 2))
        })
    };
    let (one, two) = (watch(&shared.count()), watch(&shared.map(|(_, x)| x)));
    program.start();
    for second in 1..=3 {
        queue.push(program.ssc.parallelize([1, 1, 1], 2));
        program.tick();
        assert_eq!(transforms.load(Relaxed), second);
        assert_eq!(records.load(Relaxed), 3 * second, "the shuffle too");
    }
    assert_eq!(
        one.take(),
        [(1000, vec![1]), (2000, vec![1]), (3000, vec![1])]
    );
    assert_eq!(
        two.take(),
        [(1000, vec![3]), (2000, vec![3]), (3000, vec![3])]
    );
}

#[test]
fn dst_2_nothing_runs_before_an_output_asks() {
    let program = Program::new();
    let (queue, input) = program.queue();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = {
        let calls = Arc::clone(&calls);
        input.map(move |x: u64| {
            calls.fetch_add(1, Relaxed);
            x
        })
    };
    queue.push(program.ssc.parallelize([1, 2], 1));
    // One output that asks for nothing, and a stream that no output uses.
    counted.foreach_rdd(|_, _| Ok(()));
    let _unused = counted.count();
    program.start();
    program.tick();
    program.stop();
    assert_eq!(calls.load(Relaxed), 0);
}

#[test]
fn dst_4_partitions_of_the_input_are_those_of_a_narrow_chain() {
    let program = Program::new();
    let (queue, input) = program.queue();
    let seen = watch_partitions(&input.map(|x| x * 2).boxed().filter(|x| *x > 2));
    program.start();
    queue.push(program.ssc.parallelize([1, 2, 3], 3));
    program.tick();
    assert_eq!(seen.take(), [(1000, vec![vec![], vec![4], vec![6]])]);
}

/// The records of a slice.
fn slice(stream: &DStream<u64>, from: i64, to: i64) -> Vec<Vec<u64>> {
    let rdds = stream.slice(at(from), at(to)).expect("it was started");
    let records = rdds.iter().map(Rdd::collect);
    records.collect::<Result<_, _>>().expect("nothing can fail")
}

#[test]
fn dst_5_slice() {
    let program = Program::new();
    program.ssc.remember(60 * SECOND).unwrap();
    let (queue, input) = program.queue();
    let plus = input.map(|x: u64| x + 10).boxed();
    watch(&plus);
    let error = plus.slice(at(0), at(1000)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::IllegalState);
    assert!(error.to_string().contains("not started"), "{error}");
    program.start();
    assert_eq!(slice(&plus, -5000, 0), Vec::<Vec<u64>>::new());
    for x in 1..=4 {
        queue.push(program.ssc.parallelize([x], 1));
        program.tick();
    }
    assert_eq!(slice(&plus, 2000, 3000), [[12], [13]], "both ends");
    assert_eq!(slice(&plus, 2999, 3999), [[12], [13]], "moved to the grid");
    assert_eq!(slice(&plus, -700, 1000), [[11]], "nothing before the first");
    assert_eq!(slice(&plus, 3000, 2000), Vec::<Vec<u64>>::new());
    assert_eq!(slice(&input, 1000, 4000), [[1], [2], [3], [4]]);
    program.stop();
    assert_eq!(slice(&plus, 4000, 4000), [[14]], "after the end too");
}

#[test]
fn dst_5_a_slice_of_the_future_takes_nothing_from_it() {
    let program = Program::new();
    let (queue, input) = program.queue();
    let plus = input.map(|x: u64| x + 10).boxed();
    let seen = watch(&plus);
    program.start();
    queue.push(program.ssc.parallelize([1], 1));
    assert_eq!(slice(&plus, 0, 2000), [Vec::<u64>::new(), vec![]]);
    program.tick();
    assert_eq!(seen.take(), [(1000, vec![11])]);
}

#[test]
fn dst_5_a_slice_inside_a_task_is_refused() {
    let program = Program::new();
    let (queue, input) = program.queue();
    let plus = input.map(|x: u64| x + 10).boxed();
    let kinds = watch(&input.map(move |_| plus.slice(at(0), at(9000)).err().map(|e| e.kind())));
    program.start();
    queue.push(program.ssc.parallelize([1], 1));
    program.tick();
    assert_eq!(kinds.take(), [(1000, vec![Some(ErrorKind::IllegalState)])]);
    program.stop();
}

#[test]
fn ctx_18_without_remember_a_batch_is_forgotten_when_it_is_done() {
    let program = Program::new();
    let (queue, input) = program.queue();
    watch(&input);
    program.start();
    let record = Arc::new(());
    let records: Vec<_> = vec![Arc::clone(&record); 3];
    queue.push(program.ssc.parallelize(records, 2).map(|_| 1).boxed());
    assert_eq!(Arc::strong_count(&record), 4);
    program.tick();
    assert_eq!(Arc::strong_count(&record), 1);
}

#[test]
fn ctx_18_remember() {
    // By the program or by a setting, the longer of the two.
    for (program, setting) in [(Some(2), None), (None, Some("2s")), (Some(1), Some("2s"))] {
        let running = Program::with(|builder| match setting {
            Some(setting) => builder.set("remember", setting),
            None => builder,
        });
        if let Some(seconds) = program {
            running.ssc.remember(seconds * SECOND).unwrap();
            let text = running.ssc.remember(SECOND).unwrap_err().to_string();
            assert!(text.contains("already set"), "{text}");
        }
        let (queue, input) = running.queue();
        let grouped = input
            .map(|x| (x, ()))
            .group_by_key()
            .map(|(x, _)| x)
            .boxed();
        watch(&grouped);
        running.start();
        for x in 1..=4 {
            queue.push(running.ssc.parallelize([x], 1));
            running.tick();
        }
        assert_eq!(
            slice(&grouped, 1000, 4000),
            [vec![], vec![], vec![3], vec![4]]
        );
    }
}

#[test]
fn ctx_18_remember_walks_no_way_twice() {
    let program = Program::new();
    program.ssc.remember(SECOND).unwrap();
    let (_queue, input) = program.queue::<u64>();
    // Two to the power of 64 ways from the last stream to the first.
    let last = (0..64).fold(input, |stream, _| {
        stream.union(&stream).unwrap().repartition(1)
    });
    let seen = watch(&last);
    program.start();
    program.tick();
    assert_eq!(seen.take(), [(1000, vec![])]);
}

#[test]
fn dst_6_any_stream_of_pairs_has_keyed_operations() {
    let program = Program::new();
    let (_queue, input) = program.queue::<u64>();
    let named: DStream<(Str, u64)> = input.map(|x| (Str::from("key"), x)).boxed();
    let _: DStream<(Str, u64)> = named.reduce_by_key(|a, b| a + b);
    let _: DStream<(Str, Vec<u64>)> = named.group_by_key();
}

#[test]
fn dst_7_streams_tell_where_they_were_declared() {
    let program = Program::new();
    let queue = RddQueue::<u64>::new();
    let input = program.ssc.queue_stream(&queue).unwrap();
    let line = line!() - 1;
    let told = format!("{input:?} {:?} {:?}", input.map(|x| x + 1), input.count());
    for (name, line) in [("Queue", line), ("map", line + 2), ("count", line + 2)] {
        let place = format!("{name} at {}:{line}", file!());
        assert!(told.contains(&place), "{told} has not {place}");
    }
}

#[test]
fn dst_5_a_job_may_slice() {
    let program = Program::new();
    let (_queue, input) = program.queue::<u64>();
    let other = input.clone();
    let seen = Seen::new();
    let add = seen.clone();
    input.foreach_rdd(move |_, time| {
        add.add(time, other.slice(time, time)?.len());
        Ok(())
    });
    program.start();
    program.tick();
    assert_eq!(seen.take(), [(1000, 1)]);
}

/// A stream that its own `transform`, or one before it, asks for.
#[test]
fn dst_5_a_transform_may_slice_what_was_declared_before_it() {
    let program = Program::new();
    let (queue, input) = program.queue::<u64>();
    let earlier = input.map(|x| x + 10).boxed();
    let later = Arc::new(OnceLock::new());
    let seen = Seen::new();
    let (ask, add) = (Arc::clone(&later), seen.clone());
    let asking = input.transform(move |rdd, time| {
        let slices: &[DStream<u64>; 3] = ask.get().unwrap();
        let told = slices.each_ref().map(|stream| {
            stream
                .slice(at(0), time)
                .map_or_else(|error| format!("{error}"), |rdds| rdds.len().to_string())
        });
        add.add(time, told);
        Ok(rdd)
    });
    let behind = asking.count();
    later.set([earlier, asking, behind.clone()]).unwrap();
    let out = watch(&behind);
    program.start();
    queue.push(program.ssc.parallelize([1, 2], 1));
    program.tick();
    program.tick();
    program.stop();
    assert_eq!(out.take(), [(1000, vec![2]), (2000, vec![0])]);
    let seen = seen.take();
    assert_eq!(seen.len(), 2);
    for (time, [earlier, own, behind]) in seen {
        assert_eq!(earlier, (time / 1000).to_string());
        for told in [own, behind] {
            assert!(
                told.starts_with("illegal state: slice of DStream"),
                "{told}"
            );
            assert!(told.contains("called inside of a transform"), "{told}");
        }
    }
}

/// Each waits for the other, and would do so for ever.
#[test]
fn dst_5_two_transforms_do_not_wait_for_each_other() {
    let program = Program::with(|b| b.set("concurrent_jobs", "2"));
    let (_queue, input) = program.queue::<u64>();
    let streams: Arc<OnceLock<[DStream<u64>; 2]>> = Arc::default();
    let meet = Arc::new(Barrier::new(2));
    let seen = Seen::new();
    let asking = |other: usize| {
        let (streams, meet, add) = (Arc::clone(&streams), Arc::clone(&meet), seen.clone());
        input.transform(move |rdd, time| {
            // Both are at it.
            meet.wait();
            let slice = streams.get().unwrap()[other].slice(time, time);
            add.add(time, (other, slice.is_ok()));
            Ok(rdd)
        })
    };
    let both = [asking(1), asking(0)];
    both.iter()
        .for_each(|stream| stream.foreach_rdd(|_, _| Ok(())));
    streams.set(both).unwrap();
    program.start();
    program.tick();
    program.stop();
    let mut seen = seen.take();
    seen.sort_unstable();
    // The one declared last may look at the first, not the other way round.
    assert_eq!(seen, [(1000, (0, true)), (1000, (1, false))]);
}

#[test]
fn dst_5_a_transform_does_not_slice_another_context() {
    let (program, other) = (Program::new(), Program::new());
    let (_queue, foreign) = other.queue::<u64>();
    let _out = watch(&foreign);
    other.start();
    let (_queue, input) = program.queue::<u64>();
    let seen = Seen::new();
    let add = seen.clone();
    let asking = input.transform(move |rdd, time| {
        add.add(time, foreign.slice(at(0), time).is_err());
        Ok(rdd)
    });
    let _out = watch(&asking);
    program.start();
    program.tick();
    program.stop();
    assert_eq!(seen.take(), [(1000, true)]);
}
