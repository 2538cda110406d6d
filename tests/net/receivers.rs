//! Custom receivers and sockets: what is stored is what comes out.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::{Arc, mpsc};

use millstream::prelude::*;
use millstream::receiver::{Receiver, ReceiverHandle};
use millstream::time::ManualClock;
use millstream::{Error, ErrorKind};

use crate::helpers::{
    AT_ONCE, Events, Gathered, Hands, Server, context, manual, ms, run_to, send, spawn,
};

/// A started program: its handle to store with, and what it gathers.
fn storing<T: Data>(
    settings: &[(&str, &str)],
) -> (
    StreamingContext,
    ManualClock,
    ReceiverHandle<T>,
    Arc<Gathered<T>>,
) {
    let (ssc, clock) = manual(1_000, settings);
    let (hands, held) = Hands::new();
    let records = Gathered::of(&ssc.receiver_stream(hands).unwrap());
    ssc.start().unwrap();
    let handle = held.started.recv().unwrap();
    (ssc, clock, handle, records)
}

#[test]
fn stores_from_several_threads_keep_the_order_of_each() {
    const THREADS: u64 = 4;
    const EACH: u64 = 20_000;
    let small = [("ring_bytes", "64KiB"), ("block_bytes", "4KiB")];
    let ssc = context(1, &small);
    let (hands, held) = Hands::<(u64, u64)>::new();
    let records = Gathered::of(&ssc.receiver_stream(hands).unwrap());
    ssc.start().unwrap();
    let handle = held.started.recv().unwrap();
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let handle = handle.clone();
            spawn(move || (0..EACH).for_each(|n| handle.store((thread, n)).unwrap()))
        })
        .collect();
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    ssc.stop(true).unwrap();
    let records = records.records();
    assert_eq!(records.len() as u64, THREADS * EACH);
    for thread in 0..THREADS {
        let own = records.iter().filter(|record| record.0 == thread);
        assert!(own.map(|record| record.1).eq(0..EACH), "thread {thread}");
    }
}

#[test]
fn what_is_stored_during_a_graceful_stop_is_processed_or_refused() {
    for _ in 0..20 {
        let ssc = context(1, &[]);
        let (hands, held) = Hands::<u64>::new();
        let records = Gathered::of(&ssc.receiver_stream(hands).unwrap());
        ssc.start().unwrap();
        let handle = held.started.recv().unwrap();
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let handle = handle.clone();
                spawn(move || (0..).take_while(|&n| handle.store(n).is_ok()).count())
            })
            .collect();
        records.wait(1);
        ssc.stop(true).unwrap();
        let stored: usize = threads.into_iter().map(|t| t.join().unwrap()).sum();
        assert_eq!(records.records().len(), stored);
    }
}

#[test]
fn a_block_of_records_is_a_partition_of_its_own() {
    let (ssc, clock, handle, records) = storing(&[]);
    handle.store(1).unwrap();
    handle.store(2).unwrap();
    handle.store_many(vec![3, 4, 5]).unwrap();
    handle.store_many(Vec::new()).unwrap();
    handle.store_many(vec![6]).unwrap();
    handle.store(7).unwrap();
    run_to(&ssc, &clock, 1_000);
    handle.store(8).unwrap();
    run_to(&ssc, &clock, 2_000);
    run_to(&ssc, &clock, 3_000);
    ssc.stop(true).unwrap();
    let parts = vec![vec![1, 2], vec![3, 4, 5], vec![6], vec![7]];
    let batches = [(1_000, parts), (2_000, vec![vec![8]]), (3_000, vec![])];
    assert_eq!(records.batches(), batches);
}

#[test]
fn each_block_interval_with_data_gives_a_partition() {
    let (ssc, clock, handle, records) = storing(&[("spark.streaming.blockInterval", "200ms")]);
    clock.await_waiters(1);
    for batch in 0..2 {
        for tick in 0..5 {
            // Every interval but the third.
            if tick != 2 {
                handle.store(batch * 10 + tick).unwrap();
                handle.store(batch * 10 + tick).unwrap();
            }
            clock.advance(ms(200));
            // The generator has cut and waits again.
            clock.await_waiters(1);
        }
        ssc.await_batch(BatchTime::from_millis((batch + 1) * 1_000));
    }
    ssc.stop(true).unwrap();
    let twos = |from: i64| [0, 1, 3, 4].map(|tick| vec![from + tick; 2]).to_vec();
    assert_eq!(records.batches(), [(1_000, twos(0)), (2_000, twos(10))]);
}

#[test]
fn a_receiver_is_started_again_after_a_restart_and_after_a_stop() {
    let (ssc, clock) = manual(1_000, &[("receiver_restart_delay", "100ms")]);
    let (hands, held) = Hands::new();
    let records = Gathered::of(&ssc.receiver_stream(hands).unwrap());
    let events = Events::of(&ssc);
    ssc.start().unwrap();

    let handle = held.started.recv().unwrap();
    assert_eq!(handle.stream_id().0, 0);
    assert!(handle.is_started() && !handle.is_stopped());
    handle.store("first run").unwrap();
    handle.report_error("a hiccup", Some(Error::invalid_argument("of the broker")));
    let hiccup = events.error();
    assert!(hiccup.active);
    assert_eq!(hiccup.last_message, "a hiccup");
    let error = hiccup.last_error.unwrap().to_string();
    assert_eq!(error, "invalid argument: of the broker");

    handle.restart("again, please", None);
    held.stopped.recv().unwrap();
    let stopped = events.stopped();
    assert_eq!(stopped.last_message, "again, please");
    assert!(stopped.last_error.is_none());
    assert!(!handle.is_started() && !handle.is_stopped());
    // The ring is there all the time.
    handle.store("between the runs").unwrap();
    clock.await_waiters(2);
    clock.advance(ms(99));
    clock.await_waiters(2);
    assert!(held.started.try_recv().is_err());
    clock.advance(ms(1));
    let handle = held.started.recv().unwrap();
    assert!(handle.is_started());

    handle.restart_after("in a while", None, ms(300));
    held.stopped.recv().unwrap();
    clock.await_waiters(2);
    clock.advance(ms(299));
    clock.await_waiters(2);
    assert!(held.started.try_recv().is_err());
    clock.advance(ms(1));
    let handle = held.started.recv().unwrap();

    handle.stop("enough", Some(Error::illegal_state("closed")));
    held.stopped.recv().unwrap();
    events.stopped();
    let stopped = events.stopped();
    assert_eq!(stopped.last_message, "enough");
    let error = stopped.last_error.unwrap().to_string();
    assert_eq!(error, "illegal state: closed");
    clock.await_waiters(2);
    clock.advance(ms(100));
    let handle = held.started.recv().unwrap();
    handle.store("last run").unwrap();

    ssc.stop(true).unwrap();
    held.stopped.recv().unwrap();
    assert_eq!(events.stopped().last_message, "the context stops");
    assert!(!handle.is_started() && handle.is_stopped());
    let all = ["first run", "between the runs", "last run"];
    assert_eq!(records.records(), all);
}

/// A request of a run that has ended does not end the next one.
#[test]
fn a_late_request_does_not_end_the_next_run() {
    let (ssc, clock) = manual(1_000, &[("receiver_restart_delay", "100ms")]);
    let (hands, held) = Hands::<u64>::new();
    Gathered::of(&ssc.receiver_stream(hands).unwrap());
    let events = Events::of(&ssc);
    ssc.start().unwrap();
    let handle = held.started.recv().unwrap();
    handle.restart("first", None);
    held.stopped.recv().unwrap();
    assert_eq!(events.stopped().last_message, "first");
    // Another thread of the same run saw the same failure.
    handle.restart("second", None);
    clock.await_waiters(2);
    clock.advance(ms(100));
    held.started.recv().unwrap();
    ssc.stop(true).unwrap();
    assert_eq!(events.stopped().last_message, "the context stops");
    assert_eq!(held.stopped.try_iter().count(), 1);
    assert!(held.started.try_recv().is_err());
}

/// Asks for a restart before its start returns.
struct Impatient(mpsc::Sender<()>, usize);

impl Receiver<u64> for Impatient {
    fn on_start(&mut self, handle: ReceiverHandle<u64>) -> millstream::Result<()> {
        self.1 += 1;
        if self.1 == 1 {
            handle.restart("not yet", None);
            handle.restart("ignored", None);
        }
        Ok(())
    }

    fn on_stop(&mut self) {
        let _ = self.0.send(());
    }
}

#[test]
fn a_restart_asked_for_during_the_start_counts() {
    let (stops, stopped) = mpsc::channel();
    let ssc = context(5, AT_ONCE);
    Gathered::of(&ssc.receiver_stream(Impatient(stops, 0)).unwrap());
    let events = Events::of(&ssc);
    ssc.start().unwrap();
    assert_eq!(events.stopped().last_message, "not yet");
    events.started();
    ssc.stop(true).unwrap();
    assert_eq!(events.stopped().last_message, "the context stops");
    assert_eq!(stopped.try_iter().count(), 2);
}

/// How many records each of the batches has.
fn sizes<T: Data>(records: &Gathered<T>) -> Vec<usize> {
    let batches = records.batches().into_iter();
    batches
        .map(|(_, parts)| parts.iter().map(Vec::len).sum())
        .collect()
}

#[test]
fn the_rate_of_stores_is_limited_exactly() {
    let (ssc, clock, handle, records) = storing(&[("spark.streaming.receiver.maxRate", "10")]);
    // Off the grid, so that no permit falls on a cut.
    clock.await_waiters(1);
    clock.advance(ms(50));
    // Whole blocks are not limited.
    handle.store_many(vec![0; 100]).unwrap();
    let storing = spawn(move || (1..).find(|&n| handle.store(n).is_err()).unwrap());
    for tick in 1..=60 {
        clock.await_waiters(2);
        clock.advance(ms(50));
        if (tick + 1) % 20 == 0 {
            ssc.await_batch(BatchTime::from_millis((tick + 1) * 50));
        }
    }
    ssc.stop(true).unwrap();
    // At 150, 250, ..., 950; then at 1050, ...; the last at 3050.
    assert_eq!(sizes(&records)[..3], [100 + 9, 10, 10]);
    let stored = storing.join().unwrap();
    assert_eq!(records.records().len() as i64, 100 + stored - 1);
}

#[test]
fn the_rate_of_lines_is_limited_exactly() {
    let (ssc, clock) = manual(1_000, &[("receiver_max_rate", "4")]);
    let (go, wait) = mpsc::channel::<()>();
    let server = Server::new(vec![Box::new(move |mut connection| {
        let _ = wait.recv();
        connection
            .write_all("a line\n".repeat(100).as_bytes())
            .unwrap();
    })]);
    let lines = Gathered::of(&ssc.socket_text_stream(server.address.as_str()).unwrap());
    ssc.start().unwrap();
    clock.await_waiters(1);
    clock.advance(ms(50));
    drop(go);
    for tick in 1..=60 {
        clock.await_waiters(2);
        clock.advance(ms(50));
        if (tick + 1) % 20 == 0 {
            ssc.await_batch(BatchTime::from_millis((tick + 1) * 50));
        }
    }
    ssc.stop(true).unwrap();
    assert_eq!(sizes(&lines)[..3], [3, 4, 4]);
}

fn frame(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes(), bytes].concat()
}

#[test]
fn frames_of_all_sizes_come_out_as_they_are() {
    let frames: Vec<Vec<u8>> = [0, 1, 3, 4, 5, 1_000, 65_536, 3 << 20, 0, 7]
        .iter()
        .map(|&len| (0..len).map(|i: u32| (i * 31 % 251) as u8).collect())
        .collect();
    let bytes: Vec<u8> = frames.iter().flat_map(|bytes| frame(bytes)).collect();
    let server = Server::new(vec![
        send(bytes.as_slice()),
        // The same cut between packets, also inside the lengths.
        Box::new(move |mut connection| {
            let (start, rest) = bytes.split_at(100);
            start
                .chunks(1)
                .for_each(|byte| connection.write_all(byte).unwrap());
            rest.chunks(10_007)
                .for_each(|part| connection.write_all(part).unwrap());
        }),
    ]);
    // The large one is larger than the whole ring.
    let settings = [AT_ONCE[0], ("ring_bytes", "1MiB"), ("block_bytes", "64KiB")];
    let ssc = context(1, &settings);
    let records = Gathered::of(&ssc.raw_socket_stream(server.address.as_str()).unwrap());
    let events = Events::of(&ssc);
    ssc.start().unwrap();
    events.ends(2);
    ssc.stop(true).unwrap();
    let records = records.records();
    assert_eq!(records.len(), 2 * frames.len());
    for (record, frame) in records.iter().zip(frames.iter().chain(&frames)) {
        assert!(**record == **frame, "a frame of {} bytes", frame.len());
    }
}

#[test]
fn a_frame_that_is_too_long_or_cut_off_ends_the_connection() {
    let limit = frame(&[1; 100]);
    let server = Server::new(vec![
        send([limit.clone(), frame(&[2; 101]), frame(b"never read")].concat()),
        send([frame(b"second"), limit[..50].to_vec()].concat()),
        send([frame(b"third"), vec![0, 0]].concat()),
        send(frame(b"fourth")),
    ]);
    let settings = [AT_ONCE[0], ("max_frame_bytes", "100")];
    let ssc = context(1, &settings);
    let records = Gathered::of(&ssc.raw_socket_stream(server.address.as_str()).unwrap());
    let events = Events::of(&ssc);
    ssc.start().unwrap();
    let message = format!("error receiving from {}", server.address);
    let causes = [
        "a frame of 101 bytes is longer than max_frame_bytes = 100",
        "failed to fill whole buffer",
        "failed to fill whole buffer",
    ];
    for cause in causes {
        let stopped = events.stopped();
        assert_eq!(stopped.last_message, message);
        let error = stopped.last_error.unwrap().to_string();
        assert_eq!(error, format!("input/output error: {message}: {cause}"));
    }
    events.ends(1);
    ssc.stop(true).unwrap();
    let texts: Vec<_> = records.records()[1..].iter().map(|r| r.to_vec()).collect();
    assert_eq!(texts, [&b"second"[..], b"third", b"fourth"]);
}

#[test]
fn a_converter_ends_and_fails_like_a_connection() {
    let numbers = |bytes| {
        BufReader::new(bytes).lines().map(|line| {
            let number = line?.parse::<u64>();
            number.map_err(|cause| std::io::Error::new(std::io::ErrorKind::InvalidData, cause))
        })
    };
    let server = Server::new(vec![send("1\n2\n"), send("3\nfour\n5\n"), send("6")]);
    let ssc = context(1, AT_ONCE);
    let records = ssc.socket_stream(server.address.as_str(), numbers).unwrap();
    let records = Gathered::of(&records);
    let events = Events::of(&ssc);
    ssc.start().unwrap();
    let first = events.stopped();
    assert_eq!(
        first.last_message,
        format!("no more data from {}", server.address)
    );
    assert!(first.last_error.is_none());
    let second = events.stopped().last_error.unwrap();
    assert_eq!(second.kind(), ErrorKind::Io);
    let text = format!(
        "input/output error: error receiving from {}: invalid digit found in string",
        server.address
    );
    assert_eq!(second.to_string(), text);
    events.ends(1);
    ssc.stop(true).unwrap();
    assert_eq!(records.records(), [1, 2, 3, 6]);
}

#[test]
fn a_converter_that_panics_is_reported_and_used_again() {
    let server = Server::new(vec![send("1;2;x;4"), send("5;6")]);
    let ssc = context(1, AT_ONCE);
    let numbers = ssc.socket_stream(server.address.as_str(), |bytes| {
        BufReader::new(bytes).split(b';').map(|part| {
            let part = String::from_utf8(part?).unwrap();
            Ok(part
                .parse::<u64>()
                .unwrap_or_else(|_| panic!("no number: {part}")))
        })
    });
    let records = Gathered::of(&numbers.unwrap());
    let events = Events::of(&ssc);
    ssc.start().unwrap();
    let stopped = events.stopped();
    assert_eq!(stopped.last_message, "the receiver panicked");
    let error = stopped.last_error.unwrap().to_string();
    assert_eq!(error, "panic: receiver panicked: no number: x");
    events.ends(1);
    ssc.stop(true).unwrap();
    assert_eq!(records.records(), [1, 2, 5, 6]);
}

/// A stop closes the connection; what the converter makes of the rest is no
/// record.
#[test]
fn a_stop_does_not_tear_a_converted_record() {
    for _ in 0..50 {
        let server = Server::new(vec![Box::new(|mut connection: TcpStream| {
            connection.write_all(b"whole;tor").unwrap();
            let _ = std::io::Read::read(&mut connection, &mut [0]);
        })]);
        let ssc = context(1, &[]);
        let records = ssc.socket_stream(server.address.as_str(), |bytes| {
            BufReader::new(bytes).split(b';')
        });
        let records = Gathered::of(&records.unwrap());
        ssc.start().unwrap();
        records.wait(1);
        ssc.stop(true).unwrap();
        assert_eq!(records.records(), [b"whole"]);
    }
}

#[test]
fn the_count_of_four_sockets_is_the_number_of_lines() {
    let servers: Vec<_> = (0..4)
        .map(|i| Server::sending("some words\r\n".repeat(10_000 + i)))
        .collect();
    let ssc = context(1, AT_ONCE);
    let streams = servers
        .iter()
        .map(|server| ssc.socket_text_stream(server.address.as_str()).unwrap());
    let lines = ssc.union(streams.collect::<Vec<_>>()).unwrap();
    let counts = Gathered::of(&lines.count());
    let events = Events::of(&ssc);
    ssc.start().unwrap();
    events.ends(4);
    ssc.stop(true).unwrap();
    assert_eq!(counts.records().iter().sum::<u64>(), 40_006);
}

/// The CPUs that the calling thread may run on.
fn allowed() -> String {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    line.unwrap().trim().to_owned()
}

/// Tells where it runs.
struct Where {
    starts: mpsc::Sender<(ReceiverHandle<u64>, String)>,
    preferred: Option<usize>,
}

impl Receiver<u64> for Where {
    fn on_start(&mut self, handle: ReceiverHandle<u64>) -> millstream::Result<()> {
        let _ = self.starts.send((handle, allowed()));
        Ok(())
    }

    fn on_stop(&mut self) {}

    fn preferred_cpu(&self) -> Option<usize> {
        self.preferred
    }
}

#[test]
#[cfg(target_os = "linux")]
fn pinning_places_receivers_and_workers_but_not_the_caller() {
    let cpus = std::thread::available_parallelism().unwrap().get();
    if cpus < 2 {
        println!("skipped: one CPU leaves none to pin a receiver to");
        return;
    }
    let before = allowed();
    let run = |pin: &str, preferred| {
        let ssc = StreamingContext::builder()
            .ignore_environment()
            .batch_interval(ms(5))
            .workers(1)
            .set("pin", pin)
            .build()
            .unwrap();
        let (starts, started) = mpsc::channel();
        let numbers = ssc.receiver_stream(Where { starts, preferred }).unwrap();
        let (masks, worker) = mpsc::channel();
        numbers.foreach_rdd(move |rdd, _| {
            rdd.for_each_partition(|_| {
                let _ = masks.send(allowed());
                Ok(())
            })
        });
        ssc.start().unwrap();
        let (handle, receiver) = started.recv().unwrap();
        // Two partitions: one alone would be done by the thread of the job.
        handle.store_many(vec![1]).unwrap();
        handle.store_many(vec![2]).unwrap();
        ssc.stop(true).unwrap();
        (receiver, worker.try_iter().collect::<Vec<_>>())
    };
    let (receiver, workers) = run("true", None);
    let cpu = receiver.parse::<usize>().expect("one CPU");
    assert_eq!(workers.len(), 2);
    assert_ne!(receiver, workers[0]);
    assert_eq!(run("true", Some(cpu)).0, receiver);
    assert_eq!(allowed(), before);
    let (receiver, workers) = run("false", Some(cpu));
    assert_eq!(receiver, before);
    assert!(workers.iter().all(|worker| *worker == before));
    assert_eq!(allowed(), before);
}

/// A record without a size, or a frame without bytes, takes its place in the
/// ring all the same.
#[test]
fn records_without_bytes_are_bounded_too() {
    let (ssc, clock) = manual(1_000, &[("ring_bytes", "4KiB"), ("block_bytes", "4KiB")]);
    let (hands, held) = Hands::<()>::new();
    let units = Gathered::of(&ssc.receiver_stream(hands).unwrap());
    let server = Server::sending(frame(b"").repeat(10_000));
    let frames = Gathered::of(&ssc.raw_socket_stream(server.address.as_str()).unwrap());
    ssc.start().unwrap();
    let handle = held.started.recv().unwrap();
    let (full, is_full) = mpsc::channel();
    let storing = spawn(move || {
        for n in 0..10_000 {
            if n == 4_096 {
                full.send(()).unwrap();
            }
            handle.store(()).unwrap();
        }
    });
    is_full.recv().unwrap();
    for second in 1.. {
        run_to(&ssc, &clock, second * 1_000);
        if units.records().len() == 10_000 && frames.records().len() == 10_000 {
            break;
        }
    }
    storing.join().unwrap();
    ssc.stop(true).unwrap();
    assert!(sizes(&units).into_iter().all(|size| size <= 4_096));
    let own = size_of::<Arc<[u8]>>();
    assert!(sizes(&frames).into_iter().all(|size| size * own <= 4_096));
}
