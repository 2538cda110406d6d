//! Counts words in text received over a socket, from the start on: the state of
//! each word is its count so far.
//!
//! Without arguments it brings its own text source and runs for some seconds:
//!
//! ```text
//! cargo run --release --example stateful_network_wordcount
//! ```
//!
//! With a host and a port it reads from any text server, in batches of a second,
//! until Ctrl-C:
//!
//! ```text
//! nc -lk 9999
//! cargo run --release --example stateful_network_wordcount -- localhost 9999
//! ```

mod common;

use std::sync::{Arc, Mutex};

use common::Input;
use millstream::prelude::*;

fn main() -> millstream::Result<()> {
    common::log_to_stderr();
    let input = Input::socket(
        "stateful_network_wordcount",
        Duration::from_millis(200),
        common::send_lines,
    )?;

    let ssc = StreamingContext::builder()
        .app_name("StatefulNetworkWordCount")
        .batch_interval(input.second)
        .build()?;
    let initial = ssc.parallelize([("hello".into(), 1), ("world".into(), 1)], 1);

    let lines = ssc.socket_text_stream(&input.address)?;
    let pairs = lines
        .flat_map(|line| line.split(' '))
        .map(|word| (word, 1u64));
    let count = |word: Str, one: Option<u64>, state: &mut State<'_, u64>| {
        let sum = one.unwrap_or(0) + state.get_option().copied().unwrap_or(0);
        state.update(sum);
        (word, sum)
    };
    let counts = pairs.map_with_state(StateSpec::function(count).initial_state(initial));
    // A record for each word as it came: its count then.
    counts.print();

    // All words with their counts after each batch.
    let latest = Arc::new(Mutex::new(String::new()));
    let summary = Arc::clone(&latest);
    counts.state_snapshots().foreach_rdd(move |rdd, _| {
        let distinct = rdd.count()?;
        let by_count = rdd.map(|(word, count)| (count, word));
        let words = by_count
            .clone()
            .map(|(count, _)| count)
            .reduce(u64::wrapping_add)?;
        let most: Vec<_> = by_count.top(3)?.iter().map(Text::to_text).collect();
        *summary.lock().expect("nobody panics with the lock") = format!(
            "{} words in the state, {distinct} of them distinct, most often {}",
            words.unwrap_or(0),
            most.join(" "),
        );
        Ok(())
    });

    common::stop_at_ctrl_c(&ssc)?;
    ssc.start()?;
    if !ssc.await_termination_or_timeout(input.run_for)? {
        ssc.stop(true)?;
    }
    input.report(latest.lock().expect("nobody panics with the lock"));
    Ok(())
}
