//! Frames from a socket: a length, then that many bytes, stored as they are.

use std::io::{BufReader, Read};
use std::sync::Arc;

use super::Peer;
use crate::block::TypedWriter;
use crate::codec::RecordCodec;
use crate::error::{Error, ErrorKind, Result};
use crate::receiver::{Exit, Session, Source};

/// A small buffer: it is there for the lengths, large bodies go past it.
const BUFFER: usize = 64 << 10;

/// Receives frames of bytes.
pub(crate) struct RawSocket {
    peer: Peer,
    writer: TypedWriter<Arc<[u8]>>,
    max_frame: usize,
}

impl RawSocket {
    pub(crate) fn new(peer: Peer, writer: TypedWriter<Arc<[u8]>>, max_frame: usize) -> Self {
        Self {
            peer,
            writer,
            max_frame,
        }
    }

    /// How frames are written to the log: the length, little-endian, and the bytes. That
    /// does not change, so they have no shape.
    pub(crate) fn codec() -> RecordCodec<Arc<[u8]>> {
        RecordCodec {
            encode: |frame, out| {
                // It is not longer than its setting allows.
                out.extend_from_slice(&(frame.len() as u32).to_le_bytes());
                out.extend_from_slice(frame);
                Ok(())
            },
            decode: take_logged,
            describe: |_, _| Ok(false),
            decode_as: |input, _| take_logged(input),
        }
    }

    /// The next frame, or none where the stream ends between two frames.
    fn frame(&self, from: &mut impl Read) -> std::io::Result<Option<Arc<[u8]>>> {
        let mut length = [0; 4];
        if !read_first(from, &mut length)? {
            return Ok(None);
        }
        let length = u32::from_be_bytes(length) as usize;
        if length > self.max_frame {
            let rule = format!(
                "a frame of {length} bytes is longer than max_frame_bytes = {}",
                self.max_frame
            );
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, rule));
        }
        let mut frame: Arc<[u8]> = std::iter::repeat_n(0, length).collect();
        let bytes = Arc::get_mut(&mut frame).expect("nobody else has the new frame");
        from.read_exact(bytes)?;
        Ok(Some(frame))
    }
}

/// Fills `bytes`; `false` if the stream ends before the first of them.
fn read_first(from: &mut impl Read, bytes: &mut [u8]) -> std::io::Result<bool> {
    loop {
        match from.read(&mut bytes[..1]) {
            Ok(0) => return Ok(false),
            Ok(_) => break,
            Err(cause) if cause.kind() == std::io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
    from.read_exact(&mut bytes[1..])?;
    Ok(true)
}

/// A frame of the log.
fn take_logged(input: &mut &[u8]) -> Result<Arc<[u8]>> {
    let cut_off = || Error::new(ErrorKind::Corrupt, "a frame was cut off");
    let (length, rest) = input.split_first_chunk().ok_or_else(cut_off)?;
    let length = u32::from_le_bytes(*length) as usize;
    let (frame, rest) = rest.split_at_checked(length).ok_or_else(cut_off)?;
    *input = rest;
    Ok(Arc::from(frame))
}

impl Source for RawSocket {
    fn run(&mut self, session: &Arc<Session>) -> Exit {
        let mut connection = match self.peer.connect(session) {
            Ok(connection) => BufReader::with_capacity(BUFFER, connection),
            Err(exit) => return exit,
        };
        loop {
            match self.frame(&mut connection) {
                Ok(Some(frame)) => {
                    // Its place counts too: there may be many empty frames.
                    let weight = frame.len() + size_of_val(&frame);
                    if self.writer.offer(frame, weight).is_err() {
                        return Exit::Shutdown;
                    }
                }
                Ok(None) => return self.peer.disconnected(session, None),
                Err(cause) => return self.peer.disconnected(session, Some(cause)),
            }
        }
    }
}
