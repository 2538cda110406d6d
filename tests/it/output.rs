//! Output operations (OUT-1 to OUT-9, S-16, S-17).

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use millstream::ErrorKind;
use millstream::prelude::*;

use crate::helpers::*;

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("the directory is there");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("it can be read").file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

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
fn out_4_save_as_text_files() {
    let scratch = Scratch::new("save");
    let program = Program::new();
    let (queue, input) = program.queue();
    let lengths = input.map(|word: &str| (word, word.len()));
    lengths.save_as_text_files(&scratch.prefix("words"), "txt");
    lengths.save_as_text_files(&scratch.prefix("plain"), "");
    program.start();
    queue.push(program.ssc.parallelize(["a", "bb", "ccc"], 2));
    program.tick();
    program.tick();
    program.stop();
    assert_eq!(
        names(&scratch),
        [
            "plain-1000",
            "plain-2000",
            "words-1000.txt",
            "words-2000.txt"
        ]
    );
    let files = names(&scratch.join("words-1000.txt"));
    assert_eq!(files, ["_SUCCESS", "part-00000", "part-00001"]);
    assert_eq!(scratch.file("words-1000.txt/part-00000"), "(a,1)\n");
    assert_eq!(
        scratch.file("words-1000.txt/part-00001"),
        "(bb,2)\n(ccc,3)\n"
    );
    assert_eq!(scratch.file("words-1000.txt/_SUCCESS"), "");
    assert_eq!(scratch.file("plain-1000/part-00000"), "(a,1)\n");
    // The empty partition of an empty batch.
    let files = names(&scratch.join("words-2000.txt"));
    assert_eq!(files, ["_SUCCESS", "part-00000"]);
    assert_eq!(scratch.file("words-2000.txt/part-00000"), "");
}

#[test]
fn out_4_saving_again_overwrites() {
    let scratch = Scratch::new("again");
    for word in ["old and long", "new"] {
        let rdd = Program::new().ssc.parallelize([word], 1);
        rdd.save_as_text_file(scratch.join("out")).unwrap();
    }
    assert_eq!(scratch.file("out/part-00000"), "new\n");
}

#[test]
fn out_9_a_failing_output_names_the_path_and_the_others_go_on() {
    let scratch = Scratch::new("fail");
    // A file stands where the directory of the second batch should be.
    fs::write(scratch.join("out-2000"), "in the way").unwrap();
    let program = Program::new();
    let (_queue, input) = program.queue::<u64>();
    let line = line!() + 1;
    input.save_as_text_files(&scratch.prefix("out"), "");
    let seen = watch(&input.count());
    program.start();
    for _ in 0..3 {
        program.tick();
    }
    let error = program.ssc.await_termination().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Job);
    let text = error.to_string();
    let place = format!(
        "output operation 0 (save_as_text_files at {}:{line})",
        file!()
    );
    let path = format!("{} cannot be written", scratch.prefix("out-2000"));
    for part in [&place, "batch 2000 ms", &path] {
        assert!(text.contains(part), "{text} has not {part}");
    }
    program.stop();
    assert_eq!(
        seen.take(),
        [(1000, vec![0]), (2000, vec![0]), (3000, vec![0])],
        "other outputs of the batch run, and later batches"
    );
    assert_eq!(names(&scratch.join("out-3000")), ["_SUCCESS", "part-00000"]);
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
