//! W4: a running sum by key.

use std::hint::black_box;
use std::sync::Arc;

use perf_lab::Result;
use perf_lab::digest::Digest;
use perf_lab::input::{Values, batches, zeros};
use perf_lab::protocol::{Engine, Words};

use crate::Loop;
use crate::radix::Radix;
use crate::yardstick::State;

pub(crate) fn plain(order: &Words) -> Result<Box<dyn Engine>> {
    let state = State::new(order.number("workers")?);
    state.add(&Arc::new(zeros(order.number("keys")?)));
    let touched = order.text("emit")? == "touched";
    Ok(Box::new(Loop::new(
        batches(order, Values::ByPlace)?,
        state,
        if touched {
            |state, batch| {
                black_box(state.add_and_tell(batch));
            }
        } else {
            |state, batch| state.add(batch)
        },
        |state| {
            let mut digest = Digest::default();
            state.rows(|key, sum| digest.key(key, sum));
            digest
        },
    )))
}

pub(crate) fn best(order: &Words) -> Result<Box<dyn Engine>> {
    let mut state = Radix::sums(order.number("workers")?);
    state.step(&Arc::new(zeros(order.number("keys")?)));
    Ok(Box::new(Loop::new(
        batches(order, Values::ByPlace)?,
        state,
        |state, batch| state.step(batch),
        |state| {
            let mut digest = Digest::default();
            state.rows(|key, sum| digest.key(key, sum));
            digest
        },
    )))
}
