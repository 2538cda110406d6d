//! Micro-batch stream processing inside a Rust program.

pub(crate) mod arch;
pub(crate) mod block;
pub mod conf;
pub mod context;
pub(crate) mod cpu;
pub mod dstream;
pub mod error;
pub(crate) mod executor;
pub(crate) mod hash;
pub mod id;
pub mod listener;
pub mod prelude;
pub mod rdd;
pub mod receiver;
pub(crate) mod scheduler;
pub(crate) mod sync;
pub mod time;

pub use block::{Split, Str};
pub use context::{StreamingContext, StreamingContextBuilder};
pub use dstream::{DStream, RddQueue, StreamingContextState};
pub use error::{Error, ErrorKind, Result};
pub use rdd::pipe::Data;
pub use rdd::{Rdd, Shown, Text};
