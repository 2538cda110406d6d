//! `Str`: what it costs to make, copy, compare and hash one.

mod common;

use std::hash::{BuildHasher as _, RandomState};
use std::hint::black_box;

use common::generate::{self, Random};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use millstream::Str;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const N: usize = 1_000;

/// Words that stand inline, and lines that do not.
fn texts() -> [(&'static str, Vec<String>); 2] {
    let words = generate::vocabulary(N, &mut Random::new(generate::SEED));
    let lines = String::from_utf8(generate::text(N)).expect("the words are ASCII");
    [
        ("short", words),
        ("long", lines.lines().map(str::to_owned).collect()),
    ]
}

fn str(c: &mut Criterion) {
    for (kind, texts) in texts() {
        let strs: Vec<Str> = texts.iter().map(|text| Str::from(text.as_str())).collect();
        let again: Vec<Str> = texts.iter().map(|text| Str::from(text.as_str())).collect();
        let mut group = c.benchmark_group(format!("str/{kind}"));
        group.throughput(Throughput::Elements(N as u64));

        assert!(strs.iter().zip(&texts).all(|(a, b)| *a == **b));
        group.bench_function("from", |b| {
            b.iter_with_large_drop(|| -> Vec<Str> {
                texts.iter().map(|text| Str::from(text.as_str())).collect()
            });
        });
        assert_eq!(strs.clone(), strs);
        group.bench_function("clone", |b| b.iter(|| black_box(&strs).clone()));
        let equal = || {
            black_box(&strs)
                .iter()
                .zip(black_box(&again))
                .filter(|(a, b)| a == b)
                .count()
        };
        assert_eq!(equal(), N);
        group.bench_function("eq", |b| b.iter(equal));
        let state = RandomState::new();
        let hash = |strs: &[Str]| strs.iter().fold(0, |sum, s| sum ^ state.hash_one(s));
        assert_eq!(hash(&strs), hash(&again));
        group.bench_function("hash", |b| b.iter(|| hash(black_box(&strs))));
        let compact = |strs: Vec<Str>| strs.into_iter().map(Str::compact).collect::<Vec<_>>();
        assert_eq!(compact(strs.clone()), strs);
        group.bench_function("compact", |b| {
            b.iter_batched(|| strs.clone(), compact, BatchSize::SmallInput);
        });
        group.finish();
    }
}

criterion_group!(benches, str);
criterion_main!(benches);
