//! Cases about text: what a program printed, and the files that it saved. Each
//! runs in a process and a directory of its own, as both are global.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs};

use millstream::prelude::*;
use millstream::time::{Clock, ManualClock};
use serde::Deserialize;

use crate::value::Value;

#[derive(Deserialize)]
struct PrintCase {
    num: Option<usize>,
    output: Vec<(i64, String)>,
}

#[derive(Deserialize)]
struct SaveCase {
    /// The files of each directory.
    output: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Input {
    batch_ms: i64,
    partitions: usize,
    input: Vec<Vec<Value>>,
    #[serde(flatten)]
    output: Output,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Output {
    Print {
        num: Option<usize>,
    },
    SaveAsTextFiles {
        prefix: Option<String>,
        suffix: Option<String>,
    },
}

/// Set where a case is to be run.
const INSIDE: &str = "GOLDEN_PRINTED_INSIDE";
/// Around what the program prints.
const MARK: &str = "=== printed ===";

/// Runs a case of kind `print`.
pub(crate) fn print(json: &str) -> Result<(), String> {
    let case: PrintCase = read(json)?;
    let expected: String = case.output.iter().map(|(_, text)| text.as_str()).collect();
    let (printed, _) = in_own_process(json)?;
    differ(&format!("{:?} records", case.num), &expected, &printed)
}

/// Runs a case of kind `save_as_text_files`.
pub(crate) fn save_as_text_files(json: &str) -> Result<(), String> {
    let case: SaveCase = read(json)?;
    let (_, files) = in_own_process(json)?;
    differ("files", &case.output, &files)
}

fn read<'j, T: Deserialize<'j>>(json: &'j str) -> Result<T, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

fn differ<T: PartialEq + std::fmt::Debug>(what: &str, expected: &T, got: &T) -> Result<(), String> {
    if expected == got {
        return Ok(());
    }
    Err(format!(
        "{what}\n  expected {expected:?}\n  got      {got:?}"
    ))
}

type Files = BTreeMap<String, BTreeMap<String, String>>;

/// What the program of a case prints, and the directories that it leaves.
fn in_own_process(json: &str) -> Result<(String, Files), String> {
    let scratch = Scratch::new().map_err(|error| format!("no directory: {error}"))?;
    let run = || {
        let mut child = Command::new(env::current_exe()?)
            .args([
                "printed::the_program_of_a_case",
                "--exact",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(INSIDE, "1")
            .current_dir(&scratch.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        // The end of the text tells the child to begin.
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(json.as_bytes())?;
        }
        child.wait_with_output()
    };
    let child = run().map_err(|error| format!("a process of its own: {error}"))?;
    let out = String::from_utf8_lossy(&child.stdout);
    if !child.status.success() {
        let err = String::from_utf8_lossy(&child.stderr);
        return Err(format!("the program failed: {err}\n{out}"));
    }
    let printed = out.split(&format!("{MARK}\n")).nth(1).unwrap_or_default();
    let files = scratch
        .files()
        .map_err(|error| format!("the directories: {error}"))?;
    Ok((printed.to_owned(), files))
}

/// The other side of [`in_own_process`]; does nothing in an ordinary run.
#[test]
fn the_program_of_a_case() {
    if env::var_os(INSIDE).is_none() {
        return;
    }
    let mut json = String::new();
    std::io::stdin().read_to_string(&mut json).unwrap();
    let case: Input = serde_json::from_str(&json).unwrap();
    println!("\n{MARK}");
    run(&case).unwrap();
    println!("{MARK}");
}

fn run(case: &Input) -> millstream::Result<()> {
    let interval = Duration::from_millis(case.batch_ms as u64);
    let clock = ManualClock::new(0);
    let ssc = StreamingContext::builder()
        .batch_interval(interval)
        .workers(2)
        .clock(clock.clone())
        .ignore_environment()
        .build()?;
    let queue = RddQueue::new();
    let stream = ssc.queue_stream(&queue)?;
    match &case.output {
        Output::Print { num: None } => stream.print(),
        Output::Print { num: Some(n) } => stream.print_n(*n),
        Output::SaveAsTextFiles { prefix, suffix } => {
            let [prefix, suffix] = [prefix, suffix].map(|name| name.as_deref().unwrap_or_default());
            stream.save_as_text_files(prefix, suffix);
        }
    }
    ssc.start()?;
    for records in &case.input {
        queue.push(ssc.parallelize(records.clone(), case.partitions));
        clock.advance(interval);
        ssc.await_batch(BatchTime::from_millis(clock.now_millis()));
    }
    ssc.stop(true)?;
    ssc.await_termination()
}

/// A directory that goes away with the case.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> std::io::Result<Self> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("millstream-golden-{}-{number}", process::id());
        let path = env::temp_dir().join(name);
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    fn files(&self) -> std::io::Result<Files> {
        let mut directories = Files::new();
        for path in entries(&self.0)? {
            let mut files = BTreeMap::new();
            for file in entries(&path)? {
                files.insert(name(&file), fs::read_to_string(&file)?);
            }
            directories.insert(name(&path), files);
        }
        Ok(directories)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn entries(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory)?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
