//! Micro-batch stream processing inside a Rust program, on one machine.
//!
//! The programming model is that of the Spark Streaming guide (DStreams), at
//! batch intervals from 1 ms up: what arrives in an interval is one batch, and
//! each operation on a [`DStream`] is done to every batch. It is not a cluster,
//! not a store of data, and does not work record by record.
//!
//! # First program
//!
//! ```no_run
//! use millstream::prelude::*;
//!
//! fn main() -> millstream::Result<()> {
//!     let ssc = StreamingContext::builder()
//!         .app_name("NetworkWordCount")
//!         .batch_interval(Duration::from_secs(1))
//!         .build()?;
//!     let lines = ssc.socket_text_stream("localhost:9999")?;
//!     let counts = lines
//!         .flat_map(|line| line.split(' '))
//!         .map(|word| (word, 1u64))
//!         .reduce_by_key(|a, b| a + b);
//!     counts.print();
//!     ssc.start()?;
//!     ssc.await_termination()
//! }
//! ```
//!
//! # Where to look
//!
//! * [`StreamingContext`]: makes inputs and data sets, starts and stops.
//! * [`DStream`]: the operations on streams, with their outputs.
//! * [`Rdd`]: one batch, or a data set; what `transform` and `foreach_rdd` hand
//!   out.
//! * [`Str`]: text in 16 bytes, mostly without a copy. [`Text`]: how records
//!   are printed.
//! * [`receiver`]: sources of your own. [`rdd::format`]: files of your own.
//! * [`shared`]: accumulators, broadcast variables, pools of connections.
//! * [`rate`]: how many records per second the batches can take.
//! * [`conf`]: settings. [`listener`]: what happened. [`time`]: batch times, and
//!   the clock that tests move. [`error`], [`id`]: words that all share.
//! * [`testing`]: a kit for testing programs, without waiting.
//! * [`prelude`]: the names that most programs use.
//! * [`guide`]: chapters. What is lost when something fails, what happens under load, how
//!   to run a program for years, and each call of the Spark guide beside ours.
//!
//! # Features
//!
//! * `checkpoint`, the only one that is on by default: records as bytes
//!   ([`codec`]), and with them `save_as_object_files`; files that are there after a
//!   crash (module `disk`).
//! * `formats`: files of JSON lines and of comma-separated values.
//! * `gzip`: `text_file_stream` reads compressed files.
//! * `serde`: serde's traits for [`Str`]. Comes with `checkpoint` and `formats`.
//! * `signals`: `StreamingContext::stop_on_signals`, which stops at SIGTERM and
//!   Ctrl-C.
//! * `postgres` and `sqlite` are for the examples `postgres_sink` and `sqlite_sink`, and
//!   add nothing to the library.
//!
//! # Environment variables
//!
//! Every setting has one, such as `MILLSTREAM_BATCH_INTERVAL=250ms` or
//! `MILLSTREAM_WORKERS=4`, and it wins over the program. The table is
//! [`conf::KEYS`]; printing [`StreamingContext::conf`] shows what is in force.
//!
//! # What things cost
//!
//! Narrow steps (`map`, `filter`, `flat_map`) run as one loop, with nothing per
//! record that is not yours. `reduce_by_key` moves one entry per key and worker.
//! A received line is a slice of its block, so a long [`Str`] that outlives its
//! batch should be [`compact`](Str::compact)ed. A receiver that has `ring_bytes`
//! waiting stops reading; [`guide::overload`] says what else is bounded. Each operation's page says what it costs.
//!
//! The library sets no global allocator. Its examples and benches run on
//! mimalloc, and so should a program whose speed matters.

// All features together say what is never used.
#![cfg_attr(
    not(feature = "checkpoint"),
    allow(dead_code, reason = "what streams keep is saved by that feature only")
)]

pub(crate) mod arch;
pub(crate) mod block;
#[cfg(feature = "checkpoint")]
pub mod checkpoint;
pub mod codec;
pub mod conf;
pub mod context;
pub(crate) mod cpu;
pub mod disk;
pub mod dstream;
pub mod error;
pub(crate) mod executor;
#[cfg(feature = "fault-inject")]
pub mod fault;
#[cfg(not(feature = "fault-inject"))]
pub(crate) mod fault;
#[cfg(feature = "fuzz")]
#[doc(hidden)]
pub mod fuzz;
pub mod guide;
pub(crate) mod hash;
pub mod id;
pub mod listener;
pub mod prelude;
pub mod rate;
pub mod rdd;
pub mod receiver;
pub(crate) mod scheduler;
pub mod shared;
pub(crate) mod state;
pub(crate) mod sync;
pub(crate) mod task;
pub mod testing;
pub mod time;
#[cfg(feature = "checkpoint")]
pub mod wal;

pub use block::{Split, SplitWhitespace, Str};
pub use context::{StreamingContext, StreamingContextBuilder};
pub use dstream::{
    DStream, Directory, MapWithStateDStream, RddQueue, StateSpec, StreamingContextState,
    UpdateOptions,
};
pub use error::{Error, ErrorKind, Result};
pub use rdd::pipe::Data;
pub use rdd::{InputFile, Rdd, Shown, StorageLevel, Text};
pub use state::{State, StateEntries};

// Compiles the programs in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
