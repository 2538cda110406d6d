//! What changed in a partition of state since it was saved, and the bytes that it is
//! saved as.
//!
//! State is saved in *pieces*: what changed since the piece before, or all of it.
//! Read one after the other, from the last one that is all of it, they give the
//! state again.
//!
//! ```text
//! piece    shape    of the records: see `codec::records`
//!          kind     1 byte: 0 what changed, 1 all of it
//!          entries  up to the end
//! entry    kind     1 byte: 0 a key has this state, 1 a key is gone, 2 as 0, with
//!                   the time of its last touch
//!          record   the key and its state; the last one that it had, if it is gone
//!          touched  only of kind 2: a batch time in ms, 8 bytes, little-endian
//! ```
//!
//! Of two entries for one key the later one counts.

use std::fmt;
use std::hash::Hash;
use std::mem;

use super::bits::Bits;
use super::idle::Idle;
use super::table::Table;
use crate::codec::RecordCodec;
use crate::codec::records::{RecordReader, RecordWriter, joined};
use crate::error::{Error, ErrorKind, Result};
use crate::rdd::pipe::Data;
use crate::time::BatchTime;

/// Kinds of pieces.
const CHANGES: u8 = 0;
const ALL: u8 = 1;

/// Kinds of entries.
const SET: u8 = 0;
const GONE: u8 = 1;
const SET_TOUCHED: u8 = 2;

/// Beside this many entries it does not matter that all of it would be fewer.
const FEW: usize = 1024;

/// Notes what changes in one partition.
pub(super) struct Changes<K, S> {
    codec: RecordCodec<(K, S)>,
    /// Places of rows that changed; those that count are `noted`.
    rows: Vec<u32>,
    noted: Bits,
    /// Entries of keys that are gone, and how many. They stand before the rows: a
    /// key that came back has a row.
    gone: RecordWriter<(K, S)>,
    gone_len: usize,
    /// The next piece has to be all of it, so nothing is noted.
    all: bool,
}

impl<K: Data + Hash + Eq, S: Data> Changes<K, S> {
    /// The first piece is all there is.
    pub(super) fn new(codec: RecordCodec<(K, S)>) -> Self {
        Self {
            codec,
            rows: Vec::new(),
            noted: Bits::default(),
            gone: RecordWriter::new(codec),
            gone_len: 0,
            all: true,
        }
    }

    /// Everything may have changed.
    pub(super) fn note_all(&mut self) {
        *self = Self::new(self.codec);
    }

    pub(super) fn is_all(&self) -> bool {
        self.all
    }

    /// Notes the rows that a step changed and, before it ends, those that it removed.
    pub(super) fn note(&mut self, table: &Table<K, S>, changed: impl Iterator<Item = u32>) {
        if self.all {
            return;
        }
        for place in changed {
            if self.noted.insert(place) {
                self.rows.push(place);
            }
        }
        for (place, row) in table.left() {
            self.noted.remove(place);
            if write_entry(&mut self.gone, GONE, row).is_err() {
                // It will be told when all of it is written.
                return self.note_all();
            }
            self.gone_len += 1;
        }
        if self.rows.len() + self.gone_len > table.len().saturating_mul(2) + FEW {
            self.note_all();
        }
    }

    /// The rows have moved together: `moved` has the new place of each old one.
    pub(super) fn rows_moved(&mut self, moved: &[u32]) {
        let old = mem::take(&mut self.noted);
        let noted = &mut self.noted;
        self.rows.retain_mut(|place| {
            let was = mem::replace(place, moved[*place as usize]);
            *place != Table::<K, S>::GONE && old.contains(was) && noted.insert(*place)
        });
    }

    /// Writes the entries of the next piece, which is `all` of it or only what changed. If
    /// that fails, the next one has to be all of it.
    pub(super) fn write(
        &mut self,
        table: &Table<K, S>,
        idle: Option<&Idle>,
        all: bool,
    ) -> Result<RecordWriter<(K, S)>> {
        let codec = self.codec;
        let mut changes = mem::replace(self, Self::new(codec));
        let mut out = match all {
            true => RecordWriter::new(codec),
            false => changes.gone,
        };
        let rows = table.rows();
        let mut set = |place: u32| match (rows.row(place), idle) {
            (None, _) => Ok(()),
            (Some(row), None) => write_entry(&mut out, SET, row),
            (Some(row), Some(idle)) => {
                write_entry(&mut out, SET_TOUCHED, row)?;
                let touched = idle.last(place).as_millis();
                out.bytes.extend(touched.to_le_bytes());
                Ok(())
            }
        };
        if all {
            (0..table.places() as u32).try_for_each(set)?;
        } else {
            for place in changes.rows {
                if changes.noted.contains(place) {
                    changes.noted.remove(place);
                    set(place)?;
                }
            }
        }
        self.all = false;
        Ok(out)
    }
}

fn write_entry<R>(out: &mut RecordWriter<R>, kind: u8, record: &R) -> Result<()> {
    out.bytes.push(kind);
    out.write(record)
}

/// A piece of the entries of all partitions.
pub(super) fn piece<R>(all: bool, entries: &[RecordWriter<R>]) -> Result<Vec<u8>> {
    joined(&[if all { ALL } else { CHANGES }], entries)
}

/// An entry that was read.
pub(super) struct Entry<K, S> {
    pub(super) record: (K, S),
    pub(super) is_gone: bool,
    pub(super) touched: Option<BatchTime>,
}

/// Reads the entries of a piece; tells first whether it is all of the state.
pub(super) fn read_piece<K, S>(
    mut piece: &[u8],
    codec: RecordCodec<(K, S)>,
    mut each: impl FnMut(Entry<K, S>),
) -> Result<()> {
    let mut records = RecordReader::new(codec, &mut piece)?;
    let kind = take_byte(&mut piece)?;
    if kind != CHANGES && kind != ALL {
        return Err(corrupt(&format!("there is no piece of kind {kind}")));
    }
    while !piece.is_empty() {
        let kind = take_byte(&mut piece)?;
        if ![SET, GONE, SET_TOUCHED].contains(&kind) {
            return Err(corrupt(&format!("there is no entry of kind {kind}")));
        }
        let record = records.read(&mut piece)?;
        let touched = match kind {
            SET_TOUCHED => Some(take_time(&mut piece)?),
            _ => None,
        };
        each(Entry {
            record,
            is_gone: kind == GONE,
            touched,
        });
    }
    Ok(())
}

fn take_byte(bytes: &mut &[u8]) -> Result<u8> {
    let (&byte, rest) = bytes
        .split_first()
        .ok_or_else(|| corrupt("it ends too early"))?;
    *bytes = rest;
    Ok(byte)
}

fn take_time(bytes: &mut &[u8]) -> Result<BatchTime> {
    let (time, rest) = bytes
        .split_first_chunk()
        .ok_or_else(|| corrupt("it ends too early"))?;
    *bytes = rest;
    Ok(BatchTime::from_millis(i64::from_le_bytes(*time)))
}

fn corrupt(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("saved state: {what}"))
}

impl<K, S> fmt::Debug for Changes<K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes")
            .field("rows", &self.rows.len())
            .field("gone", &self.gone_len)
            .field("all", &self.all)
            .finish_non_exhaustive()
    }
}
