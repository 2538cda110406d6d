//! Receivers as a program sees them: real sockets, custom receivers, faults.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]
mod blocks;
#[cfg(target_os = "linux")]
mod connections;
mod exactness;
mod faults;
mod helpers;
mod memory;
mod order;
mod overflow;
#[cfg(target_os = "linux")]
#[path = "../common/own_process.rs"]
mod own_process;
mod rates;
mod receivers;
#[cfg(feature = "checkpoint")]
mod spill;
mod stops;
