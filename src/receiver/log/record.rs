//! The bytes of the log's records.
//!
//! ```text
//! block    3, then in postcard's format: name of the stream, what was said about the
//!          block, how many records it has; then the records, as their stream writes them:
//!          text as it is, all others beside their shape (`codec::records`)
//! batch    2, then in postcard's format: batch time (ms), and for each stream its name
//!          and its blocks in order: `true` and how many records of the log a block is
//!          before this one, or `false` and its number
//! ```
//!
//! A block of kind 1 is that of an older version, which wrote no shapes.

use std::sync::Arc;

use super::{Place, StreamBlocks};
use crate::codec::Codec;
use crate::error::{Error, ErrorKind, Result};
use crate::time::BatchTime;

const BLOCK: u8 = 3;
const OLD_BLOCK: u8 = 1;
const BATCH: u8 = 2;

type BlockHead = (String, Option<String>, u64);
type BatchBytes = (i64, Vec<(String, Vec<(bool, u64)>)>);

/// A record that was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Record {
    Block(String, Block),
    /// The numbers of the blocks of each stream.
    Batch(BatchTime, Vec<(String, Vec<u64>)>),
}

/// What stands in front of a block's records.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) records: u64,
    pub(super) metadata: Option<Arc<str>>,
    /// Bytes of all that; then the records come.
    pub(super) head: usize,
}

/// Begins a block; the bytes of its records come behind that.
pub(super) fn block(stream: &str, metadata: Option<&str>, records: u64) -> Result<Vec<u8>> {
    let head: BlockHead = (stream.to_owned(), metadata.map(str::to_owned), records);
    let mut bytes = vec![BLOCK];
    head.encode(&mut bytes)?;
    Ok(bytes)
}

/// A batch that is written behind so many new blocks.
pub(super) fn batch(time: BatchTime, streams: &[StreamBlocks], new: usize) -> Result<Vec<u8>> {
    let place = |place: &Place| match *place {
        Place::Known(sequence) => (false, sequence),
        Place::New(index) => (true, (new - index) as u64),
    };
    let stream = |(name, places): &StreamBlocks| {
        let places: Vec<_> = places.iter().map(place).collect();
        (name.to_string(), places)
    };
    let streams = streams.iter().map(stream).collect();
    let batch: BatchBytes = (time.as_millis(), streams);
    let mut bytes = vec![BATCH];
    batch.encode(&mut bytes)?;
    Ok(bytes)
}

/// Reads the record of this number.
///
/// # Errors
/// Of kind [`ErrorKind::Corrupt`], or [`ErrorKind::Unsupported`] if an older version wrote it.
pub(super) fn read(sequence: u64, bytes: &[u8]) -> Result<Record> {
    match bytes.split_first() {
        Some((&BLOCK, mut rest)) => {
            let (stream, metadata, records) = BlockHead::decode(&mut rest)?;
            let block = Block {
                records,
                metadata: metadata.map(Arc::from),
                head: bytes.len() - rest.len(),
            };
            Ok(Record::Block(stream, block))
        }
        Some((&BATCH, mut rest)) => {
            let (time, streams) = BatchBytes::decode(&mut rest)?;
            let number = |(is_back, number)| match is_back {
                true => sequence.checked_sub(number),
                false => Some(number),
            };
            let stream = |(name, places): (_, Vec<_>)| {
                let numbers: Option<Vec<_>> = places.into_iter().map(number).collect();
                numbers.map(|numbers| (name, numbers))
            };
            let streams: Option<_> = streams.into_iter().map(stream).collect();
            let streams = streams.ok_or_else(|| unknown(sequence))?;
            Ok(Record::Batch(BatchTime::from_millis(time), streams))
        }
        Some((&OLD_BLOCK, _)) => {
            let what = format!(
                "record {sequence} of the write-ahead log is of an older version of this library: \
                 let that one process what is in the log, and stop it gracefully"
            );
            Err(Error::new(ErrorKind::Unsupported, what))
        }
        _ => Err(unknown(sequence)),
    }
}

fn unknown(sequence: u64) -> Error {
    let what = format!("record {sequence} of the write-ahead log is no block and no batch");
    Error::new(ErrorKind::Corrupt, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back() {
        let mut bytes = block("words", Some("offset 7"), 3).unwrap();
        bytes.extend_from_slice(b"abc");
        let expected = Block {
            records: 3,
            metadata: Some("offset 7".into()),
            head: bytes.len() - 3,
        };
        let read_block = read(5, &bytes).unwrap();
        assert_eq!(read_block, Record::Block("words".to_owned(), expected));
        let streams = [
            (Arc::from("a"), vec![Place::Known(2), Place::New(0)]),
            (Arc::from("b"), vec![Place::New(1)]),
        ];
        let time = BatchTime::from_millis(1000);
        let bytes = batch(time, &streams, 2).unwrap();
        let expected = vec![("a".to_owned(), vec![2, 7]), ("b".to_owned(), vec![8])];
        assert_eq!(read(9, &bytes).unwrap(), Record::Batch(time, expected));
    }

    #[test]
    fn the_bytes_are_for_ever() {
        let bytes = block("s", None, 2).unwrap();
        assert_eq!(bytes, b"\x03\x01s\0\x02");
        let streams = [(Arc::from("s"), vec![Place::Known(4), Place::New(0)])];
        let bytes = batch(BatchTime::from_millis(3), &streams, 1).unwrap();
        assert_eq!(bytes, b"\x02\x06\x01\x01s\x02\0\x04\x01\x01");
    }

    #[test]
    fn other_bytes_are_an_error() {
        for bytes in [
            &b""[..],
            b"\x04",
            b"\x03",
            b"\x02\x06\x01",
            b"\x02\0\x01\x01s\x01\x01\x09",
        ] {
            assert_eq!(read(3, bytes).unwrap_err().kind(), ErrorKind::Corrupt);
        }
        let old = read(3, b"\x01\x01s\0\x02").unwrap_err();
        assert_eq!(old.kind(), ErrorKind::Unsupported);
    }
}
