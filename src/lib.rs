//! Micro-batch stream processing inside a Rust program.

pub(crate) mod arch;
pub(crate) mod block;
pub mod conf;
pub(crate) mod cpu;
pub mod error;
pub(crate) mod hash;
pub mod id;
pub(crate) mod sync;
pub mod time;

pub use block::{Split, Str};
pub use error::{Error, ErrorKind, Result};
