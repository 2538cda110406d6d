//! What is done with records that do not fit.

use std::fmt;

use super::key::Choice;

/// What a receiver does when its ring is full, as batches take longer than their
/// interval (`receiver_overflow`). What is dropped is counted:
/// [`InputInfo::dropped_records`](crate::listener::InputInfo::dropped_records).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Overflow {
    /// It waits, so that the source is held back: a socket is not read, a
    /// [`store`](crate::receiver::ReceiverHandle::store) does not return. Nothing is lost.
    #[default]
    Wait,
    /// It drops the record that does not fit. For sources that cannot wait. What a receiver stores
    /// in blocks, or through a block generator, waits all the same, as the source is told that it
    /// is safe.
    DropNewest,
    /// It drops what it received for the oldest batch that waits and was not begun, all of it, and
    /// again, until the record fits. For results that are of use only while they are fresh. That
    /// batch is processed without those records, and so are its windows; what a receiver stored
    /// in blocks is dropped, too. What is not cut yet, and what is being processed, stays: while
    /// there is nothing else, it waits.
    DropOldest,
}

impl Overflow {
    const ALL: [Self; 3] = [Self::Wait, Self::DropNewest, Self::DropOldest];
    /// Their names, in the same order.
    pub(super) const NAMES: &[&str] = &["wait", "drop_newest", "drop_oldest"];
}

impl Choice for Overflow {
    fn choose(&mut self, number: usize) {
        *self = Self::ALL[number];
    }

    fn number(&self) -> usize {
        *self as usize
    }
}

impl fmt::Display for Overflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::NAMES[self.number()])
    }
}
