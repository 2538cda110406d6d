//! What most programs use: `use millstream::prelude::*;`.

pub use crate::block::Str;
pub use crate::context::StreamingContext;
pub use crate::dstream::{DStream, RddQueue, StateSpec};
pub use crate::rdd::{Data, Rdd, Text};
pub use crate::state::State;
pub use crate::time::{BatchTime, Duration};
