//! Micro-batch stream processing inside a Rust program.

pub mod conf;
pub mod error;
pub mod id;
pub mod time;

pub use error::{Error, ErrorKind, Result};
