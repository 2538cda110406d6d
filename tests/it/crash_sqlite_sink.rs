//! A program that writes each partition once into `SQLite`, and saves its batches as files,
//! killed at any moment (G-1, G-12 to G-14).
//!
//! Its input are numbers of a source that has a position, and files that turn up at any
//! moment, some of them late. At the end each of them is in the database once, and in the
//! saved directories once.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use millstream::Error;
use millstream::dstream::{PartitionId, TransactionalSink};
use millstream::prelude::*;
use millstream::shared::Pool;
use millstream::time::ManualClock;
use rusqlite::{Connection, OptionalExtension, params};

use crate::helpers::*;
use crate::once::recovered::Numbers;

const CHILD: &str = "crash_sqlite_sink::the_process_that_is_killed";

const TABLES: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS rows (word TEXT, count INTEGER);
    CREATE TABLE IF NOT EXISTS written (id TEXT PRIMARY KEY) WITHOUT ROWID;";

struct Database {
    connection: Connection,
    /// Which write aborts the process, before its commit or behind it.
    abort: Option<(bool, Arc<AtomicU64>)>,
}

impl Database {
    fn open(path: &Path) -> Self {
        let connection = Connection::open(path).unwrap();
        connection.busy_timeout(Duration::from_secs(60)).unwrap();
        connection.execute_batch(TABLES).unwrap();
        Self {
            connection,
            abort: None,
        }
    }

    fn find(&self, id: &PartitionId) -> rusqlite::Result<bool> {
        let mut select = self
            .connection
            .prepare_cached("SELECT 1 FROM written WHERE id = ?1")?;
        Ok(select
            .query_row([id.to_string()], |_| Ok(()))
            .optional()?
            .is_some())
    }

    fn add(&mut self, id: &PartitionId, rows: &[(Str, u64)]) -> rusqlite::Result<()> {
        let abort = self.abort.as_ref();
        let abort = abort.filter(|(_, left)| left.fetch_sub(1, SeqCst) == 1);
        let transaction = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        for (word, count) in rows {
            transaction.execute(
                "INSERT INTO rows VALUES (?1, ?2)",
                params![&**word, *count as i64],
            )?;
        }
        transaction.execute("INSERT INTO written VALUES (?1)", [id.to_string()])?;
        if matches!(abort, Some((true, _))) {
            std::process::abort();
        }
        transaction.commit()?;
        if abort.is_some() {
            std::process::abort();
        }
        Ok(())
    }
}

impl TransactionalSink<(Str, u64)> for Database {
    fn is_written(&mut self, id: &PartitionId) -> millstream::Result<bool> {
        self.find(id).map_err(Error::other)
    }

    fn write(&mut self, id: &PartitionId, rows: &[(Str, u64)]) -> millstream::Result<()> {
        self.add(id, rows).map_err(Error::other)
    }
}

fn say(what: &str) {
    // Nobody may be listening any more.
    let _ = std::io::stderr().write_all(format!("{what}\n").as_bytes());
}

fn random(seed: &mut u64, below: u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    (*seed >> 33) % below
}

/// Not a test of its own: counts numbers and lines until it is killed, or, the last one,
/// until nothing is left.
#[test]
fn the_process_that_is_killed() {
    let Ok(dir) = std::env::var("SINK_CHILD") else {
        return;
    };
    let dir = Path::new(&dir);
    let (files, database) = (dir.join("files"), dir.join("rows.db"));
    let now = variable("SINK_NOW").unwrap() as i64;
    let is_last = variable("SINK_LAST").is_some();
    let mut seed = variable("SINK_SEED").unwrap();
    // SQLite does not let several connections change the mode of a new database at once,
    // however long they would wait.
    let _first = Database::open(&database);
    let clock = ManualClock::new(now);
    let path = dir.join("numbers");
    let numbers = || {
        let text = fs::read_to_string(&path).unwrap_or_default();
        text.parse::<u64>().unwrap_or(0)
    };
    let there = Arc::new(AtomicU64::new(numbers()));
    let left = Arc::new(AtomicU64::new(variable("SINK_ABORT").unwrap_or(0)));
    let before_commit = variable("SINK_BEFORE").is_some();
    let ssc = StreamingContext::get_or_create(dir.join("checkpoints"), || {
        let ssc = StreamingContext::builder()
            .batch_interval(SECOND)
            .workers(2)
            .set("checkpoint_interval", "3s")
            .clock(clock.clone())
            .ignore_environment()
            .build()?;
        let there = Arc::clone(&there);
        let numbers = ssc.input_stream(Numbers { there, next: 0 })?;
        let lines = ssc.text_file_stream(&files)?;
        let counts = numbers
            .map(|number| Str::from(format!("number-{number}")))
            .union(&lines)?
            .map(|word| (word, 1_u64))
            .reduce_by_key(|a, b| a + b);
        let connections = Pool::new(2, Duration::from_secs(60), move || {
            let mut opened = Database::open(&database);
            opened.abort = Some((before_commit, Arc::clone(&left)));
            Ok(opened)
        });
        counts.for_each_partition_once("words", connections)?;
        let saved = dir.join("saved/words");
        counts.save_as_text_files(&saved.to_string_lossy(), "");
        Ok(ssc)
    })
    .unwrap();
    let program = Program { ssc, clock };
    program.start();
    let mut count = 0;
    while files.join(format!("file-{count}")).exists() {
        count += 1;
    }
    for tick in 0.. {
        let now = program.now().as_millis();
        say(&format!("tick {now}"));
        if is_last && tick == 5 {
            program.stop();
            return;
        }
        if !is_last {
            for _ in 0..random(&mut seed, 3) {
                let millis = (now + 1500 - random(&mut seed, 3000) as i64).max(1) as u64;
                let text = format!("line-{count}\nline-{count}-too\n");
                put(files.join(format!("file-{count}")), millis, text);
                count += 1;
            }
            let more = numbers() + random(&mut seed, 9);
            // A source is there before it is read.
            fs::write(path.with_extension("new"), more.to_string()).unwrap();
            fs::rename(path.with_extension("new"), &path).unwrap();
            there.store(more, SeqCst);
        }
        program.tick();
        let failed = program.ssc.await_termination_or_timeout(Duration::ZERO);
        failed.unwrap();
    }
}

/// A process that begins at `now`, with more variables.
fn start(dir: &Path, now: i64, seed: u64, variables: &[(&str, &str)]) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([CHILD, "--exact", "--nocapture", "--test-threads=1"])
        .env("SINK_CHILD", dir)
        .env("SINK_NOW", now.to_string())
        .env("SINK_SEED", seed.to_string())
        .envs(variables.iter().copied())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Listens to the process until it ends, and kills it after so many lines. Gives the time
/// of the last batch that it may have made.
fn listen(mut child: Child, lines: usize, mut now: i64, is_last: bool) -> i64 {
    let mut other = String::new();
    let said = BufReader::new(child.stderr.take().unwrap());
    for (number, line) in said.lines().map_while(Result::ok).enumerate() {
        if number == lines {
            child.kill().unwrap();
        }
        match line.strip_prefix("tick ") {
            Some(time) => now = time.parse::<i64>().unwrap() + 1000,
            None => other += &format!("{line}\n"),
        }
    }
    let status = child.wait().unwrap();
    assert!(other.is_empty(), "the process says: {other}");
    assert_eq!(status.success(), is_last, "{status}");
    now
}

/// What there has to be, from the inputs themselves.
fn expected(dir: &Path) -> BTreeMap<String, u64> {
    let numbers: u64 = fs::read_to_string(dir.join("numbers"))
        .unwrap()
        .parse()
        .unwrap();
    let mut words: Vec<_> = (0..numbers).map(|n| format!("number-{n}")).collect();
    for entry in fs::read_dir(dir.join("files")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        // A process may have been killed before it renamed it.
        if !name.starts_with('.') {
            words.extend(fs::read_to_string(&path).unwrap().lines().map(String::from));
        }
    }
    words.into_iter().map(|word| (word, 1)).collect()
}

/// What the database has: how often each word is counted.
fn in_database(dir: &Path) -> BTreeMap<String, u64> {
    let database = Database::open(&dir.join("rows.db"));
    let mut select = database
        .connection
        .prepare("SELECT word, count FROM rows")
        .unwrap();
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)));
    let mut counts = BTreeMap::new();
    for row in rows.unwrap() {
        let (word, count) = row.unwrap();
        *counts.entry(word).or_default() += count as u64;
    }
    counts
}

/// What the saved directories have.
fn in_files(dir: &Path) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for entry in fs::read_dir(dir.join("saved")).unwrap() {
        let path = entry.unwrap().path();
        assert!(path.join("_SUCCESS").exists(), "{path:?}");
        for part in ["part-00000", "part-00001"] {
            for line in fs::read_to_string(path.join(part)).unwrap().lines() {
                let pair = line
                    .strip_prefix('(')
                    .and_then(|line| line.strip_suffix(')'));
                let (word, count) = pair.unwrap().split_once(',').unwrap();
                *counts.entry(word.to_owned()).or_default() += count.parse::<u64>().unwrap();
            }
        }
    }
    counts
}

fn begin(name: &str) -> Scratch {
    let dir = Scratch::new(name);
    fs::create_dir(dir.join("files")).unwrap();
    dir
}

/// Lets a last process do what is left, and looks at what there is.
fn check(dir: &Path, now: i64, context: &str) {
    let last = start(dir, now, 0, &[("SINK_LAST", "1")]);
    listen(last, usize::MAX, now, true);
    let expected = expected(dir);
    assert!(expected.len() > 3, "{context}: {expected:?}");
    assert_eq!(in_database(dir), expected, "{context}: database");
    assert_eq!(in_files(dir), expected, "{context}: files");
}

#[test]
fn crash_sqlite_sink() {
    let trials = variable("CRASH_TRIALS").unwrap_or(8);
    let mut seed = variable("CRASH_SEED").unwrap_or(7);
    let dir = begin("crash-sqlite");
    let mut now = 0;
    for trial in 0..trials {
        let lines = 1 + random(&mut seed, 20) as usize;
        let child = start(&dir, now, random(&mut seed, 1 << 30), &[]);
        now = listen(child, lines, now, false) + random(&mut seed, 5000) as i64;
        if trial % 100 == 99 {
            check(&dir, now, &format!("seed {seed}, {trial}"));
            now += 10_000;
        }
    }
    check(&dir, now, &format!("seed {seed}"));
    let rows = expected(&dir).len();
    println!("crashed: {trials} kills, {rows} rows: 0 lost, 0 phantoms, 0 twice");
}

#[test]
fn crash_sqlite_sink_around_a_commit() {
    for before in [true, false] {
        let dir = begin(&format!("crash-sqlite-{before}"));
        let mut now = 0;
        for (trial, nth) in ["1", "2", "7", "8", "13"].into_iter().enumerate() {
            let mut variables = vec![("SINK_ABORT", nth)];
            variables.extend(before.then_some(("SINK_BEFORE", "1")));
            let child = start(&dir, now, trial as u64, &variables);
            now = listen(child, usize::MAX, now, false) + 700;
        }
        check(&dir, now, &format!("before the commit: {before}"));
    }
}

#[cfg(feature = "fault-inject")]
#[test]
fn crash_sqlite_sink_at_each_kill_point() {
    let mine = |point: &&&str| point.starts_with("save.") || point.starts_with("checkpoint.");
    for point in millstream::fault::KILL_POINTS.iter().filter(mine) {
        let dir = begin(point);
        let mut now = 0;
        for (trial, times) in [2, 5, 1].into_iter().enumerate() {
            let order = format!("{point}:{times}");
            let child = start(&dir, now, trial as u64, &[("KILL_POINT", &order)]);
            // Some are never reached again.
            now = listen(child, 60, now, false) + 700;
        }
        check(&dir, now, point);
    }
}
