//! W3: a sliding sum by key.

use perf_lab::Result;
use perf_lab::digest::Digest;
use perf_lab::input::{Values, batches};
use perf_lab::protocol::{Engine, Words};

use crate::Loop;
use crate::radix::Radix;
use crate::yardstick::Window;

pub(crate) fn plain(order: &Words) -> Result<Box<dyn Engine>> {
    let window = Window::new(order.number("workers")?, order.number("window")?);
    Ok(Box::new(Loop::new(
        batches(order, Values::Ones)?,
        window,
        |window, batch| window.slide(batch),
        |window| {
            let mut digest = Digest::default();
            window.rows(|key, sum| digest.key(key, sum));
            digest
        },
    )))
}

pub(crate) fn best(order: &Words) -> Result<Box<dyn Engine>> {
    let window = Radix::counts(order.number("workers")?, order.number("window")?);
    Ok(Box::new(Loop::new(
        batches(order, Values::Ones)?,
        window,
        |window, batch| window.step(batch),
        |window| {
            let mut digest = Digest::default();
            // What is counted no more.
            window.rows(|key, sum| {
                if sum != 0 {
                    digest.key(key, sum);
                }
            });
            digest
        },
    )))
}
