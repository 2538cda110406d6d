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

use std::collections::BTreeMap;
use std::fmt;
use std::hash::Hash;
use std::mem;

use super::bits::Bits;
use super::idle::Idle;
use super::table::Table;
use super::undo::Undo;
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
    /// Places of rows that changed.
    noted: Places,
    /// Entries of keys that are gone, and how many. They stand before the rows: a
    /// key that came back has a row.
    gone: RecordWriter<(K, S)>,
    gone_len: usize,
    /// The next piece has to be all of it, so nothing is noted.
    all: bool,
    /// The piece that is being written.
    writing: Option<Writing<K, S>>,
    /// The places of the last one that was written: none, and the memory for some.
    spare: Bits,
}

/// A set of places, and how many they are.
#[derive(Default)]
struct Places {
    bits: Bits,
    len: usize,
}

/// What is written at a time: no batch has to wait for long.
#[derive(Clone, Copy)]
pub(super) struct Most {
    pub(super) rows: usize,
    pub(super) bytes: usize,
}

/// A piece of a partition as it was behind one batch. Its rows are written while later
/// batches run; one that changes a row that is not written yet writes what it was.
pub(super) struct Writing<K, S> {
    number: u64,
    /// The rows that are not written yet; there are none before `from`.
    left: Bits,
    from: u32,
    /// Why it cannot be written.
    failed: Option<Error>,
    out: RecordWriter<(K, S)>,
}

impl<K: Data + Hash + Eq, S: Data> Changes<K, S> {
    /// The first piece is all there is.
    pub(super) fn new(codec: RecordCodec<(K, S)>) -> Self {
        Self {
            codec,
            noted: Places::default(),
            gone: RecordWriter::new(codec),
            gone_len: 0,
            all: true,
            writing: None,
            spare: Bits::default(),
        }
    }

    /// Everything may have changed.
    pub(super) fn note_all(&mut self) {
        self.noted = Places::default();
        self.gone = RecordWriter::new(self.codec);
        self.gone_len = 0;
        self.all = true;
    }

    /// As [`note_all`](Self::note_all), and nobody ends the piece that was begun.
    pub(super) fn give_up(&mut self) {
        self.writing = None;
        self.note_all();
    }

    /// Whether the next piece has to be all of it.
    pub(super) fn must_be_all(&self) -> bool {
        // What is in a piece that nobody ended is noted nowhere else.
        self.all || self.writing.is_some()
    }

    /// Notes the rows that a step changed and removed, when it has changed them all. It may
    /// still be taken back.
    pub(super) fn note(&mut self, table: &Table<K, S>, undo: &Undo<S>, idle: Option<&Idle>) {
        if let Some(writing) = &mut self.writing {
            writing.write_former(table, undo, idle);
        }
        if self.all {
            return;
        }
        // Where a key's or a state's own code fails, it is told when all of it is written.
        if Error::caught("saving state", || self.note_gone(table)).is_err() {
            return self.note_all();
        }
        let touched = idle.into_iter().flat_map(Idle::touched);
        let changed = undo.changed().chain(touched.map(|(place, _)| place));
        let has_removed = !table.is_settled();
        for place in changed {
            if !has_removed || table.is_live(place) {
                self.noted.insert(place);
            }
        }
        if self.len() > table.len().saturating_mul(2) + FEW {
            self.note_all();
        }
    }

    fn note_gone(&mut self, table: &Table<K, S>) -> Result<()> {
        for (place, row) in table.left() {
            self.noted.remove(place);
            write_entry(&mut self.gone, GONE, row)?;
            self.gone_len += 1;
        }
        Ok(())
    }

    /// The step is about to be taken back: rows that it removed come back, and those that it
    /// added go.
    pub(super) fn note_taken_back(&mut self, table: &Table<K, S>, undo: &Undo<S>) {
        if self.all {
            return;
        }
        for (place, _) in table.left() {
            self.noted.insert(place);
        }
        for &place in undo.inserted() {
            self.noted.remove(place);
        }
    }

    /// How many entries the next piece has, unless it has to be all of it.
    pub(super) fn len(&self) -> usize {
        self.noted.len + self.gone_len
    }

    /// The rows have moved together: `moved` has the new place of each old one.
    pub(super) fn rows_moved(&mut self, moved: &[u32]) {
        self.noted.bits.rows_moved(moved);
        if let Some(writing) = &mut self.writing {
            writing.left.rows_moved(moved);
            writing.from = 0;
        }
    }

    /// Begins the next piece, which is `all` of it or only what changed.
    pub(super) fn begin(&mut self, table: &Table<K, S>, number: u64, all: bool) {
        let empty = Places {
            bits: mem::take(&mut self.spare),
            len: 0,
        };
        let noted = mem::replace(&mut self.noted, empty);
        let gone = mem::replace(&mut self.gone, RecordWriter::new(self.codec));
        (self.gone_len, self.all) = (0, false);
        let (left, out) = match all {
            true => (table.live().clone(), RecordWriter::new(self.codec)),
            false => (noted.bits, gone),
        };
        self.writing = Some(Writing {
            number,
            left,
            from: 0,
            failed: None,
            out,
        });
    }

    /// The piece with that number, if it is the one that is being written.
    pub(super) fn writing(&mut self, number: u64) -> Option<&mut Writing<K, S>> {
        self.any_writing().filter(|it| it.number == number)
    }

    pub(super) fn any_writing(&mut self) -> Option<&mut Writing<K, S>> {
        self.writing.as_mut()
    }

    /// Ends the piece with that number, all rows of which are written.
    ///
    /// # Errors
    /// If one could not be, and the next piece has to be all of it then; or if the piece was
    /// given up.
    pub(super) fn end(&mut self, number: u64) -> Result<RecordWriter<(K, S)>> {
        let writing = self.writing.take_if(|it| it.number == number);
        let mut writing = writing.ok_or_else(given_up)?;
        if let Some(error) = writing.failed {
            self.note_all();
            return Err(error);
        }
        debug_assert_eq!(writing.left.take_from(0), None, "all rows are written");
        self.spare = writing.left;
        Ok(writing.out)
    }
}

impl<K: Data + Hash + Eq, S: Data> Writing<K, S> {
    /// Writes what rows were that the step has changed. Those that it added are none of this
    /// piece, and those that it removed are as they were, or among those that it changed
    /// before.
    fn write_former(&mut self, table: &Table<K, S>, undo: &Undo<S>, idle: Option<&Idle>) {
        let touched = || idle.into_iter().flat_map(Idle::touched);
        self.try_to(|writing| {
            let Writing { left, out, .. } = writing;
            let was_touched: BTreeMap<_, _> = touched()
                .filter(|&(place, _)| left.contains(place))
                .collect();
            let last = |place| {
                let before = was_touched.get(&place).copied();
                before.or_else(|| Some(idle?.last(place)))
            };
            // The oldest change of a row comes first.
            for (place, old) in undo.replaced() {
                if left.remove(place) {
                    let key = table.row_or_left(place).0.clone();
                    write_set(out, &(key, old.clone()), last(place))?;
                }
            }
            let removed = table.left().map(|(place, _)| place);
            for place in removed.chain(was_touched.keys().copied()) {
                if left.remove(place) {
                    write_set(out, table.row_or_left(place), last(place))?;
                }
            }
            Ok(())
        });
    }

    /// Writes the next rows; whether there are more.
    pub(super) fn write_some(
        &mut self,
        table: &Table<K, S>,
        idle: Option<&Idle>,
        most: Most,
    ) -> bool {
        let mut is_more = self.failed.is_none();
        let bytes = self.out.bytes.len().saturating_add(most.bytes);
        self.try_to(|writing| {
            for _ in 0..most.rows {
                if writing.out.bytes.len() > bytes {
                    break;
                }
                let Some(place) = writing.left.take_from(writing.from) else {
                    is_more = false;
                    break;
                };
                writing.from = place;
                let last = idle.map(|idle| idle.last(place));
                write_set(&mut writing.out, table.row_or_left(place), last)?;
            }
            Ok(())
        });
        is_more && self.failed.is_none()
    }

    /// Runs what calls a key's or a state's own code, unless that has failed before.
    fn try_to(&mut self, code: impl FnOnce(&mut Self) -> Result<()>) {
        if self.failed.is_none() {
            self.failed = Error::caught("saving state", || code(self)).err();
        }
    }
}

impl Places {
    #[inline]
    fn insert(&mut self, place: u32) {
        self.len += usize::from(self.bits.insert(place));
    }

    fn remove(&mut self, place: u32) {
        self.len -= usize::from(self.bits.remove(place));
    }
}

fn write_set<K, S>(
    out: &mut RecordWriter<(K, S)>,
    row: &(K, S),
    touched: Option<BatchTime>,
) -> Result<()> {
    let Some(touched) = touched else {
        return write_entry(out, SET, row);
    };
    write_entry(out, SET_TOUCHED, row)?;
    out.bytes.extend(touched.as_millis().to_le_bytes());
    Ok(())
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

/// Another piece was begun, or the state is another one.
pub(super) fn given_up() -> Error {
    Error::illegal_state("what was being saved of the state was given up")
}

fn corrupt(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("saved state: {what}"))
}

impl<K, S> fmt::Debug for Changes<K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes")
            .field("noted", &self.noted.len)
            .field("gone", &self.gone_len)
            .field("all", &self.all)
            .finish_non_exhaustive()
    }
}
