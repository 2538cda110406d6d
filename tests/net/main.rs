//! Receivers as a program sees them: real sockets, custom receivers, faults.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]
mod exactness;
mod faults;
mod helpers;
mod memory;
mod receivers;
