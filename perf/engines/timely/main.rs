//! timely-dataflow as an engine. `variant=idiomatic` is the word count as its examples
//! have it, with an owned word in each message; else each program does what helps in
//! timely: it counts before it exchanges, and borrows what it can. All use hashbrown
//! with ahash, and none has kernels of its own: that would be another engine's merit.

#[path = "../../../benches/common/yardstick/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "shared with benches that need more of it"
)]
mod yardstick;

mod cluster;
mod counts;
mod epochs;
mod live;
mod state;
mod window;
mod word_count;

use std::process::ExitCode;

use perf_lab::Result;
use perf_lab::protocol::{Engine, Words, serve};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Tables as the programs use them.
type Map<K, V> = hashbrown::HashMap<K, V, ahash::RandomState>;

fn main() -> ExitCode {
    serve("0.32", prepare)
}

fn prepare(order: &Words) -> Result<Box<dyn Engine>> {
    match (order.text("program")?, order.get("variant")) {
        ("word-count", Some("idiomatic")) => word_count::idiomatic(order),
        ("word-count", None) => word_count::best(order),
        ("live", Some("idiomatic")) => live::idiomatic(order),
        ("live", None) => live::best(order),
        ("window", None) => window::window(order),
        ("state", None) => state::state(order),
        (program, _) => Err(format!("{program} is not written for timely").into()),
    }
}
