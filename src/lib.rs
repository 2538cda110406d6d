//! Micro-batch stream processing inside a Rust program.

pub(crate) mod arch;
pub(crate) mod block;
pub mod conf;
pub(crate) mod cpu;
pub mod error;
pub(crate) mod executor;
pub(crate) mod hash;
pub mod id;
pub mod rdd;
pub(crate) mod sync;
pub mod time;

pub use block::{Split, Str};
pub use rdd::pipe::Data;
pub use rdd::{Rdd, Shown, Text};
pub use error::{Error, ErrorKind, Result};
