//! Output operations (OUT-1 to OUT-3, OUT-7, OUT-9, S-16); those that save files are
//! in `saved_files`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use millstream::ErrorKind;
use millstream::prelude::*;

use crate::helpers::*;

#[test]
fn out_1_only_what_an_output_reaches_is_computed() {
    let program = Program::new();
    let (queue, input) = program.queue();
    let (used, unused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counting = |calls: &Arc<AtomicUsize>| {
        let calls = Arc::clone(calls);
        input.map(move |x: u64| {
            calls.fetch_add(1, Relaxed);
            x
        })
    };
    let _unused = counting(&unused).count();
    let counts = watch(&counting(&used).count());
    program.start();
    queue.push(program.ssc.parallelize([1, 2], 1));
    program.tick();
    assert_eq!(counts.take(), [(1000, vec![2])]);
    assert_eq!((used.load(Relaxed), unused.load(Relaxed)), (2, 0));
}

#[test]
fn out_1_an_input_without_an_output_is_cut_and_dropped() {
    let program = Program::new();
    let (queue, input) = program.queue::<u64>();
    let (_other, other) = program.queue::<u64>();
    watch(&other);
    let late = input.map(|x| x).boxed();
    program.start();
    queue.push(program.ssc.parallelize([1], 1));
    program.tick();
    assert!(queue.is_empty());
    assert_eq!(
        late.slice(at(1000), at(1000)).unwrap()[0].count().unwrap(),
        0
    );
}

#[test]
fn out_3_print() {
    let print = || {
        let program = Program::new();
        let (queue, input) = program.queue();
        let words = input.map(|x: u64| (Str::from("hello"), x));
        words.print();
        words.print_n(1);
        program.start();
        for n in [2, 10, 12, 0] {
            queue.push(program.ssc.parallelize(0..n, 3));
            program.tick();
        }
        program.stop();
    };
    let Some(out) = in_own_process("output::out_3_print", print) else {
        return;
    };
    let rule = "-".repeat(43);
    let mut expected = String::new();
    for (time, n) in [(1000, 2), (2000, 10), (3000, 12), (4000, 0)] {
        for limit in [10, 1] {
            expected += &format!("{rule}\nTime: {time} ms\n{rule}\n");
            for i in 0..limit.min(n) {
                expected += &format!("(hello,{i})\n");
            }
            if n > limit {
                expected += "...\n";
            }
            expected += "\n";
        }
    }
    assert!(out.contains(&expected), "{out}\nhas not\n{expected}");
}

#[test]
fn out_7_each_partition_has_its_index_and_the_batch_its_time() {
    let program = Program::new();
    let (queue, input) = program.queue();
    let seen = Seen::new();
    let add = seen.clone();
    input.foreach_rdd(move |rdd: Rdd<u64>, time| {
        rdd.for_each_partition(|records| {
            add.add(time, (records.partition_index(), records.sum::<u64>()));
            Ok(())
        })
    });
    program.start();
    for _ in 0..2 {
        queue.push(program.ssc.parallelize(0..10, 2));
        program.tick();
    }
    let mut seen = seen.take();
    seen.sort_unstable();
    assert_eq!(
        seen,
        [
            (1000, (0, 10)),
            (1000, (1, 35)),
            (2000, (0, 10)),
            (2000, (1, 35))
        ]
    );
}

#[test]
fn out_9_panics_and_errors_of_an_output_are_told_apart() {
    let program = Program::new();
    let (_queue, input) = program.queue::<u64>();
    let line = line!() + 1;
    input.foreach_rdd(|_, _| panic!("out of paper"));
    program.start();
    program.tick();
    let error = program.ssc.await_termination().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panic);
    assert_eq!(
        error.to_string(),
        format!(
            "panic: output operation 0 (foreach_rdd at {file}:{line}) (batch 1000 ms, declared at \
             {file}:{line}): panic: output operation panicked: out of paper",
            file = file!()
        )
    );
    program.stop();
}
