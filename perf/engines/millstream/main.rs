//! millstream as an engine: each workload as a program would be written with its
//! public interface. Settings of the environment are honoured and win over the
//! orders, so any experiment with them can be made here.

#[path = "../../../benches/common/driver.rs"]
#[allow(dead_code, reason = "shared with benches that need more of it")]
mod driver;

mod grep;
mod live;
mod overhead;
mod queue;
mod state;
mod streams;
mod top;
mod window;
mod word_count;

use std::process::ExitCode;

use perf_lab::Result;
use perf_lab::protocol::{Engine, Words, serve};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    serve("checkout", prepare)
}

fn prepare(order: &Words) -> Result<Box<dyn Engine>> {
    Ok(match order.text("program")? {
        "word-count" => Box::new(word_count::WordCount::new(order)?),
        "grep" => Box::new(grep::Grep::new(order)?),
        "top" => Box::new(top::Top::new(order)?),
        "window" => Box::new(window::Window::new(order)?),
        "state" => Box::new(state::State::new(order)?),
        "live" => Box::new(live::Live::new(order)?),
        "overhead" => Box::new(overhead::Overhead::new(order)?),
        "streams" => Box::new(streams::Streams::new(order)?),
        other => return Err(format!("there is no program {other}").into()),
    })
}
