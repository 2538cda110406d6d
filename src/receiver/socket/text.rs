//! Lines of text from a socket: bytes go from the kernel into the block, and
//! stay there.

use std::io::{ErrorKind, Read};
use std::sync::Arc;

use super::{connect, disconnected};
use crate::block::{Closed, TextWriter};
use crate::receiver::{Exit, RateLimiter, Session, Source};

/// Bytes asked for at a time: many calls' worth, yet still in the cache when
/// they are searched for line ends.
const READ: usize = 256 << 10;

/// Receives lines.
pub(crate) struct TextSocket {
    address: String,
    writer: TextWriter,
    limiter: Option<RateLimiter>,
    oversize_reported: u64,
}

impl TextSocket {
    pub(crate) fn new(address: String, writer: TextWriter, limiter: Option<RateLimiter>) -> Self {
        Self {
            address,
            writer,
            limiter,
            oversize_reported: 0,
        }
    }

    fn receive(&mut self, session: &Arc<Session>) -> Result<Exit, Closed> {
        let mut connection = match connect(&self.address, session) {
            Ok(connection) => connection,
            Err(exit) => return Ok(exit),
        };
        // What an earlier connection left unfinished is no line of this one.
        self.writer.discard_partial();
        loop {
            match connection.read(self.writer.spare(READ)?) {
                Ok(0) => {
                    let lines = if session.is_shut_down() {
                        0
                    } else {
                        self.writer.finish()
                    };
                    self.publish(lines, session)?;
                    return Ok(disconnected(&self.address, session, None));
                }
                Ok(n) => {
                    let lines = self.writer.filled(n);
                    self.publish(lines, session)?;
                    self.report_oversize(session);
                }
                Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
                Err(cause) => return Ok(disconnected(&self.address, session, Some(cause))),
            }
        }
    }

    /// Makes `lines` visible to the next cut, as fast as the rate limit allows.
    fn publish(&mut self, mut lines: usize, session: &Session) -> Result<(), Closed> {
        while lines > 0 {
            let permits = match &mut self.limiter {
                None => lines,
                Some(limiter) => limiter.take(lines, session).ok_or(Closed)?,
            };
            lines -= self.writer.publish(permits);
        }
        Ok(())
    }

    fn report_oversize(&mut self, session: &Session) {
        let dropped = self.writer.oversize_lines();
        if dropped > self.oversize_reported {
            self.oversize_reported = dropped;
            let message = format!(
                "{dropped} lines from {} were longer than max_line_bytes and dropped so far",
                self.address
            );
            session.reporter().failed(message, None);
        }
    }
}

impl Source for TextSocket {
    fn run(&mut self, session: &Arc<Session>) -> Exit {
        self.receive(session).unwrap_or(Exit::Shutdown)
    }
}
