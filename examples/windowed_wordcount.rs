//! Counts words in text received over a socket: every 10 seconds, those of the
//! last 30 seconds.
//!
//! Without arguments it brings its own text source, takes 20 ms for a second, and
//! runs for some seconds:
//!
//! ```text
//! cargo run --release --example windowed_wordcount
//! ```
//!
//! With a host and a port it reads from any text server until Ctrl-C:
//!
//! ```text
//! nc -lk 9999
//! cargo run --release --example windowed_wordcount -- localhost 9999
//! ```

mod common;

use common::Input;
use millstream::prelude::*;

fn main() -> millstream::Result<()> {
    common::log_to_stderr();
    let input = Input::socket(
        "windowed_wordcount",
        Duration::from_millis(20),
        common::send_lines,
    )?;

    let ssc = StreamingContext::builder()
        .app_name("WindowedWordCount")
        .batch_interval(input.second)
        .build()?;
    let lines = ssc.socket_text_stream(&input.address)?;
    let pairs = lines
        .flat_map(|line| line.split(' '))
        .map(|word| (word, 1u64));
    // What enters the window is added, what leaves it is taken away again.
    let windowed_counts = pairs.reduce_by_key_and_window_inverse(
        |a, b| a + b,
        |a, b| a - b,
        30 * input.second,
        10 * input.second,
    )?;
    windowed_counts.print();

    let words = common::total(&pairs.count());
    let in_windows = common::total(&windowed_counts.map(|(_, count)| count));

    common::stop_at_ctrl_c(&ssc)?;
    ssc.start()?;
    if !ssc.await_termination_or_timeout(input.run_for)? {
        ssc.stop(true)?;
    }
    input.report(format_args!(
        "{} words, each in three windows: {} counted",
        words.value(),
        in_windows.value()
    ));
    Ok(())
}
