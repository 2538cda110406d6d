//! What has to come out, by the plainest means: arrays by rank and one table of words,
//! record by record, on one thread.

use std::collections::{BTreeMap, HashMap};

use crate::Result;
use crate::data::{Data, wanted_word};
use crate::definition::{Case, Program, Setting, Size};
use crate::digest::{Digest, mix};
use crate::input::{self, Values, portions, ranks};

/// The results of a case at a size after each of the numbers of batches in `after`,
/// which is sorted.
///
/// # Errors
/// If the input cannot be read.
pub fn results(
    case: &Case,
    program: Program,
    size: &Size,
    data: &Data,
    after: &[usize],
) -> Result<BTreeMap<usize, Digest>> {
    let name = data.input(program, size)?;
    let bytes = input::read(data.path(&name))?;
    let always = |digest: Digest| after.iter().map(|&n| (n, digest)).collect();
    Ok(match program {
        Program::WordCount => always(words(&bytes)),
        Program::Grep => always(lines_with(&bytes, &wanted_word())),
        Program::Live => {
            let once = sent(case, &bytes);
            after.iter().map(|&n| (n, once.times(n as u64))).collect()
        }
        Program::Top => {
            let top = match case.settings.get("top") {
                Some(Setting::Number(top)) => *top as usize,
                _ => return Err(format!("{} needs a number: top", case.name).into()),
            };
            let portions = portions(&bytes, size.batch);
            top_words(&portions[..size.batches], size.window, top, after)
        }
        Program::Window => sums(&ranks(&bytes), size, Values::Ones, after),
        Program::State => sums(&ranks(&bytes), size, Values::ByPlace, after),
    })
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|&byte| byte == b'\n')
        .map(|line| &line[..line.len() - 1])
}

fn count<'t>(text: &'t [u8], counts: &mut HashMap<&'t [u8], i64>, sign: i64) {
    for word in lines(text).flat_map(|line| line.split(|&byte| byte == b' ')) {
        *counts.entry(word).or_default() += sign;
    }
}

/// The words of a text with their counts.
fn words(text: &[u8]) -> Digest {
    let (mut counts, mut digest) = (HashMap::new(), Digest::default());
    count(text, &mut counts, 1);
    for (word, count) in counts {
        digest.word(word, count.cast_unsigned());
    }
    digest
}

/// The number of lines with a word.
fn lines_with(text: &[u8], word: &str) -> Digest {
    let has = |line: &&[u8]| line.windows(word.len()).any(|part| part == word.as_bytes());
    Digest {
        count: lines(text).filter(has).count() as u64,
        sum: 0,
    }
}

/// What is sent with a text: all words as often as they come, or the number of lines.
fn sent(case: &Case, text: &[u8]) -> Digest {
    let lines = lines(text).count() as u64;
    match case.settings.get("work") {
        Some(Setting::Text(work)) if work == "words" => Digest {
            count: lines * crate::generate::WORDS_PER_LINE as u64,
            sum: words(text).sum,
        },
        _ => Digest {
            count: lines,
            sum: 0,
        },
    }
}

fn top_words(
    batches: &[&[u8]],
    window: usize,
    top: usize,
    after: &[usize],
) -> BTreeMap<usize, Digest> {
    let (mut counts, mut results) = (HashMap::new(), BTreeMap::new());
    for n in 1..=after.last().copied().unwrap_or_default() {
        count(batches[(n - 1) % batches.len()], &mut counts, 1);
        if n > window {
            count(batches[(n - 1 - window) % batches.len()], &mut counts, -1);
        }
        if after.contains(&n) {
            let mut all: Vec<_> = counts.iter().map(|(word, count)| (-count, *word)).collect();
            all.sort_unstable();
            let mut digest = Digest::default();
            for (place, (count, word)) in (1..).zip(all.into_iter().take(top)) {
                digest.word(word, place * (-count).cast_unsigned());
            }
            results.insert(n, digest);
        }
    }
    results
}

/// Sums by key, over a window if there is one; without, all keys are there.
fn sums(ranks: &[u32], size: &Size, values: Values, after: &[usize]) -> BTreeMap<usize, Digest> {
    let mut sums = vec![0_i64; size.keys];
    let mut results = BTreeMap::new();
    let add = |sums: &mut Vec<i64>, n: usize, sign| {
        let batch = &ranks[(n % size.batches) * size.batch..][..size.batch];
        for (place, &rank) in batch.iter().enumerate() {
            sums[rank as usize] += sign * values.at(place);
        }
    };
    for n in 1..=after.last().copied().unwrap_or_default() {
        add(&mut sums, n - 1, 1);
        if size.window > 0 && n > size.window {
            add(&mut sums, n - 1 - size.window, -1);
        }
        if after.contains(&n) {
            let mut digest = Digest::default();
            for (rank, &sum) in (0..).zip(&sums) {
                if size.window == 0 || sum != 0 {
                    digest.key(mix(rank), sum);
                }
            }
            results.insert(n, digest);
        }
    }
    results
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_forget_what_left() {
        let size = Size {
            batch: 2,
            batches: 3,
            keys: 4,
            window: 2,
            ..Size::default()
        };
        let of = |sums: &[(u64, i64)]| {
            let mut digest = Digest::default();
            sums.iter()
                .for_each(|&(rank, sum)| digest.key(mix(rank), sum));
            digest
        };
        let ranks = [0, 0, 1, 2, 3, 3];
        let results = sums(&ranks, &size, Values::Ones, &[1, 2, 3, 4]);
        let expected = [
            (1, of(&[(0, 2)])),
            (2, of(&[(0, 2), (1, 1), (2, 1)])),
            (3, of(&[(1, 1), (2, 1), (3, 2)])),
            (4, of(&[(3, 2), (0, 2)])),
        ];
        assert_eq!(results, BTreeMap::from(expected));
    }

    #[test]
    fn top_words_are_ordered_by_count_and_then_by_the_alphabet() {
        let batches = [&b"b a\nb c\n"[..], b"c a\n"];
        let results = top_words(&batches, 2, 2, &[1, 2]);
        let of = |words: [(&str, u64); 2]| {
            let mut digest = Digest::default();
            for (place, (word, count)) in (1..).zip(words) {
                digest.word(word.as_bytes(), place * count);
            }
            digest
        };
        assert_eq!(results[&1], of([("b", 2), ("a", 1)]));
        assert_eq!(results[&2], of([("a", 2), ("b", 2)]));
    }
}
