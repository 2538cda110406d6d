//! File inputs (IN-6 to IN-9, S-4, F-25, B-4 to B-8, R-16).

use std::ffi::OsStr;
use std::fs;
use std::process::Command;
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

fn told(program: &Program) -> mpsc::Receiver<(i64, u64, String)> {
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
fn in_6_lines_that_are_too_long_are_dropped_and_told_of() {
    let dir = Scratch::new("too-long");
    let program = Program::with(|builder| builder.set("max_line_bytes", "10"));
    let seen = watch(&program.ssc.text_file_stream(&*dir).unwrap());
    let told = told(&program);
    put(dir.join("a"), 500, "short\na line that is long\nshort\n");
    program.start();
    program.tick();
    program.stop();
    assert_eq!(seen.take(), [(1000, vec!["short".into(), "short".into()])]);
    let text = format!(
        "{}\nlines longer than max_line_bytes, dropped: 1",
        dir.join("a").display()
    );
    assert_eq!(told.recv().unwrap(), (1000, 2, text));
}

#[test]
fn b_2_lines_that_are_not_utf8_are_replaced_left_out_or_fail_their_batch() {
    struct Invalid(mpsc::Sender<(u64, u64)>);

    impl StreamingListener for Invalid {
        fn on_batch_completed(&self, batch: &BatchInfo) {
            let input = &batch.inputs[0];
            let _ = self.0.send((input.num_records, input.invalid_lines));
        }
    }

    let read = |policy: &str, workers| {
        let dir = Scratch::new(&format!("invalid-{policy}-{workers}"));
        let program = Program::with(|builder| builder.set("invalid_utf8", policy).workers(workers));
        let lines = program.ssc.text_file_stream(&*dir).unwrap();
        let (seen, counts) = (watch(&lines), watch(&lines.count()));
        let (send, told) = mpsc::channel();
        program.ssc.add_listener(Invalid(send));
        put(dir.join("a"), 500, b"\xef\xbb\xbfone\nca\xff\xfe\nlast");
        put(dir.join("b"), 600, "caf\u{e9}");
        program.start();
        program.tick();
        let error = program.first_error();
        // Files are left by the failed batch as by any other.
        program.tick();
        let _ = program.ssc.stop(true);
        let told = [told.recv().unwrap(), told.recv().unwrap()];
        let counts = counts
            .take()
            .into_iter()
            .map(|(_, count)| count[0])
            .collect::<Vec<_>>();
        (seen.take(), counts, told, error)
    };
    for workers in [1, 2] {
        let (seen, counts, told, error) = read("replace", workers);
        let lines = ["one", "ca\u{fffd}\u{fffd}", "last", "caf\u{e9}"].map(Str::from);
        assert_eq!(seen, [(1000, lines.to_vec()), (2000, vec![])]);
        assert_eq!((counts, told), (vec![4, 0], [(4, 1), (0, 0)]));
        assert!(error.is_none());
        let (seen, counts, told, error) = read("skip", workers);
        let lines = ["one", "last", "caf\u{e9}"].map(Str::from);
        assert_eq!(seen, [(1000, lines.to_vec()), (2000, vec![])]);
        assert_eq!((counts, told), (vec![3, 0], [(3, 1), (0, 0)]));
        assert!(error.is_none());
        let (seen, counts, _, error) = read("error", workers);
        assert_eq!((seen, counts), (vec![(2000, vec![])], vec![0]));
        let error = format!("{:#?}", error.unwrap());
        let place = "the line at byte 7 of the text is not UTF-8 from its byte 2 on";
        assert!(error.contains(place), "{error}");
    }
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
fn in_7_a_filter_that_panics_fails_its_batch_and_takes_no_file() {
    let dir = Scratch::new("filter");
    let program = Program::new();
    let calm = Arc::new(Mutex::new(false));
    let ask = Arc::clone(&calm);
    let only = Directory::new(&*dir).filter(move |_| {
        assert!(*ask.lock().unwrap(), "not now");
        true
    });
    let seen = watch(&program.ssc.text_file_stream(only).unwrap());
    put(dir.join("a"), 500, "text");
    program.start();
    program.tick();
    let error = program.ssc.await_termination().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panic);
    calm.clear_poison();
    *calm.lock().unwrap() = true;
    program.tick();
    assert_eq!(seen.take(), [(2000, vec!["text".into()])]);
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
fn f_25_a_directory_that_comes_and_goes() {
    let dir = Scratch::new("missing");
    let there = dir.join("there");
    let program = Program::new();
    let seen = watch(&program.ssc.text_file_stream(&there).unwrap());
    program.start();
    program.tick();
    fs::create_dir(&there).unwrap();
    put(there.join("a"), 1500, "a");
    program.tick();
    fs::rename(&there, dir.join("elsewhere")).unwrap();
    program.tick();
    fs::rename(dir.join("elsewhere"), &there).unwrap();
    put(there.join("b"), 2500, "b");
    program.tick();
    program.stop();
    assert_eq!(
        seen.take(),
        [
            (1000, vec![]),
            (2000, vec!["a".into()]),
            (3000, vec![]),
            (4000, vec!["b".into()]),
        ]
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

#[test]
fn f_25_a_file_that_is_gone_fails_its_batch_and_is_named() {
    let dir = Scratch::new("gone");
    let program = Program::new();
    let lines = program.ssc.text_file_stream(&*dir).unwrap();
    let gone = dir.join("gone");
    let remove = gone.clone();
    lines.foreach_rdd(move |_, time| {
        if time == at(1000) {
            fs::remove_file(&remove)?;
        }
        Ok(())
    });
    let seen = watch(&lines);
    put(&gone, 500, "gone");
    program.start();
    program.tick();
    put(dir.join("b"), 1500, "b");
    program.tick();
    let error = program.ssc.await_termination().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Job);
    let line = format!("{gone:?} cannot be read at byte 0");
    assert!(error.to_string().contains(&line), "{error}");
    assert_eq!(seen.take(), [(2000, vec!["b".into()])]);
}

#[test]
fn b_5_a_file_that_is_written_to_in_between_is_told_of() {
    let dir = Scratch::new("growing");
    let program = Program::new();
    let lines = program.ssc.text_file_stream(&*dir).unwrap();
    let growing = dir.join("growing");
    let write = growing.clone();
    lines.foreach_rdd(move |_, _| Ok(fs::write(&write, "one\ntwo\n")?));
    let seen = watch(&lines);
    let told = told(&program);
    put(&growing, 500, "one\n");
    program.start();
    program.tick();
    program.stop();
    assert_eq!(seen.take(), [(1000, vec!["one".into(), "two".into()])]);
    let text = format!(
        "{}\nchanged between choosing and reading: 1",
        growing.display()
    );
    assert_eq!(told.recv().unwrap(), (1000, 2, text));
}

#[cfg(unix)]
#[test]
fn b_6_what_is_no_file_is_left_out_and_counted_once() {
    let dir = Scratch::new("odd");
    let program = Program::new();
    let seen = watch(&program.ssc.text_file_stream(&*dir).unwrap());
    let told = told(&program);
    for name in [".hidden", "_SUCCESS", "part.tmp", "file"] {
        put(dir.join(name), 500, name);
    }
    fs::create_dir(dir.join("directory")).unwrap();
    let pipe = Command::new("mkfifo").arg(dir.join("pipe")).status();
    assert!(pipe.unwrap().success());
    for (to, name) in [("nowhere", "dangling"), ("a", "b"), ("b", "a")] {
        std::os::unix::fs::symlink(to, dir.join(name)).unwrap();
    }
    program.start();
    program.tick();
    program.tick();
    std::os::unix::fs::symlink("file", dir.join("link")).unwrap();
    std::os::unix::fs::symlink("pipe", dir.join("link to pipe")).unwrap();
    program.tick();
    program.stop();
    assert_eq!(
        seen.take(),
        [
            (1000, vec!["file".into()]),
            (2000, vec![]),
            (3000, vec!["file".into()]),
        ]
    );
    let path = |name| dir.join(name).display().to_string();
    let all = [
        &path("file"),
        "not read, hidden: 1",
        "not read, temporary: 2",
        "not read, a directory: 1",
        "not read, no regular file: 1",
        "not read, a broken link: 3",
    ];
    let again = [&path("link"), "not read, no regular file: 1"];
    let told: Vec<_> = told.iter().take(3).map(|(_, _, text)| text).collect();
    assert_eq!(told, [all.join("\n"), String::new(), again.join("\n")]);
}

#[cfg(target_os = "linux")]
#[test]
fn b_7_names_of_all_sorts() {
    use std::os::unix::ffi::OsStrExt;

    let dir = Scratch::new("names");
    let program = Program::new();
    let seen = watch(&program.ssc.text_file_stream(&*dir).unwrap());
    let told = told(&program);
    let longest = "x".repeat(255);
    let names = [
        &b"not\xffutf8"[..],
        b"two\nlines",
        b"100%;$(touch x)'\"*[a",
        b" ",
        longest.as_bytes(),
    ];
    for (name, millis) in names.iter().zip(500..) {
        put(dir.join(OsStr::from_bytes(name)), millis, "text");
    }
    program.start();
    program.tick();
    let text = vec![Str::from("text"); 5];
    assert_eq!(seen.take(), [(1000, text)]);
    let (_, records, description) = told.recv().unwrap();
    let shown: Vec<_> = description.lines().collect();
    let base = dir.display();
    assert_eq!((records, shown.len()), (5, 5));
    assert_eq!(shown[0], format!("{base}/not\u{fffd}utf8"));
    assert_eq!(shown[1], format!("{base}/two\\nlines"));
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

#[test]
fn what_cannot_be_watched_is_refused() {
    let program = Program::new();
    let refused = |directory: &str| {
        let error = program.ssc.text_file_stream(directory).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        error.to_string()
    };
    assert!(refused("").contains("the directory \"\": it is empty"));
    let error = refused("hdfs://host/in");
    assert!(error.contains("only directories of this machine can be watched"));
    assert!(error.contains("declared at tests/it/files.rs:"), "{error}");
    refused("a/[b");
    let (_queue, input) = program.queue::<u64>();
    let _seen = watch(&input);
    program.start();
    let error = program.ssc.text_file_stream("a").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::IllegalState);
}

#[cfg(feature = "gzip")]
#[test]
fn b_4_compressed_files() {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    let member = |text: &str| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let dir = Scratch::new("gzip");
    let program = Program::with(|builder| builder.set("max_inflate_ratio", "100"));
    let seen = watch(&program.ssc.text_file_stream(&*dir).unwrap());
    program.start();
    put(
        dir.join("a.gz"),
        500,
        [member("one\ntw"), member("o\n")].concat(),
    );
    put(dir.join("b.txt"), 501, "three");
    program.tick();
    let whole = member("damaged");
    put(dir.join("c.gz"), 1500, &whole[..whole.len() - 1]);
    program.tick();
    put(dir.join("bomb.gz"), 2500, member(&"\n".repeat(4 << 20)));
    program.tick();
    put(dir.join("d.gz"), 3500, member("four"));
    program.tick();
    let lines = ["one", "two", "three"].map(Str::from).to_vec();
    assert_eq!(seen.take(), [(1000, lines), (4000, vec!["four".into()])]);
    let error = program.ssc.await_termination().unwrap_err().to_string();
    let path = dir.join("c.gz");
    let line = format!("{path:?} cannot be read at byte {}", whole.len() - 1);
    assert!(error.contains(&line), "{error}");
}
