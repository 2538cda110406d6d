//! The happiest words of the last minute: counts of words in text received over a
//! socket, joined with a list of words and how happy they are.
//!
//! Without arguments it brings its own text source, takes 100 ms for a second, and
//! runs for some seconds:
//!
//! ```text
//! cargo run --release --example network_word_join_sentiments
//! ```
//!
//! With a host and a port it reads from any text server until Ctrl-C:
//!
//! ```text
//! nc -lk 9999
//! cargo run --release --example network_word_join_sentiments -- localhost 9999
//! ```

#![expect(clippy::print_stdout, reason = "a program talks to its user")]

mod common;

use std::cmp::Reverse;

use common::Input;
use millstream::prelude::*;

fn main() -> millstream::Result<()> {
    common::log_to_stderr();
    let input = Input::socket(
        "network_word_join_sentiments",
        Duration::from_millis(100),
        common::send_lines,
    )?;

    let ssc = StreamingContext::builder()
        .app_name("NetworkWordJoinSentiments")
        .batch_interval(input.second)
        .build()?;
    // A word and its sentiment, from -5 to 5, in a line.
    let sentiments = ssc
        .text_lines(include_str!("text/sentiments.txt"))
        .flat_map(|line| {
            let (word, sentiment) = line.split_once('\t')?;
            Some((word, sentiment.parse::<i64>().ok()?))
        })
        .cache();

    let lines = ssc.socket_text_stream(&input.address)?;
    let word_counts = lines
        .flat_map(|line| line.split(' '))
        .map(|word| (word, 1i64))
        .reduce_by_key_and_window_inverse(
            |a, b| a + b,
            |a, b| a - b,
            60 * input.second,
            5 * input.second,
        )?;
    // How often a word occurs times how happy it is, the happiest first.
    let happiest = word_counts
        .transform(move |counts, _| Ok(counts.join(sentiments.clone())))
        .map(|(word, (count, sentiment))| (count * sentiment, word))
        .transform(|words, _| Ok(words.sort_by(|word| Reverse(word.clone()))));

    happiest.foreach_rdd(|words, _| {
        let words = words.collect()?;
        let all = words.len();
        println!("Happiest words in the last 60 seconds ({all} in all):");
        for (happiness, word) in words.into_iter().take(5) {
            println!("{word}: {happiness}");
        }
        Ok(())
    });

    common::stop_at_ctrl_c(&ssc)?;
    ssc.start()?;
    if !ssc.await_termination_or_timeout(input.run_for)? {
        ssc.stop(true)?;
    }
    Ok(())
}
