//! W2-lines: what receives, and counts the ends of lines in what a read gave; no
//! batches, no second thread, no memory but that of one read.

use std::io::Read as _;
use std::net::TcpStream;
use std::time::Instant;

use perf_lab::Result;
use perf_lab::digest::Digest;
use perf_lab::protocol::{Done, Engine, Words};

/// Bytes of a read.
const READ: usize = 256 << 10;

pub(crate) struct Bare {
    buffer: Vec<u8>,
}

impl Bare {
    pub(crate) fn new(order: &Words) -> Result<Self> {
        match order.text("work")? {
            "lines" => Ok(Self {
                buffer: vec![0; READ],
            }),
            work => Err(format!("work={work}: who only receives can count lines only").into()),
        }
    }
}

impl Engine for Bare {
    fn run(&mut self, order: &Words) -> Result<Done> {
        let mut stream = TcpStream::connect(("127.0.0.1", order.number("port")?))?;
        let mut lines = 0;
        let since = Instant::now();
        loop {
            let n = stream.read(&mut self.buffer)?;
            if n == 0 {
                break;
            }
            lines += memchr::memchr_iter(b'\n', &self.buffer[..n]).count();
        }
        Ok(Done {
            time: since.elapsed(),
            digest: Digest {
                count: lines as u64,
                sum: 0,
            },
            ..Done::default()
        })
    }
}
