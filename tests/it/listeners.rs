//! Monitoring: what listeners are told (MON-4).

use std::sync::Mutex;
use std::sync::mpsc::channel;

use millstream::listener::{BatchInfo, StreamingListener};
use millstream::prelude::*;

use crate::helpers::*;

/// Writes down what it is told.
#[derive(Clone)]
struct Log(Seen<String>);

fn millis(nanos: i64) -> i64 {
    assert_eq!(nanos % 1_000_000, 0);
    nanos / 1_000_000
}

impl StreamingListener for Log {
    fn on_batch_submitted(&self, batch: &BatchInfo) {
        let inputs: Vec<_> = batch
            .inputs
            .iter()
            .map(|input| format!("{} {} = {}", input.stream_id, input.name, input.num_records))
            .collect();
        let text = format!(
            "submitted at {}: {inputs:?}",
            millis(batch.submission_nanos)
        );
        self.0.add(batch.batch_time, text);
        assert_eq!(batch.processing_start_nanos, None);
        assert!(batch.outputs.is_empty());
    }

    fn on_batch_started(&self, batch: &BatchInfo) {
        let start = batch.processing_start_nanos.map(millis);
        self.0
            .add(batch.batch_time, format!("started at {start:?}"));
        assert_eq!(batch.processing_end_nanos, None);
    }

    fn on_batch_completed(&self, batch: &BatchInfo) {
        let end = batch.processing_end_nanos.map(millis);
        let delays = (
            batch.scheduling_delay().as_millis(),
            batch.processing_delay().as_millis(),
            batch.total_delay().as_millis(),
        );
        let text = format!("completed at {end:?}: {} {delays:?}", batch.num_records());
        self.0.add(batch.batch_time, text);
        for output in &batch.outputs {
            let text = format!(
                "{} {} {}..{} {:?}",
                output.id,
                output.name,
                millis(output.start_nanos),
                millis(output.end_nanos),
                output.error.as_ref().map(millstream::Error::kind)
            );
            self.0.add(batch.batch_time, text);
        }
        assert_eq!(
            batch.error().is_some(),
            batch.outputs.iter().any(|output| output.error.is_some())
        );
    }
}

#[test]
fn mon_4_listeners_are_told_everything_in_order() {
    struct Broken;
    impl StreamingListener for Broken {
        fn on_batch_submitted(&self, _: &BatchInfo) {
            panic!("a listener of no use");
        }
    }
    let program = Program::new();
    let (queue, input) = program.queue();
    let rdd = program.ssc.parallelize([7], 1);
    program
        .ssc
        .constant_stream(rdd)
        .unwrap()
        .count()
        .foreach_rdd(|_, _| Ok(()));
    let line = line!() - 1;
    let clock = program.clock.clone();
    input.foreach_rdd(move |rdd: Rdd<u64>, _| {
        clock.advance(Duration::from_millis(30));
        assert!(rdd.count()? > 0, "no records");
        Ok(())
    });
    let log = Log(Seen::new());
    program.ssc.add_listener(Broken);
    program.ssc.add_listener(log.clone());
    program.start();
    queue.push(program.ssc.parallelize([1, 2, 3], 2));
    program.tick();
    // The clock shows 1030 ms: to the next batch.
    program.clock.set(at(2000));
    program.ssc.await_batch(at(2000));
    // All events are told before the stop returns.
    program.stop();
    let (one, two) = (
        format!("output-0 foreach_rdd at {}:{line}", file!()),
        format!("output-1 foreach_rdd at {}:{}", file!(), line + 3),
    );
    let inputs =
        |n| format!(r#"["stream-0 Queue stream [0] = {n}", "stream-1 Constant stream [1] = 1"]"#);
    let expected = [
        (1000, format!("submitted at 1000: {}", inputs(3))),
        (1000, "started at Some(1000)".to_owned()),
        (1000, "completed at Some(1030): 4 (0, 30, 30)".to_owned()),
        (1000, format!("{one} 1000..1000 None")),
        (1000, format!("{two} 1000..1030 None")),
        (2000, format!("submitted at 2000: {}", inputs(0))),
        (2000, "started at Some(2000)".to_owned()),
        (2000, "completed at Some(2030): 1 (0, 30, 30)".to_owned()),
        (2000, format!("{one} 2000..2000 None")),
        (2000, format!("{two} 2000..2030 Some(Panic)")),
    ];
    assert_eq!(log.0.take(), expected);
}

#[test]
fn mon_4_a_batch_that_waits_has_a_scheduling_delay() {
    let program = Program::new();
    let (_queue, input) = program.queue::<u64>();
    let (open, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let (begin, begun) = channel();
    input.foreach_rdd(move |_, _| {
        let _ = begin.send(());
        let _ = gate.lock().unwrap().recv();
        Ok(())
    });
    let log = Log(Seen::new());
    program.ssc.add_listener(log.clone());
    program.start();
    program.cut();
    begun.recv().unwrap();
    program.cut();
    program.clock.advance(Duration::from_millis(300));
    drop(open);
    program.ssc.await_batch(at(2000));
    program.stop();
    let log: Vec<_> = log.0.take().into_iter().map(|(_, text)| text).collect();
    assert!(
        log.contains(&"completed at Some(2300): 0 (0, 1300, 1300)".to_owned()),
        "{log:?}"
    );
    assert!(
        log.contains(&"completed at Some(2300): 0 (300, 0, 300)".to_owned()),
        "{log:?}"
    );
}

#[test]
fn mon_4_a_listener_may_come_later() {
    let program = Program::new();
    let (_queue, input) = program.queue::<u64>();
    input.foreach_rdd(|_, _| Ok(()));
    program.start();
    program.tick();
    let log = Log(Seen::new());
    program.ssc.add_listener(log.clone());
    program.tick();
    program.stop();
    let times: Vec<_> = log.0.take().into_iter().map(|(time, _)| time).collect();
    assert_eq!(times, [2000; 4]);
}
