//! The sources of a case as inputs.

use std::collections::BTreeMap;

use millstream::dstream::{InputBatch, InputSource};
use millstream::prelude::*;

use super::batch::no_partitions;
use crate::case::{Case, Feed};
use crate::value::Value;

/// The queue of a source, if it has one, and its stream.
pub(super) fn declare(
    ssc: &StreamingContext,
    case: &Case,
    source: usize,
) -> millstream::Result<(RddQueue<Value>, DStream<Value>)> {
    let queue = RddQueue::new();
    let source = &case.sources[source];
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
        Feed::Direct(batches) => {
            let batches = (0..).map(|batch| case.time(batch)).zip(batches);
            let batches = batches.filter_map(|(time, batch)| Some((time, batch.clone()?)));
            ssc.input_stream(Direct {
                batches: batches.collect(),
                partitions: source.partitions,
            })
        }
    };
    Ok((queue, stream?))
}

/// An input that gives no Rdd where there is nothing.
struct Direct {
    batches: BTreeMap<i64, Vec<Value>>,
    partitions: usize,
}

impl InputSource<Value> for Direct {
    fn compute(
        &mut self,
        time: BatchTime,
        batch: &mut InputBatch<'_>,
    ) -> millstream::Result<Option<Rdd<Value>>> {
        let records = self.batches.remove(&time.as_millis());
        Ok(records.map(|records| batch.parallelize(records, self.partitions)))
    }
}
