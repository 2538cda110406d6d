//! More comes in than is worked off: the source is pushed back, nothing is lost.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use crate::helpers::{Event, Events, Gathered, Server, context, manual, ms};
#[cfg(target_os = "linux")]
use crate::own_process::in_own_process_under;

const MIB: usize = 1 << 20;

#[test]
fn a_source_that_is_too_fast_is_pushed_back() {
    const LINE: &str = "a line of thirty-two bytes, ...\n";
    const TOTAL: usize = 32 * MIB;
    let settings = [
        ("ring_bytes", "1MiB"),
        ("block_bytes", "64KiB"),
        ("receiver_restart_delay", "1h"),
    ];
    let (ssc, clock) = manual(1_000, &settings);
    let accepted = Arc::new(AtomicUsize::new(0));
    let server = Server::new(vec![{
        let accepted = Arc::clone(&accepted);
        Box::new(move |mut connection| {
            let part = LINE.repeat(2_048);
            for _ in 0..TOTAL / part.len() {
                connection.write_all(part.as_bytes()).unwrap();
                accepted.fetch_add(part.len(), Ordering::SeqCst);
            }
        })
    }]);
    let lines = ssc.socket_text_stream(server.address.as_str()).unwrap();
    let (running, is_running) = mpsc::channel();
    let (let_go, release) = mpsc::channel::<()>();
    let release = Mutex::new(release);
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    lines.foreach_rdd(move |rdd, _| {
        let lines = rdd.count()?;
        if lines > 0 {
            let _ = running.send(());
            let _ = release.lock().unwrap().recv();
        }
        count.fetch_add(lines as usize, Ordering::SeqCst);
        Ok(())
    });
    let events = Events::of(&ssc);
    ssc.start().unwrap();

    // Batches are cut all the time, but the first one with lines never ends.
    let cut = || {
        clock.advance(ms(1_000));
        events.next(|event| match event {
            Event::Submitted(batch) => Some(batch.num_records() as usize * LINE.len()),
            _ => None,
        })
    };
    let mut held = 0;
    while held < MIB {
        held += cut();
    }
    is_running.recv().unwrap();
    assert_eq!(held, MIB);
    for _ in 0..100 {
        assert_eq!(cut(), 0, "the ring is full");
    }
    // The rest is in the buffers of the kernel and of the source.
    assert!(accepted.load(Ordering::SeqCst) < TOTAL);
    assert_eq!(seen.load(Ordering::SeqCst), 0);

    drop(let_go);
    let mut last = held;
    while held < TOTAL {
        last = cut();
        assert!(last <= MIB);
        held += last;
    }
    assert_eq!(held, TOTAL, "after a batch of {last} bytes");
    ssc.stop(true).unwrap();
    server.join();
    assert_eq!(seen.load(Ordering::SeqCst), TOTAL / LINE.len());
}

/// A string that a program keeps pins its block, but gives its place in the
/// ring back with its batch.
#[test]
fn strings_that_are_kept_for_ever_do_not_stop_the_receiver() {
    let long = |n: usize| format!("a-long-word-that-is-kept-{n:06}");
    let text: String = (0..40_000)
        .map(|n| format!("{} and short ones\n", long(n)))
        .collect();
    assert!(text.len() > 20 * (64 << 10));
    let settings = [
        ("ring_bytes", "64KiB"),
        ("block_bytes", "4KiB"),
        ("receiver_restart_delay", "1h"),
    ];
    let server = Server::sending(text);
    let ssc = context(1, &settings);
    let lines = ssc.socket_text_stream(server.address.as_str()).unwrap();
    let words = lines.flat_map(|line| line.split(' ').filter(|word| word.len() > 15));
    let kept = Gathered::of(&words.boxed());
    let events = Events::of(&ssc);
    ssc.start().unwrap();
    events.ends(1);
    ssc.stop(true).unwrap();
    let kept = kept.records();
    assert_eq!(kept.len(), 40_000);
    for (n, word) in kept.iter().enumerate() {
        assert_eq!(**word, *long(n));
    }
}

/// With the address space that the system gives to data limited to little more than the
/// ring and the engine's threads take, all of a source that never pauses arrives (F-28).
#[cfg(target_os = "linux")]
#[test]
fn f_28_a_source_that_is_too_fast_stays_below_the_limit_of_the_system() {
    const LINES: usize = 256 << 10;
    let line = "x".repeat(1023) + "\n";
    let limited = ["sh", "-c", r#"ulimit -d 65536 && exec "$0" "$@""#];
    let name = "memory::f_28_a_source_that_is_too_fast_stays_below_the_limit_of_the_system";
    in_own_process_under(&limited, name, || {
        let part = line.repeat(64);
        let server = Server::new(vec![Box::new(move |mut connection| {
            for _ in 0..LINES / 64 {
                connection.write_all(part.as_bytes()).unwrap();
            }
        })]);
        let settings = [
            ("ring_bytes", "8MiB"),
            ("receiver_restart_delay", "1h"),
            ("stop_timeout", "1m"),
        ];
        let ssc = context(10, &settings);
        let lines = ssc.socket_text_stream(server.address.as_str()).unwrap();
        let seen = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&seen);
        lines.foreach_rdd(move |rdd, _| {
            let whole = rdd.filter(|line| line.len() == 1023);
            count.fetch_add(whole.count()? as usize, Ordering::SeqCst);
            Ok(())
        });
        let events = Events::of(&ssc);
        ssc.start().unwrap();
        events.ends(1);
        ssc.stop(true).unwrap();
        server.join();
        assert_eq!(seen.load(Ordering::SeqCst), LINES);
    });
}
