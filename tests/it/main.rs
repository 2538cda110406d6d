//! The engine through its public face, a module per section of the guide.

#[cfg(feature = "checkpoint")]
mod accumulators_recovered;
#[cfg(feature = "checkpoint")]
mod checkpoint_faults;
#[cfg(feature = "checkpoint")]
mod checkpoint_inspect;
#[cfg(feature = "checkpoint")]
mod checkpoints;
#[cfg(feature = "checkpoint")]
mod checkpoints_evolved;
#[cfg(feature = "checkpoint")]
mod checkpoints_killed;
mod context;
#[cfg(feature = "sqlite")]
mod crash_sqlite_sink;
mod dstream;
mod faults;
mod files;
mod files_exactly_once;
mod helpers;
mod input_source;
mod joins;
mod listeners;
#[cfg(feature = "checkpoint")]
mod memory_limit;
mod odd_files;
mod once;
mod output;
#[path = "../common/own_process.rs"]
mod own_process;
#[cfg(feature = "checkpoint")]
mod persistence;
mod queue;
#[cfg(all(feature = "checkpoint", target_os = "linux"))]
mod released;
mod retries;
mod saved_files;
mod scaling;
mod several_streams;
mod shared;
mod state;
mod stop;
#[cfg(target_os = "linux")]
mod suspended;
mod text;
mod threads;
mod transformations;
mod windows;
#[cfg(feature = "checkpoint")]
mod write_ahead_log;
