//! The engine against the hand-written yardsticks, in turn within one process.
//!
//! `cargo bench --bench ratio -- [word_count|grep|all] [--rounds N] [--lines N]`
//!
//! A machine that others use changes its speed between seconds, so only the two
//! times of one round are compared: each line gives the median of the rounds'
//! ratios, and their range. A ratio is the speed of the first against the
//! second: above 1 the first is faster.

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::args;
use common::engine::{self, Grep, Totals, WordCount};
use common::rounds::{interleave, report, report_speed};
use common::yardstick::{self, Padded, Word};
use common::{generate, timed};
use memchr::memmem::Finder;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Args {
    what: String,
    rounds: usize,
    lines: usize,
}

impl Args {
    fn parse() -> Self {
        let mut args = Self {
            what: "all".to_owned(),
            rounds: 15,
            lines: 200_000,
        };
        let (words, is_test) =
            args::read(&mut [("--rounds", &mut args.rounds), ("--lines", &mut args.lines)]);
        if is_test {
            (args.rounds, args.lines) = (1, 20_000);
        }
        for word in words {
            let known = ["word_count", "grep", "all"].contains(&word.as_str());
            assert!(known, "unknown argument {word}: [word_count|grep|all]");
            args.what = word;
        }
        args
    }

    fn wants(&self, what: &str) -> bool {
        self.what == what || self.what == "all"
    }
}

fn totals(counts: &[Vec<(Word, u64)>]) -> Totals {
    Totals {
        words: counts.iter().flatten().map(|&(_, count)| count).sum(),
        distinct: counts.iter().flatten().count() as u64,
    }
}

fn check_words(text: &[u8], padded: &Padded) {
    let mut expected: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    for line in text
        .strip_suffix(b"\n")
        .unwrap_or(text)
        .split(|&b| b == b'\n')
    {
        for word in line.split(|&b| b == b' ') {
            match expected.get_mut(word) {
                Some(count) => *count += 1,
                None => {
                    expected.insert(word.to_vec(), 1);
                }
            }
        }
    }
    for workers in [1, 2] {
        let by_hand: BTreeMap<Vec<u8>, u64> = yardstick::WordCount::new(workers)
            .run(padded)
            .into_iter()
            .flatten()
            .map(|(word, count)| (yardstick::spell(word), count))
            .collect();
        assert!(by_hand == expected, "the yardstick counts wrongly");
        let ssc = engine::workers(workers);
        let by_engine: BTreeMap<Vec<u8>, u64> = engine::count_words(&ssc.text_lines(text), workers)
            .into_iter()
            .flatten()
            .map(|(word, count)| (word.as_bytes().to_vec(), count))
            .collect();
        assert!(by_engine == expected, "the engine counts wrongly");
    }
}

fn word_count(args: &Args) {
    let text = generate::text(args.lines);
    let padded = Padded::new(&text);
    check_words(&text, &padded);
    let expected = totals(&yardstick::WordCount::new(1).run(&padded));

    let mut contexts = [1, 2].map(|workers| WordCount::new(workers, &text));
    let [one, two] = &mut contexts;
    let stream = |count: &mut WordCount| {
        let (time, totals) = timed(|| count.run());
        assert_eq!(totals, expected);
        time
    };
    let rdds = [1, 2].map(|workers| {
        let ssc = engine::workers(workers);
        (ssc.text_lines(&text), workers)
    });
    let rdd = |i: usize| {
        let (lines, workers) = &rdds[i];
        let (time, counts) = timed(|| engine::count_words(lines, *workers));
        assert_eq!(counts.iter().flatten().count() as u64, expected.distinct);
        time
    };
    let mut tables = [1, 2].map(yardstick::WordCount::new);
    let [by_hand_one, by_hand_two] = &mut tables;
    let by_hand = |count: &mut yardstick::WordCount| {
        let (time, totals) = timed(|| totals(&count.run(&padded)));
        assert_eq!(totals, expected);
        time
    };
    let times = interleave(
        args.rounds,
        &mut [
            &mut || stream(one),
            &mut || by_hand(by_hand_one),
            &mut || rdd(0),
            &mut || stream(two),
            &mut || by_hand(by_hand_two),
            &mut || rdd(1),
        ],
    );
    for (i, workers) in [1, 2].into_iter().enumerate() {
        let of = &times[i * 3..];
        report_speed(&format!("word_count/{workers}/engine"), &of[0], args.lines);
        report_speed(&format!("word_count/{workers}/by_hand"), &of[1], args.lines);
        report(&format!("word_count/{workers}"), &of[0], &of[1]);
        report(&format!("word_count_rdd/{workers}"), &of[2], &of[1]);
    }
    report("word_count/scaling/engine", &times[3], &times[0]);
    report("word_count/scaling/by_hand", &times[4], &times[1]);
}

fn grep(args: &Args) {
    let text = generate::text(args.lines);
    let padded = Padded::new(&text);
    let needle = generate::needle(1_000);
    let finder = Finder::new(&needle);
    let expected = text
        .split(|&b| b == b'\n')
        .filter(|line| finder.find(line).is_some())
        .count() as u64;
    assert!(expected > 0, "some lines hold the word");

    let mut contexts = [1, 2].map(|workers| Grep::new(workers, &text, &needle));
    let [one, two] = &mut contexts;
    let check = |(time, found): (Duration, u64)| {
        assert_eq!(found, expected);
        time
    };
    let times = interleave(
        args.rounds,
        &mut [
            &mut || check(timed(|| one.run())),
            &mut || check(timed(|| yardstick::grep_lines(&padded, &finder, 1))),
            &mut || check(timed(|| yardstick::grep_block(&padded, &finder, 1))),
            &mut || check(timed(|| two.run())),
            &mut || check(timed(|| yardstick::grep_lines(&padded, &finder, 2))),
            &mut || check(timed(|| yardstick::grep_block(&padded, &finder, 2))),
        ],
    );
    for (i, workers) in [1, 2].into_iter().enumerate() {
        let of = &times[i * 3..];
        report_speed(&format!("grep/{workers}/engine"), &of[0], args.lines);
        report_speed(&format!("grep/{workers}/by_line"), &of[1], args.lines);
        report_speed(&format!("grep/{workers}/by_block"), &of[2], args.lines);
        report(&format!("grep/{workers}"), &of[0], &of[1]);
        report(&format!("grep_block/{workers}"), &of[0], &of[2]);
    }
    report("grep/scaling/engine", &times[3], &times[0]);
    report("grep/scaling/by_line", &times[4], &times[1]);
}

fn main() {
    let args = Args::parse();
    if args.wants("word_count") {
        word_count(&args);
    }
    if args.wants("grep") {
        grep(&args);
    }
}
