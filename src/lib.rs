//! Micro-batch stream processing inside a Rust program.
