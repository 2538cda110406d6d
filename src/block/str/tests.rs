//! `Str` against `String`.

use std::collections::hash_map::DefaultHasher;
use std::hash::BuildHasher;
use std::thread;

use proptest::prelude::*;

use super::*;

fn cases() -> ProptestConfig {
    ProptestConfig {
        cases: if cfg!(miri) { 8 } else { 512 },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Texts around the limit of an inline string, with characters of all widths.
fn texts() -> impl Strategy<Value = String> {
    let chars = prop::sample::select(vec!['a', 'b', ',', ' ', '\0', 'ß', '→', '😀']);
    prop_oneof![
        prop::collection::vec(chars.clone(), 0..8),
        prop::collection::vec(chars, 0..80),
    ]
    .prop_map(String::from_iter)
}

fn std_hash(text: &Str) -> u64 {
    std::hash::BuildHasherDefault::<DefaultHasher>::default().hash_one(text)
}

/// What an iterator gives by `next`, by `fold`, and by `fold` after one `next`.
fn drained<I: Iterator<Item = Str> + Clone>(parts: &I) -> [Vec<Str>; 3] {
    let mut next = Vec::new();
    let mut left = parts.clone();
    for part in left.by_ref() {
        next.push(part);
    }
    assert!(left.next().is_none());
    let mut fold = Vec::new();
    parts.clone().for_each(|part| fold.push(part));
    let mut left = parts.clone();
    let mut mixed: Vec<Str> = left.next().into_iter().collect();
    left.for_each(|part| mixed.push(part));
    [next, fold, mixed]
}

fn splits(text: &Str, separator: char) -> [Vec<Str>; 3] {
    drained(&text.clone().split(separator))
}

/// Texts with white space of all kinds, and what looks like it.
fn spaced() -> impl Strategy<Value = String> {
    let chars = vec![
        'a', 'B', ' ', ' ', '\t', '\n', '\r', '\u{8}', '\u{b}', '\u{c}', '\u{e}', '\u{1f}',
        '\u{85}', '\u{a0}', '\u{2003}', 'ß',
    ];
    let words = prop::sample::select(vec!["word", "fifteen bytes in", "", "Z"]);
    prop_oneof![
        prop::collection::vec(prop::sample::select(chars.clone()), 0..40)
            .prop_map(String::from_iter),
        (
            prop::collection::vec(words, 0..12),
            prop::sample::select(chars)
        )
            .prop_map(|(words, space)| words.join(&String::from(space))),
    ]
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn is_the_text_it_was_made_from(text in texts()) {
        let made = Str::from(text.as_str());
        prop_assert_eq!(made.as_str(), &text);
        prop_assert_eq!(made.as_bytes(), text.as_bytes());
        prop_assert_eq!(&made, text.as_str());
        prop_assert_eq!(&*made, &text);
        prop_assert_eq!(made.len(), text.len());
        prop_assert_eq!(&Str::from(text.clone()), &made);
        prop_assert_eq!(&Str::from(Cow::from(text.as_str())), &made);
        prop_assert_eq!(&text.chars().collect::<Str>(), &made);
        prop_assert_eq!(&made.to_string(), &text);
        prop_assert_eq!(format!("{made:>20}"), format!("{text:>20}"));
        prop_assert_eq!(format!("{made:?}"), format!("{text:?}"));
        prop_assert_eq!(made.compact(), text.as_str());
    }

    #[test]
    fn compares_and_hashes_as_its_text(a in texts(), b in texts()) {
        let (x, y) = (Str::from(a.as_str()), Str::from(b.as_str()));
        prop_assert_eq!(x == y, a == b);
        prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        prop_assert_eq!(x == *b, a == b);
        // The same text in another block.
        let twin = Str::from(a.as_str());
        prop_assert_eq!(&twin, &x);
        prop_assert_eq!(KeyHash::get().hash(&twin), KeyHash::get().hash(&x));
        prop_assert_eq!(std_hash(&twin), std_hash(&x));
        if a != b {
            prop_assert_ne!(std_hash(&x), std_hash(&y));
        }
    }

    #[test]
    fn splits_as_its_text(text in texts(), separator in prop::sample::select(vec![',', ' ', '\0', 'ß', '😀'])) {
        let whole = Str::from(text.as_str());
        let naive: Vec<&str> = text.split(separator).collect();
        for parts in splits(&whole, separator) {
            prop_assert_eq!(&parts, &naive);
            // A part is equal to the same text made anew, in both directions.
            for (part, naive) in parts.iter().zip(&naive) {
                prop_assert_eq!(part, &Str::from(*naive));
                prop_assert_eq!(std_hash(part), std_hash(&Str::from(*naive)));
            }
        }
    }

    #[test]
    fn splits_at_white_space_as_its_text(text in spaced(), separator in prop::sample::select(vec!['\t', 'B', 'ß'])) {
        let whole = Str::from(text.as_str());
        let naive: Vec<&str> = text.split_whitespace().collect();
        for words in drained(&whole.clone().split_whitespace()) {
            prop_assert_eq!(words, &naive[..]);
        }
        prop_assert_eq!(whole.trim(), text.trim());
        prop_assert_eq!(whole.trim_start(), text.trim_start());
        prop_assert_eq!(whole.trim_end(), text.trim_end());
        let once = whole.split_once(separator);
        prop_assert_eq!(
            once.as_ref().map(|(before, behind)| (&**before, &**behind)),
            text.split_once(separator)
        );
        let once = whole.split_once("a\n");
        prop_assert_eq!(
            once.as_ref().map(|(before, behind)| (&**before, &**behind)),
            text.split_once("a\n")
        );
        for part in text.split(separator) {
            let at = part.as_ptr().addr() - text.as_ptr().addr();
            prop_assert_eq!(whole.slice_ref(&whole[at..at + part.len()]), part);
        }
    }

    #[test]
    fn changes_case_as_its_text(text in "[ -~]{0,17}|[ -~]{15}|[@A-\\[`a-{ßÄİ]{0,9}") {
        let whole = Str::from(text.as_str());
        prop_assert_eq!(whole.to_lowercase(), text.to_lowercase());
        prop_assert_eq!(whole.to_uppercase(), text.to_uppercase());
    }

    #[test]
    fn splits_a_part_as_its_text(text in texts()) {
        // Parts that start within a block.
        for line in Str::from(format!("0123456789abcdef ß{text}")).split('ß') {
            let naive: Vec<String> = line.as_str().split(',').map(str::to_owned).collect();
            for parts in splits(&line, ',') {
                prop_assert_eq!(&parts, &naive);
            }
        }
    }
}

const LONG: &str = "a text of more than fifteen bytes, with a long-part-without-spaces in it";

fn block_of(text: &str) -> TextBlock {
    TextBlock::copy_of(text.as_bytes())
}

fn slice(block: &TextBlock, start: usize, end: usize) -> Str {
    // SAFETY: the tests' blocks are ASCII all through.
    unsafe { Str::slice_of(block, start, end) }
}

#[test]
fn the_empty_string() {
    assert_eq!(Str::new(), "");
    assert_eq!(Str::default(), Str::from(""));
    assert_eq!(Str::from('ß'), "ß");
    assert_eq!(Str::new().split(',').collect::<Vec<_>>(), [""]);
}

#[test]
fn long_parts_share_their_block_and_short_ones_do_not() {
    let block = block_of(LONG);
    let line = slice(&block, 0, LONG.len());
    assert!(!block.is_unique());
    let parts: Vec<Str> = line.split(' ').collect();
    let (long, short): (Vec<Str>, Vec<Str>) = parts.into_iter().partition(|part| part.len() > 15);
    assert_eq!(long, ["long-part-without-spaces"]);
    assert!(!block.is_unique());
    let kept: Vec<Str> = long.into_iter().map(Str::compact).collect();
    assert!(block.is_unique());
    assert_eq!(kept, ["long-part-without-spaces"]);
    assert_eq!(short.len(), 11);
}

#[test]
fn a_string_outlives_the_handle_of_its_block() {
    let block = block_of(LONG);
    let part = slice(&block, 2, 30);
    drop(block);
    assert_eq!(part, LONG[2..30]);
}

#[test]
fn strings_are_cloned_and_dropped_across_threads() {
    let rounds = if cfg!(miri) { 20 } else { 10_000 };
    let block = block_of(LONG);
    let line = slice(&block, 0, LONG.len());
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let line = line.clone();
            thread::Builder::new().spawn(move || {
                for _ in 0..rounds {
                    let parts: Vec<Str> = line.clone().split(' ').collect();
                    assert_eq!(parts.len(), 12);
                }
                line
            })
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.unwrap().join().unwrap(), LONG);
    }
    drop(line);
    assert!(block.is_unique());
}

#[test]
fn a_lease_gives_out_references_and_takes_them_back() {
    let block = block_of(LONG);
    let lease = block.lease();
    let made: Vec<Str> = (0..100).map(|at| slice(&block, at % 8, 40)).collect();
    let cloned = made.clone();
    drop(made);
    // What was made under the lease may go on another thread, and after it.
    let elsewhere = thread::Builder::new().spawn(move || drop(cloned)).unwrap();
    let kept = slice(&block, 0, 20);
    drop(lease);
    elsewhere.join().unwrap();
    assert!(!block.is_unique());
    assert_eq!(kept, LONG[..20]);
    drop(kept);
    assert!(block.is_unique());
}

#[test]
fn a_lease_takes_over_references_from_elsewhere() {
    let block = block_of(LONG);
    let before: Vec<Str> = (0..10).map(|_| slice(&block, 0, 40)).collect();
    let lease = block.lease();
    drop(before);
    drop(lease);
    assert!(block.is_unique());
}

#[test]
fn leases_nest_on_one_block_and_on_two() {
    let (one, two) = (block_of(LONG), block_of(LONG));
    let outer = one.lease();
    let a = slice(&one, 0, 20);
    {
        let _same = one.lease();
        let b = a.clone();
        {
            let _other = two.lease();
            // Both the leased block and the one that is not.
            drop((b, slice(&two, 1, 30)));
            let _handle = one.clone();
        }
        drop(a.clone());
    }
    drop(a);
    drop(outer);
    assert!(one.is_unique());
    assert!(two.is_unique());
}

#[test]
fn two_threads_lease_one_block() {
    let rounds = if cfg!(miri) { 10 } else { 1_000 };
    let block = block_of(LONG);
    thread::scope(|scope| {
        let (send, receive) = std::sync::mpsc::sync_channel::<Str>(8);
        let block = &block;
        scope.spawn(move || {
            let _lease = block.lease();
            for _ in 0..rounds {
                send.send(slice(block, 0, 40)).unwrap();
            }
        });
        scope.spawn(move || {
            let _lease = block.lease();
            for text in receive {
                assert_eq!(text, LONG[..40]);
            }
        });
    });
    assert!(block.is_unique());
}

#[test]
fn a_panic_under_a_lease_gives_everything_back() {
    let block = block_of(LONG);
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _lease = block.lease();
        let _part = slice(&block, 0, 40);
        panic!("in user code");
    }));
    assert!(caught.is_err());
    assert!(block.is_unique());
    drop(slice(&block, 0, 40));
    assert!(block.is_unique());
}

#[test]
fn blocks_of_zeros_are_zeros() {
    let block = TextBlock::zeroed(1000);
    assert_eq!(block.capacity(), 1000);
    // SAFETY: zeroed, and nobody writes to it.
    assert_eq!(unsafe { block.slice(0, 1000) }, [0; 1000]);
    assert_eq!(TextBlock::zeroed(0).capacity(), 0);
}

#[test]
fn parts_by_reference_are_not_copied() {
    let block = block_of(LONG);
    let line = slice(&block, 0, LONG.len());
    let part = line.slice_ref(&line[10..40]);
    assert_eq!(part, LONG[10..40]);
    assert_eq!(line.slice_ref(""), "", "whatever it points to");
    drop(line);
    assert!(!block.is_unique());
    drop(part);
    assert!(block.is_unique());
}

#[test]
#[should_panic(expected = "\"other\" is not a part of \"text\"")]
fn a_part_of_another_text_is_refused() {
    let _ = Str::from("text").slice_ref("other");
}
