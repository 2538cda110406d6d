//! What the library costs a program that it is part of: how soon the first batch
//! comes, and what a word count at a batch interval of 10 ms takes while no data
//! comes.
//!
//! `cargo bench --bench embed -- [--rounds N] [--seconds N]`
//!
//! Each round starts a process of its own, which counts words of a socket that this
//! one feeds: nothing at first, for so many seconds, then some text, and then nothing
//! again.
#![expect(
    clippy::print_stdout,
    reason = "its lines are what this program is for"
)]
#![expect(clippy::disallowed_methods, reason = "measures real time")]
#![expect(clippy::unwrap_used, reason = "a measurement that fails may panic")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use common::{args, generate};
use millstream::prelude::*;

// With the system's allocator, as most programs that the library is a part of; another
// one has its own way to give memory back.

const LINES: usize = 200_000;

/// The program that is measured. It tells when it was started, when its first batch
/// ran, and how many words there were so far, and ends when its input does.
fn word_count(address: &str) {
    let ssc = StreamingContext::builder()
        .batch_interval(Duration::from_millis(10))
        .ignore_environment()
        .build()
        .unwrap();
    let counts = ssc
        .socket_text_stream(address)
        .unwrap()
        .flat_map(|line| line.split(' '))
        .map(|word| (word, 1_u64))
        .reduce_by_key(|a, b| a + b);
    // No words so far, and not told yet.
    let seen = Mutex::new((0, false));
    counts.foreach_rdd(move |rdd, _| {
        let words = rdd.map(|(_, count)| count).reduce(|a, b| a + b)?;
        let mut seen = seen.lock().unwrap();
        if words.is_some() || !seen.1 {
            *seen = (seen.0 + words.unwrap_or_default(), true);
            println!("words {}", seen.0);
        }
        Ok(())
    });
    ssc.start().unwrap();
    println!("started");
    for line in std::io::stdin().lines() {
        line.unwrap();
    }
    ssc.stop(false).unwrap();
}

/// That program in a process of its own.
struct Process {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
    client: TcpStream,
}

/// What it used.
#[derive(Clone, Copy)]
struct Used {
    /// Of one core.
    cpu: f64,
    resident_mb: f64,
}

impl Process {
    /// Starts it; gives how long it took to start, and to the end of the first batch.
    fn start() -> (Self, [Duration; 2]) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let since = Instant::now();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env(CHILD, address)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        // They may come in either order.
        let mut times = [Duration::ZERO; 2];
        for _ in 0..2 {
            let line = said.next().expect("it goes on").unwrap();
            times[usize::from(line != "started")] = since.elapsed();
        }
        let (client, _) = listener.accept().unwrap();
        let process = Self {
            child,
            said,
            client,
        };
        (process, times)
    }

    /// Sends the text, and waits until all of its words were counted.
    fn count(&mut self, text: &[u8]) {
        self.client.write_all(text).unwrap();
        let all = format!("words {}", LINES * generate::WORDS_PER_LINE);
        let mut said = self.said.by_ref().map(Result::unwrap);
        assert!(said.any(|line| line == all), "every word is counted");
    }

    /// What it uses while nothing comes, if the system tells.
    fn at_rest(&self, seconds: u64) -> Option<Used> {
        let proc = Path::new("/proc").join(self.child.id().to_string());
        let before = ticks(&proc)?;
        thread::sleep(Duration::from_secs(seconds));
        let ticks = ticks(&proc)? - before;
        let status = fs::read_to_string(proc.join("status")).ok()?;
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        let resident_kb: f64 = resident.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(Used {
            // A hundred ticks a second, whatever the kernel's own.
            cpu: ticks as f64 / 100.0 / seconds as f64,
            resident_mb: resident_kb / 1024.0,
        })
    }

    fn end(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

/// The time that all threads of a process have run.
fn ticks(proc: &Path) -> Option<u64> {
    let stat = fs::read_to_string(proc.join("stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<_> = fields.split_whitespace().collect();
    let field = |number: usize| fields.get(number)?.parse::<u64>().ok();
    Some(field(11)? + field(12)?)
}

/// Set for the process that is measured: where its text comes from.
const CHILD: &str = "EMBED_ADDRESS";

fn report(name: &str, used: Option<Used>) {
    match used {
        Some(Used { cpu, resident_mb }) => println!(
            "embed/{name}: {:.2} % of a core, {resident_mb:.1} MB resident",
            100.0 * cpu
        ),
        None => println!("embed/{name}: this system does not tell"),
    }
}

/// The size of the example program, if it was built.
fn sizes() {
    let program = Path::new("network_wordcount");
    let built = std::env::current_exe()
        .unwrap()
        .ancestors()
        .map(|folder| folder.join("examples").join(program))
        .find(|path| path.exists());
    let Some(built) = built else {
        println!(
            "embed/size: `cargo build --release --example network_wordcount` makes the program"
        );
        return;
    };
    let stripped = std::env::temp_dir().join(format!("embed-{}", std::process::id()));
    let strip = Command::new("strip")
        .arg("-o")
        .args([&stripped, &built])
        .status();
    let mb = |path: &Path| fs::metadata(path).map(|file| file.len() as f64 / 1e6);
    print!("embed/size: {:.2} MB", mb(&built).unwrap());
    match strip.and_then(|_| mb(&stripped)) {
        Ok(size) => println!(", {size:.2} MB stripped"),
        Err(error) => println!(", and it could not be stripped: {error}"),
    }
    let _ = fs::remove_file(stripped);
}

fn main() {
    if let Ok(address) = std::env::var(CHILD) {
        return word_count(&address);
    }
    let (mut rounds, mut seconds) = (11, 10);
    let mut options = [("--rounds", &mut rounds), ("--seconds", &mut seconds)];
    if args::is_test(&mut options) {
        (rounds, seconds) = (1, 1);
    }
    let seconds = seconds as u64;
    let mut times: Vec<_> = (1..rounds)
        .map(|_| {
            let (process, times) = Process::start();
            process.end();
            times
        })
        .collect();
    let (mut process, last) = Process::start();
    times.push(last);
    for (name, i) in [("started", 0), ("first_batch", 1)] {
        let mut times: Vec<_> = times.iter().map(|both| both[i]).collect();
        times.sort_unstable();
        println!(
            "embed/{name}: {:.1?} after the process was ({:.1?}..{:.1?})",
            times[times.len() / 2],
            times[0],
            times[times.len() - 1]
        );
    }
    report("before any data", process.at_rest(seconds));
    process.count(&generate::text(LINES));
    report("after 20 MB", process.at_rest(seconds));
    process.end();
    sizes();
}
