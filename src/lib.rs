//! Micro-batch stream processing inside a Rust program.

pub(crate) mod cpu;
