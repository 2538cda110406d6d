//! What is written by hand, as an engine: the yardsticks of the benches, which are
//! plain, good Rust of a page each, and for windows and state also what is still
//! possible with more work (`variant=best`). `variant=bare` only receives: nobody
//! receives faster.

#[path = "../../../benches/common/yardstick/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "shared with benches that need more of it"
)]
mod yardstick;

mod bare;
mod grep;
mod live;
mod radix;
mod state;
mod window;
mod word_count;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use perf_lab::Result;
use perf_lab::digest::Digest;
use perf_lab::input::Pairs;
use perf_lab::protocol::{Done, Engine, Words, serve};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    serve("hashbrown-0.17,memchr-2.8", prepare)
}

fn prepare(order: &Words) -> Result<Box<dyn Engine>> {
    Ok(match (order.text("program")?, order.get("variant")) {
        ("word-count", None) => Box::new(word_count::WordCount::new(order)?),
        ("grep", None) => Box::new(grep::Grep::new(order)?),
        ("live", None) => Box::new(live::Live::new(order)?),
        ("live", Some("bare")) => Box::new(bare::Bare::new(order)?),
        ("window", None) => window::plain(order)?,
        ("window", Some("best")) => window::best(order)?,
        ("state", None) => state::plain(order)?,
        ("state", Some("best")) => state::best(order)?,
        (program, _) => return Err(format!("{program} is not written by hand").into()),
    })
}

/// A loop over batches that come again and again.
struct Loop<S> {
    batches: Vec<Arc<Pairs>>,
    next: usize,
    state: S,
    step: fn(&mut S, &Arc<Pairs>),
    result: fn(&S) -> Digest,
}

impl<S> Loop<S> {
    fn new(
        batches: Vec<Pairs>,
        state: S,
        step: fn(&mut S, &Arc<Pairs>),
        result: fn(&S) -> Digest,
    ) -> Self {
        Self {
            batches: batches.into_iter().map(Arc::new).collect(),
            next: 0,
            state,
            step,
            result,
        }
    }
}

impl<S> Engine for Loop<S> {
    fn run(&mut self, order: &Words) -> Result<Done> {
        let steps: usize = order.number("steps")?;
        let since = Instant::now();
        for _ in 0..steps {
            (self.step)(&mut self.state, &self.batches[self.next]);
            self.next = (self.next + 1) % self.batches.len();
        }
        let time = since.elapsed();
        Ok(Done {
            time,
            digest: (self.result)(&self.state),
            ..Done::default()
        })
    }
}
