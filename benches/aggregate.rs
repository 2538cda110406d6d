//! `reduce_by_key` over tables that fit a cache, hardly fit one, and do not.

mod common;

use common::{engine, generate};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use millstream::Rdd;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The sum of all counts, and the number of keys.
fn reduce(records: &Rdd<(u64, u64)>, partitions: usize) -> (u64, u64) {
    let counts = records.clone().reduce_by_key_into(|a, b| a + b, partitions);
    let sum = counts
        .clone()
        .map(|(_, count)| count)
        .reduce(|a, b| a + b)
        .expect("adding does not fail");
    let keys = counts.count().expect("counting does not fail");
    (sum.unwrap_or_default(), keys)
}

fn aggregate(c: &mut Criterion) {
    for (name, n, distinct) in [
        ("1k", 1_000_000, 1_000),
        ("100k", 1_000_000, 100_000),
        ("10M", 10_000_000, 10_000_000),
    ] {
        let mut group = c.benchmark_group(format!("aggregate/{name}"));
        group.throughput(Throughput::Elements(n as u64));
        if n > 1_000_000 {
            group.sample_size(10);
        }
        for (kind, keys) in [
            ("uniform", generate::uniform_keys(n, distinct)),
            ("zipf", generate::zipf_keys(n, distinct)),
        ] {
            let expected = {
                let mut keys = keys.clone();
                keys.sort_unstable();
                keys.dedup();
                (n as u64, keys.len() as u64)
            };
            for workers in [1, 2] {
                let ssc = engine::workers(workers);
                let records = ssc.parallelize(keys.iter().map(|&key| (key, 1)), 8);
                assert_eq!(reduce(&records, workers), expected);
                group.bench_function(format!("{kind}/{workers}"), |b| {
                    b.iter(|| reduce(&records, workers));
                });
            }
        }
        group.finish();
    }
}

criterion_group!(benches, aggregate);
criterion_main!(benches);
