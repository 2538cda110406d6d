//! Every line of real text is counted once: sums over all batches equal the
//! count of an independent reader.
//!
//! `EXACT_MB` sets how much text is sent (default 8).

#![expect(
    clippy::disallowed_types,
    reason = "the independent count uses nothing of the crate's own"
)]

use std::collections::HashMap;
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, OnceLock};

use millstream::prelude::*;

use crate::helpers::{Events, Gathered, Random, Script, Server, context};

/// What there is to know about some text.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    lines: u64,
    words: HashMap<String, u64>,
}

impl Count {
    /// The lines of one connection, read as Java's `readLine` does, without those
    /// of more than `max_line` bytes.
    fn read(&mut self, mut rest: &[u8], max_line: usize) {
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let line = &rest[..end.unwrap_or(rest.len())];
            rest = &rest[line.len()..];
            rest = rest
                .strip_prefix(b"\r\n")
                .or(rest.get(1..))
                .unwrap_or_default();
            if line.len() <= max_line {
                self.line(&String::from_utf8_lossy(line));
            }
        }
    }

    fn line(&mut self, line: &str) {
        self.lines += 1;
        for word in line.split(' ') {
            self.add(word, 1);
        }
    }

    fn add(&mut self, word: &str, count: u64) {
        match self.words.get_mut(word) {
            Some(sum) => *sum += count,
            None => {
                self.words.insert(word.to_owned(), count);
            }
        }
    }
}

/// The sums over all batches of a word count and of a count.
#[derive(Default)]
struct Sums {
    count: Mutex<Count>,
    more: Condvar,
}

impl Sums {
    fn of(lines: &DStream<Str>) -> Arc<Self> {
        let sums = Arc::new(Self::default());
        let into = Arc::clone(&sums);
        lines
            .flat_map(|line| line.split(' '))
            .map(|word| (word, 1u64))
            .reduce_by_key(|a, b| a + b)
            .foreach_rdd(move |counts, _| {
                let counts = counts.collect()?;
                let mut sums = into.count.lock().unwrap();
                for (word, count) in counts {
                    sums.add(&word, count);
                }
                Ok(())
            });
        let into = Arc::clone(&sums);
        lines.count().foreach_rdd(move |counts, _| {
            let counts: u64 = counts.collect()?.into_iter().sum();
            into.count.lock().unwrap().lines += counts;
            into.more.notify_all();
            Ok(())
        });
        sums
    }

    fn wait(&self, lines: u64) {
        let count = self.count.lock().unwrap();
        let enough = |count: &mut Count| count.lines < lines;
        drop(self.more.wait_while(count, enough).unwrap());
    }

    /// Panics with a short message where the counts differ.
    fn check(&self, expected: &Count) {
        let got = self.count.lock().unwrap();
        assert_eq!(got.lines, expected.lines, "lines");
        for (word, count) in &expected.words {
            assert_eq!(got.words.get(word), Some(count), "of {word:?}");
        }
        assert_eq!(got.words.len(), expected.words.len(), "different words");
    }
}

/// Text files that come with the toolchain and the packages, in one order.
fn text_files() -> Vec<PathBuf> {
    let cargo = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".cargo")));
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let sysroot = Command::new(rustc).args(["--print", "sysroot"]).output();
    let sysroot = sysroot.map_or_else(
        |_| PathBuf::new(),
        |out| PathBuf::from(String::from_utf8_lossy(&out.stdout).trim()),
    );
    let mut roots = Vec::from_iter(cargo.map(|home| home.join("registry/src")));
    roots.extend([sysroot.join("share/doc"), sysroot.join("lib/rustlib")]);
    let mut files = Vec::new();
    for root in roots {
        walk(&root, &mut files);
    }
    files
}

fn walk(directory: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    let mut entries: Vec<_> = entries.flatten().collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => walk(&path, files),
            Ok(kind) if kind.is_file() => {
                let extension = path.extension().and_then(|extension| extension.to_str());
                if matches!(extension, Some("rs" | "md" | "txt" | "html")) {
                    files.push(path);
                }
            }
            _ => {}
        }
    }
}

/// One `share`th of the text, or `None` where this machine has too little.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn text(share: usize) -> Option<&'static [u8]> {
    static TEXT: OnceLock<Option<Vec<u8>>> = OnceLock::new();
    let text = TEXT.get_or_init(|| {
        let megabytes = std::env::var("EXACT_MB").map_or(8, |mb| mb.parse().unwrap());
        let size: usize = megabytes << 20;
        let mut text = Vec::with_capacity(size);
        for file in text_files() {
            if text.len() >= size {
                break;
            }
            text.extend(std::fs::read(file).unwrap_or_default());
        }
        let enough = text.len() >= size;
        text.truncate(size);
        enough.then_some(text)
    });
    if text.is_none() {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "too little text on this machine for EXACT_MB"
        );
        println!("skipped: too little text on this machine for EXACT_MB");
    }
    text.as_ref().map(|text| &text[..text.len() / share])
}

/// `n` parts of nearly equal length, cut at any byte.
fn parts(text: &[u8], n: usize) -> Vec<Vec<u8>> {
    (0..n)
        .map(|i| text[text.len() * i / n..text.len() * (i + 1) / n].to_vec())
        .collect()
}

/// How a server sends the bytes of one connection.
type Style = fn(&mut TcpStream, &[u8], &Sums);

fn flat_out(connection: &mut TcpStream, bytes: &[u8], _: &Sums) {
    connection.write_all(bytes).unwrap();
}

fn byte_by_byte(connection: &mut TcpStream, bytes: &[u8], _: &Sums) {
    for byte in bytes.chunks(1) {
        connection.write_all(byte).unwrap();
    }
}

fn in_random_pieces(connection: &mut TcpStream, bytes: &[u8], _: &Sums) {
    let mut random = Random::new(7);
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, next) = rest.split_at((1 + random.below(300)).min(rest.len()));
        connection.write_all(piece).unwrap();
        rest = next;
    }
}

/// Sends the next piece, which starts anywhere, only when the lines of all
/// before it were counted: so pieces are never received together.
fn pausing(connection: &mut TcpStream, bytes: &[u8], sums: &Sums) {
    let mut random = Random::new(11);
    let (mut rest, mut lines, mut after_return) = (bytes, 0, false);
    while !rest.is_empty() {
        let (piece, next) = rest.split_at((1 + random.below(150)).min(rest.len()));
        connection.write_all(piece).unwrap();
        for &byte in piece {
            lines += u64::from(byte == b'\r' || byte == b'\n' && !after_return);
            after_return = byte == b'\r';
        }
        sums.wait(lines);
        rest = next;
    }
}

/// Sends `connections` of each server in `style` and compares the counts.
fn check(interval: u64, settings: &[(&str, &str)], servers: Vec<Vec<Vec<u8>>>, style: Style) {
    let max_line = settings.iter().find(|(key, _)| *key == "max_line_bytes");
    let max_line = max_line.map_or(1 << 20, |(_, value)| value.parse().unwrap());
    let mut expected = Count::default();
    for connection in servers.iter().flatten() {
        expected.read(connection, max_line);
    }
    let ends = servers.iter().flatten().count();
    // Declared before the text is sent, as pausing servers look at the sums.
    let late = Arc::new(OnceLock::<Arc<Sums>>::new());
    let servers: Vec<_> = servers
        .into_iter()
        .map(|connections| {
            let scripts = connections.into_iter().map(|bytes| -> Script {
                let late = Arc::clone(&late);
                Box::new(move |mut connection| style(&mut connection, &bytes, late.wait()))
            });
            Server::new(scripts.collect())
        })
        .collect();

    let settings = [settings, &[("receiver_restart_delay", "0ms")]].concat();
    let ssc = context(interval, &settings);
    let streams = servers
        .iter()
        .map(|server| ssc.socket_text_stream(server.address.as_str()).unwrap());
    let lines = ssc.union(streams.collect::<Vec<_>>()).unwrap();
    let sums = Sums::of(&lines);
    assert!(late.set(Arc::clone(&sums)).is_ok());
    let events = Events::of(&ssc);
    ssc.start().unwrap();
    events.ends(ends);
    ssc.stop(true).unwrap();
    ssc.await_termination().unwrap();
    servers.into_iter().for_each(Server::join);
    sums.check(&expected);
}

/// Text with all kinds of line ends and characters, also broken ones.
fn mixed(text: &[u8]) -> Vec<u8> {
    let mut random = Random::new(3);
    let mut mixed = Vec::with_capacity(text.len() * 2);
    for &byte in text {
        match byte {
            b'\n' => {
                mixed.extend(["\n", "\r\n", "\r", "\n\r", "\r\n\r\n"][random.below(5)].bytes());
            }
            b'e' => mixed.extend(["e", "é", "漢", "🦀", "e"][random.below(5)].bytes()),
            b'q' => mixed.extend([0xe6, 0xbc, 0xff]),
            byte => mixed.push(byte),
        }
    }
    mixed
}

#[test]
fn one_socket_flat_out() {
    for interval in [1, 10, 100] {
        let Some(text) = text(2) else { return };
        check(interval, &[], vec![parts(text, 1)], flat_out);
    }
}

#[test]
fn four_sockets_flat_out() {
    for interval in [1, 10, 100] {
        let Some(text) = text(2) else { return };
        let servers = parts(text, 4).into_iter().map(|part| vec![part]);
        check(interval, &[], servers.collect(), flat_out);
    }
}

#[test]
fn batches_of_a_second() {
    let Some(text) = text(8) else { return };
    check(1_000, &[], vec![parts(text, 1), parts(text, 1)], flat_out);
}

#[test]
fn small_blocks_and_a_small_ring() {
    let Some(text) = text(8) else { return };
    let small = [("block_bytes", "4KiB"), ("ring_bytes", "64KiB")];
    check(1, &small, vec![parts(text, 3), parts(text, 2)], flat_out);
}

#[test]
fn byte_after_byte() {
    let Some(text) = text(256) else { return };
    let text = mixed(&text[..8 << 10]);
    check(
        1,
        &[("block_bytes", "4KiB")],
        vec![vec![text]],
        byte_by_byte,
    );
}

#[test]
fn random_pieces() {
    let Some(text) = text(64) else { return };
    let text = mixed(text);
    for interval in [1, 10] {
        let servers = vec![parts(&text, 1), parts(&text, 3)];
        check(
            interval,
            &[("block_bytes", "4KiB")],
            servers,
            in_random_pieces,
        );
    }
}

#[test]
fn only_lines_that_are_too_long_are_missing() {
    let Some(text) = text(64) else { return };
    let text = mixed(text);
    for max_line in ["1", "10", "40"] {
        let settings = [("block_bytes", "4KiB"), ("max_line_bytes", max_line)];
        let servers = vec![parts(&text[..8 << 10], 5), parts(&text[..4 << 10], 1)];
        check(1, &settings, servers, byte_by_byte);
        let servers = vec![parts(&text, 1), parts(&text, 3)];
        check(10, &settings, servers, in_random_pieces);
    }
}

#[test]
fn pieces_received_one_by_one() {
    let Some(text) = text(256) else { return };
    let text = mixed(&text[..16 << 10]);
    check(1, &[("block_bytes", "4KiB")], vec![vec![text]], pausing);
}

#[test]
fn many_connections_one_after_the_other() {
    let Some(text) = text(4) else { return };
    for interval in [1, 10] {
        let servers = vec![parts(text, 40), parts(text, 7)];
        check(interval, &[], servers, flat_out);
    }
}

/// A stop in the middle takes whole lines only, from the start on, and counts
/// all that it took.
#[test]
fn a_stop_in_the_middle_counts_a_prefix() {
    let Some(text) = text(1) else { return };
    for batches in 1..12 {
        let server = Server::new(vec![{
            let text = text.to_vec();
            // The stop closes the connection before the end.
            Box::new(move |mut connection| while connection.write_all(&text).is_ok() {})
        }]);
        let ssc = context(1, &[("ring_bytes", "2MiB")]);
        let lines = ssc.socket_text_stream(server.address.as_str()).unwrap();
        let sums = Sums::of(&lines);
        let gathered = Gathered::of(&lines);
        ssc.start().unwrap();
        gathered.wait(batches * 1_000);
        ssc.stop(true).unwrap();
        server.join();
        let lines = gathered.records();
        let mut expected = Count::default();
        for line in &lines {
            expected.line(line);
        }
        sums.check(&expected);

        let mut sent = Sent { text, at: 0 };
        for (i, line) in lines.iter().enumerate() {
            assert_eq!(*line, *sent.next_line(), "line {i}");
        }
    }
}

/// A text that is sent again and again.
struct Sent<'t> {
    text: &'t [u8],
    at: usize,
}

impl Sent<'_> {
    fn next(&mut self) -> u8 {
        let byte = self.text[self.at];
        self.at = (self.at + 1) % self.text.len();
        byte
    }

    fn next_line(&mut self) -> String {
        let mut line = Vec::new();
        loop {
            match self.next() {
                b'\n' => break,
                b'\r' => {
                    if self.text[self.at] == b'\n' {
                        self.next();
                    }
                    break;
                }
                byte => line.push(byte),
            }
        }
        String::from_utf8_lossy(&line).into_owned()
    }
}
