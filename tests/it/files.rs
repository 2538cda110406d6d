//! File inputs (IN-6 to IN-9, S-4, R-16).

use std::ffi::OsStr;
use std::fs;
use std::sync::{Arc, Mutex, mpsc};

use millstream::listener::{BatchInfo, StreamingListener};
use millstream::prelude::*;
use millstream::{Directory, ErrorKind, InputFile};

use crate::helpers::*;

/// What is told of the first input of each batch.
struct Tell(mpsc::Sender<(i64, u64, String)>);

impl StreamingListener for Tell {
    fn on_batch_completed(&self, batch: &BatchInfo) {
        let input = &batch.inputs[0];
        let told = (
            batch.batch_time.as_millis(),
            input.num_records,
            input.description.clone(),
        );
        // A test that has seen enough no longer listens.
        let _ = self.0.send(told);
    }
}

pub(crate) fn told(program: &Program) -> mpsc::Receiver<(i64, u64, String)> {
    let (send, receive) = mpsc::channel();
    program.ssc.add_listener(Tell(send));
    receive
}

#[test]
fn in_6_each_line_of_a_new_file_is_a_record() {
    for workers in [1, 2] {
        let dir = Scratch::new(&format!("lines-{workers}"));
        let program = Program::with(|builder| builder.workers(workers));
        let seen = watch_partitions(&program.ssc.text_file_stream(&*dir).unwrap());
        let told = told(&program);
        program.start();
        program.tick();
        put(dir.join("b"), 1500, "to be\r\nor not\n");
        put(dir.join("a"), 1600, "\u{feff}caf\u{e9}\n\nlast");
        put(dir.join("c"), 1400, "");
        program.tick();
        put(dir.join("d"), 2500, b"b\xffd\r");
        program.tick();
        program.stop();
        let batches = [
            (1000, vec![]),
            // The oldest first.
            (
                2000,
                vec![
                    vec![],
                    vec!["to be".into(), "or not".into()],
                    vec![Str::from("caf\u{e9}"), "".into(), "last".into()],
                ],
            ),
            (3000, vec![vec!["b\u{fffd}d".into()]]),
        ];
        assert_eq!(seen.take(), batches);
        let name = |name| dir.join(name).display().to_string();
        let batches = [
            (1000, 0, String::new()),
            (2000, 5, [name("c"), name("b"), name("a")].join("\n")),
            (3000, 1, name("d")),
        ];
        assert_eq!(told.iter().take(3).collect::<Vec<_>>(), batches);
    }
}

#[test]
fn in_6_workers_share_a_large_file() {
    let dir = Scratch::new("large");
    let program = Program::with(|builder| builder.set("block_bytes", "4KiB"));
    let lines = program.ssc.text_file_stream(&*dir).unwrap();
    let seen = watch_partitions(&lines);
    let counts = watch(&lines.map(|line| (line, 1)).reduce_by_key(|a, b| a + b));
    let all: Vec<String> = (0..10_000).map(|i| format!("line {i}")).collect();
    let text = all.join("\n");
    put(dir.join("a"), 500, &text);
    put(dir.join("b"), 600, "another");
    program.start();
    program.tick();
    program.stop();
    let (_, parts) = seen.take().remove(0);
    assert_eq!(parts.len(), text.len().div_ceil(4096) + 1);
    let (another, parts) = parts.split_last().unwrap();
    assert_eq!(another[..], ["another"]);
    assert!(parts.iter().all(|part| !part.is_empty()));
    assert_eq!(parts.concat(), all);
    let (_, counts) = counts.take().remove(0);
    assert_eq!(counts.len(), 10_001);
    assert!(counts.iter().all(|(_, count)| *count == 1));
}

#[test]
fn in_7_any_reader_and_any_filter() {
    let dir = Scratch::new("reader");
    let program = Program::new();
    let only = Directory::new(&*dir).filter(|path| path.extension() == Some(OsStr::new("num")));
    let numbers = program.ssc.file_stream(only, |file: InputFile| {
        let name = file.path().file_name().unwrap().to_owned();
        let text = std::io::read_to_string(file)?;
        let numbers: Vec<u64> = text.split(',').map(|n| n.parse().unwrap()).collect();
        Ok(numbers
            .into_iter()
            .map(move |n| Ok::<_, millstream::Error>((name.clone(), n))))
    });
    let seen = watch(&numbers.unwrap());
    let told = told(&program);
    put(dir.join(".a.num"), 500, "1,2");
    put(dir.join("b.num"), 501, "3");
    put(dir.join("c.txt"), 502, "no number");
    program.start();
    program.tick();
    put(dir.join("d.num"), 1500, "4,x");
    program.tick();
    put(dir.join("e.num"), 2500, "5");
    program.tick();
    let name = |name: &str| OsStr::new(name).to_owned();
    let batches = [
        (
            1000,
            vec![(name(".a.num"), 1), (name(".a.num"), 2), (name("b.num"), 3)],
        ),
        (3000, vec![(name("e.num"), 5)]),
    ];
    assert_eq!(seen.take(), batches);
    let (_, records, text) = told.recv().unwrap();
    assert_eq!(records, 3);
    assert!(
        text.ends_with("b.num\nnot read, refused by the filter: 1"),
        "{text}"
    );
    // A panic in the reader names the file, and fails one batch.
    let error = program.ssc.await_termination().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panic);
    let causes = error.to_string();
    let file = format!("{:?} cannot be read, near byte 3", dir.join("d.num"));
    assert!(causes.contains(&file), "{causes}");
    assert!(
        causes.contains("in file_stream at tests/it/files.rs:"),
        "{causes}"
    );
}

#[test]
fn in_8_records_of_one_length() {
    let dir = Scratch::new("binary");
    let program = Program::with(|builder| builder.set("block_bytes", "4KiB"));
    let records = program.ssc.binary_records_stream(&*dir, 6).unwrap();
    let seen = watch(&records);
    let bytes: Vec<u8> = (0..=255).cycle().take(30_000).collect();
    put(dir.join("a"), 500, &bytes);
    program.start();
    program.tick();
    put(dir.join("b"), 1500, &bytes[..100]);
    program.tick();
    put(dir.join("c"), 2500, "abcdef");
    program.tick();
    let seen = seen.take();
    assert_eq!(seen[0].1.len(), 5000);
    assert_eq!(seen[0].1.concat(), bytes);
    assert_eq!(seen[1], (3000, vec![Arc::from(*b"abcdef")]));
    // B-8: the file, its length and the length of a record.
    let error = program.ssc.await_termination().unwrap_err().to_string();
    let expected = format!(
        "{:?} cannot be read at byte 96: its length is 100 bytes, which is no multiple of the \
         record length of 6 bytes",
        dir.join("b")
    );
    assert!(error.contains(&expected), "{error}");
    let error = program.ssc.binary_records_stream(&*dir, 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

#[test]
fn s_4_the_time_of_modification_against_the_batch_time() {
    let dir = Scratch::new("times");
    let program = Program::starting_at(5000, |builder| builder);
    put(dir.join("before"), 4999, "before");
    put(dir.join("with"), 5000, "with");
    put(dir.join("after"), 5001, "after");
    put(dir.join("at"), 6000, "at");
    put(dir.join("next"), 6001, "next");
    put(dir.join("future"), 8500, "future");
    let new = watch(&program.ssc.text_file_stream(&*dir).unwrap());
    let all = Directory::new(&*dir).new_files_only(false);
    let all = watch(&program.ssc.text_file_stream(all).unwrap());
    let told = told(&program);
    program.start();
    for _ in 0..4 {
        program.tick();
    }
    // Whatever happens to it later, it was read.
    fs::rename(dir.join("after"), dir.join(".gone")).unwrap();
    touch(&dir.join("at"), 9500);
    program.tick();
    let batch = |time, lines: &[&str]| (time, lines.iter().map(|line| Str::from(*line)).collect());
    let later: [(i64, Vec<Str>); 4] = [
        batch(7000, &["next"]),
        batch(8000, &[]),
        batch(9000, &["future"]),
        batch(10_000, &[]),
    ];
    let first = batch(6000, &["after", "at"]);
    assert_eq!(new.take(), [[first].as_slice(), &later].concat());
    let first = batch(6000, &["before", "with", "after", "at"]);
    assert_eq!(all.take(), [[first].as_slice(), &later].concat());
    let (_, _, text) = told.recv().unwrap();
    let expected = format!(
        "{}\n{}\nnot read, older than the stream: 2",
        dir.join("after").display(),
        dir.join("at").display()
    );
    assert_eq!(text, expected);
}

#[test]
fn s_4_the_remember_window() {
    let dir = Scratch::new("window");
    let program = Program::starting_at(100_000, |builder| {
        builder.set("spark.streaming.fileStream.minRememberDuration", "2500ms")
    });
    let all = Directory::new(&*dir).new_files_only(false);
    let seen = watch(&program.ssc.text_file_stream(all).unwrap());
    let told = told(&program);
    // Three seconds, a multiple of the interval.
    put(dir.join("too old"), 98_000, "too old");
    put(dir.join("old"), 98_001, "old");
    program.start();
    program.tick();
    put(dir.join("late"), 99_001, "late");
    put(dir.join("too late"), 99_000, "too late");
    program.tick();
    assert_eq!(
        seen.take(),
        [
            (101_000, vec!["old".into()]),
            (102_000, vec!["late".into()])
        ]
    );
    for (time, name) in [(101_000, "old"), (102_000, "late")] {
        let text = format!(
            "{}\nnot read, older than the remember window: 1",
            dir.join(name).display()
        );
        assert_eq!(told.recv().unwrap(), (time, 1, text));
    }
    // IN-9: a file that is touched counts as new behind the window.
    touch(&dir.join("too old"), 102_500);
    touch(&dir.join("old"), 102_500);
    for _ in 0..3 {
        program.tick();
    }
    let lines: Vec<_> = seen.take().into_iter().map(|(_, lines)| lines).collect();
    assert_eq!(
        lines,
        [vec![Str::from("too old")], vec![], vec!["old".into()]]
    );
}

#[test]
fn in_9_a_pattern_chooses_directories_now_and_later() {
    let dir = Scratch::new("pattern");
    for name in ["day-1/part", "day-2", "other"] {
        fs::create_dir_all(dir.join(name)).unwrap();
    }
    let program = Program::new();
    let seen = watch(&program.ssc.text_file_stream(dir.join("day-*")).unwrap());
    program.start();
    put(dir.join("day-1/a"), 500, "a");
    put(dir.join("day-1/part/b"), 500, "not deeper");
    put(dir.join("day-2/c"), 400, "c");
    put(dir.join("other/d"), 500, "d");
    program.tick();
    fs::rename(dir.join("other"), dir.join("day-3")).unwrap();
    program.tick();
    assert_eq!(
        seen.take(),
        [
            (1000, vec!["c".into(), "a".into()]),
            (2000, vec!["d".into()]),
        ]
    );
}

/// No output asks for the files, yet they belong to their batches.
#[test]
fn s_2_batches_that_nobody_asks_for_use_up_their_files() {
    let dir = Scratch::new("unasked");
    let program = Program::new();
    let lines = program.ssc.text_file_stream(&*dir).unwrap();
    let (_queue, other) = program.queue::<u64>();
    let seen = watch(&other);
    program.ssc.remember(Duration::from_secs(10)).unwrap();
    program.start();
    for second in 1..=3 {
        put(
            dir.join(format!("{second}")),
            second * 1000,
            second.to_string(),
        );
        program.tick();
    }
    assert_eq!(seen.take().len(), 3);
    let lines_of = |from, to| {
        let rdds = lines.slice(at(from), at(to)).unwrap();
        rdds.iter()
            .map(|rdd| rdd.collect().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(lines_of(1000, 3000), [["1"], ["2"], ["3"]]);
    // What is not cut yet has no records, and does not get those that come.
    put(dir.join("4"), 3500, "4");
    assert_eq!(lines_of(4000, 5000), [[""; 0], []]);
    program.tick();
    program.tick();
    assert_eq!(lines_of(4000, 5000), [vec!["4"], vec![]]);
}

#[test]
fn s_2_batches_that_wait_share_a_look() {
    let dir = Scratch::new("waiting");
    let program = Program::new();
    let lines = program.ssc.text_file_stream(&*dir).unwrap();
    let (running, is_running) = mpsc::channel();
    let (let_go, release) = mpsc::channel::<()>();
    let release = Mutex::new(release);
    let (_queue, first) = program.queue::<u64>();
    first.foreach_rdd(move |_, time| {
        if time == at(1000) {
            running.send(()).unwrap();
            release.lock().unwrap().recv().unwrap();
        }
        Ok(())
    });
    let seen = watch(&lines);
    program.start();
    program.cut();
    is_running.recv().unwrap();
    for second in 2..=5 {
        put(
            dir.join(format!("{second}")),
            second * 1000 - 500,
            second.to_string(),
        );
        program.cut();
    }
    let_go.send(()).unwrap();
    program.stop();
    let lines: Vec<_> = seen.take();
    let batch = |second: i64, lines: &[&str]| {
        (
            second * 1000,
            lines.iter().map(|line| Str::from(*line)).collect(),
        )
    };
    let expected: [(i64, Vec<Str>); 5] = [
        batch(1, &[]),
        batch(2, &["2"]),
        batch(3, &["3"]),
        batch(4, &["4"]),
        batch(5, &["5"]),
    ];
    assert_eq!(lines, expected);
}

/// A listing that takes long holds up the jobs, not the cuts of other inputs.
#[test]
fn s_2_a_slow_listing_does_not_delay_a_cut() {
    let dir = Scratch::new("slow");
    let program = Program::new();
    let (listing, is_listing) = mpsc::channel();
    let (let_go, release) = mpsc::channel::<()>();
    let ends = Mutex::new((listing, release));
    let slow = Directory::new(&*dir).filter(move |_| {
        let ends = ends.lock().unwrap();
        // The test has seen enough, the second time.
        let _ = ends.0.send(());
        let _ = ends.1.recv();
        true
    });
    let lines = watch(&program.ssc.text_file_stream(slow).unwrap());
    let (queue, numbers) = program.queue();
    let numbers = watch(&numbers);
    put(dir.join("a"), 500, "a");
    program.start();
    program.cut();
    is_listing.recv().unwrap();
    for second in 2..=4_u64 {
        queue.push(program.ssc.parallelize([second], 1));
        program.cut();
        assert!(queue.is_empty(), "cut while a job waits for the listing");
    }
    drop(let_go);
    program.stop();
    let batches: [(i64, Vec<u64>); 4] = [
        (1000, vec![]),
        (2000, vec![2]),
        (3000, vec![3]),
        (4000, vec![4]),
    ];
    assert_eq!(numbers.take(), batches);
    let batches: [(i64, Vec<Str>); 4] = [
        (1000, vec!["a".into()]),
        (2000, vec![]),
        (3000, vec![]),
        (4000, vec![]),
    ];
    assert_eq!(lines.take(), batches);
}

#[test]
fn s_2_a_window_gets_the_files_of_its_batches() {
    for (length, slide) in [(3, 3), (3, 1), (1, 3), (2, 3), (6, 3)] {
        let dir = Scratch::new(&format!("window-{length}-{slide}"));
        let program = Program::new();
        let lines = program.ssc.text_file_stream(&*dir).unwrap();
        let windows = lines.window(SECOND * length, SECOND * slide).unwrap();
        let seen = watch(&windows);
        program.start();
        for second in 1..=12 {
            put(
                dir.join(format!("{second}")),
                second * 1000 - 1,
                second.to_string(),
            );
            program.tick();
        }
        program.stop();
        let expected: Vec<(i64, Vec<Str>)> = (1..=12)
            .filter(|time| time % slide == 0)
            .map(|time| {
                let first = (time + 1).saturating_sub(length).max(1);
                let lines = (first..=time).map(|second| Str::from(second.to_string()));
                (i64::from(time) * 1000, lines.collect())
            })
            .collect();
        assert_eq!(seen.take(), expected, "{length} s every {slide} s");
    }
}

#[test]
fn several_outputs_and_threads_see_the_same_batches() {
    let dir = Scratch::new("shared");
    let program = Program::with(|builder| builder.set("concurrent_jobs", "3"));
    let lines = program.ssc.text_file_stream(&*dir).unwrap();
    let outputs: Vec<_> = (0..4).map(|_| watch(&lines)).collect();
    program.start();
    for second in 1..=20_u64 {
        for i in 0..second % 4 {
            put(
                dir.join(format!("{second}-{i}")),
                second * 1000 - i,
                format!("{second}"),
            );
        }
        program.cut();
    }
    program.stop();
    for seen in outputs {
        let mut seen = seen.take();
        seen.sort();
        let expected: Vec<_> = (1..=20)
            .map(|second: i64| {
                let line = Str::from(second.to_string());
                (second * 1000, vec![line; second as usize % 4])
            })
            .collect();
        assert_eq!(seen, expected);
    }
}

/// What is in the directory stays there; it is no reason to go on.
#[test]
fn a_graceful_stop_leaves_files_of_later_batches_alone() {
    let dir = Scratch::new("stop");
    let program = Program::new();
    let seen = watch(&program.ssc.text_file_stream(&*dir).unwrap());
    program.start();
    program.tick();
    put(dir.join("a"), 1500, "a");
    put(dir.join("b"), 2500, "b");
    program.cut();
    program.stop();
    assert_eq!(seen.take(), [(1000, vec![]), (2000, vec!["a".into()])]);
}
