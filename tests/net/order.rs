//! Records keep their order, and none is lost when the context stops (G-15, G-18).

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use millstream::prelude::*;
use millstream::receiver::{Receiver, ReceiverHandle};

use crate::helpers::{Gathered, Hands, Random, Server, context, manual, ms, run_to, spawn};

/// A receiver that takes its time to start, and stores on a thread of its own.
struct Slow {
    turns: usize,
    stored: mpsc::Sender<u64>,
}

impl Receiver<u64> for Slow {
    fn on_start(&mut self, handle: ReceiverHandle<u64>) -> millstream::Result<()> {
        (0..self.turns).for_each(|_| std::thread::yield_now());
        let stored = self.stored.clone();
        spawn(move || {
            let count = (0..).take_while(|&n| handle.store(n).is_ok()).count();
            let _ = stored.send(count as u64);
        });
        Ok(())
    }

    fn on_stop(&mut self) {}
}

/// A graceful stop at 200 moments: while the receiver is being started or was not yet,
/// at its first record, and at all speeds. Each record whose `store` returned comes out,
/// in order (SPARK-4986, SPARK-5681, SPARK-7346, SPARK-10102).
#[test]
fn g_15_a_graceful_stop_processes_all_that_a_receiver_stored() {
    let mut random = Random::new(15);
    for moment in 0..200_u64 {
        let ssc = context(1, &[("block_interval", "1ms")]);
        let (stored, count) = mpsc::channel();
        let turns = random.below(3) * 500;
        let slow = Slow { turns, stored };
        let records = Gathered::of(&ssc.receiver_stream(slow).unwrap());
        ssc.start().unwrap();
        for _ in 0..random.below(2_000) {
            std::hint::spin_loop();
        }
        if moment % 4 == 3 {
            records.wait(1 + random.below(100));
        }
        ssc.stop(true).unwrap();
        drop(ssc);
        // Nothing comes if it was never started.
        let stored = count.recv().unwrap_or(0);
        assert!(records.records().into_iter().eq(0..stored), "{moment}");
    }
}

/// Whatever had been put in a queue when the stop began is processed.
#[test]
fn g_15_a_graceful_stop_processes_what_is_in_a_queue() {
    let mut random = Random::new(16);
    for moment in 0..200 {
        let ssc = context(1, &[]);
        let queue = RddQueue::new();
        let records = Gathered::of(&ssc.queue_stream(&queue).unwrap());
        ssc.start().unwrap();
        let count = random.below(20) as u64;
        for n in 0..count {
            queue.push(ssc.parallelize([n], 1));
            for _ in 0..random.below(500) {
                std::hint::spin_loop();
            }
        }
        ssc.stop(true).unwrap();
        assert!(records.records().into_iter().eq(0..count), "{moment}");
    }
}

/// Of a directory, the files of each batch that was cut; those that come when the stop
/// has begun are left to the next process.
#[test]
fn g_15_a_graceful_stop_processes_the_files_of_all_batches() {
    let mut random = Random::new(18);
    for moment in 0..200_u64 {
        let name = format!("millstream-stop-{}-{moment}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        fs::create_dir(&dir).unwrap();
        let (ssc, clock) = manual(1_000, &[]);
        let lines = ssc.text_file_stream(&*dir.to_string_lossy()).unwrap();
        let lines = Gathered::of(&lines);
        ssc.start().unwrap();
        let batches = random.below(4) as u64;
        for batch in 0..batches {
            let (aside, path) = (dir.join(".aside"), dir.join(batch.to_string()));
            fs::write(&aside, format!("{batch}\n")).unwrap();
            let file = fs::File::options().write(true).open(&aside).unwrap();
            let time = std::time::UNIX_EPOCH + ms(batch * 1_000 + 500);
            file.set_modified(time).unwrap();
            fs::rename(&aside, path).unwrap();
            clock.await_waiters(1);
            clock.advance(ms(1_000));
        }
        clock.await_waiters(1);
        ssc.stop(true).unwrap();
        let expected = (0..batches).map(|batch| batch.to_string());
        let records = lines.records();
        let records = records.iter().map(|line| line.as_str().to_owned());
        assert!(records.eq(expected), "{moment}");
        fs::remove_dir_all(&dir).unwrap();
    }
}

/// A socket's lines that had arrived, up to the one at which the stop came.
#[test]
fn g_15_a_graceful_stop_processes_a_prefix_of_the_lines() {
    let mut random = Random::new(17);
    for moment in 0..200 {
        let stopped = Arc::<AtomicBool>::default();
        let until = Arc::clone(&stopped);
        let server = Server::new(vec![Box::new(move |mut connection: TcpStream| {
            for n in 0_u64.. {
                let sent = connection.write_all(format!("{n}\n").as_bytes());
                if sent.is_err() || until.load(Ordering::Relaxed) {
                    break;
                }
            }
        })]);
        let ssc = context(1, &[]);
        let lines = ssc.socket_text_stream(server.address.as_str()).unwrap();
        let lines = Gathered::of(&lines);
        ssc.start().unwrap();
        let seen = random.below(50);
        lines.wait(seen);
        ssc.stop(true).unwrap();
        let records = lines.records();
        assert!(records.len() >= seen);
        for (n, line) in records.iter().enumerate() {
            assert_eq!(line.as_str(), n.to_string(), "{moment}");
        }
        stopped.store(true, Ordering::Relaxed);
        if seen > 0 {
            server.join();
        }
    }
}

/// Order inside a batch, for each kind of source, with two workers and chains, windows
/// and unions behind it (G-18).
#[test]
fn g_18_the_order_of_a_source_is_kept_in_a_batch() {
    let dir = std::env::temp_dir().join(format!("millstream-order-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let server = Server::sending((0..5_000).map(|n| format!("{n}\n")).collect::<String>());
    let small = [("block_bytes", "4KiB"), ("ring_bytes", "64KiB")];
    let (ssc, clock) = manual(1_000, &small);
    let (hands, held) = Hands::<u64>::new();
    let queue = RddQueue::new();
    let text = |lines: DStream<Str>| lines.map(|line| line.parse::<u64>().unwrap()).boxed();
    let sources = [
        ssc.receiver_stream(hands).unwrap(),
        ssc.queue_stream(&queue).unwrap(),
        text(ssc.socket_text_stream(server.address.as_str()).unwrap()),
        text(ssc.text_file_stream(&*dir.to_string_lossy()).unwrap()),
    ];
    let (second, two) = (Duration::from_secs(1), Duration::from_secs(2));
    let seen: Vec<_> = sources
        .iter()
        .map(|source| {
            let chain = source.filter(|n| n % 3 != 0).flat_map(|n| [n, n]);
            let window = source.window(two, second).unwrap();
            (Gathered::of(&chain.boxed()), Gathered::of(&window))
        })
        .collect();
    let both = Gathered::of(&sources[0].union(&sources[1]).unwrap());
    ssc.start().unwrap();
    let handle = held.started.recv().unwrap();
    let stored = spawn(move || {
        for n in 0..2_500 {
            handle.store(n).unwrap();
        }
        handle.store_many((2_500..5_000).collect()).unwrap();
    });
    queue.push(ssc.parallelize(0..5_000, 7));
    let written = dir.join(".numbers");
    fs::write(
        &written,
        (0..5_000).map(|n| format!("{n}\n")).collect::<String>(),
    )
    .unwrap();
    let file = fs::File::options().write(true).open(&written).unwrap();
    file.set_modified(std::time::UNIX_EPOCH + ms(500)).unwrap();
    fs::rename(&written, dir.join("numbers")).unwrap();
    let mut time = 0;
    let complete = |chain: &Arc<Gathered<u64>>| chain.records().len() == 2 * 3_333;
    let mut stored = Some(stored);
    while !seen.iter().all(|(chain, _)| complete(chain)) {
        time += 1_000;
        run_to(&ssc, &clock, time);
        if stored.as_ref().is_some_and(|thread| thread.is_finished()) {
            stored.take().unwrap().join().unwrap();
        }
    }
    ssc.stop(true).unwrap();
    for (chain, window) in &seen {
        let expected = (0..5_000).filter(|n| n % 3 != 0).flat_map(|n| [n, n]);
        assert!(chain.records().into_iter().eq(expected));
        for (_, parts) in window.batches() {
            assert!(parts.into_iter().flatten().is_sorted());
        }
    }
    for (_, parts) in both.batches() {
        // One source behind the other.
        let records: Vec<_> = parts.into_iter().flatten().collect();
        assert!(records.chunk_by(|a, b| a < b).count() <= 2);
    }
    fs::remove_dir_all(&dir).unwrap();
}

/// A million blocks that wait are one batch, and go without recursion (SPARK-6847,
/// SPARK-26734).
#[test]
fn r_18_a_million_blocks_are_a_batch() {
    const BLOCKS: u64 = 1_000_000;
    let settings = [("block_queue_size", "1048576"), ("ring_bytes", "4GiB")];
    let (ssc, clock) = manual(1_000, &settings);
    let (hands, held) = Hands::<u64>::new();
    let sums = Arc::<Mutex<Vec<(u64, u64)>>>::default();
    let into = Arc::clone(&sums);
    ssc.receiver_stream(hands)
        .unwrap()
        .foreach_rdd(move |rdd, _| {
            let sum = rdd.reduce(|a, b| a + b)?.unwrap_or(0);
            into.lock().unwrap().push((rdd.count()?, sum));
            Ok(())
        });
    ssc.start().unwrap();
    let handle = held.started.recv().unwrap();
    for n in 0..BLOCKS {
        handle.store_many(vec![n]).unwrap();
    }
    run_to(&ssc, &clock, 1_000);
    ssc.stop(true).unwrap();
    let sum = BLOCKS * (BLOCKS - 1) / 2;
    assert_eq!(*sums.lock().unwrap(), [(BLOCKS, sum)]);
}
