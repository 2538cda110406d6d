//! The program: streams that keep something, and outputs that show what they have.

use super::events::{INTERVAL, Plan};
use super::outside::{Life, Positions, Received, Store};
use super::truth::{Truth, key};
use crate::context::StreamingContext;
use crate::dstream::{DStream, StateSpec};
use crate::error::{Error, Result};
use crate::rdd::Data;
use crate::rdd::pipe::Pipe;
use crate::shared::Pool;
use crate::state::State;
use crate::time::{BatchTime, Duration, ManualClock};

const RECORDS: &str = "window of records";
const INVERSE: &str = "window with an inverse";
const LARGEST: &str = "window of the largest";
const UPDATED: &str = "updated state";
const MAPPED: &str = "mapped state";

/// The outputs that show something, and how often.
pub(super) fn outputs(plan: &Plan) -> Vec<(&'static str, Duration)> {
    let slide = plan.slide_interval();
    let mut outputs = vec![
        (INVERSE, slide),
        (LARGEST, slide),
        (UPDATED, INTERVAL),
        (MAPPED, INTERVAL),
    ];
    outputs.extend(plan.has_receiver.then_some((RECORDS, slide)));
    outputs
}

/// A context of the plan, without streams.
pub(super) fn build(plan: &Plan, clock: &ManualClock) -> Result<StreamingContext> {
    let mut builder = StreamingContext::builder()
        .batch_interval(INTERVAL)
        .workers(1)
        .default_parallelism(plan.parallelism)
        .pin(false)
        .clock(clock.clone())
        .set("memory_max", "1g")
        .set("block_interval", "10s")
        // A batch that failed comes again in the next life, whenever that is.
        .set(
            "failed_batch_hold",
            if plan.holds_failed { "1000h" } else { "0s" },
        )
        .set("checkpoint_interval", seconds(plan.checkpoint_every))
        .set("receiver_write_ahead_log", plan.has_receiver.to_string())
        .set("write_ahead_log_sync", plan.is_synced.to_string())
        .ignore_environment();
    if let Some(size) = plan.block_queue_size {
        builder = builder.set("block_queue_size", size.to_string());
    }
    builder.build()
}

/// Declares the streams, and an output for each. Gives the receiver, if there is one.
pub(super) fn declare(
    ssc: &StreamingContext,
    plan: &Plan,
    life: &Life,
) -> Result<Option<Received>> {
    let positions = ssc.input_stream(Positions {
        life: life.clone(),
        next: 0,
    })?;
    let mut all = positions.uid("positions")?;
    let received = plan.has_receiver.then(|| Received::new(life));
    let mut records = None;
    if let Some(received) = &received {
        let numbers = ssc.receiver_stream(received.clone())?;
        let numbers = numbers.uid("received")?.checkpoint(INTERVAL)?;
        all = numbers.union(&all)?;
        records = Some(numbers);
    }
    let shows = life.clone();
    all.foreach_rdd(move |rdd, time| {
        let partitions = rdd.collect_partitions()?;
        shows.act(|truth| truth.shows_batch(time, partitions))
    });
    let store = life.clone();
    let connections = Pool::new(2, Duration::from_secs(3600), move || {
        Ok(Store(store.clone()))
    });
    all.for_each_partition_once("store", connections)?;

    if let Some(records) = records {
        // Of other inputs a window of records does not come again.
        show(
            &records.window(plan.window_length(), plan.slide_interval())?,
            life,
            |truth, time, records| {
                truth.shows_records(RECORDS, time, records);
            },
        );
    }
    declare_windows(&all, plan, life)?;
    declare_states(&all, life)?;

    let fails = life.clone();
    all.foreach_rdd(move |_, _| {
        match fails.act(|truth| std::mem::take(&mut truth.output_fails))? {
            true => Err(Error::other("this output fails")),
            false => Ok(()),
        }
    });
    Ok(received)
}

fn declare_windows<P: Pipe<Out = u64>>(
    all: &DStream<u64, P>,
    plan: &Plan,
    life: &Life,
) -> Result<()> {
    let (length, slide) = (plan.window_length(), plan.slide_interval());
    let ones = all.map(|record| (key(record), (1_u64, record)));
    let inverse = ones.reduce_by_key_and_window_inverse(
        |a, b| (a.0 + b.0, a.1 + b.1),
        |a, b| (a.0 - b.0, a.1 - b.1),
        length,
        slide,
    )?;
    let inverse = inverse.uid("inverse")?.checkpoint(slide)?;
    show(&inverse, life, |truth, time, mut sums| {
        sums.sort_unstable();
        truth.shows_window(INVERSE, time, sums);
    });
    let keyed = all.map(|record| (key(record), record));
    let largest = keyed.reduce_by_key_and_window(u64::max, length, slide)?;
    let largest = largest.uid("largest")?.checkpoint(slide)?;
    show(&largest, life, |truth, time, mut largest| {
        largest.sort_unstable();
        truth.shows_largest(LARGEST, time, largest);
    });
    Ok(())
}

fn declare_states<P: Pipe<Out = u64>>(all: &DStream<u64, P>, life: &Life) -> Result<()> {
    let keyed = all.map(|record| (key(record), record));
    let updated = keyed.update_state_by_key(|new: &[u64], old: Option<&(u64, u64)>| {
        let (count, sum) = old.copied().unwrap_or_default();
        Some((count + new.len() as u64, sum + new.iter().sum::<u64>()))
    });
    let updated = updated.uid("updated")?.checkpoint(INTERVAL)?;
    show(&updated, life, |truth, time, mut sums| {
        sums.sort_unstable();
        truth.shows_state(UPDATED, time, sums);
    });
    let add = |key: u64, record: Option<u64>, state: &mut State<'_, (u64, u64)>| {
        let (count, sum) = state.get_option().copied().unwrap_or_default();
        state.update((count + 1, sum + record.unwrap_or_default()));
        key
    };
    let mapped = keyed.map_with_state(StateSpec::function(add));
    let _ = mapped.uid("mapped")?;
    let snapshots = mapped.checkpoint(INTERVAL)?.state_snapshots();
    show(&snapshots, life, |truth, time, mut sums| {
        sums.sort_unstable();
        truth.shows_state(MAPPED, time, sums);
    });
    Ok(())
}

/// An output that shows the records of each batch.
fn show<T: Data, P: Pipe<Out = T>>(
    stream: &DStream<T, P>,
    life: &Life,
    shows: impl Fn(&mut Truth, BatchTime, Vec<T>) + Send + Sync + 'static,
) {
    let life = life.clone();
    stream.foreach_rdd(move |rdd, time| {
        let records = rdd.collect()?;
        life.act(|truth| shows(truth, time, records))
    });
}

/// So many batch intervals, as a setting.
fn seconds(batches: u32) -> String {
    format!("{}s", (INTERVAL * batches).as_secs())
}
