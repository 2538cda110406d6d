//! Splitting lines into words: the byte kernels behind `Str::split`.

mod common;

use std::hint::black_box;

use common::generate;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use millstream::Str;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const LINES: usize = 10_000;

/// The sum of the words' lengths, which no compiler can do without the words.
fn words(lines: impl Iterator<Item = Str>) -> (usize, usize) {
    lines
        .flat_map(|line| line.split(' '))
        .fold((0, 0), |(count, bytes), word| {
            (count + 1, bytes + word.len())
        })
}

fn tokenize(c: &mut Criterion) {
    let text = String::from_utf8(generate::text(LINES)).expect("the words are ASCII");
    let one = Str::from(text.trim_end().replace('\n', " "));
    let lines: Vec<Str> = text.lines().map(Str::from).collect();
    let expected = (
        LINES * generate::WORDS_PER_LINE,
        text.len() - LINES * generate::WORDS_PER_LINE,
    );

    let mut group = c.benchmark_group("tokenize");
    group.throughput(Throughput::Bytes(text.len() as u64));
    assert_eq!(words(std::iter::once(one.clone())), expected);
    group.bench_function("one_text", |b| {
        b.iter(|| words(std::iter::once(black_box(&one).clone())));
    });
    assert_eq!(words(lines.iter().cloned()), expected);
    group.bench_function("lines", |b| {
        b.iter_batched_ref(
            || lines.clone(),
            |lines| words(lines.drain(..)),
            BatchSize::LargeInput,
        );
    });
    let at_white_space = |lines: &mut Vec<Str>| {
        let words = lines.drain(..).flat_map(Str::split_whitespace);
        words.fold((0, 0), |(count, bytes), word| {
            (count + 1, bytes + word.len())
        })
    };
    assert_eq!(at_white_space(&mut lines.clone()), expected);
    group.bench_function("white_space", |b| {
        b.iter_batched_ref(|| lines.clone(), at_white_space, BatchSize::LargeInput);
    });
    let in_lower_case = |lines: &mut Vec<Str>| {
        let words = lines.drain(..).flat_map(|line| line.split(' '));
        words.fold(0, |bytes, word| bytes + word.to_lowercase().len())
    };
    assert_eq!(in_lower_case(&mut lines.clone()), expected.1);
    group.bench_function("lower_case", |b| {
        b.iter_batched_ref(|| lines.clone(), in_lower_case, BatchSize::LargeInput);
    });
    let by_std = || {
        black_box(&text)
            .lines()
            .flat_map(|line| line.split(' '))
            .fold((0, 0), |(count, bytes), word| {
                (count + 1, bytes + word.len())
            })
    };
    assert_eq!(by_std(), expected);
    group.bench_function("std", |b| b.iter(by_std));
    let at_white_space_by_std = || {
        black_box(&text)
            .split_whitespace()
            .fold((0, 0), |(count, bytes), word| {
                (count + 1, bytes + word.len())
            })
    };
    assert_eq!(at_white_space_by_std(), expected);
    group.bench_function("white_space_std", |b| b.iter(at_white_space_by_std));
    group.finish();
}

criterion_group!(benches, tokenize);
criterion_main!(benches);
