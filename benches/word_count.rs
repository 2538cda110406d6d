//! The word count in memory, on the engine and by hand, with one and two
//! workers. Their ratio is better taken from the `ratio` bench, which runs the
//! two in turn.

mod common;

use common::engine::{self, Totals};
use common::generate;
use common::yardstick::{self, Padded};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const LINES: usize = 200_000;

fn word_count(c: &mut Criterion) {
    let text = generate::text(LINES);
    let padded = Padded::new(&text);
    for workers in [1, 2] {
        let mut group = c.benchmark_group(format!("word_count/{workers}"));
        group.sample_size(20);
        group.throughput(Throughput::Elements(LINES as u64));

        let mut count = yardstick::WordCount::new(workers);
        let mut by_hand = || {
            let counts = count.run(&padded);
            Totals {
                words: counts.iter().flatten().map(|&(_, count)| count).sum(),
                distinct: counts.iter().flatten().count() as u64,
            }
        };
        let expected = by_hand();
        assert_eq!(expected.words, (LINES * generate::WORDS_PER_LINE) as u64);
        group.bench_function("hand_written", |b| b.iter(&mut by_hand));

        let mut count = engine::WordCount::new(workers, &text);
        assert_eq!(count.run(), expected);
        group.bench_function("millstream", |b| b.iter(|| count.run()));
        group.finish();
    }
}

criterion_group!(benches, word_count);
criterion_main!(benches);
