//! Signals concern the whole process, so they have a test binary of their own.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::{Arc, Mutex};

use millstream::prelude::*;
use millstream::time::ManualClock;
use signal_hook::consts::SIGTERM;

#[test]
fn sigterm_stops_gracefully_when_asked() {
    let ssc = StreamingContext::builder()
        .batch_interval(Duration::from_secs(1))
        .set("stop_gracefully_on_shutdown", "true")
        .clock(ManualClock::new(0))
        .ignore_environment()
        .build()
        .unwrap();
    let queue = RddQueue::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    ssc.queue_stream(&queue)
        .unwrap()
        .foreach_rdd(move |rdd, time| {
            sink.lock()
                .unwrap()
                .push((time.as_millis(), rdd.collect()?));
            Ok(())
        });
    queue.push(ssc.parallelize([1, 2], 1));
    queue.push(ssc.parallelize([3], 1));
    ssc.stop_on_signals().unwrap();
    ssc.start().unwrap();

    signal_hook::low_level::raise(SIGTERM).unwrap();

    ssc.await_termination().unwrap();
    // The clock never moved: both batches are what the stop found waiting.
    assert_eq!(*seen.lock().unwrap(), [(1000, vec![1, 2]), (2000, vec![3])]);
}

/// Once there is nothing left to stop, a signal ends the process as ever.
#[test]
fn a_signal_after_the_stop_has_its_usual_effect() {
    const INSIDE: &str = "SIGNALS_INSIDE";
    if let Some(how) = std::env::var_os(INSIDE) {
        let ssc = StreamingContext::builder()
            .batch_interval(Duration::from_secs(1))
            .ignore_environment()
            .build()
            .unwrap();
        ssc.stop_on_signals().unwrap();
        if how == "stopped" {
            ssc.stop(false).unwrap();
        }
        let _kept = (how == "stopped").then_some(ssc);
        signal_hook::low_level::raise(SIGTERM).unwrap();
        loop {
            std::thread::park();
        }
    }
    for how in ["stopped", "dropped"] {
        let test = "a_signal_after_the_stop_has_its_usual_effect";
        let status = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--test-threads=1"])
            .env(INSIDE, how)
            .output()
            .unwrap()
            .status;
        assert_eq!(status.signal(), Some(SIGTERM), "{how}: {status}");
    }
}
