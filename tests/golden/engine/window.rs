//! Windows.

use millstream::prelude::*;
use millstream::rdd::pipe::Pipe;

use super::steps::{number, shuffled, values};
use crate::program::{Op, Step};
use crate::value::Value;

pub(super) fn declare<P: Pipe<Out = Value>>(
    stream: &DStream<Value, P>,
    step: &Step,
) -> millstream::Result<DStream<Value>> {
    let (length, slide) = length_and_slide(stream, step);
    let pairs = stream.map(Value::into_pair);
    let parts = step.num_partitions;
    Ok(match step.op.clone() {
        Op::CountByWindow { .. } => stream.count_by_window(length, slide)?.map(number).boxed(),
        Op::ReduceByWindow {
            reduce, inverse, ..
        } => {
            let f = move |a, b| reduce.apply(a, b);
            match inverse {
                Some(inverse) => {
                    let inverse = move |a, b| inverse.apply(&a, &b);
                    stream.reduce_by_window_inverse(f, inverse, length, slide)?
                }
                None => stream.reduce_by_window(f, length, slide)?,
            }
        }
        Op::CountByValueAndWindow { .. } => {
            let counts = shuffled!(
                stream.count_by_value_and_window | count_by_value_and_window_into(length, slide),
                parts
            )?;
            values(&counts.map(|(x, n)| (x, number(n))))
        }
        Op::GroupByKeyAndWindow { .. } => {
            let groups = shuffled!(
                pairs.group_by_key_and_window | group_by_key_and_window_into(length, slide),
                parts
            )?;
            values(&groups.map_values(Value::sorted))
        }
        Op::ReduceByKeyAndWindow {
            reduce,
            inverse,
            filter,
            ..
        } => {
            let f = move |a, b| reduce.apply(a, b);
            let reduced = match inverse {
                Some(inverse) => {
                    let inverse = move |a, b| inverse.apply(&a, &b);
                    shuffled!(
                        pairs.reduce_by_key_and_window_inverse
                            | reduce_by_key_and_window_inverse_into(f, inverse, length, slide),
                        parts
                    )?
                }
                None => shuffled!(
                    pairs.reduce_by_key_and_window
                        | reduce_by_key_and_window_into(f, length, slide),
                    parts
                )?,
            };
            match filter {
                Some(filter) => {
                    values(&reduced.filter(move |(key, value)| filter.keeps_pair(key, value)))
                }
                None => values(&reduced),
            }
        }
        other => unreachable!("{other:?} is no window"),
    })
}

/// The default slide is that of the stream.
pub(super) fn length_and_slide<P: Pipe<Out = Value>>(
    stream: &DStream<Value, P>,
    step: &Step,
) -> (Duration, Duration) {
    let (length, slide) = step.op.window().expect("it is a window");
    let duration = |millis: i64| Duration::from_millis(millis as u64);
    (
        duration(length),
        slide.map_or(stream.slide_interval(), duration),
    )
}
