//! A program with receivers that log is killed, and goes on (F-1, G-3, G-4, G-7).

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};

use millstream::dstream::{InputBatch, InputSource};
use millstream::listener::CheckpointInfo;

use super::*;

const CHILD: &str = "write_ahead_log::killed::the_process_that_is_killed";

/// Numbers of a block, at the most.
const BLOCK: u64 = 5;

/// Lines and blocks that are sent for each batch.
const LINES: u64 = 20;
const BLOCKS: u64 = 10;

/// The three sources, as they are in keys, orders and what is said.
const RELIABLE: usize = 0;
const SOCKET: usize = 1;
const POSITIONED: usize = 2;

/// A source that numbers what it sends, and sends again what was not acknowledged.
struct Resending {
    /// Where it keeps what was acknowledged.
    path: PathBuf,
    /// When it may send a block.
    turns: Option<mpsc::Receiver<()>>,
}

impl Receiver<u64> for Resending {
    fn on_start(&mut self, handle: ReceiverHandle<u64>) -> millstream::Result<()> {
        let path = self.path.clone();
        let turns = self.turns.take().unwrap();
        let read = fs::read_to_string(&path);
        let mut next = read.map_or(0, |acknowledged| acknowledged.parse().unwrap());
        std::thread::Builder::new().spawn(move || {
            for () in turns {
                let block: Vec<u64> = (next..=next + next % BLOCK).collect();
                let end = next + block.len() as u64;
                if handle.store_many(block).is_err() {
                    break;
                }
                next = end;
                fs::write(path.with_extension("new"), next.to_string()).unwrap();
                fs::rename(path.with_extension("new"), &path).unwrap();
                say(&format!("acknowledged {next}"));
            }
        })?;
        Ok(())
    }

    fn on_stop(&mut self) {}
}

/// A source that can be asked again from any position.
struct Positioned(u64);

impl InputSource<u64> for Positioned {
    fn compute(
        &mut self,
        _time: BatchTime,
        batch: &mut InputBatch<'_>,
    ) -> millstream::Result<Option<Rdd<u64>>> {
        let first = self.0;
        self.0 += 3;
        Ok(Some(batch.parallelize(first..self.0, 2)))
    }

    fn position(&mut self) -> millstream::Result<Vec<u8>> {
        Ok(self.0.to_le_bytes().to_vec())
    }

    fn resume(&mut self, position: &[u8]) -> millstream::Result<()> {
        self.0 = u64::from_le_bytes(position.try_into().unwrap());
        Ok(())
    }
}

fn say(what: &str) {
    // Nobody may be listening any more.
    let _ = std::io::stderr().write_all(format!("{what}\n").as_bytes());
}

/// What is kept for another process beside checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Nothing.
    B,
    /// The log of receivers.
    C,
    /// That log, synced.
    D,
}

/// Tells which checkpoints are there.
struct Say;

impl StreamingListener for Say {
    fn on_checkpoint(&self, checkpoint: &CheckpointInfo) {
        assert!(checkpoint.error.is_none(), "{checkpoint:?}");
        say(&format!("saved {}", checkpoint.batch_time.as_millis()));
    }
}

/// The program: counts how often each number of each source was there.
fn program(dir: &Path, sources: &str, mode: &str, address: &str, start: i64) -> Program {
    let clock = ManualClock::new(start);
    let make = || {
        StreamingContext::builder()
            .batch_interval(SECOND)
            .workers(2)
            .clock(clock.clone())
            .set("receiver_write_ahead_log", (mode != "B").to_string())
            .set("write_ahead_log_sync", (mode == "D").to_string())
            .set("checkpoint_interval", "3s")
            .ignore_environment()
            .build()
    };
    let ssc = StreamingContext::get_or_create(dir.join("checkpoints"), make).unwrap();
    ssc.add_listener(Say);
    let (turn, turns) = mpsc::channel();
    let take_turns = move || {
        for _ in 0..BLOCKS {
            // There may be no such source.
            let _ = turn.send(());
        }
    };
    take_turns();
    let mut turns = Some(turns);
    let stream = |source| match source {
        'r' => {
            let numbers = ssc.receiver_stream(Resending {
                path: dir.join("acknowledged"),
                turns: turns.take(),
            });
            let numbers = numbers.unwrap().checkpoint(SECOND).unwrap();
            numbers.map(|number| (RELIABLE as u64, number)).boxed()
        }
        's' => {
            let lines = ssc.socket_text_stream(address).unwrap();
            let numbers = lines.map(|line| line.parse().unwrap());
            numbers.map(|number| (SOCKET as u64, number)).boxed()
        }
        _ => {
            let numbers = ssc.input_stream(Positioned(0)).unwrap();
            numbers.map(|number| (POSITIONED as u64, number)).boxed()
        }
    };
    let streams: Vec<_> = sources.chars().map(stream).collect();
    ssc.union(streams)
        .unwrap()
        .map(|number| (number, 1))
        .update_state_by_key(|new: &[u64], old: Option<&u64>| {
            Some(old.unwrap_or(&0) + new.iter().sum::<u64>())
        })
        .checkpoint(SECOND)
        .unwrap()
        .foreach_rdd(move |rdd, time| {
            let counts = rdd.collect()?;
            let mut said = format!("batch {}", time.as_millis());
            for source in [RELIABLE, SOCKET, POSITIONED] {
                let of_source = counts.iter().filter(|((of, _), _)| *of == source as u64);
                let numbers = of_source.clone().count();
                let largest = of_source.clone().map(|((_, number), _)| number + 1).max();
                let total: u64 = of_source.map(|(_, count)| count).sum();
                let (largest, twice) = (largest.unwrap_or(0), total - numbers as u64);
                said += &format!(" {numbers} {largest} {twice}");
            }
            say(&said);
            take_turns();
            Ok(())
        });
    Program { ssc, clock }
}

/// Not a test of its own: counts what comes, and says so, until it is killed.
#[test]
fn the_process_that_is_killed() {
    let Ok(order) = std::env::var("LOG_CHILD") else {
        return;
    };
    let order: Vec<_> = order.splitn(5, ' ').collect();
    let [start, sources, mode, address, dir] = order[..] else {
        panic!("{order:?}");
    };
    let start = start.parse().unwrap();
    let program = program(Path::new(dir), sources, mode, address, start);
    program.ssc.start().unwrap();
    loop {
        program.tick();
        program
            .ssc
            .await_termination_or_timeout(Duration::ZERO)
            .unwrap();
    }
}

/// Sends numbered lines to whoever is connected, each once.
struct Server {
    address: String,
    connection: Arc<Mutex<Option<TcpStream>>>,
    sent: u64,
}

impl Server {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let connection = Arc::<Mutex<Option<TcpStream>>>::default();
        let current = Arc::clone(&connection);
        // Ends with the tests.
        std::thread::Builder::new()
            .spawn(move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    *current.lock().unwrap() = Some(stream);
                }
            })
            .unwrap();
        Self {
            address,
            connection,
            sent: 0,
        }
    }

    fn send(&mut self) {
        if let Some(connection) = &mut *self.connection.lock().unwrap() {
            let lines = self.sent..self.sent + LINES;
            let lines: String = lines.map(|number| format!("{number}\n")).collect();
            self.sent += LINES;
            // The process may be dead.
            let _ = connection.write_all(lines.as_bytes());
        }
    }
}

/// A process that does not outlive its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended, unless the test has failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What is known of the program.
struct Life {
    dir: Scratch,
    sources: &'static str,
    mode: Mode,
    server: Server,
    /// The time of the last batch that is known.
    last: i64,
    /// How many numbers of each source have to be there.
    known: [u64; 3],
    /// How many of each a batch had, at the most.
    most: [u64; 3],
    kills: u64,
    /// Numbers that were counted again, as of the last batch.
    twice: u64,
}

impl Life {
    fn new(name: &str, sources: &'static str, mode: Mode) -> Self {
        Self {
            dir: Scratch::new(name),
            sources,
            mode,
            server: Server::new(),
            last: 0,
            known: [0; 3],
            most: [0; 3],
            kills: 0,
            twice: 0,
        }
    }

    /// Starts the program, and listens to it until it ends. It is killed after so many
    /// batches, if it does not end before; mostly they count from the first one that has
    /// numbers of this life from whoever sends them, as it may take many until then.
    fn live(&mut self, kill_point: &str, batches: u64) {
        // Behind all that it may have cut, also if it said nothing.
        let start = self.last + 10_000;
        self.last = start;
        let mut child = self.start(start, kill_point);
        let (before, mut seen) = (self.known, 0);
        let (mut told, mut at_first) = (0_u32, None);
        let from_the_start = batches.is_multiple_of(4);
        // How many lines were counted, by batch.
        let mut lines = BTreeMap::new();
        let said = BufReader::new(child.0.stderr.take().unwrap());
        for line in said.lines().map_while(Result::ok) {
            let (what, numbers) = line.split_once(' ').unwrap_or((&line, ""));
            let numbers = numbers.split(' ').map(str::parse);
            let numbers: Vec<u64> = numbers.collect::<Result<_, _>>().unwrap_or_default();
            match (what, &numbers[..]) {
                ("acknowledged", &[next]) => self.known[RELIABLE] = next,
                ("saved", &[time]) => {
                    // That much is there whatever happens.
                    let saved = lines.get(&time).copied().unwrap_or_default();
                    self.known[SOCKET] = self.known[SOCKET].max(saved);
                }
                ("batch", &[time, ref counts @ ..]) => {
                    lines.insert(time, counts[3 * SOCKET]);
                    self.last = self.last.max(time as i64);
                    // By then all that comes again has come.
                    if self.last > start {
                        self.check(counts, before);
                    }
                    told += 1;
                    assert!(told < 100_000, "nothing was received");
                    let received = [RELIABLE, SOCKET].map(|source| counts[3 * source]);
                    let [reliable, socket] = *at_first.get_or_insert(received);
                    let is_fed = (!self.sources.contains('r') || received[0] > reliable)
                        && (!self.sources.contains('s') || received[1] > socket);
                    if from_the_start || is_fed {
                        seen += 1;
                    }
                    if seen == batches {
                        child.0.kill().unwrap();
                    }
                    self.server.send();
                }
                _ => panic!("the process says: {line}"),
            }
        }
        assert!(!child.0.wait().unwrap().success(), "it was killed");
        self.kills += 1;
    }

    /// Compares what a batch has with what has to be there.
    fn check(&mut self, counts: &[u64], before: [u64; 3]) {
        let of = |source: usize| {
            let counts = &counts[3 * source..3 * source + 3];
            (counts[0], counts[1], counts[2])
        };
        for (source, before) in before.into_iter().enumerate() {
            let (numbers, largest, twice) = of(source);
            self.most[source] = self.most[source].max(numbers);
            assert!(numbers >= before, "{counts:?}, not {before} of {source}");
            let most = match source {
                // A block that was logged and not acknowledged comes again.
                RELIABLE => self.kills * BLOCK,
                _ => 0,
            };
            assert!(twice <= most, "{counts:?} after {} kills", self.kills);
            match source {
                // What was sent and not logged is lost.
                SOCKET => assert!(largest <= self.server.sent, "{counts:?}"),
                _ => assert_eq!(numbers, largest, "all up to the largest one"),
            }
        }
        if self.mode != Mode::B {
            // This batch was logged.
            self.known[SOCKET] = of(SOCKET).0;
        }
        self.known[POSITIONED] = of(POSITIONED).0;
        self.twice = of(RELIABLE).2;
    }

    fn start(&self, start: i64, kill_point: &str) -> Process {
        let Self { sources, mode, .. } = self;
        let (address, dir) = (&self.server.address, self.dir.display());
        let child = Command::new(std::env::current_exe().unwrap())
            .args([CHILD, "--exact", "--nocapture", "--test-threads=1"])
            .env(
                "LOG_CHILD",
                format!("{start} {sources} {mode:?} {address} {dir}"),
            )
            .env("KILL_POINT", kill_point)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Process(child)
    }
}

/// A program that is killed at random moments.
#[expect(clippy::print_stdout, reason = "shown by .ci/crash")]
fn kill_at_any_moment(name: &str, sources: &'static str, mode: Mode) {
    let trials = variable("CRASH_TRIALS").unwrap_or(6);
    let mut seed = variable("CRASH_SEED").unwrap_or(7);
    let mut life = Life::new(name, sources, mode);
    for _ in 0..trials {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        life.live("", 1 + (seed >> 33) % 40);
    }
    for (source, name) in ["r", "s", "p"].into_iter().enumerate() {
        assert_eq!(sources.contains(name), life.most[source] > 0, "{name}");
    }
    let (numbers, twice) = (life.known.iter().sum::<u64>(), life.twice);
    println!("crashed: {trials} kills, {numbers} numbers: 0 lost, 0 phantoms, {twice} twice");
}

/// Without a log, lines behind the last checkpoint are lost, but no batch comes half or twice.
#[test]
fn crash_socket_b() {
    kill_at_any_moment("crash-socket-b", "s", Mode::B);
}

#[test]
fn crash_reliable_c() {
    kill_at_any_moment("crash-reliable-c", "r", Mode::C);
}

#[test]
fn crash_reliable_d() {
    kill_at_any_moment("crash-reliable-d", "r", Mode::D);
}

#[test]
fn crash_socket_c() {
    kill_at_any_moment("crash-socket-c", "s", Mode::C);
}

#[test]
fn crash_socket_d() {
    kill_at_any_moment("crash-socket-d", "s", Mode::D);
}

#[test]
fn crash_union_mixed_c() {
    kill_at_any_moment("crash-union-c", "rsp", Mode::C);
}

#[test]
fn crash_union_mixed() {
    kill_at_any_moment("crash-union", "rsp", Mode::D);
}

/// Also while it recovers.
#[cfg(feature = "fault-inject")]
#[test]
fn f_1_a_process_killed_at_each_kill_point_loses_nothing_acknowledged() {
    for point in millstream::fault::KILL_POINTS {
        let mut life = Life::new(point, "rsp", Mode::D);
        // Some are reached only when a log is opened, or after a long time.
        for times in [1, 2, 9, 1] {
            life.live(&format!("{point}:{times}"), 30);
        }
        life.live("", 15);
    }
}
