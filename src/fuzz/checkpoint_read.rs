//! Checkpoints that were damaged, or made up.

use std::path::Path;
use std::sync::Arc;

use super::take;
use crate::block::Str;
use crate::checkpoint::{Recovered, Store};
use crate::codec::frame::{write_end, write_frame};
use crate::codec::records::RecordReader;
use crate::codec::{Codec, RecordCodec};
use crate::disk::Disk;
use crate::disk::sim::SimDisk;

const DIR: &str = "/checkpoints";

/// What the file of a checkpoint begins with.
const MAGIC: &[u8] = b"msckpt\x03\x00";

/// The batch time of the file, in its name.
const TIME: i64 = 1000;

/// Reads a checkpoint of these bytes, or of frames that have good checksums and whatever in
/// them. What is recovered is what stands in the frames, and is the same each time. Its
/// pieces are records of any shape, or an error.
pub fn checkpoint_read(mut input: &[u8]) {
    let [shape] = take(&mut input);
    let frames = if shape == 0 {
        Vec::new()
    } else {
        frames(input, shape)
    };
    let bytes = match shape {
        0 => input.to_vec(),
        _ => file(&frames),
    };
    let disk = SimDisk::new();
    let first = recover(&disk, &bytes);
    let second = recover(&disk, &bytes);
    assert_eq!(format!("{first:?}"), format!("{second:?}"));
    let (Ok(Some(recovered)), [pieces @ .., contents]) = (first, &*frames) else {
        return;
    };
    assert_eq!(recovered.time.as_millis(), TIME);
    let (_, _, _, streams, _) = decode(contents).expect("it was decoded before");
    for (at, (uid, kind, _, _, places)) in streams.iter().enumerate() {
        // Of two with one name the last one counts.
        let Some(stream) = recovered.streams.get(uid) else {
            panic!("{uid:?} is missing");
        };
        if streams.iter().rposition(|stream| stream.0 == *uid) != Some(at) {
            continue;
        }
        assert_eq!(stream.kind, *kind);
        assert_eq!(stream.pieces.len(), places.len());
        for (piece, &(time, file, first, count)) in stream.pieces.iter().zip(places) {
            assert_eq!((piece.time.as_millis(), file), (time, TIME));
            let parts = &pieces[first as usize..][..count as usize];
            assert_eq!(piece.bytes, parts.concat());
            read_records(&piece.bytes);
        }
    }
}

/// Reads a piece as records of some type.
fn read_records(mut bytes: &[u8]) {
    let codec = RecordCodec::<(Str, Vec<Option<(u64, char)>>)>::new();
    if let Ok(mut records) = RecordReader::new(codec, &mut bytes) {
        let _ = records.read_all(bytes, drop);
    }
}

type Place = (i64, i64, u32, u32);
type Stream = (String, String, bool, Option<u64>, Vec<Place>);
type Contents = (
    (i64, i64, u64),
    (String, Vec<(String, String)>),
    ((u64, u64, u32), u64),
    Vec<Stream>,
    Vec<(String, String, Vec<u8>)>,
);

fn decode(mut bytes: &[u8]) -> Option<Contents> {
    Contents::decode(&mut bytes).ok()
}

fn recover(disk: &SimDisk, bytes: &[u8]) -> Result<Option<Recovered>, String> {
    let store = Store::open(&(Arc::new(disk.clone()) as Arc<dyn Disk>), Path::new(DIR));
    let store = store.map_err(|error| error.to_string())?;
    let path = Path::new(DIR).join(format!("checkpoint-{TIME}"));
    if disk.open(&path).is_err() {
        let mut file = disk.create(&path).map_err(|error| error.to_string())?;
        file.append(bytes).map_err(|error| error.to_string())?;
    }
    store.recover().map_err(|error| error.to_string())
}

/// The input in frames of as many bytes as `shape` says; the last one has all the rest.
fn frames(input: &[u8], shape: u8) -> Vec<Vec<u8>> {
    let len = usize::from(shape >> 2).max(1);
    let count = usize::from(shape & 3);
    let front = input.len().min(len * count);
    let (front, rest) = input.split_at(front);
    let mut frames: Vec<_> = front.chunks(len).map(<[u8]>::to_vec).collect();
    if !rest.is_empty() {
        frames.push(rest.to_vec());
    }
    frames
}

fn file(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    let written = frames
        .iter()
        .try_for_each(|frame| write_frame(&mut bytes, frame));
    let written = written.and_then(|()| write_end(&mut bytes));
    written.expect("memory takes everything");
    bytes
}
