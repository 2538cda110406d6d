//! The engine through its public face, a module per section of the guide.

mod context;
mod dstream;
mod helpers;
mod joins;
mod output;
#[path = "../common/own_process.rs"]
mod own_process;
mod queue;
mod saved_files;
mod several_streams;
mod shared;
mod stop;
mod text;
mod threads;
mod transformations;
mod windows;
