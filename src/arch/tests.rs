//! Every kernel of every instruction set that this machine has against plain
//! loops over the same bytes.

use proptest::prelude::*;

use super::*;

/// One instantiation of the kernels.
struct Set {
    name: &'static str,
    split_bytes: unsafe fn(&[u8], [u8; 2], &mut Cursor, &mut Buffer<Words>),
    line_ends: unsafe fn(&[u8], &mut Cursor, &mut Places) -> bool,
    terminators: unsafe fn(&[u8]) -> Terminators,
}

macro_rules! set {
    ($name:literal, $($module:ident)::+) => {
        Set {
            name: $name,
            split_bytes: $($module)::+::split_bytes,
            line_ends: $($module)::+::line_ends,
            terminators: $($module)::+::terminators,
        }
    };
}

/// What can run here, and what the callers run.
fn sets() -> Vec<Set> {
    let mut sets = vec![set!("dispatched", super)];
    if !cfg!(miri) {
        // Under miri that is what is dispatched to.
        sets.push(set!("portable", portable));
    }
    #[cfg(target_arch = "x86_64")]
    {
        if x86_64::has_avx2() {
            sets.push(set!("avx2", x86_64::avx2));
        }
        if x86_64::has_avx512() {
            sets.push(set!("avx512", x86_64::avx512));
        }
    }
    sets
}

impl Set {
    /// All pieces, each as its bytes, and how many calls that took.
    fn split(&self, hay: &[u8], separators: [u8; 2]) -> (Vec<Vec<u8>>, usize) {
        let mut pieces = Vec::new();
        let mut calls = 0;
        let (mut cursor, mut out) = (Cursor::default(), Buffer::new());
        while !cursor.done {
            // SAFETY: `sets` looked for the instruction set.
            unsafe { (self.split_bytes)(hay, separators, &mut cursor, &mut out) };
            calls += 1;
            pieces.extend(out.entries().iter().map(|&piece| bytes_of(piece, hay)));
        }
        (pieces, calls)
    }

    /// The ends of lines and of the text, and how many calls that took.
    fn ends(&self, hay: &[u8]) -> (Vec<usize>, usize) {
        let (mut ends, mut calls, mut at) = (Vec::new(), 0, 0);
        let (mut cursor, mut out) = (Cursor::default(), Places::new());
        while !cursor.done {
            // SAFETY: `sets` looked for the instruction set.
            let ascii = unsafe { (self.line_ends)(hay, &mut cursor, &mut out) };
            let next = cursor.at.min(hay.len());
            assert_eq!(ascii, hay[at..next].is_ascii(), "{}", self.name);
            at = next;
            calls += 1;
            ends.extend(out.entries().iter().map(|&end| end as usize));
        }
        (ends, calls)
    }

    fn check(&self, hay: &[u8], separators: [u8; 2]) {
        let name = self.name;
        let naive: Vec<&[u8]> = hay.split(|byte| separators.contains(byte)).collect();
        assert_eq!(self.split(hay, separators).0, naive, "{name}");
        let mut ends = naive_ends(hay);
        ends.push(hay.len());
        assert_eq!(self.ends(hay).0, ends, "{name}");
        // SAFETY: `sets` looked for the instruction set.
        let found = unsafe { (self.terminators)(hay) };
        assert_eq!(found, naive_terminators(hay), "{name}");
    }
}

fn bytes_of(piece: Words, hay: &[u8]) -> Vec<u8> {
    match piece.as_long() {
        Some((start, len)) => {
            assert!(len > SHORT, "a short piece carries its bytes");
            hay[start..start + len].to_vec()
        }
        None => {
            let len = (piece.1 >> 56) as usize;
            let mut bytes = [piece.0.to_le_bytes(), piece.1.to_le_bytes()].concat();
            bytes.truncate(SHORT);
            let rest = bytes.split_off(len);
            assert!(rest.iter().all(|&byte| byte == 0), "zero-filled");
            bytes
        }
    }
}

fn naive_ends(hay: &[u8]) -> Vec<usize> {
    (0..hay.len())
        .filter(|&at| hay[at] == b'\n' || hay[at] == b'\r')
        .collect()
}

fn naive_terminators(hay: &[u8]) -> Terminators {
    let ends = naive_ends(hay);
    let pairs = hay.windows(2).filter(|pair| pair == b"\r\n").count();
    Terminators {
        count: ends.len() - pairs,
        end: ends.last().map_or(0, |last| last + 1),
    }
}

/// The lines of a text as offsets, byte by byte.
fn naive_lines(hay: &[u8]) -> Vec<(usize, usize)> {
    let (mut lines, mut start, mut at) = (Vec::new(), 0, 0);
    while at < hay.len() {
        let len = match hay[at..] {
            [b'\r', b'\n', ..] => 2,
            [b'\r' | b'\n', ..] => 1,
            _ => 0,
        };
        if len > 0 {
            lines.push((start, at));
            start = at + len;
        }
        at += len.max(1);
    }
    if start < hay.len() {
        lines.push((start, hay.len()));
    }
    lines
}

/// Miri takes milliseconds for a byte.
const LONGEST: usize = if cfg!(miri) { 70 } else { 300 };

/// Texts with many separators, with few, and with any bytes.
fn texts() -> impl Strategy<Value = Vec<u8>> {
    let dense = prop::sample::select(b" \n\ra\xff\0".to_vec());
    let sparse = prop_oneof![
        1 => prop::sample::select(b" \n\r".to_vec()),
        20 => any::<u8>(),
    ];
    prop_oneof![
        prop::collection::vec(dense, 0..LONGEST),
        prop::collection::vec(sparse, 0..LONGEST),
    ]
}

fn cases() -> ProptestConfig {
    ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 512 },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #[test]
    fn equal_numbers_are_told(numbers in proptest::array::uniform8(prop_oneof![0..3_u32, u32::MAX - 1..=u32::MAX])) {
        for number in [0, 1, 2, u32::MAX - 1, u32::MAX] {
            prop_assert_eq!(equal(&numbers, number), portable::equal(&numbers, number));
        }
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn kernels_are_their_naive_twins(text in texts(), skip in 0..64_usize) {
        // A start that no vector is aligned to.
        let hay = &text[skip.min(text.len())..];
        for set in sets() {
            for separators in [[b' '; 2], [b' ', b'\n'], [0xff, b'\r']] {
                set.check(hay, separators);
            }
        }
    }

    #[test]
    fn lines_are_those_of_a_naive_reader(text in texts(), stop in 0..20_usize) {
        let mut found = Vec::new();
        lines(&text, |start, end, ascii| {
            assert!(text[start..end].is_ascii() || !ascii, "{start}..{end}");
            assert!(ascii || !text.is_ascii(), "{start}..{end}");
            found.push((start, end));
            true
        });
        let naive = naive_lines(&text);
        prop_assert_eq!(&found, &naive);

        let mut first = Vec::new();
        lines(&text, |start, end, _| {
            first.push((start, end));
            first.len() <= stop
        });
        prop_assert_eq!(&first[..], &naive[..naive.len().min(stop + 1)]);
    }

    #[test]
    fn short_loads_keep_every_byte(text in prop::collection::vec(any::<u8>(), 0..=SHORT)) {
        let piece = load_short(&text);
        prop_assert!(piece.as_long().is_none());
        prop_assert_eq!(bytes_of(piece, &text), text);
    }
}

#[test]
fn every_length_of_all_and_of_no_separators() {
    let lengths: Vec<usize> = if cfg!(miri) {
        vec![0, 1, 64, 65]
    } else {
        (0..=300).collect()
    };
    for set in sets() {
        for &len in &lengths {
            for byte in [b' ', b'\n', b'\r', b'x', 0x80, 0] {
                set.check(&vec![byte; len], [b' '; 2]);
            }
            set.check(&b"\r\n".repeat(len)[..len], [b'\n', b' ']);
        }
    }
}

#[test]
fn every_short_length_at_every_distance_from_the_end() {
    let step = if cfg!(miri) { 5 } else { 1 };
    for set in sets() {
        for len in (0..=20).step_by(step) {
            for behind in (0..=20).step_by(step) {
                let hay = [vec![b'x'; len], vec![b' '], vec![b'y'; behind]].concat();
                set.check(&hay, [b' '; 2]);
            }
        }
    }
}

#[test]
fn more_pieces_than_the_buffer_holds() {
    // Whole vectors of separators fill the buffer up to its last place; the end
    // of the text is one piece more.
    let full = buffer::ENTRIES;
    for (separators, calls) in [(full - 1, 1), (full, 2), (full + 1, 2), (2 * full, 3)] {
        let hay = vec![b','; separators];
        for set in sets() {
            let (pieces, took) = set.split(&hay, [b','; 2]);
            assert_eq!(pieces.len(), separators + 1, "{}", set.name);
            assert!(pieces.iter().all(Vec::is_empty));
            assert_eq!(took, calls, "{} with {separators}", set.name);
            let (ends, took) = set.ends(&vec![b'\n'; separators]);
            assert_eq!(ends.len(), separators + 1);
            assert_eq!(took, calls, "{} with {separators}", set.name);
        }
    }
}

#[test]
#[should_panic(expected = "a cursor belongs to one text")]
fn a_cursor_of_a_longer_text_is_refused() {
    let (mut cursor, mut out) = (Cursor::default(), Buffer::new());
    split_bytes(&[b','; 1000], [b','; 2], &mut cursor, &mut out);
    split_bytes(b"short", [b','; 2], &mut cursor, &mut out);
}
