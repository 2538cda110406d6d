//! Real files, read whole and in parts.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read as _, Seek as _, SeekFrom};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::AtomicU32;

use proptest::prelude::*;

use super::*;
use crate::block::Str;
use crate::conf::InvalidUtf8;
use crate::error::ErrorKind;
use crate::rdd::pipe::{Pipe, Source};

/// A directory that goes away with the test.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("millstream-unit-{}-{next}", process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file and gives its path.
    pub(crate) fn write(&self, name: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs a command that makes what this library has no call for.
pub(crate) fn command(program: &str, arguments: &[&Path]) {
    let status = process::Command::new(program)
        .args(arguments)
        .status()
        .unwrap();
    assert!(status.success(), "{program} {arguments:?}");
}

fn chosen(path: &Path) -> (BatchFile, Arc<Tally>) {
    let metadata = fs::metadata(path).unwrap();
    let tally = Arc::new(Tally::default());
    let (len, identity) = (metadata.len(), Identity::of(&metadata));
    let file = BatchFile::new(Arc::from(path), len, identity, Arc::clone(&tally));
    (file, tally)
}

fn split<T: Data>(format: impl InputFormat<T>, file: BatchFile) -> Vec<Arc<dyn Partition<T>>> {
    let mut parts = Vec::new();
    Arc::new(format).split(file, &mut parts);
    parts
}

fn records<T: Data>(part: &dyn Partition<T>) -> Result<Vec<T>> {
    let mut records = Vec::new();
    part.chunks(&mut |chunk| {
        Source::new().feed(chunk, &mut records);
        ControlFlow::Continue(())
    })?;
    Ok(records)
}

fn read<T: Data>(format: impl InputFormat<T>, path: &Path) -> Result<Vec<Vec<T>>> {
    let parts = split(format, chosen(path).0);
    parts.iter().map(|part| records(&**part)).collect()
}

fn text(part_bytes: usize) -> TextFiles {
    TextFiles {
        part_bytes,
        max_line_bytes: 1000,
        invalid: InvalidUtf8::Replace,
        gzip: Limits {
            max_ratio: 200,
            max_bytes: 1 << 30,
        },
    }
}

fn binary(record_length: usize, part_bytes: usize) -> FixedLengthFiles {
    FixedLengthFiles {
        record_length,
        part_bytes,
    }
}

#[test]
fn a_small_text_is_one_partition() {
    let dir = Scratch::new();
    let path = dir.write("a", "to be\r\nor not\n\nto be");
    let (file, tally) = chosen(&path);
    let parts = split(text(4096), file);
    assert_eq!(parts.len(), 1);
    for _ in 0..2 {
        let lines = records(&*parts[0]).unwrap();
        assert_eq!(lines, ["to be", "or not", "", "to be"]);
        // Read again, it is not counted again.
        assert_eq!((tally.records(), tally.changed()), (4, 0));
    }
    let empty = dir.write("empty", "");
    assert_eq!(read(text(4096), &empty).unwrap(), [Vec::<Str>::new()]);
}

#[test]
fn a_large_text_is_cut_at_line_ends() {
    let dir = Scratch::new();
    let lines: Vec<String> = (0..1000).map(|i| format!("line {i}")).collect();
    let path = dir.write("a", lines.join("\n"));
    let len = fs::metadata(&path).unwrap().len();
    let (file, tally) = chosen(&path);
    let parts = split(text(1000), file);
    assert_eq!(parts.len() as u64, len.div_ceil(1000));
    let each: Vec<_> = parts.iter().map(|part| records(&**part).unwrap()).collect();
    assert!(each.iter().all(|part| (90..150).contains(&part.len())));
    assert_eq!(each.concat(), lines);
    assert_eq!((tally.records(), tally.changed()), (1000, 0));
}

#[test]
fn parts_cover_a_file() {
    let of = |len, size, unit| parts(len, size, unit).collect::<Vec<_>>();
    const END: u64 = u64::MAX;
    assert_eq!(of(0, 100, 1), [(0, END)]);
    assert_eq!(of(100, 100, 1), [(0, END)]);
    assert_eq!(of(101, 100, 1), [(0, 51), (51, END)]);
    assert_eq!(of(300, 100, 7), [(0, 105), (105, 210), (210, END)]);
    assert_eq!(of(300, 100, 1000), [(0, END)]);
    assert_eq!(of(300, 100, END), [(0, END)]);
    assert_eq!(of(1 << 40, 1, 1).len(), 1 << 16);
    assert_eq!(of(10, 0, 1).len(), 10);
}

#[test]
fn a_reader_with_enough_stops_early_and_counts_nothing() {
    let dir = Scratch::new();
    let path = dir.write("a", "line\n".repeat(100_000));
    let (file, tally) = chosen(&path);
    let parts = split(text(1 << 30), file);
    let mut chunks = 0;
    parts[0]
        .chunks(&mut |_| {
            chunks += 1;
            ControlFlow::Break(())
        })
        .unwrap();
    assert_eq!((chunks, tally.records()), (1, 0));
}

#[test]
fn lines_that_are_too_long_are_counted() {
    let dir = Scratch::new();
    let text_of = ["short", &"x".repeat(2000), "short", &"y".repeat(1000)].join("\n");
    let path = dir.write("a", text_of);
    let (file, tally) = chosen(&path);
    let parts = split(text(500), file);
    let all: Vec<_> = parts
        .iter()
        .flat_map(|part| records(&**part).unwrap())
        .collect();
    assert_eq!(all.len(), 3);
    assert_eq!((tally.records(), tally.oversize()), (3, 1));
}

#[test]
fn a_file_that_is_gone_is_named() {
    let dir = Scratch::new();
    let path = dir.write("a\nb", "x");
    let (file, _) = chosen(&path);
    let parts = split(text(4096), file);
    fs::remove_file(&path).unwrap();
    let error = records(&*parts[0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    let expected = format!(
        "input/output error: {path:?} cannot be read at byte 0: No such file or directory \
         (os error 2)"
    );
    assert_eq!(error.to_string(), expected);
}

/// Nobody writes to the pipe, so opening it plainly would wait for ever.
#[cfg(target_os = "linux")]
#[test]
fn a_name_that_became_a_pipe_is_an_error() {
    let dir = Scratch::new();
    let path = dir.write("a", "x");
    let (file, _) = chosen(&path);
    let parts = split(text(4096), file);
    fs::remove_file(&path).unwrap();
    command("mkfifo", &[&path]);
    let error = records(&*parts[0]).unwrap_err().to_string();
    assert!(error.ends_with("it is not a regular file"), "{error}");
}

#[test]
fn a_file_that_grew_is_read_to_its_end_and_counted() {
    let dir = Scratch::new();
    let path = dir.write("a", "one\n");
    let (file, tally) = chosen(&path);
    let parts = split(text(4096), file);
    fs::write(&path, "one\ntwo\n").unwrap();
    for _ in 0..2 {
        assert_eq!(records(&*parts[0]).unwrap(), ["one", "two"]);
        assert_eq!((tally.records(), tally.changed()), (2, 1));
    }
}

#[cfg(unix)]
#[test]
fn another_file_of_the_name_is_read_whole_or_not_at_all() {
    let dir = Scratch::new();
    let path = dir.write("a", "old\n".repeat(100));
    let (whole, tally) = chosen(&path);
    let whole = split(text(4096), whole);
    let parts = split(text(100), chosen(&path).0);
    let other = dir.write("b", "new\n".repeat(100));
    fs::rename(other, &path).unwrap();
    assert_eq!(records(&*whole[0]).unwrap()[..], ["new"; 100]);
    assert_eq!(tally.changed(), 1);
    for part in &parts {
        let error = records(&**part).unwrap_err().to_string();
        let what = "another file has its name since the batch was made of it";
        assert!(error.ends_with(what), "{error}");
    }
}

#[test]
fn records_of_one_length() {
    let dir = Scratch::new();
    let bytes: Vec<u8> = (0..=255).cycle().take(3000).collect();
    let path = dir.write("a", &bytes);
    for (length, part_bytes) in [(3, 100), (1000, 100), (3000, 100), (3, 4096), (1, 7)] {
        let parts = read(binary(length, part_bytes), &path).unwrap();
        let all: Vec<_> = parts.concat();
        assert_eq!(all.len(), 3000 / length);
        assert!(all.iter().all(|record| record.len() == length));
        assert_eq!(all.concat(), bytes);
    }
    assert_eq!(read(binary(3, 100), &path).unwrap().len(), 30);
    let empty = dir.write("empty", "");
    let none: Vec<Arc<[u8]>> = Vec::new();
    assert_eq!(read(binary(3, 100), &empty).unwrap(), [none]);
}

#[test]
fn a_length_that_does_not_fit_is_an_error_of_every_part() {
    let dir = Scratch::new();
    let path = dir.write("a", [7; 1000]);
    for part in split(binary(9, 100), chosen(&path).0) {
        let error = records(&*part).unwrap_err();
        let expected = format!(
            "input/output error: {path:?} cannot be read at byte 999: its length is 1000 bytes, \
             which is no multiple of the record length of 9 bytes"
        );
        assert_eq!(error.to_string(), expected);
    }
    let error = read(binary(usize::MAX, 100), &path)
        .unwrap_err()
        .to_string();
    assert!(error.contains("length is 1000 bytes"), "{error}");
}

#[test]
fn a_reader_of_the_programs_own() {
    let dir = Scratch::new();
    let path = dir.write("a", "1;2;3".repeat(1000));
    let fields = ReaderFiles::new(|file: InputFile| {
        assert_eq!((file.len(), file.is_empty()), (5000, false));
        Ok(BufReader::new(file).split(b';'))
    });
    let (file, tally) = chosen(&path);
    let parts = split(fields, file);
    assert_eq!(parts.len(), 1);
    let fields = records(&*parts[0]).unwrap();
    assert_eq!(fields.len(), 2001);
    assert_eq!(fields[..4], [&b"1"[..], b"2", b"31", b"2"]);
    assert_eq!((tally.records(), tally.changed()), (2001, 0));
}

#[test]
fn a_reader_may_go_to_and_fro() {
    let dir = Scratch::new();
    let path = dir.write("a", "0123456789");
    let ends = ReaderFiles::new(|mut file: InputFile| {
        file.seek(SeekFrom::End(-2))?;
        let mut end = String::new();
        file.read_to_string(&mut end)?;
        Ok([Ok::<_, Error>((file.path().to_owned(), end))].into_iter())
    });
    let found = read(ends, &path).unwrap();
    assert_eq!(found, [[(path, "89".to_owned())]]);
}

#[test]
fn what_goes_wrong_in_a_reader_names_the_file_and_the_place() {
    fn failing(path: &Path, at: &'static [u8], panics: bool) -> Error {
        let reader = ReaderFiles::new(move |file: InputFile| {
            Ok(BufReader::with_capacity(10, file)
                .split(b';')
                .map(move |field| match field {
                    Ok(field) if field == at && panics => panic!("odd"),
                    Ok(field) if field == at => Err(Error::invalid_argument("odd")),
                    field => Ok(field?),
                }))
        });
        read(reader, path).unwrap_err()
    }
    let dir = Scratch::new();
    let path = dir.write("a", "11;22;33;44;55;66;77");
    let error = failing(&path, b"44", false);
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    let line = format!("{path:?} cannot be read, near byte 20: invalid argument: odd");
    assert_eq!(error.to_string(), format!("invalid argument: {line}"));
    let error = failing(&path, b"11", true);
    assert_eq!(error.kind(), ErrorKind::Panic);
    let line = format!("{path:?} cannot be read, near byte 10: panic: the reader panicked: odd");
    assert_eq!(error.to_string(), format!("panic: {line}"));
    let reader = ReaderFiles::new(|_: InputFile| {
        Err::<std::iter::Empty<Result<u8>>, _>(Error::invalid_argument("no"))
    });
    let error = read(reader, &path).unwrap_err().to_string();
    assert!(
        error.ends_with("near byte 0: invalid argument: no"),
        "{error}"
    );
}

#[cfg(not(feature = "gzip"))]
#[test]
fn without_the_feature_compressed_files_are_refused() {
    let dir = Scratch::new();
    let path = dir.write("a.gz", "x");
    let error = read(text(4096), &path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("with the feature gzip"));
}

proptest! {
    /// As the lines of the whole text, however it is cut.
    #[test]
    fn any_parts_have_each_line_once(
        text_of in prop::collection::vec(
            prop_oneof![Just('\n'), Just('\r'), Just('a'), Just('\u{e9}')], 0..80),
        part_bytes in 4_usize..40,
    ) {
        let text_of: String = text_of.into_iter().collect();
        let dir = Scratch::new();
        let path = dir.write("a", &text_of);
        let (file, tally) = chosen(&path);
        let parts = split(text(part_bytes), file);
        let cut: Vec<_> = parts.iter().flat_map(|part| records(&**part).unwrap()).collect();
        let whole = read(text(4096), &path).unwrap().concat();
        prop_assert_eq!(tally.records(), whole.len() as u64);
        prop_assert_eq!(cut, whole);
    }
}

#[cfg(feature = "gzip")]
mod gzip {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn member(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn members_are_read_in_order() {
        let dir = Scratch::new();
        let parts = [&b"to be\nor n"[..], b"", b"ot\r", b"\nto be"].map(member);
        let path = dir.write("a.GZ", parts.concat());
        let (file, tally) = chosen(&path);
        // However small the parts, as it can be read from the beginning only.
        let parts = split(text(4), file);
        assert_eq!(parts.len(), 1);
        assert_eq!(records(&*parts[0]).unwrap(), ["to be", "or not", "to be"]);
        assert_eq!((tally.records(), tally.changed()), (3, 0));
        let path = dir.write("nothing.gz", member(b""));
        assert_eq!(read(text(4), &path).unwrap(), [Vec::<Str>::new()]);
    }

    #[test]
    fn a_text_larger_than_all_buffers() {
        let dir = Scratch::new();
        let lines: Vec<String> = (0..200_000).map(|i| format!("line {}", i * 7919)).collect();
        let (one, other) = lines.split_at(70_000);
        let members = [
            member((one.join("\n") + "\n").as_bytes()),
            member(other.join("\n").as_bytes()),
        ];
        let path = dir.write("a.gz", members.concat());
        assert_eq!(read(text(4), &path).unwrap(), [lines]);
    }

    /// Only where a member ends nobody can tell that something is missing.
    #[test]
    fn a_file_cut_short_at_any_byte_is_damaged() {
        let dir = Scratch::new();
        let (one, two) = (member(b"one\n"), member(b"two\n"));
        let whole = [&one[..], &two].concat();
        for len in 0..whole.len() {
            let path = dir.write("a.gz", &whole[..len]);
            let result = read(text(4096), &path);
            if len == one.len() {
                assert_eq!(result.unwrap(), [["one"]]);
                continue;
            }
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Io);
            let line = format!("input/output error: {path:?} cannot be read at byte {len}: ");
            assert!(error.to_string().starts_with(&line), "{error}");
        }
    }

    #[test]
    fn any_byte_that_is_not_right_is_noticed() {
        let dir = Scratch::new();
        let whole = member(b"some lines of text\nof text\nof text\n");
        // Flags of the header, its time, its system tell nothing of the text.
        let told: Vec<usize> = (0..3).chain(10..whole.len()).collect();
        for at in told {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x55;
            let path = dir.write("a.gz", &damaged);
            let error = read(text(4096), &path).unwrap_err();
            let line = format!("input/output error: {path:?} cannot be read at byte ");
            assert!(error.to_string().starts_with(&line), "{at}: {error}");
        }
        for rest in [&b"x"[..], &[0; 600]] {
            let path = dir.write("a.gz", [&whole[..], rest].concat());
            read(text(4096), &path).unwrap_err();
        }
        let path = dir.write("plain.gz", "no such thing\n");
        let error = read(text(4096), &path).unwrap_err().to_string();
        assert!(error.ends_with("invalid gzip header"), "{error}");
    }

    #[test]
    fn what_comes_out_is_bounded() {
        let dir = Scratch::new();
        let bomb = member(&vec![b'\n'; 20 << 20]);
        assert!(bomb.len() < 21 << 10);
        let path = dir.write("bomb.gz", bomb);
        let error = read(text(4096), &path).unwrap_err().to_string();
        assert!(
            error.ends_with("more than max_inflate_ratio = 200 allows"),
            "{error}"
        );
        let mut generous = text(4096);
        generous.gzip.max_ratio = 1100;
        generous.gzip.max_bytes = 10 << 20;
        let error = read(generous, &path).unwrap_err().to_string();
        assert!(
            error.ends_with("more than max_inflated_bytes = 10485760 allows"),
            "{error}"
        );
        let mut generous = text(4096);
        generous.gzip.max_ratio = 1100;
        assert_eq!(read(generous, &path).unwrap().concat().len(), 20 << 20);
        // A little that repeats itself is no harm.
        let small = dir.write("small.gz", member(&vec![b'\n'; 1 << 20]));
        assert_eq!(read(text(4096), &small).unwrap().concat().len(), 1 << 20);
    }
}

#[test]
fn the_position_is_that_of_the_file() {
    let dir = Scratch::new();
    let path = dir.write("a", "0123456789");
    let mut file = InputFile::open(Arc::from(&*path)).unwrap();
    let mut some = [0; 4];
    file.read_exact(&mut some).unwrap();
    assert_eq!(file.position(), 4);
    file.seek(SeekFrom::Start(9)).unwrap();
    assert_eq!(file.position(), 9);
    assert_eq!(file.path(), path);
    File::create(&path).unwrap();
    assert_eq!((file.len(), file.present_len().unwrap()), (10, 0));
}
