//! Words of a text with their counts: a vector of bytes at a time, words inline in two
//! machine words, a hashbrown table for each thread and range of hashes.

use std::hash::Hasher as _;
use std::sync::{Barrier, Mutex, PoisonError};

use hashbrown::HashTable;

use super::{Padded, range_of};

/// A word in two machine words: up to 15 bytes, zero-filled, or the address and
/// the length of a longer one under the top bit.
pub(crate) type Word = (u64, u64);

const LONG: u64 = 1 << 63;

fn long_bytes<'t>(word: Word) -> &'t [u8] {
    // SAFETY: long words are made of texts that outlive the tables.
    unsafe { std::slice::from_raw_parts(word.0 as *const u8, (word.1 & !LONG) as usize) }
}

/// Calls `f` with the bytes of a word.
pub(crate) fn with_bytes<R>(word: Word, f: impl FnOnce(&[u8]) -> R) -> R {
    if word.1 & LONG != 0 {
        return f(long_bytes(word));
    }
    let both = u128::from(word.0) | u128::from(word.1) << 64;
    let len = 16 - both.leading_zeros() as usize / 8;
    f(&both.to_le_bytes()[..len])
}

/// The bytes of a word.
pub(crate) fn spell(word: Word) -> Vec<u8> {
    with_bytes(word, <[u8]>::to_vec)
}

#[inline(always)]
fn same(a: Word, b: Word) -> bool {
    #[cold]
    fn same_text(a: Word, b: Word) -> bool {
        long_bytes(a) == long_bytes(b)
    }
    ((a.0 ^ b.0) | (a.1 ^ b.1)) == 0 || (a.1 & b.1 & LONG != 0 && same_text(a, b))
}

#[inline(always)]
fn hash(word: Word) -> u64 {
    #[cold]
    fn hash_text(word: Word) -> u64 {
        let mut hasher = ahash::AHasher::default();
        hasher.write(long_bytes(word));
        hasher.finish()
    }
    if word.1 & LONG != 0 {
        return hash_text(word);
    }
    let wide =
        u128::from(word.0 ^ 0x2d35_8dcc_aa6c_78a5) * u128::from(word.1 ^ 0x8bb8_4b93_962e_acc9);
    (wide as u64) ^ ((wide >> 64) as u64)
}

type Table = HashTable<(u64, u64, u64)>;

#[inline(always)]
fn add(table: &mut Table, hash_of: u64, word: Word, count: u64) {
    match table.find_mut(hash_of, |entry| same((entry.0, entry.1), word)) {
        Some(entry) => entry.2 += count,
        None => {
            table.insert_unique(hash_of, (word.0, word.1, count), |entry| {
                hash((entry.0, entry.1))
            });
        }
    }
}

/// Counts the words of `padded[part]`, into one table per range.
#[inline(always)]
fn count_into(
    padded: &Padded,
    part: std::ops::Range<usize>,
    tables: &mut [Table],
    separators: impl Fn(&[u8; 64]) -> u64,
) {
    let text = padded.bytes();
    let ranges = tables.len();
    let mut start = part.start;
    let mut at = part.start;
    while at < part.end {
        let vector = text[at..at + 64].as_array().expect("there is padding");
        let mut mask = separators(vector);
        if part.end - at < 64 {
            mask &= (1 << (part.end - at)) - 1;
        }
        while mask != 0 {
            let end = at + mask.trailing_zeros() as usize;
            mask &= mask - 1;
            count_word(text, start, end, tables, ranges);
            start = end + 1;
        }
        at += 64;
    }
    if start < part.end {
        count_word(text, start, part.end, tables, ranges);
    }
}

#[inline(always)]
fn count_word(text: &[u8], start: usize, end: usize, tables: &mut [Table], ranges: usize) {
    let len = end - start;
    let word = if len < 16 {
        // SAFETY: there is padding behind the text.
        let bytes = unsafe { text.as_ptr().wrapping_add(start).cast::<[u8; 16]>().read() };
        let word = u128::from_le_bytes(bytes) & ((1 << (len * 8)) - 1);
        (word as u64, (word >> 64) as u64)
    } else {
        (text[start..].as_ptr() as u64, len as u64 | LONG)
    };
    let hash = hash(word);
    let table = if ranges == 1 {
        0
    } else {
        range_of(hash, ranges)
    };
    add(&mut tables[table], hash, word, 1);
}

fn count_portable(padded: &Padded, part: std::ops::Range<usize>, tables: &mut [Table]) {
    count_into(padded, part, tables, |vector| {
        let mut mask = 0;
        for (i, &byte) in vector.iter().enumerate() {
            mask |= u64::from(byte == b' ' || byte == b'\n') << i;
        }
        mask
    });
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::x86_64::{
        _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_or_si256,
        _mm256_set1_epi8, _mm512_cmpeq_epi8_mask, _mm512_loadu_epi8, _mm512_set1_epi8,
    };

    use super::{Padded, Table, count_into};

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,bmi1,bmi2,popcnt,lzcnt")]
    pub(super) fn count_avx512(
        padded: &Padded,
        part: std::ops::Range<usize>,
        tables: &mut [Table],
    ) {
        let space = _mm512_set1_epi8(b' '.cast_signed());
        let feed = _mm512_set1_epi8(b'\n'.cast_signed());
        count_into(padded, part, tables, |vector| {
            // SAFETY: a reference to 64 bytes.
            let bytes = unsafe { _mm512_loadu_epi8(vector.as_ptr().cast()) };
            _mm512_cmpeq_epi8_mask(bytes, space) | _mm512_cmpeq_epi8_mask(bytes, feed)
        });
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
    pub(super) fn count_avx2(padded: &Padded, part: std::ops::Range<usize>, tables: &mut [Table]) {
        let space = _mm256_set1_epi8(b' '.cast_signed());
        let feed = _mm256_set1_epi8(b'\n'.cast_signed());
        count_into(padded, part, tables, |vector| {
            let half = |at: usize| {
                // SAFETY: 32 of the vector's 64 bytes.
                let bytes = unsafe { _mm256_loadu_si256(vector[at..].as_ptr().cast()) };
                let found = _mm256_or_si256(
                    _mm256_cmpeq_epi8(bytes, space),
                    _mm256_cmpeq_epi8(bytes, feed),
                );
                u64::from(_mm256_movemask_epi8(found).cast_unsigned())
            };
            half(0) | half(32) << 32
        });
    }
}

fn count(padded: &Padded, part: std::ops::Range<usize>, tables: &mut [Table]) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vl") {
            // SAFETY: just detected; all such processors have the rest.
            return unsafe { x86_64::count_avx512(padded, part, tables) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi2") {
            // SAFETY: just detected; all such processors have the rest.
            return unsafe { x86_64::count_avx2(padded, part, tables) };
        }
    }
    count_portable(padded, part, tables);
}

/// Counts words on one or more threads, with tables that are kept.
pub(crate) struct WordCount {
    /// `tables[thread][range]`.
    tables: Vec<Vec<Table>>,
}

impl WordCount {
    pub(crate) fn new(threads: usize) -> Self {
        Self {
            tables: (0..threads)
                .map(|_| (0..threads).map(|_| Table::new()).collect())
                .collect(),
        }
    }

    /// All distinct words with their counts, a list per range of hashes.
    pub(crate) fn run(&mut self, text: &Padded) -> Vec<Vec<(Word, u64)>> {
        let threads = self.tables.len();
        let parts = text.parts(threads);
        if threads == 1 {
            let tables = &mut self.tables[0];
            count(text, parts[0].clone(), tables);
            return vec![take_all(&mut tables[0])];
        }
        let counted = Barrier::new(threads);
        let tables: Vec<Mutex<Vec<Table>>> = self.tables.drain(..).map(Mutex::new).collect();
        let lock = |thread: usize| {
            tables[thread]
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        let run = |thread: usize, part: std::ops::Range<usize>| {
            count(text, part, &mut lock(thread));
            counted.wait();
            let mut mine: Vec<Table> = (0..threads)
                .map(|other| std::mem::take(&mut lock(other)[thread]))
                .collect();
            let (into, others) = mine.split_first_mut().expect("there is a thread");
            for other in others {
                for (low, high, count) in other.drain() {
                    add(into, hash((low, high)), (low, high), count);
                }
            }
            let result = take_all(into);
            for (other, table) in mine.into_iter().enumerate() {
                lock(other)[thread] = table;
            }
            result
        };
        let run = &run;
        let results = std::thread::scope(|scope| {
            let mut parts = parts.into_iter().enumerate();
            let first = parts.next();
            let others: Vec<_> = parts
                .map(|(thread, part)| scope.spawn(move || run(thread, part)))
                .collect();
            let mut results: Vec<_> = first
                .map(|(thread, part)| run(thread, part))
                .into_iter()
                .collect();
            for other in others {
                results.push(other.join().expect("counting does not panic"));
            }
            results
        });
        self.tables = tables
            .into_iter()
            .map(|tables| tables.into_inner().unwrap_or_else(PoisonError::into_inner))
            .collect();
        results
    }
}

fn take_all(table: &mut Table) -> Vec<(Word, u64)> {
    table
        .drain()
        .map(|(low, high, count)| ((low, high), count))
        .collect()
}
