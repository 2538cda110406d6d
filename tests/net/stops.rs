//! Stops: at any moment, and with receivers and jobs that do not end.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};

use millstream::StreamingContextState;
use millstream::prelude::*;
use millstream::receiver::{Receiver, ReceiverHandle};

use crate::helpers::{
    AT_ONCE, Event, Events, Gathered, Hands, Held, Random, Server, context, manual, ms, spawn,
};

/// Blocks its thread until the test lets go.
struct Deaf {
    entered: mpsc::Sender<ReceiverHandle<u64>>,
    release: mpsc::Receiver<()>,
}

impl Receiver<u64> for Deaf {
    fn on_start(&mut self, handle: ReceiverHandle<u64>) -> millstream::Result<()> {
        handle.store(1).unwrap();
        self.entered.send(handle).unwrap();
        let _ = self.release.recv();
        Ok(())
    }

    fn on_stop(&mut self) {}
}

#[test]
fn a_receiver_that_ignores_the_stop_is_named() {
    let settings = [("graceful_stop_timeout", "1s"), ("stop_timeout", "500ms")];
    let (ssc, _clock) = manual(1_000, &settings);
    let (entered, handles) = mpsc::channel();
    let (let_go, release) = mpsc::channel();
    let numbers = Gathered::of(&ssc.receiver_stream(Deaf { entered, release }).unwrap());
    ssc.start().unwrap();
    let handle = handles.recv().unwrap();
    assert!(handle.is_started() && !handle.is_stopped());
    let error = ssc.stop(true).unwrap_err();
    assert!(error.is_timeout());
    assert_eq!(
        error.to_string(),
        "timed out: graceful stop: 1s ran out; left running: the receiver of Receiver stream [0]"
    );
    assert!(handle.is_stopped());
    assert_eq!(handle.store(2), Err(2));
    assert_eq!(handle.store_many(vec![3, 4]), Err(vec![3, 4]));
    assert_eq!(numbers.records(), [1], "what it stored before is there");
    ssc.stop(true).unwrap();
    drop(let_go);
}

#[test]
fn several_receivers_that_ignore_the_stop_share_the_time() {
    let settings = [("graceful_stop_timeout", "2s"), ("stop_timeout", "500ms")];
    let (ssc, _clock) = manual(1_000, &settings);
    let mut streams = Vec::new();
    let mut ends = Vec::new();
    let (entered, handles) = mpsc::channel();
    // One after the other they would take more than any test may.
    for _ in 0..100 {
        let (let_go, release) = mpsc::channel();
        ends.push(let_go);
        let entered = entered.clone();
        streams.push(ssc.receiver_stream(Deaf { entered, release }).unwrap());
    }
    Gathered::of(&ssc.union(streams).unwrap());
    ssc.start().unwrap();
    let handles: Vec<_> = handles.iter().take(100).collect();
    let error = ssc.stop(true).unwrap_err().to_string();
    // All of them are named.
    let names: Vec<_> = (0..100)
        .map(|n| format!("the receiver of Receiver stream [{n}]"))
        .collect();
    let text = format!(
        "timed out: graceful stop: 2s ran out; left running: {}",
        names.join(", ")
    );
    assert_eq!(error, text);
    assert!(handles.iter().all(ReceiverHandle::is_stopped));
    drop(ends);
}

#[test]
fn two_stops_at_once_both_wait_for_the_end() {
    for graceful in [true, false] {
        let (ssc, clock) = manual(1_000, &[]);
        let (hands, held) = Hands::<u64>::new();
        let (running, is_running) = mpsc::channel();
        let (let_go, release) = mpsc::channel::<()>();
        let release = std::sync::Mutex::new(release);
        let finished = Arc::new(AtomicBool::new(false));
        let finish = Arc::clone(&finished);
        ssc.receiver_stream(hands)
            .unwrap()
            .foreach_rdd(move |rdd, _| {
                if rdd.count()? > 0 {
                    running.send(()).unwrap();
                    let _ = release.lock().unwrap().recv();
                    // So that a stop which does not wait is seen to be early.
                    (0..1_000).for_each(|_| std::thread::yield_now());
                    finish.store(true, Ordering::SeqCst);
                }
                Ok(())
            });
        ssc.start().unwrap();
        held.started.recv().unwrap().store(1).unwrap();
        clock.set(BatchTime::from_millis(1_000));
        is_running.recv().unwrap();
        let first = ssc.clone();
        let first = spawn(move || first.stop(true));
        held.stopped.recv().unwrap();
        let waiting = ssc.clone();
        let waiting = spawn({
            let finished = Arc::clone(&finished);
            move || (waiting.await_termination(), finished.load(Ordering::SeqCst))
        });
        let ready = Arc::new(Barrier::new(2));
        let second = spawn({
            let (ssc, ready) = (ssc.clone(), Arc::clone(&ready));
            let finished = Arc::clone(&finished);
            move || {
                ready.wait();
                (ssc.stop(graceful), finished.load(Ordering::SeqCst))
            }
        });
        ready.wait();
        drop(let_go);
        first.join().unwrap().unwrap();
        let (stopped, late) = second.join().unwrap();
        stopped.unwrap();
        assert!(late, "the second stop came back before the last job ended");
        let (ended, late) = waiting.join().unwrap();
        ended.unwrap();
        assert!(
            late,
            "await_termination came back before the last job ended"
        );
        assert_eq!(ssc.state(), StreamingContextState::Stopped);
        ssc.stop(graceful).unwrap();
    }
}

/// Numbered lines, for as long as the reader is there.
fn endless() -> Server {
    Server::new(vec![Box::new(|connection| {
        let mut connection = std::io::BufWriter::with_capacity(997, connection);
        for n in 0.. {
            if writeln!(connection, "line {n}").is_err() {
                break;
            }
        }
        // What is left in the buffer has nowhere to go.
        let _ = connection.into_parts();
    })])
}

/// Stops at many moments; whatever came out is numbered without a gap.
#[test]
fn a_stop_at_any_moment_neither_hangs_nor_tears() {
    let mut random = Random::new(5);
    for round in 0..60 {
        let settings = [
            AT_ONCE[0],
            ("ring_bytes", "64KiB"),
            ("block_bytes", "4KiB"),
            ("block_queue_size", "4"),
        ];
        let ssc = context(1, &settings);
        let server = endless();
        let lines = Gathered::of(&ssc.socket_text_stream(server.address.as_str()).unwrap());
        // Port 1 of an address that has no servers: always connecting.
        Gathered::of(&ssc.socket_text_stream("127.0.0.2:1").unwrap());
        let (hands, held) = Hands::<usize>::new();
        let numbers = Gathered::of(&ssc.receiver_stream(hands).unwrap());
        let events = Events::of(&ssc);
        ssc.start().unwrap();
        let stored = spawn(move || {
            // A stop may come before the receiver was started.
            match held.started.recv() {
                Ok(handle) => (0..).find(|&n| handle.store(n).is_err()).unwrap(),
                Err(_) => 0,
            }
        });
        for _ in 0..[0, 0, 1, 3, 20][round % 5] {
            events.next(|event| matches!(event, Event::Completed(_)).then_some(()));
        }
        for _ in 0..random.below(20_000) {
            std::hint::spin_loop();
        }
        let graceful = random.below(2) == 0;
        if round % 3 == 0 {
            let other = ssc.clone();
            let other = spawn(move || other.stop(graceful));
            ssc.stop(graceful).unwrap();
            other.join().unwrap().unwrap();
        } else {
            ssc.stop(graceful).unwrap();
        }
        ssc.stop(!graceful).unwrap();
        drop(server);
        for (n, line) in lines.records().iter().enumerate() {
            assert_eq!(*line, *format!("line {n}"), "round {round}");
        }
        let stored = stored.join().unwrap();
        let numbers = numbers.records();
        assert!(
            numbers.iter().copied().eq(0..numbers.len()),
            "round {round}"
        );
        if graceful {
            assert_eq!(numbers.len(), stored, "round {round}");
        }
    }
}

/// A line that is not yet complete is no line when the context stops.
#[test]
fn a_stop_does_not_tear_a_line() {
    for _ in 0..100 {
        let server = Server::new(vec![Box::new(|mut connection| {
            connection.write_all(b"whole\ntor").unwrap();
            // Until the reader goes away.
            let _ = std::io::Read::read(&mut connection, &mut [0]);
        })]);
        let ssc = context(1, &[]);
        let lines = Gathered::of(&ssc.socket_text_stream(server.address.as_str()).unwrap());
        ssc.start().unwrap();
        lines.wait(1);
        ssc.stop(true).unwrap();
        assert_eq!(lines.records(), ["whole"]);
    }
}

#[test]
fn a_stop_while_the_ring_is_full_loses_nothing_that_was_stored() {
    let (ssc, _clock) = manual(1_000, &[("ring_bytes", "4KiB"), ("block_bytes", "4KiB")]);
    let (hands, Held { started, .. }) = Hands::<u64>::new();
    let numbers = Gathered::of(&ssc.receiver_stream(hands).unwrap());
    ssc.start().unwrap();
    let handle = started.recv().unwrap();
    let stored = Arc::new(AtomicUsize::new(0));
    let (full, is_full) = mpsc::channel();
    let storing = spawn({
        let stored = Arc::clone(&stored);
        move || {
            for n in 0.. {
                if n == 512 {
                    full.send(()).unwrap();
                }
                if handle.store(n) == Err(n) {
                    return n;
                }
                stored.store(n as usize + 1, Ordering::SeqCst);
            }
            unreachable!("the store is refused at the stop")
        }
    });
    is_full.recv().unwrap();
    ssc.stop(true).unwrap();
    // 512 numbers of 8 bytes fill the ring; the one that waited came back.
    assert_eq!(storing.join().unwrap(), 512);
    assert_eq!(stored.load(Ordering::SeqCst), 512);
    assert_eq!(numbers.records(), (0..512).collect::<Vec<_>>());
}

/// Nobody accepts, and the queue of connections is full: an attempt to connect
/// gets no answer.
#[test]
fn a_stop_does_not_wait_for_a_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let waiting: Vec<_> = (0..500)
        .map_while(|_| TcpStream::connect_timeout(&address, ms(50)).ok())
        .collect();
    let (ssc, _clock) = manual(1_000, &[("graceful_stop_timeout", "5s")]);
    Gathered::of(&ssc.socket_text_stream(address.to_string()).unwrap());
    let events = Events::of(&ssc);
    ssc.start().unwrap();
    events.started();
    ssc.stop(true).unwrap();
    drop(waiting);
}

#[test]
fn a_job_that_does_not_end_is_named_and_left_alone() {
    let settings = [("graceful_stop_timeout", "1s"), ("stop_timeout", "500ms")];
    let (ssc, clock) = manual(1_000, &settings);
    let (hands, held) = Hands::<u64>::new();
    let (running, is_running) = mpsc::channel();
    let (let_go, release) = mpsc::channel::<()>();
    let release = std::sync::Mutex::new(release);
    let numbers = ssc.receiver_stream(hands).unwrap();
    let line = line!() + 1;
    numbers.foreach_rdd(move |rdd, _| {
        if rdd.count()? > 0 {
            running.send(()).unwrap();
            let _ = release.lock().unwrap().recv();
        }
        Ok(())
    });
    ssc.start().unwrap();
    let handle = held.started.recv().unwrap();
    handle.store(1).unwrap();
    clock.set(BatchTime::from_millis(1_000));
    is_running.recv().unwrap();
    handle.store(2).unwrap();
    let error = ssc.stop(true).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "timed out: graceful stop: 1s ran out; left running: output operation 0 \
             (foreach_rdd at {}:{line}) of the batch 1000 ms; not processed: batches that waited \
             (1 with 1 records, the oldest of 2000 ms)",
            file!()
        )
    );
    assert_eq!(ssc.state(), StreamingContextState::Stopped);
    ssc.await_termination().unwrap();
    drop((let_go, ssc));
    assert!(is_running.recv().is_err(), "the other batch was dropped");
}

#[test]
fn stops_where_nothing_runs_are_no_errors() {
    let (ssc, _clock) = manual(1_000, &[]);
    let (hands, held) = Hands::<u64>::new();
    Gathered::of(&ssc.receiver_stream(hands).unwrap());
    ssc.stop(true).unwrap();
    ssc.stop(false).unwrap();
    ssc.await_termination().unwrap();
    let error = ssc.start().unwrap_err();
    assert_eq!(
        error.to_string(),
        "illegal state: the context was stopped already and cannot be started again"
    );
    assert!(held.started.try_recv().is_err(), "no receiver was started");
}
