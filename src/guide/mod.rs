//! From the Spark Streaming guide to this crate, section by section.
//!
//! The sections are those of the
//! [guide](https://spark.apache.org/docs/3.0.0/streaming-programming-guide.html).
//! [`porting`] has every call of it beside ours, [`differences`] says where this
//! crate departs from Spark on purpose, [`outputs`] what arrives outside when a process
//! ends at any moment, [`overload`] what happens when more comes in than can be processed,
//! [`fault_tolerance`] what is lost when something fails, [`deploying`] how to run a
//! program for years, and [`performance`] how to tune it.
//!
//! | section of the guide | here |
//! | --- | --- |
//! | A Quick Example | [crate page](crate), `examples/network_wordcount.rs` |
//! | Linking | [features](crate#features) |
//! | Initializing StreamingContext | [`StreamingContext`](crate::StreamingContext), [`StreamingContextBuilder`](crate::StreamingContextBuilder), [`conf`](crate::conf) |
//! | Discretized Streams (DStreams) | [`DStream`](crate::DStream), [`Rdd`](crate::Rdd) |
//! | Input DStreams and Receivers | [input streams](crate::StreamingContext#input-streams) |
//! | Custom Receivers | [`receiver`](crate::receiver) |
//! | Transformations on DStreams | [transformations](crate::DStream#transformations), [operations on pairs](crate::DStream#operations-on-pairs) |
//! | UpdateStateByKey, mapWithState | [`update_state_by_key`](crate::DStream::update_state_by_key), [`map_with_state`](crate::DStream::map_with_state) |
//! | Transform Operation | [`transform`](crate::DStream::transform), [`transform_with`](crate::DStream::transform_with) |
//! | Window Operations | [window operations](crate::DStream#window-operations) |
//! | Join Operations | [`join`](crate::DStream::join), [`left_outer_join`](crate::DStream::left_outer_join), [`cogroup`](crate::DStream::cogroup) |
//! | Output Operations on DStreams | [output operations](crate::DStream#output-operations), [`outputs`] |
//! | DataFrame and SQL, MLlib | not yet |
//! | Caching / Persistence | [persistence](crate::DStream#persistence) |
//! | Checkpointing | [checkpoints](crate::StreamingContext#checkpoints), [`fault_tolerance`] |
//! | Accumulators, Broadcast Variables, and Checkpoints | [shared variables](crate::StreamingContext#shared-variables), `examples/recoverable_network_wordcount.rs` |
//! | Deploying Applications, Upgrading Application Code | [`deploying`] |
//! | Deploying Applications: maximum rate, back-pressure | [`overload`] |
//! | Monitoring Applications | [`listener`](crate::listener) |
//! | Performance Tuning: batch processing times, batch interval, memory | [`performance`], [`overload`] |
//! | Fault-tolerance Semantics | [`fault_tolerance`], [`outputs`] |

#[doc = include_str!("porting.md")]
pub mod porting {}

#[doc = include_str!("differences.md")]
pub mod differences {}

#[doc = include_str!("outputs.md")]
pub mod outputs {}

#[doc = include_str!("overload.md")]
pub mod overload {}

#[doc = include_str!("fault_tolerance.md")]
pub mod fault_tolerance {}

#[doc = include_str!("deploying.md")]
pub mod deploying {}

#[doc = include_str!("performance.md")]
#[doc = ""]
#[doc = include_str!("plots/interval.svg")]
#[doc = ""]
#[doc = include_str!("performance_records.md")]
#[doc = ""]
#[doc = include_str!("plots/records.svg")]
#[doc = ""]
#[doc = include_str!("performance_keys.md")]
#[doc = ""]
#[doc = include_str!("plots/keys.svg")]
#[doc = ""]
#[doc = include_str!("performance_window.md")]
#[doc = ""]
#[doc = include_str!("plots/window.svg")]
#[doc = ""]
#[doc = include_str!("performance_interval.md")]
#[doc = ""]
#[doc = include_str!("plots/latency.svg")]
#[doc = ""]
#[doc = include_str!("performance_rate.md")]
#[doc = ""]
#[doc = include_str!("plots/throughput.svg")]
#[doc = ""]
#[doc = include_str!("performance_memory.md")]
pub mod performance {}
