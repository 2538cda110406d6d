//! Gives lines to an engine over a loopback socket.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::Result;
use crate::cpu::Cpu;
use crate::marks;

/// How lines are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As fast as they are taken, the whole text so many times.
    FlatOut {
        /// How many times.
        repeat: usize,
    },
    /// So many in a second, a portion each millisecond, whose first line carries its
    /// due time.
    Rate {
        /// Lines in a second; at least 1000.
        rate: usize,
        /// For how long.
        time: Duration,
    },
}

/// What was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Lines, with those that carry a time.
    pub lines: u64,
    /// Lines that carry a time.
    pub marks: u64,
    /// The sum of all due times.
    pub dues: u64,
    /// How much later than it should the last portion went.
    pub late: Duration,
    /// What it took to send.
    pub cpu: Cpu,
}

/// A sender that waits for an engine.
#[derive(Debug)]
pub struct Sender {
    /// Where the engine finds it.
    pub port: u16,
    thread: JoinHandle<Result<Sent>>,
}

impl Sender {
    /// Waits on a port of its own for one connection, sends to it, and closes it.
    ///
    /// # Errors
    /// If there is no port.
    pub fn start(text: &Arc<Vec<u8>>, pace: Pace) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let text = Arc::clone(text);
        let thread = thread::spawn(move || {
            let (stream, _) = listener.accept()?;
            let mut sent = match pace {
                Pace::FlatOut { repeat } => flat_out(stream, &text, repeat),
                Pace::Rate { rate, time } => at_rate(stream, &text, rate, time),
            }?;
            sent.cpu = Cpu::of_this_thread()?;
            Ok(sent)
        });
        Ok(Self { port, thread })
    }

    /// What was sent, when the end was.
    ///
    /// # Errors
    /// If the engine did not take all.
    pub fn finish(self) -> Result<Sent> {
        let sent = self.thread.join().map_err(|_| "sending panicked")?;
        sent.map_err(|error| format!("the engine did not take all lines: {error}").into())
    }
}

impl Pace {
    /// Lines that are sent of a text of `lines`, and how many of them carry a time.
    #[must_use]
    pub fn lines(self, lines: usize) -> (u64, u64) {
        match self {
            Self::FlatOut { repeat } => ((lines * repeat) as u64, 0),
            Self::Rate { rate, time } => {
                let portions = time.as_millis() as u64;
                (portions * (rate / 1000) as u64, portions)
            }
        }
    }
}

fn flat_out(mut stream: TcpStream, text: &[u8], repeat: usize) -> std::io::Result<Sent> {
    for _ in 0..repeat {
        stream.write_all(text)?;
    }
    Ok(Sent::default())
}

fn at_rate(
    mut stream: TcpStream,
    text: &[u8],
    rate: usize,
    time: Duration,
) -> std::io::Result<Sent> {
    stream.set_nodelay(true)?;
    let mut lines = Lines::new(text);
    let (start, start_due) = (Instant::now(), marks::now());
    let (mut sent, mut portion) = (Sent::default(), Vec::new());
    for tick in 0..time.as_millis() as u64 {
        let due = Duration::from_millis(tick);
        thread::sleep(due.saturating_sub(start.elapsed()));
        sent.late = start.elapsed().saturating_sub(due);
        let stamp = start_due + due.as_nanos() as u64;
        portion.clear();
        portion.extend_from_slice(marks::line(stamp).as_bytes());
        lines.take(rate / 1000 - 1, &mut portion);
        stream.write_all(&portion)?;
        sent.lines += (rate / 1000) as u64;
        sent.marks += 1;
        sent.dues = sent.dues.wrapping_add(stamp);
    }
    Ok(sent)
}

/// The lines of a text, again and again.
struct Lines<'t> {
    text: &'t [u8],
    /// Where each line ends.
    ends: Vec<usize>,
    next: usize,
}

impl<'t> Lines<'t> {
    fn new(text: &'t [u8]) -> Self {
        Self {
            text,
            ends: memchr::memchr_iter(b'\n', text).map(|at| at + 1).collect(),
            next: 0,
        }
    }

    /// Appends the next `n` lines to `to`.
    fn take(&mut self, mut n: usize, to: &mut Vec<u8>) {
        while n > 0 && !self.ends.is_empty() {
            let until = self.ends.len().min(self.next + n);
            let start = self.next.checked_sub(1).map_or(0, |line| self.ends[line]);
            to.extend_from_slice(&self.text[start..self.ends[until - 1]]);
            n -= until - self.next;
            self.next = until % self.ends.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_portion_begins_with_its_due_time() {
        let text = Arc::new(b"a\nb\nc\n".to_vec());
        let pace = Pace::Rate {
            rate: 3_000,
            time: Duration::from_millis(2),
        };
        let sender = Sender::start(&text, pace).unwrap();
        let mut all = String::new();
        let mut stream = TcpStream::connect(("127.0.0.1", sender.port)).unwrap();
        stream.read_to_string(&mut all).unwrap();
        let sent = sender.finish().unwrap();
        assert_eq!((sent.lines, sent.marks), pace.lines(3));
        let lines: Vec<&str> = all.lines().collect();
        assert_eq!(lines.len(), 6);
        let dues: Vec<u64> = lines
            .iter()
            .filter_map(|line| marks::due(line.as_bytes()))
            .collect();
        assert_eq!(dues[1] - dues[0], 1_000_000);
        assert_eq!(sent.dues, dues[0] + dues[1]);
        assert_eq!(
            (lines[1], lines[2], lines[4], lines[5]),
            ("a", "b", "c", "a")
        );
    }
}
