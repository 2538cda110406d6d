//! Records from a socket by a function of the program's own.

use std::io::{BufReader, Read};
use std::sync::Arc;

use super::Peer;
use crate::block::TypedWriter;
use crate::rdd::Data;
use crate::receiver::{Exit, RateLimiter, Session, Source, weight};

/// Receives what a converter makes of the bytes.
pub(crate) struct ConvertedSocket<T: Data, F> {
    peer: Peer,
    convert: F,
    writer: TypedWriter<T>,
    limiter: Option<RateLimiter>,
}

impl<T: Data, F> ConvertedSocket<T, F> {
    pub(crate) fn new(
        peer: Peer,
        convert: F,
        writer: TypedWriter<T>,
        limiter: Option<RateLimiter>,
    ) -> Self {
        Self {
            peer,
            convert,
            writer,
            limiter,
        }
    }
}

impl<T, I, F> Source for ConvertedSocket<T, F>
where
    T: Data,
    I: Iterator<Item = std::io::Result<T>>,
    F: Fn(Box<dyn Read + Send>) -> I + Send + 'static,
{
    fn run(&mut self, session: &Arc<Session>) -> Exit {
        let connection = match self.peer.connect(session) {
            Ok(connection) => connection,
            Err(exit) => return exit,
        };
        for record in (self.convert)(Box::new(BufReader::new(connection))) {
            let record = match record {
                Ok(record) => record,
                Err(cause) => return self.peer.disconnected(session, Some(cause)),
            };
            if let Some(limiter) = &mut self.limiter
                && limiter.take(1).is_none()
            {
                return Exit::Shutdown;
            }
            if self.writer.offer(record, weight::<T>()).is_err() {
                return Exit::Shutdown;
            }
        }
        self.peer.disconnected(session, None)
    }
}
