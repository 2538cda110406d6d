//! Files and directories that are not as one would like them (F-25, B-2, B-4 to B-7).

use std::ffi::OsStr;
use std::fs;
use std::process::Command;
use std::sync::{Arc, Mutex, mpsc};

use millstream::listener::{BatchInfo, StreamingListener};
use millstream::prelude::*;
use millstream::{Directory, ErrorKind};

use crate::files::told;
use crate::helpers::*;

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
    let place = format!("declared at {}:", file!());
    assert!(error.contains(&place), "{error}");
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
