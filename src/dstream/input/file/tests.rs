//! The rules of choosing against their plain form, and real directories.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::listing::{Found, Reason, list, usual_names};
use super::pattern::Pattern;
use super::selection::{Choice, Ignored, Selection};
use super::*;
use crate::rdd::file::tests::{Scratch, command};
use crate::rdd::file::{FixedLengthFiles, Identity};
use crate::time::{BatchTime, ManualClock};

fn at(millis: i64) -> BatchTime {
    BatchTime::from_millis(millis)
}

fn modified(modified: i64) -> Found {
    Found {
        modified,
        len: 0,
        identity: Identity::default(),
    }
}

/// Files and when they were modified.
type Files = BTreeMap<String, i64>;

/// What each of some times gets, and what is counted.
fn pass(
    selection: &mut Selection,
    times: &[i64],
    files: &Files,
) -> (Vec<Vec<String>>, Vec<(Reason, u64)>) {
    let times: Vec<_> = times.iter().copied().map(at).collect();
    let mut pass = selection.pass(&times);
    for (path, &time) in files {
        pass.offer(Path::new(path), modified(time), i64::MAX, |path| {
            !path.to_string_lossy().starts_with("no")
        });
    }
    let ignored = std::mem::take(&mut pass.ignored);
    let name = |choice: &Choice| choice.path.to_string_lossy().into_owned();
    let batches = pass.finish(true);
    selection.forget(times[0]);
    let batches = batches.iter().map(|files| files.iter().map(name).collect());
    (batches.collect(), counts(&ignored))
}

fn counts(ignored: &Ignored) -> Vec<(Reason, u64)> {
    ignored
        .iter()
        .map(|(reason, count, _)| (reason, count))
        .collect()
}

fn files<const N: usize>(files: [(&str, i64); N]) -> Files {
    files.map(|(path, time)| (path.to_owned(), time)).into()
}

const WINDOW: Duration = Duration::from_millis(60);

#[test]
fn the_time_of_modification_decides() {
    let mut selection = Selection::new(100, WINDOW);
    let there = files([
        ("old", 99),
        ("same", 100),
        ("new", 101),
        ("present", 110),
        ("later", 111),
    ]);
    let (batches, ignored) = pass(&mut selection, &[110], &there);
    assert_eq!(batches, [["new", "present"]]);
    assert_eq!(ignored, [(Reason::BeforeStart, 2)]);
    let (batches, ignored) = pass(&mut selection, &[120], &there);
    assert_eq!(batches, [["later"]]);
    assert_eq!(ignored, []);
    let (batches, _) = pass(&mut selection, &[130], &there);
    assert_eq!(batches, [[""; 0]]);
}

#[test]
fn several_times_share_a_look_and_the_first_one_gets_the_file() {
    let mut selection = Selection::new(0, WINDOW);
    let there = files([("b", 20), ("a", 21), ("c", 15), ("d", 31), ("e", 10)]);
    let (batches, _) = pass(&mut selection, &[10, 20, 30], &there);
    assert_eq!(batches, [vec!["e"], vec!["c", "b"], vec!["a"]]);
}

#[test]
fn a_file_that_turns_up_late_is_taken_within_the_window_and_counted_once_beyond() {
    let mut selection = Selection::new(0, WINDOW);
    pass(&mut selection, &[100], &files([]));
    let there = files([("in time", 51), ("late", 50)]);
    let (batches, ignored) = pass(&mut selection, &[110], &there);
    assert_eq!(batches, [["in time"]]);
    assert_eq!(ignored, [(Reason::TooOld, 1)]);
    for time in [120, 130, 1000] {
        let (batches, ignored) = pass(&mut selection, &[time], &there);
        assert_eq!((batches, ignored), (vec![vec![]], vec![]));
    }
    // Gone and there again, it is another file.
    pass(&mut selection, &[1010], &files([]));
    let (_, ignored) = pass(&mut selection, &[1020], &there);
    assert_eq!(ignored, [(Reason::TooOld, 2)]);
}

#[test]
fn a_file_that_was_taken_is_neither_taken_nor_counted_when_it_is_old() {
    let mut selection = Selection::new(0, WINDOW);
    let there = files([("a", 10)]);
    for time in (10..300).step_by(10) {
        let (batches, ignored) = pass(&mut selection, &[time], &there);
        assert_eq!(batches[0].len(), usize::from(time == 10));
        assert_eq!(ignored, [], "at {time}");
    }
    assert_eq!(selection.retained(), (0, 1));
    pass(&mut selection, &[300], &files([]));
    assert_eq!(selection.retained(), (0, 0));
}

#[test]
fn a_file_that_is_written_to_again_counts_as_new_behind_the_window() {
    let mut selection = Selection::new(0, WINDOW);
    let (batches, _) = pass(&mut selection, &[10], &files([("a", 10)]));
    assert_eq!(batches, [["a"]]);
    for (time, expected) in [(60, 0), (70, 0), (71, 1), (80, 0), (131, 0)] {
        let (batches, ignored) = pass(&mut selection, &[time], &files([("a", 55)]));
        assert_eq!(batches[0].len(), expected, "at {time}");
        assert_eq!(ignored, []);
    }
}

#[test]
fn a_filter_is_asked_and_counted_once() {
    let mut selection = Selection::new(0, WINDOW);
    let there = files([("no", 10), ("nope", 11), ("yes", 10)]);
    let (batches, ignored) = pass(&mut selection, &[10], &there);
    assert_eq!(
        (batches, ignored),
        (vec![vec!["yes".to_owned()]], vec![(Reason::Refused, 1)])
    );
    let (batches, ignored) = pass(&mut selection, &[20], &there);
    assert_eq!(
        (batches, ignored),
        (vec![vec![]], vec![(Reason::Refused, 1)])
    );
    // Then they are too old, which is no news.
    let (_, ignored) = pass(&mut selection, &[100], &there);
    assert_eq!(ignored, []);
}

#[test]
fn a_file_that_is_named_twice_is_taken_once() {
    let mut selection = Selection::new(0, WINDOW);
    let times = [at(10), at(20)];
    let mut pass = selection.pass(&times);
    for time in [10, 11, 10] {
        pass.offer(Path::new("a"), modified(time), 0, |_| true);
    }
    let taken: usize = pass.finish(true).iter().map(Vec::len).sum();
    assert_eq!(taken, 1);
}

#[test]
fn a_look_that_does_not_end_takes_nothing() {
    let mut selection = Selection::new(0, WINDOW);
    let times = [at(10)];
    let mut broken = selection.pass(&times);
    broken.offer(Path::new("a"), modified(10), 0, |_| true);
    drop(broken);
    let (batches, _) = pass(&mut selection, &[20], &files([("a", 10)]));
    assert_eq!(batches, [["a"]]);
}

#[test]
fn what_was_not_listed_is_not_forgotten() {
    let mut selection = Selection::new(100, WINDOW);
    let there = files([("old", 1)]);
    let (_, ignored) = pass(&mut selection, &[110], &there);
    assert_eq!(ignored, [(Reason::BeforeStart, 1)]);
    let times = [at(120)];
    selection.pass(&times).finish(false);
    let (_, ignored) = pass(&mut selection, &[130], &there);
    assert_eq!(ignored, []);
}

/// The rules as they are written, a time after the other.
struct Naive {
    initial: i64,
    window: i64,
    batches: Vec<(i64, String)>,
}

impl Naive {
    fn select(&mut self, time: i64, files: &Files) -> Vec<String> {
        let Self {
            initial,
            window,
            batches,
        } = self;
        let since = time - *window;
        let threshold = (*initial).max(since);
        let new: Vec<_> = files
            .iter()
            .filter(|&(path, &modified)| {
                !path.starts_with("no")
                    && modified > threshold
                    && modified <= time
                    && !batches
                        .iter()
                        .any(|(batch, taken)| *batch >= since && taken == path)
            })
            .map(|(path, _)| path.clone())
            .collect();
        batches.extend(new.iter().map(|path| (time, path.clone())));
        new
    }
}

#[derive(Clone, Debug)]
enum Change {
    Write { path: String, age: i64 },
    Remove { path: String },
    Look { times: usize },
}

fn change() -> impl Strategy<Value = Change> {
    let path = prop_oneof![9 => (0..20).prop_map(|i| format!("f{i}")), 1 => Just("no".to_owned())];
    prop_oneof![
        4 => (path.clone(), -20_i64..90).prop_map(|(path, age)| Change::Write { path, age }),
        1 => path.prop_map(|path| Change::Remove { path }),
        4 => (1_usize..5).prop_map(|times| Change::Look { times }),
    ]
}

proptest! {
    #[test]
    fn a_pass_is_as_the_rules_one_time_after_the_other(
        changes in prop::collection::vec(change(), 0..80),
        initial in -50_i64..50,
        window in 1_i64..7,
    ) {
        let window = window * 10;
        let mut selection =
            Selection::new(initial, Duration::from_millis(window.unsigned_abs()));
        let mut naive = Naive { initial, window, batches: Vec::new() };
        let (mut there, mut now) = (Files::new(), 0);
        for change in changes {
            match change {
                Change::Write { path, age } => {
                    there.insert(path, now - age);
                }
                Change::Remove { path } => {
                    there.remove(&path);
                }
                Change::Look { times } => {
                    let times: Vec<_> = (1..=times as i64).map(|i| now + i * 10).collect();
                    now += times.len() as i64 * 10;
                    let (mut batches, _) = pass(&mut selection, &times, &there);
                    for batch in &mut batches {
                        batch.sort();
                    }
                    let expected: Vec<_> =
                        times.iter().map(|&time| naive.select(time, &there)).collect();
                    prop_assert_eq!(batches, expected);
                    let (paths, hashes) = selection.retained();
                    // A checkpoint may be of the first of the times.
                    let since = times[0] - window;
                    naive.batches.retain(|(batch, _)| *batch >= since);
                    prop_assert_eq!(paths, naive.batches.len());
                    prop_assert!(hashes <= there.len());
                }
            }
        }
    }
}

/// A hundred thousand files, and as many that are never read.
#[test]
fn only_one_window_is_kept() {
    let mut selection = Selection::new(0, WINDOW);
    let mut time = 0;
    for batch in 0..1000 {
        time += 10;
        let there = (0..100)
            .flat_map(|i| {
                [
                    (format!("f{batch}-{i}"), time),
                    (format!("no{batch}-{i}"), time),
                ]
            })
            .collect();
        let (batches, ignored) = pass(&mut selection, &[time], &there);
        assert_eq!(batches[0].len(), 100);
        assert_eq!(ignored, [(Reason::Refused, 100)]);
        let (paths, hashes) = selection.retained();
        assert_eq!((paths, hashes), ((batch + 1).min(7) * 100, 100));
    }
    pass(&mut selection, &[time + 1000], &files([]));
    assert_eq!(selection.retained(), (0, 0));
}

/// What is found in a directory, by name.
fn found(dir: &Path) -> BTreeMap<Vec<u8>, Result<Found, Reason>> {
    let mut all = BTreeMap::new();
    list(dir, usual_names, |path, what| {
        let name = path.file_name().unwrap().as_encoded_bytes().to_vec();
        assert!(all.insert(name, what).is_none());
    })
    .unwrap();
    all
}

#[test]
fn a_file_has_its_time_and_length() {
    let dir = Scratch::new();
    let path = dir.write("a", "123");
    let file = File::options().write(true).open(&path).unwrap();
    let after = |nanos| SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos);
    let before = |nanos| SystemTime::UNIX_EPOCH - Duration::from_nanos(nanos);
    for (time, millis) in [
        (after(1_999_999), 1),
        (after(2_000_000), 2),
        (after(1_700_000_000_123_456_789), 1_700_000_000_123),
        (before(1), -1),
        (before(1_000_000), -1),
        (before(1_000_001), -2),
    ] {
        file.set_modified(time).unwrap();
        let what = found(dir.path())[&b"a"[..]].unwrap();
        assert_eq!((what.modified, what.len), (millis, 3));
    }
    let identity = Identity::of(&fs::metadata(&path).unwrap());
    assert_eq!(found(dir.path())[&b"a"[..]].unwrap().identity, identity);
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_told_apart_and_nothing_hangs() {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    let dir = Scratch::new();
    dir.write("file", "x");
    dir.write(".hidden", "x");
    dir.write("_SUCCESS", "x");
    dir.write("part.tmp", "x");
    fs::create_dir(dir.path().join("directory")).unwrap();
    command("mkfifo", &[&dir.path().join("pipe")]);
    let _socket = UnixListener::bind(dir.path().join("socket")).unwrap();
    let link = |to: &str, name: &str| symlink(to, dir.path().join(name)).unwrap();
    link("file", "link");
    link("nowhere", "dangling");
    link("loop-b", "loop-a");
    link("loop-a", "loop-b");
    link("directory", "link-to-directory");
    link("pipe", "link-to-pipe");
    link("/dev/null", "device");
    let found = found(dir.path());
    let reasons: Vec<_> = found
        .iter()
        .map(|(name, what)| (std::str::from_utf8(name).unwrap(), what.err()))
        .collect();
    let expected = [
        (".hidden", Some(Reason::Hidden)),
        ("_SUCCESS", Some(Reason::Temporary)),
        ("dangling", Some(Reason::BrokenLink)),
        ("device", Some(Reason::NotRegular)),
        ("directory", Some(Reason::Directory)),
        ("file", None),
        ("link", None),
        ("link-to-directory", Some(Reason::Directory)),
        ("link-to-pipe", Some(Reason::NotRegular)),
        ("loop-a", Some(Reason::BrokenLink)),
        ("loop-b", Some(Reason::BrokenLink)),
        ("part.tmp", Some(Reason::Temporary)),
        ("pipe", Some(Reason::NotRegular)),
        ("socket", Some(Reason::NotRegular)),
    ];
    assert_eq!(reasons, expected);
    // A link is the file that it leads to.
    assert_eq!(found[&b"link"[..]], found[&b"file"[..]]);
}

#[test]
fn a_directory_that_is_missing_is_an_error() {
    let dir = Scratch::new();
    let missing = dir.path().join("missing");
    let error = list(&missing, usual_names, |_, _| ()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

/// The directories that match, below the scratch directory, and what failed.
fn matching(dir: &Scratch, pattern: &str) -> (Vec<String>, Vec<String>) {
    let pattern = dir.path().join(pattern);
    let pattern = Pattern::parse(&pattern).unwrap();
    let mut failed = Vec::new();
    let below = |path: &Path| {
        let path = path.strip_prefix(dir.path()).unwrap();
        path.to_string_lossy().into_owned()
    };
    let found = pattern.directories(&mut |path, cause| {
        failed.push(format!("{}: {:?}", below(path), cause.kind()));
    });
    (found.iter().map(|path| below(path)).collect(), failed)
}

#[test]
fn patterns_choose_directories() {
    let dir = Scratch::new();
    for name in ["a1/x/in", "a2/x", "b1/y", "b[1]", ".a9", "c d", "a1/x/.in"] {
        fs::create_dir_all(dir.path().join(name)).unwrap();
    }
    dir.write("a3", "a file");
    let cases: &[(&str, &[&str])] = &[
        ("a1", &["a1"]),
        ("a1/./x//in", &["a1/x/in"]),
        ("a*", &["a1", "a2"]),
        ("?1", &["a1", "b1"]),
        ("a[12]", &["a1", "a2"]),
        ("[!a]1", &["b1"]),
        ("*", &["a1", "a2", "b1", "b[1]", "c d"]),
        (".*", &[".a9"]),
        ("*/x", &["a1/x", "a2/x"]),
        ("*/*", &["a1/x", "a2/x", "b1/y"]),
        ("a1/*/in", &["a1/x/in"]),
        ("{a,b}1", &["a1", "b1"]),
        ("{a1/x,b?/y}", &["a1/x", "b1/y"]),
        ("{a1,{a2,b1}}/{x,y}", &["a1/x", "a2/x", "b1/y"]),
        ("{a1/{x,y},b1/y}", &["a1/x", "b1/y"]),
        ("{a*,*1}", &["a1", "a2", "b1"]),
        ("{a*/x,*1/x}", &["a1/x", "a2/x"]),
        ("b\\[1\\]*", &["b[1]"]),
        ("c ?", &["c d"]),
        ("*/missing", &[]),
        ("missing/*", &[]),
        ("a3/*", &[]),
        ("**", &["a1", "a2", "b1", "b[1]", "c d"]),
        ("a1/../b*", &["a1/../b1", "a1/../b[1]"]),
    ];
    for &(pattern, expected) in cases {
        assert_eq!(
            matching(&dir, pattern),
            (
                expected.iter().map(|name| (*name).to_owned()).collect(),
                vec![]
            ),
            "{pattern}"
        );
    }
    let failed = |pattern| matching(&dir, pattern).1;
    assert_eq!(failed("missing"), ["missing: NotFound"]);
    assert_eq!(failed("a3"), ["a3: NotADirectory"]);
}

#[test]
fn patterns_that_are_none_are_refused() {
    let refused = |pattern: &str| Pattern::parse(Path::new(pattern)).unwrap_err();
    assert_eq!(refused(""), "it is empty");
    assert_eq!(refused("a/{b/c"), "a { has no }");
    assert!(refused("a/[b").contains("unclosed character class"));
    let url = "it is a URL; only directories of this machine can be watched";
    assert_eq!(refused("s3://bucket/*"), url);
    assert_eq!(refused("hdfs://host/directory"), url);
    let many = "{a/b,c/d}".repeat(11);
    assert_eq!(refused(&many), "it stands for more than 1024 patterns");
}

#[cfg(unix)]
#[test]
fn names_that_are_not_utf8() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let dir = Scratch::new();
    let odd = dir.path().join(OsStr::from_bytes(b"odd\xff"));
    fs::create_dir(&odd).unwrap();
    let longest = "x".repeat(255);
    for name in [
        &b"b\xfe"[..],
        b"two\nlines",
        b"100%;$(x)",
        longest.as_bytes(),
    ] {
        fs::write(odd.join(OsStr::from_bytes(name)), "x").unwrap();
    }
    assert_eq!(found(&odd).len(), 4);
    let mut none = |path: &Path, cause: io::Error| panic!("{path:?}: {cause}");
    let literal = Pattern::parse(&odd).unwrap();
    assert_eq!(literal.directories(&mut none), std::slice::from_ref(&odd));
    let pattern = Pattern::parse(&dir.path().join("o*")).unwrap();
    assert_eq!(pattern.directories(&mut none), std::slice::from_ref(&odd));
    let error = Pattern::parse(&odd.join("*")).unwrap_err();
    assert_eq!(error, "it is not UTF-8");
}

#[test]
fn a_relative_path_counts_from_here() {
    let mut none = |path: &Path, cause: io::Error| panic!("{path:?}: {cause}");
    let here = std::env::current_dir().unwrap();
    for pattern in ["src", "./src", "sr[c]"] {
        let pattern = Pattern::parse(Path::new(pattern)).unwrap();
        assert_eq!(pattern.directories(&mut none), [here.join("src")]);
    }
}

#[test]
fn the_window_is_a_multiple_of_the_interval() {
    let window = |interval, least| {
        let ms = Duration::from_millis;
        remember_window(ms(interval), ms(least)).as_millis()
    };
    assert_eq!(window(1000, 60_000), 60_000);
    assert_eq!(window(7000, 60_000), 63_000);
    assert_eq!(window(90_000, 60_000), 90_000);
    assert_eq!(window(1, 1), 1);
}

#[test]
fn the_description_of_a_batch_is_bounded_and_on_one_line_per_file() {
    let names: Vec<Arc<Path>> = (0..1500)
        .map(|i| Arc::from(PathBuf::from(format!("/dir/a\n{i}"))))
        .collect();
    let text = describe(&names, &Ignored::default(), &Tally::default());
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 1001);
    assert_eq!((lines[0], lines[1000]), ("/dir/a\\n0", "and 500 more"));
}

/// A file input without its node, at a clock that stands at 100 s.
fn direct(pattern: &Path) -> FileDirect<FixedLengthFiles> {
    let executor = Executor::of(1);
    let format = FixedLengthFiles {
        record_length: 1,
        part_bytes: 1,
    };
    FileDirect {
        name: "File stream [0]".to_owned(),
        pattern: Pattern::parse(pattern).unwrap(),
        filter: None,
        format: Arc::new(format),
        step: Step::new("test", Location::caller()),
        selection: Selection::new(0, Duration::from_secs(5)),
        executor: Arc::new(executor),
        clock: Arc::new(ManualClock::new(100_000)),
        interval: Duration::from_secs(1),
        failing: None,
        slow: None,
        repeated: None,
    }
}

#[test]
fn what_cannot_be_listed_is_told_when_it_changes() {
    let dir = Scratch::new();
    let missing = dir.path().join("missing");
    let mut one = direct(&missing);
    let mut none = direct(&dir.path().join("mis*"));
    let failing = |direct: &mut FileDirect<_>| {
        direct.look(&[at(1)]);
        direct.failing.clone()
    };
    let text = format!("{missing:?}: No such file or directory (os error 2)");
    assert_eq!(failing(&mut one).as_deref(), Some(&*text));
    assert_eq!(failing(&mut none).as_deref(), Some("no directory matches"));
    fs::create_dir(&missing).unwrap();
    assert_eq!((failing(&mut one), failing(&mut none)), (None, None));
}

#[test]
fn a_listing_that_takes_long_is_told_of_now_and_then() {
    let dir = Scratch::new();
    let mut direct = direct(dir.path());
    let mut slow = |millis, times: &[i64]| {
        let times: Vec<_> = times.iter().copied().map(at).collect();
        direct.tell_slow(Duration::from_millis(millis), &times);
        direct.slow
    };
    assert_eq!(slow(1000, &[1000]), None);
    assert_eq!(slow(1999, &[1000, 2000]), None, "it served two");
    assert_eq!(slow(1001, &[3000]), Some(at(3000)));
    assert_eq!(slow(5000, &[62_999]), Some(at(3000)));
    assert_eq!(slow(5000, &[63_000]), Some(at(63_000)));
}

/// what is kept does not grow. `FILE_COUNT` is how many files there are.
#[test]
fn what_is_kept_of_real_files_is_that_of_one_window() {
    let count = std::env::var("FILE_COUNT").map_or(1000, |count| count.parse().unwrap());
    let dir = Scratch::new();
    let mut direct = direct(dir.path());
    let name = |batch: i64, i: i64| dir.path().join(format!("{batch}-{i}"));
    let (mut read, mut batch) = (0, 0);
    while read < count {
        batch += 1;
        for i in 0..20 {
            fs::write(name(batch, i), "x").unwrap();
            let file = File::options().write(true).open(name(batch, i)).unwrap();
            let millis = (batch * 1000 - i).unsigned_abs();
            let time = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
            file.set_modified(time).unwrap();
        }
        dir.write(format!(".hidden-{batch}"), "");
        let made: Vec<Made<Arc<[u8]>>> = direct.compute(&[at(batch * 1000)]);
        let rdd = made[0].rdd.clone().unwrap().unwrap();
        assert_eq!(rdd.num_partitions(), 20);
        read += rdd.num_partitions();
        // Of the files that are still there, those of three batches are too old.
        let there = batch.min(9) - batch.min(6);
        let (paths, hashes) = direct.selection.retained();
        assert_eq!(
            (paths as i64, hashes as i64),
            (batch.min(6) * 20, there * 20 + batch.min(9))
        );
        if batch > 8 {
            for i in 0..20 {
                fs::remove_file(name(batch - 8, i)).unwrap();
            }
            fs::remove_file(dir.path().join(format!(".hidden-{}", batch - 8))).unwrap();
        }
    }
}
