//! The hand-written programs that the engine is measured against: plain, good
//! Rust of about a page each, without the engine.

use std::hash::Hasher as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Barrier, Mutex, PoisonError};

use hashbrown::HashTable;
use memchr::memmem::Finder;

/// Bytes behind a text, so that any word in it can be loaded whole.
const PADDING: usize = 64;

/// Text with room behind it for whole vectors.
pub(crate) struct Padded {
    bytes: Vec<u8>,
    len: usize,
}

impl Padded {
    pub(crate) fn new(text: &[u8]) -> Self {
        let mut bytes = text.to_vec();
        bytes.resize(text.len() + PADDING, 0);
        Self {
            bytes,
            len: text.len(),
        }
    }

    pub(crate) fn text(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// The text in `n` parts of whole lines.
    fn parts(&self, n: usize) -> Vec<std::ops::Range<usize>> {
        let mut start = 0;
        (1..=n)
            .map(|i| {
                let near = (self.len * i / n).max(start);
                let end = memchr::memchr(b'\n', &self.text()[near..])
                    .map_or(self.len, |at| near + at + 1);
                let part = start..end;
                start = end;
                part
            })
            .collect()
    }
}

/// A word in two machine words: up to 15 bytes, zero-filled, or the address and
/// the length of a longer one under the top bit.
pub(crate) type Word = (u64, u64);

const LONG: u64 = 1 << 63;

fn long_bytes<'t>(word: Word) -> &'t [u8] {
    // SAFETY: long words are made of texts that outlive the tables.
    unsafe { std::slice::from_raw_parts(word.0 as *const u8, (word.1 & !LONG) as usize) }
}

/// The bytes of a word.
pub(crate) fn spell(word: Word) -> Vec<u8> {
    if word.1 & LONG != 0 {
        return long_bytes(word).to_vec();
    }
    let bytes = [word.0.to_le_bytes(), word.1.to_le_bytes()].concat();
    let len = bytes.iter().position(|&byte| byte == 0).unwrap_or(16);
    bytes[..len].to_vec()
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

/// Which of `n` ranges a hash is in, by bits that a table does not use.
#[inline(always)]
fn range_of(hash: u64, n: usize) -> usize {
    ((((hash >> 24) & 0xffff_ffff) * n as u64) >> 32) as usize
}

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
    let text = &padded.bytes[..];
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

/// Counts the lines that hold a word, line by line.
pub(crate) fn grep_lines(text: &Padded, finder: &Finder<'_>, threads: usize) -> u64 {
    on_threads(text, threads, |part| {
        let mut start = 0;
        let mut found = 0;
        for end in memchr::memchr_iter(b'\n', part) {
            found += u64::from(finder.find(&part[start..end]).is_some());
            start = end + 1;
        }
        if start < part.len() {
            found += u64::from(finder.find(&part[start..]).is_some());
        }
        found
    })
}

/// Counts the lines that hold a word, searching the whole text for it.
pub(crate) fn grep_block(text: &Padded, finder: &Finder<'_>, threads: usize) -> u64 {
    on_threads(text, threads, |part| {
        let mut at = 0;
        let mut found = 0;
        while let Some(next) = finder.find(&part[at..]) {
            found += 1;
            // The rest of the line counts no more.
            match memchr::memchr(b'\n', &part[at + next..]) {
                Some(end) => at += next + end + 1,
                None => break,
            }
        }
        found
    })
}

fn on_threads(text: &Padded, threads: usize, body: impl Fn(&[u8]) -> u64 + Sync) -> u64 {
    let bytes = text.text();
    let body = &body;
    std::thread::scope(|scope| {
        let mut parts = text.parts(threads).into_iter();
        let first = parts.next().unwrap_or_default();
        let others: Vec<_> = parts
            .map(|part| scope.spawn(move || body(&bytes[part])))
            .collect();
        let mut sum = body(&bytes[first]);
        for other in others {
            sum += other.join().expect("searching does not panic");
        }
        sum
    })
}

/// Sends `text` over a loopback socket and receives it into one buffer, as fast
/// as that goes; gives the number of bytes received.
pub(crate) fn receive(text: &[u8], buffer: usize) -> std::io::Result<usize> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let address = listener.local_addr()?;
    std::thread::scope(|scope| {
        let sender = scope.spawn(move || -> std::io::Result<()> {
            let (mut to, _) = listener.accept()?;
            std::io::Write::write_all(&mut to, text)
        });
        let mut from = TcpStream::connect(address)?;
        let mut buffer = vec![0; buffer];
        let mut bytes = 0;
        loop {
            let n = std::io::Read::read(&mut from, &mut buffer)?;
            if n == 0 {
                break;
            }
            bytes += n;
        }
        sender.join().expect("sending does not panic")?;
        Ok(bytes)
    })
}
