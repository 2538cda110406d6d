//! Socket ingestion with counting of lines, beside a bare `recv` loop.
//!
//! `cargo bench --bench ingest -- [--rounds N] [--mb N] [--interval-ms N]`
//!
//! A sender gives the same bytes from memory as fast as the loopback takes them.
//! The yardstick reads them into one buffer and looks at nothing; the engine cuts
//! batches at 10 ms and counts their lines. In turn, round by round. (A batch that is
//! larger than the caches is received into memory and read from there, which the
//! yardstick never does: so a longer interval costs here.)

#![expect(clippy::print_stdout, reason = "prints its report")]
#![expect(clippy::disallowed_methods, reason = "measures real time")]
#![expect(clippy::unwrap_used, reason = "a measurement that fails may panic")]

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use common::args;
use millstream::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Bytes in one portion of the sender, of whole lines of 98 bytes.
const LINES: usize = 10_000;
const LINE: usize = 98;

fn main() {
    let (mut rounds, mut mb, mut interval_ms) = (9, 400, 10);
    if args::is_test(&mut [
        ("--rounds", &mut rounds),
        ("--mb", &mut mb),
        ("--interval-ms", &mut interval_ms),
    ]) {
        (rounds, mb) = (1, 40);
    }
    let portions = (mb << 20) / (LINES * LINE);
    let mut ratios = Vec::new();
    for round in 0..=rounds {
        let bare = bare(portions);
        let engine = engine(portions, Duration::from_millis(interval_ms as u64));
        // The first round warms up.
        if round > 0 {
            ratios.push(bare / engine);
            let rate = |seconds: f64| (portions * LINES) as f64 / seconds / 1e6;
            println!(
                "round {round}: recv {:.1} M lines/s, millstream {:.1} M lines/s",
                rate(bare),
                rate(engine)
            );
        }
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "ratio ingest {:.2} ({:.2}..{:.2})",
        ratios[ratios.len() / 2],
        ratios[0],
        ratios[ratios.len() - 1]
    );
}

/// Sends `portions` to the first client, then closes.
fn sender(portions: usize) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let thread = thread::spawn(move || {
        let mut line = [b'x'; LINE];
        line[LINE - 1] = b'\n';
        let portion = line.repeat(LINES);
        let (mut client, _) = listener.accept().unwrap();
        for _ in 0..portions {
            client.write_all(&portion).unwrap();
        }
    });
    (address, thread)
}

/// Seconds to read everything.
fn bare(portions: usize) -> f64 {
    let (address, sender) = sender(portions);
    let start = Instant::now();
    let mut stream = TcpStream::connect(address).unwrap();
    let mut buffer = vec![0; 256 << 10];
    let mut bytes = 0;
    loop {
        match stream.read(&mut buffer).unwrap() {
            0 => break,
            n => bytes += n,
        }
    }
    let took = start.elapsed().as_secs_f64();
    sender.join().unwrap();
    assert_eq!(bytes, portions * LINES * LINE);
    took
}

/// Seconds until all lines were received, cut and counted.
fn engine(portions: usize, interval: Duration) -> f64 {
    let expected = (portions * LINES) as u64;
    let ssc = StreamingContext::builder()
        .batch_interval(interval)
        .set("receiver_restart_delay", "1h")
        .build()
        .unwrap();
    let (address, sender) = sender(portions);
    let (done, finished) = mpsc::channel();
    let total = std::sync::atomic::AtomicU64::new(0);
    ssc.socket_text_stream(address.to_string())
        .unwrap()
        .count()
        .foreach_rdd(move |rdd, _| {
            let count: u64 = rdd.collect()?.iter().sum();
            let before = total.fetch_add(count, std::sync::atomic::Ordering::Relaxed);
            if before + count == expected {
                // The main thread may be gone already.
                let _ = done.send(());
            }
            Ok(())
        });
    let start = Instant::now();
    ssc.start().unwrap();
    // Until the sender is done: the last batch's interval is no work.
    sender.join().unwrap();
    let took = start.elapsed().as_secs_f64();
    finished.recv().unwrap();
    ssc.stop(true).unwrap();
    took
}
