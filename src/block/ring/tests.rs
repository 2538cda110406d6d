mod cuts;
mod lines;
mod overflow;
mod reuse;
mod typed;
mod waiting;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{TryRecvError, channel};
use std::thread;

use proptest::prelude::*;

use super::segment::{Block, REST};
use super::*;
use crate::arch;
use crate::block::{Str, TextBlock};

const ROOMY: RingOptions = RingOptions {
    block: 64,
    bound: 1 << 20,
    // Never full, whatever the tests' texts are.
    queue: if cfg!(miri) { 512 } else { 4096 },
    lossy: false,
};

fn cases() -> ProptestConfig {
    ProptestConfig {
        cases: if cfg!(miri) { 6 } else { 2_000 },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// The lines that `BufferedReader.readLine` gives, byte by byte.
fn naive_lines(text: &[u8]) -> Vec<Vec<u8>> {
    let (mut lines, mut line) = (Vec::new(), Vec::new());
    let mut skip_feed = false;
    for &byte in text {
        match byte {
            b'\n' if skip_feed => skip_feed = false,
            b'\n' | b'\r' => {
                lines.push(std::mem::take(&mut line));
                skip_feed = byte == b'\r';
            }
            _ => {
                line.push(byte);
                skip_feed = false;
            }
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// Stores bytes as a socket would deliver them.
fn receive(writer: &mut TextWriter, mut bytes: &[u8]) -> usize {
    let mut waiting = writer.filled(0);
    while !bytes.is_empty() {
        let spare = writer.spare(bytes.len()).expect("the ring is open");
        let (now, later) = bytes.split_at(spare.len());
        spare.copy_from_slice(now);
        waiting = writer.filled(now.len());
        bytes = later;
    }
    waiting
}

/// The lines of a range, which has just as many records and ends behind a line.
fn lines_of(range: &Taken<TextBlock>) -> Vec<Vec<u8>> {
    let bytes = range.bytes();
    assert!(matches!(bytes.last(), Some(b'\n' | b'\r')));
    assert_eq!(range.weight(), bytes.len());
    let mut lines = Vec::new();
    arch::lines(bytes, |start, end, _| {
        lines.push(bytes[start..end].to_vec());
        true
    });
    assert_eq!(lines.len(), range.records());
    lines
}

fn cut<B: Block>(cutter: &mut Cutter<B>) -> Vec<Taken<B>> {
    let mut taken = Vec::new();
    cutter.cut(&mut taken);
    taken
}

fn lines_after(writer: &mut TextWriter, cutter: &mut Cutter<TextBlock>) -> Vec<Vec<u8>> {
    writer.publish(usize::MAX);
    cut(cutter).iter().flat_map(lines_of).collect()
}

/// Waits until the writer had to wait for the `n`th time.
fn until_waiting(budget: &Budget, n: u64) {
    while budget.waits() < n {
        thread::yield_now();
    }
    assert_eq!(budget.waits(), n);
}
