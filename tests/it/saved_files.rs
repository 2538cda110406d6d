//! Output operations that save files, and object files read back (OUT-4 to OUT-6,
//! OUT-9, S-17).

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use millstream::ErrorKind;
use millstream::rdd::format::{OutputFormat, TextLines};

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
fn out_4_a_partition_of_many_lines() {
    let scratch = Scratch::new("many");
    let program = Program::new();
    let long = "x".repeat(100_000);
    for (name, n) in [("none", 0), ("some", 3), ("many", 30_000)] {
        let lines = (0..n).map(|i| format!("{i:05}\t{}", &long[..i % 50]));
        let mut lines: Vec<_> = lines.collect();
        lines.push(long.clone());
        let rdd = program.ssc.parallelize(lines.clone(), 1);
        rdd.save_as_text_file(scratch.join(name)).unwrap();
        let written = scratch.file(&format!("{name}/part-00000"));
        assert_eq!(written, lines.join("\n") + "\n");
    }
}

/// Numbers in hexadecimal, without a 13 among them.
struct Hex;

impl OutputFormat<u64> for Hex {
    fn extension(&self) -> &str {
        "hex"
    }

    fn write(&self, records: impl Iterator<Item = u64>, out: &mut dyn Write) -> io::Result<()> {
        for record in records {
            match record {
                13 => return Err(io::Error::other("13 brings bad luck")),
                14 => panic!("14 is worse"),
                _ => write!(out, "{record:x};")?,
            }
        }
        Ok(())
    }
}

#[test]
fn out_6_a_format_of_the_program_s_own() {
    let scratch = Scratch::new("own");
    let program = Program::new();
    let (queue, input) = program.queue();
    input.save_as_files(&scratch.prefix("a"), "d", Hex);
    // The two ways to write text are one.
    input.save_as_files(&scratch.prefix("b"), "", TextLines);
    input.save_as_text_files(&scratch.prefix("c"), "");
    program.start();
    queue.push(program.ssc.parallelize(15..=17, 2));
    program.tick();
    program.tick();
    program.stop();
    assert_eq!(
        names(&scratch),
        [
            "a-1000.d", "a-2000.d", "b-1000", "b-2000", "c-1000", "c-2000"
        ]
    );
    let parts = ["_SUCCESS", "part-00000.hex", "part-00001.hex"];
    assert_eq!(names(&scratch.join("a-1000.d")), parts);
    assert_eq!(scratch.file("a-1000.d/part-00000.hex"), "f;");
    assert_eq!(scratch.file("a-1000.d/part-00001.hex"), "10;11;");
    assert_eq!(scratch.file("a-2000.d/part-00000.hex"), "");
    for part in ["1000/part-00000", "1000/part-00001", "2000/part-00000"] {
        let file = |prefix: &str| scratch.file(&format!("{prefix}-{part}"));
        assert_eq!(file("b"), file("c"));
    }
    assert_eq!(scratch.file("b-1000/part-00001"), "16\n17\n");
}

#[test]
fn out_9_a_format_that_fails_is_named_and_leaves_what_was_there() {
    let scratch = Scratch::new("formats");
    let directory = scratch.join("out");
    let program = Program::new();
    let save = |records: Vec<u64>| {
        let rdd = program.ssc.parallelize(records, 2);
        rdd.save_as_file(&directory, &Hex)
    };
    save(vec![1, 2]).unwrap();
    let error = save(vec![1, 13]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert_eq!(
        error.to_string(),
        format!(
            "input/output error: partition 1 (attempt 4 of 4) failed: input/output error: \
             {}/part-00001.hex cannot be written: 13 brings bad luck",
            directory.display()
        )
    );
    let files = ["_SUCCESS", "part-00000.hex", "part-00001.hex"];
    assert_eq!(names(&directory), files, "those of the first save");
    assert_eq!(scratch.file("out/part-00001.hex"), "2;");
    assert_eq!(names(&scratch), ["out"], "nothing is left beside it");
    let line = line!() + 2;
    let rdd = program.ssc.parallelize([14], 1);
    let error = rdd.save_as_file(&directory, &Hex).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panic);
    let text = error.to_string();
    let place = format!("in save_as_file at {}:{line}", file!());
    for part in [&place, "14 is worse"] {
        assert!(text.contains(part), "{text} has not {part}");
    }
    save(vec![3, 4]).unwrap();
    assert_eq!(names(&directory), files);
    assert_eq!(scratch.file("out/part-00001.hex"), "4;");
}

#[test]
fn out_9_directories_that_cannot_be_made() {
    let scratch = Scratch::new("refused");
    fs::write(scratch.join("file"), "").unwrap();
    fs::create_dir_all(scratch.join("odd/_SUCCESS")).unwrap();
    let rdd = Program::new().ssc.parallelize([1], 1);
    for (directory, named) in [
        (scratch.join("file/out"), "file/out"),
        ("/proc/self/out".into(), "/proc/self/out"),
        ("nul\0byte".into(), "nul byte"),
        // A directory that was not saved there.
        (scratch.join("odd"), "odd"),
    ] {
        let error = rdd.save_as_text_file(&directory).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        let text = error.to_string();
        let said = format!("{named} cannot be written: ");
        assert!(text.contains(&said), "{text} has not {said}");
    }
    let error = rdd.save_as_text_file("").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(
        error.to_string().contains("no directory is named"),
        "{error}"
    );
}

const ODD: [&str; 7] = [
    "with space",
    "-rf *",
    "\"quoted\" 'twice'",
    "line\nbreak",
    "%s%n{}$HOME",
    "wörter→😀",
    ".hidden",
];

#[test]
fn out_4_names_with_odd_characters() {
    let scratch = Scratch::new("odd");
    let program = Program::new();
    let (queue, input) = program.queue();
    for name in ODD {
        input.save_as_text_files(&scratch.prefix(name), name);
    }
    program.start();
    queue.push(program.ssc.parallelize([7], 1));
    program.tick();
    program.stop();
    let mut expected = ODD.map(|name| format!("{name}-1000.{name}"));
    expected.sort();
    assert_eq!(names(&scratch), expected);
    for name in expected {
        assert_eq!(scratch.file(&format!("{name}/part-00000")), "7\n");
    }
}

#[cfg(feature = "formats")]
#[test]
fn out_6_json_lines_and_comma_separated_values() {
    use millstream::Str;
    use millstream::rdd::format::{Csv, JsonLines};

    let scratch = Scratch::new("formats-of-records");
    let program = Program::new();
    let (queue, input) = program.queue();
    let counts = input.map(|text: &str| (Str::from(text), text.len()));
    counts.save_as_files(&scratch.prefix("counts"), "json", JsonLines);
    counts.save_as_files(&scratch.prefix("counts"), "csv", Csv::new());
    program.start();
    let texts = ["say \"hi\", all", "two\nlines", "plain"];
    queue.push(program.ssc.parallelize(texts, 2));
    program.tick();
    program.stop();
    assert_eq!(names(&scratch), ["counts-1000.csv", "counts-1000.json"]);
    for (path, text) in [
        ("json/part-00000.jsonl", "[\"say \\\"hi\\\", all\",13]\n"),
        (
            "json/part-00001.jsonl",
            "[\"two\\nlines\",9]\n[\"plain\",5]\n",
        ),
        ("csv/part-00000.csv", "\"say \"\"hi\"\", all\",13\n"),
        ("csv/part-00001.csv", "\"two\nlines\",9\nplain,5\n"),
    ] {
        assert_eq!(scratch.file(&format!("counts-1000.{path}")), text);
    }
}

#[cfg(feature = "checkpoint")]
mod objects {
    use std::collections::BTreeMap;

    use millstream::Str;

    use super::*;

    type Record = (Str, Option<u64>, BTreeMap<u64, Option<f64>>);

    #[test]
    fn out_5_what_was_saved_is_read_back_by_partition() {
        let scratch = Scratch::new("objects");
        let program = Program::new();
        let (queue, input) = program.queue();
        input.save_as_object_files(&scratch.prefix("batch"), "obj");
        program.start();
        let record = |i: u64| -> Record {
            let text = Str::from("text of any length ".repeat(i as usize % 4));
            let map = BTreeMap::from([(i, Some(-1.5)), (i + 1, None::<f64>)]);
            (text, i.is_multiple_of(2).then_some(i), map)
        };
        let records: Vec<_> = (0..5000).map(record).collect();
        let batches = [
            program.ssc.parallelize(records.clone(), 3),
            program.ssc.parallelize(records[..1].to_vec(), 2),
            program.ssc.parallelize(Vec::new(), 1),
        ];
        for batch in &batches {
            queue.push(batch.clone());
            program.tick();
        }
        program.stop();
        for (batch, time) in batches.iter().zip([1000, 2000, 3000]) {
            let directory = scratch.join(format!("batch-{time}.obj"));
            let read = program.ssc.object_file::<Record>(&directory).unwrap();
            let expected = batch.collect_partitions().unwrap();
            assert_eq!(read.num_partitions(), expected.len());
            // As often as an action asks, and as much as it needs.
            assert_eq!(read.count().unwrap(), expected.concat().len() as u64);
            assert_eq!(read.take(2).unwrap(), batch.take(2).unwrap());
            assert_eq!(read.collect_partitions().unwrap(), expected);
            // One file of them.
            let part = directory.join("part-00000");
            let part = program.ssc.object_file::<Record>(part).unwrap();
            assert_eq!(part.collect_partitions().unwrap(), expected[..1]);
        }
    }

    #[test]
    fn out_5_records_without_bytes_and_with_many() {
        let scratch = Scratch::new("sizes");
        let program = Program::new();
        let directory = scratch.join("units");
        let units = program.ssc.parallelize(vec![(); 100_000], 1);
        units.save_as_object_file(&directory).unwrap();
        let read = program.ssc.object_file::<()>(&directory).unwrap();
        assert_eq!(read.count().unwrap(), 100_000);
        let directory = scratch.join("texts");
        let texts = [10, 1_000_000, 0].map(|n| "x".repeat(n));
        let rdd = program.ssc.parallelize(texts.clone(), 1);
        rdd.save_as_object_file(&directory).unwrap();
        let read = program.ssc.object_file::<String>(&directory).unwrap();
        assert_eq!(read.collect().unwrap(), texts);
    }

    #[test]
    fn out_5_partitions_keep_their_order_whatever_their_number() {
        let scratch = Scratch::new("order");
        let program = Program::new();
        let directory = scratch.join("out");
        let rdd = program.ssc.parallelize(0..12_u64, 12);
        rdd.save_as_object_file(&directory).unwrap();
        // By number, not by name; and what is no part is not read.
        fs::rename(directory.join("part-00003"), directory.join("part-100003")).unwrap();
        fs::write(directory.join("notes.txt"), "mine").unwrap();
        fs::write(directory.join("part-of-it"), "mine").unwrap();
        let read = program.ssc.object_file::<u64>(&directory).unwrap();
        let expected = [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 3];
        assert_eq!(read.collect().unwrap(), expected);
    }

    #[test]
    fn out_5_the_bytes_of_a_file_are_for_ever() {
        let scratch = Scratch::new("bytes");
        let program = Program::new();
        let rdd = program.ssc.parallelize([(Str::from("ab"), 300_u64)], 1);
        rdd.save_as_object_file(scratch.join("out")).unwrap();
        let bytes = fs::read(scratch.join("out/part-00000")).unwrap();
        let expected: &[u8] = b"msobj\0\0\x01\
            \x09\0\0\0\xa8\x16\x2f\xc1\x01\0\0\0\x02ab\xac\x02\
            \0\0\0\0\x1c\xdf\x44\x21";
        assert_eq!(bytes, expected);
    }

    /// Every cut and every flipped bit of a file is found by the action.
    #[test]
    fn out_5_damage_is_found_and_the_file_is_named() {
        let scratch = Scratch::new("damage");
        // It is damaged each time that it is read.
        let program = Program::with(|b| b.workers(1).set("task_max_failures", "1"));
        let rdd = program.ssc.parallelize([(Str::from("ab"), 300_u64)], 1);
        let directory = scratch.join("out");
        rdd.save_as_object_file(&directory).unwrap();
        let file = directory.join("part-00000");
        let bytes = fs::read(&file).unwrap();
        let read = program.ssc.object_file::<(Str, u64)>(&directory).unwrap();
        let said = format!("corrupt data: {} cannot be read: ", file.display());
        let check = |bytes: &[u8]| {
            fs::write(&file, bytes).unwrap();
            let error = read.collect().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(error.to_string().starts_with(&said), "{error}");
        };
        for end in 0..bytes.len() {
            check(&bytes[..end]);
        }
        for i in 0..8 * bytes.len() {
            let mut bytes = bytes.clone();
            bytes[i / 8] ^= 1 << (i % 8);
            check(&bytes);
        }
        fs::write(&file, &bytes).unwrap();
        assert_eq!(read.count().unwrap(), 1, "the file itself is right");
    }

    #[test]
    fn out_5_what_cannot_be_read_is_named() {
        let scratch = Scratch::new("unread");
        let program = Program::new();
        let ssc = &program.ssc;
        let directory = scratch.join("out");
        let none = ssc.object_file::<u64>(&directory).unwrap_err();
        assert_eq!(none.kind(), ErrorKind::Io);
        let said = format!("{} cannot be read: ", directory.display());
        assert!(none.to_string().contains(&said), "{none}");

        let rdd = ssc.parallelize([(1_u64, Str::from("one")), (2, Str::from("two"))], 1);
        rdd.save_as_object_file(&directory).unwrap();
        let other = ssc.object_file::<u8>(&directory).unwrap();
        let error = other.collect().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        let said = "part-00000 cannot be read: corrupt data: it has records of another type";
        assert!(error.to_string().ends_with(said), "{error}");

        fs::remove_file(directory.join("_SUCCESS")).unwrap();
        let unfinished = ssc.object_file::<(u64, Str)>(&directory).unwrap_err();
        assert_eq!(unfinished.kind(), ErrorKind::Corrupt);
        assert_eq!(
            unfinished.to_string(),
            format!(
                "corrupt data: {} cannot be read: corrupt data: there is no _SUCCESS: it was not \
                 written to its end",
                directory.display()
            )
        );

        let file = directory.join("part-00000");
        let gone = ssc.object_file::<(u64, Str)>(&file).unwrap();
        let cached = ssc.object_file::<(u64, Str)>(&file).unwrap().cache();
        assert_eq!(cached.count().unwrap(), 2);
        fs::remove_dir_all(&directory).unwrap();
        let error = gone.collect().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(
            error.to_string().contains("out/part-00000 cannot be read"),
            "{error}"
        );
        assert_eq!(cached.count().unwrap(), 2, "those are in memory");
        let device = ssc.object_file::<u64>("/dev/null").unwrap();
        let error = device.collect().unwrap_err();
        assert!(error.to_string().contains("not a regular file"), "{error}");
    }

    /// A record that serde refuses, for the sake of the error.
    #[derive(Clone, Debug, serde::Deserialize)]
    struct Refusing;

    impl serde::Serialize for Refusing {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no"))
        }
    }

    #[test]
    fn out_5_a_record_that_cannot_be_written_fails_its_file() {
        let scratch = Scratch::new("unwritten");
        let rdd = Program::new().ssc.parallelize([Refusing], 1);
        let error = rdd.save_as_object_file(scratch.join("out")).unwrap_err();
        let text = error.to_string();
        for part in ["out/part-00000 cannot be written", "Refusing cannot be"] {
            assert!(text.contains(part), "{text} has not {part}");
        }
        assert!(names(&scratch).is_empty());
    }

    /// What serde reads only where the bytes say what they are: the file could never be read
    /// back.
    #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
    #[serde(tag = "type")]
    enum Tagged {
        Point { x: i32 },
    }

    #[test]
    fn out_5_a_type_that_could_not_be_read_back_fails_its_batch_alone() {
        let scratch = Scratch::new("tagged");
        let program = Program::new();
        let (queue, input) = program.queue::<(u64, Option<Tagged>)>();
        input.save_as_object_files(&scratch.prefix("batch"), "");
        program.start();
        for tagged in [None, Some(Tagged::Point { x: 1 })] {
            queue.push(program.ssc.parallelize([(1, None), (2, tagged)], 1));
            program.tick();
        }
        let text = program.ssc.await_termination().unwrap_err().to_string();
        program.ssc.stop(true).unwrap();
        let said = [
            "batch-2000/part-00000 cannot be written",
            "what was written cannot be read back",
            "objects::Tagged>) can be read only where the bytes say what they are",
            "let serde tell its variants apart, without `tag` or `untagged`",
        ];
        for part in said {
            assert!(text.contains(part), "{text} has not {part}");
        }
        assert_eq!(names(&scratch), ["batch-1000"]);
    }
}
