//! Lines of text from a socket: bytes go from the kernel into the block, and
//! stay there.

use std::io::{ErrorKind, Read};
use std::sync::Arc;

use super::Peer;
use crate::block::{Closed, TextWriter};
use crate::receiver::{Exit, RateLimiter, Session, Source};

/// Bytes asked for at a time: many calls' worth, yet still in the cache when
/// they are searched for line ends.
const READ: usize = 256 << 10;

/// Receives lines.
pub(crate) struct TextSocket {
    peer: Peer,
    writer: TextWriter,
    limiter: Option<RateLimiter>,
    oversize_reported: u64,
}

impl TextSocket {
    pub(crate) fn new(peer: Peer, writer: TextWriter, limiter: Option<RateLimiter>) -> Self {
        Self {
            peer,
            writer,
            limiter,
            oversize_reported: 0,
        }
    }

    fn receive(&mut self, session: &Arc<Session>) -> Result<Exit, Closed> {
        let mut connection = match self.peer.connect(session) {
            Ok(connection) => connection,
            Err(exit) => return Ok(exit),
        };
        loop {
            match connection.read(self.writer.spare(READ)?) {
                Ok(0) => {
                    let lines = if session.is_shut_down() {
                        0
                    } else {
                        self.writer.finish()
                    };
                    self.publish(lines);
                    return Ok(self.peer.disconnected(session, None));
                }
                Ok(n) => {
                    let lines = self.writer.filled(n);
                    self.publish(lines);
                    self.report_oversize(session);
                }
                Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
                Err(cause) => {
                    self.drop_partial(session);
                    return Ok(self.peer.disconnected(session, Some(cause)));
                }
            }
        }
    }

    /// Makes `lines` visible to the next cut, as fast as the rate limit allows.
    fn publish(&mut self, mut lines: usize) {
        while lines > 0 {
            let permits = match &mut self.limiter {
                None => lines,
                // No permits any more, as the context stops: what the peer has
                // sent and sees as received is in the last batch all the same.
                Some(limiter) => limiter.take(lines).unwrap_or(lines),
            };
            lines -= self.writer.publish(permits);
        }
    }

    /// Whether the rest of a line would have come nobody knows, so its start is
    /// no line, nor a part of the next connection's first one.
    fn drop_partial(&mut self, session: &Session) {
        let bytes = self.writer.discard_partial();
        if bytes > 0 && !session.is_shut_down() {
            let peer = &self.peer.address;
            let message = format!("{bytes} bytes of an unfinished line from {peer} were dropped");
            session.reporter().failed(message, None);
        }
    }

    fn report_oversize(&mut self, session: &Session) {
        let dropped = self.writer.oversize_lines();
        if dropped > self.oversize_reported {
            self.oversize_reported = dropped;
            let message = format!(
                "{dropped} lines from {} were longer than max_line_bytes and dropped so far",
                self.peer.address
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
