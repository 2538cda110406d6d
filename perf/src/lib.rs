//! The performance laboratory of millstream, and what its engines share.
//!
//! An engine is a program of its own that speaks [`protocol`] on its standard input
//! and output. So all engines stay alive, each with its own allocator and threads, and
//! are run in turn. Engines read [`input`]s and tell the [`digest`] of their result;
//! everything else here runs them: [`compare`], [`sweep`], [`curves`].

pub mod args;
pub mod compare;
pub mod cpu;
pub mod curves;
pub mod data;
pub mod definition;
pub mod digest;
pub mod expect;
pub mod facts;
pub mod input;
pub mod lab;
pub mod machine;
pub mod marks;
pub mod plot;
pub mod process;
pub mod protocol;
pub mod record;
pub mod sender;
pub mod spark;
pub mod stats;
pub mod sweep;
pub mod twin;

#[path = "../../benches/common/generate.rs"]
#[allow(dead_code, reason = "shared with benches that need more of it")]
mod generate;

/// What goes wrong here is told to a person, and not acted upon.
pub type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;
