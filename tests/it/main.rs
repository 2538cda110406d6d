//! The engine through its public face, a module per section of the guide.

mod context;
mod dstream;
mod helpers;
mod joins;
mod output;
mod queue;
mod several_streams;
mod text;
mod threads;
mod transformations;
mod windows;
