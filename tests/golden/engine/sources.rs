//! The sources of a case as inputs.

use std::collections::VecDeque;

use millstream::dstream::{InputBatch, InputSource};
use millstream::prelude::*;

use super::batch::no_partitions;
use crate::case::{Feed, Source};
use crate::value::Value;

/// The queue of a source (which one that is asked leaves empty) and its stream.
pub(super) fn declare(
    ssc: &StreamingContext,
    source: &Source,
) -> millstream::Result<(RddQueue<Value>, DStream<Value>)> {
    let queue = RddQueue::new();
    let stream = match &source.feed {
        Feed::Queue {
            one_at_a_time,
            default: (records, partitions),
            ..
        } => {
            let default = match partitions {
                0 => no_partitions(ssc),
                _ => ssc.parallelize(records.clone(), *partitions),
            };
            ssc.queue_stream_with(&queue, *one_at_a_time, Some(default))
        }
        Feed::Direct(batches) => ssc.input_stream(Direct {
            batches: batches.clone().into(),
            partitions: source.partitions,
        }),
    };
    Ok((queue, stream?))
}

/// A source that is asked: records, or no Rdd, and none when there are no more.
struct Direct {
    batches: VecDeque<Option<Vec<Value>>>,
    partitions: usize,
}

impl InputSource<Value> for Direct {
    fn compute(
        &mut self,
        _: BatchTime,
        batch: &mut InputBatch<'_>,
    ) -> millstream::Result<Option<Rdd<Value>>> {
        let records = self.batches.pop_front().flatten();
        Ok(records.map(|records| batch.parallelize(records, self.partitions)))
    }
}
