//! Text from a socket, a batch at each interval: one thread receives into a buffer,
//! the caller's takes it. Who sends is pushed back when much waits to be taken.

use std::io::Read;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// So many bytes wait to be taken at most, and a read. With the batch that is worked on
/// that is about what the engine has in flight.
const BOUND: usize = 256 << 20;

/// Reads `stream` to its end. Calls `batch` once in each interval, with the whole lines
/// that came in it.
///
/// # Panics
/// If the stream cannot be read.
#[expect(clippy::disallowed_methods, reason = "the engine has no part in it")]
pub(crate) fn batches(
    mut stream: TcpStream,
    interval: Duration,
    mut batch: impl FnMut(&mut Vec<u8>),
) {
    let buffer = Mutex::new(Vec::<u8>::new());
    let lock = || buffer.lock().unwrap_or_else(PoisonError::into_inner);
    let (ended, taken) = (AtomicBool::new(false), Condvar::new());
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut chunk = vec![0; 256 << 10];
            loop {
                let n = stream.read(&mut chunk).expect("the sender is there");
                if n == 0 {
                    break;
                }
                let buffer = taken.wait_while(lock(), |buffer| buffer.len() > BOUND);
                buffer
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend_from_slice(&chunk[..n]);
            }
            ended.store(true, Ordering::Release);
        });
        let start = Instant::now();
        let (mut next, mut last, mut text) = (Duration::ZERO, false, Vec::new());
        while !last {
            next += interval;
            thread::sleep(next.saturating_sub(start.elapsed()));
            // Read before the buffer, so that nothing comes after the last batch.
            last = ended.load(Ordering::Acquire);
            text.clear();
            take_lines(&mut lock(), &mut text);
            taken.notify_one();
            batch(&mut text);
        }
    });
}

/// Moves the whole lines of `from` to `to`, which is empty.
fn take_lines(from: &mut Vec<u8>, to: &mut Vec<u8>) {
    std::mem::swap(from, to);
    let end = memchr::memrchr(b'\n', to).map_or(0, |at| at + 1);
    from.extend_from_slice(&to[end..]);
    to.truncate(end);
}
