//! Counts words in text received over a socket, into a file, and goes on where it was
//! when it is started again: checkpoints, an accumulator that comes back, and a list of
//! words that is shared with all tasks.
//!
//! Without arguments it brings its own text source and runs twice: the first time it
//! ends in the middle, as by a crash, and the second time it goes on.
//!
//! ```text
//! cargo run --release --example recoverable_network_wordcount
//! ```
//!
//! With a host, a port, a directory for checkpoints and a file it reads from any text
//! server, in batches of a second, until Ctrl-C. It may also be killed. What a socket sent
//! and no batch had by then is lost.
//!
//! ```text
//! nc -lk 9999
//! cargo run --release --example recoverable_network_wordcount -- \
//!     localhost 9999 /tmp/checkpoints /tmp/counts.txt
//! ```

#![expect(clippy::print_stdout, reason = "a program talks to its user")]

mod common;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use common::{Input, OwnDirectory};
use millstream::prelude::*;
use millstream::shared::LongAccumulator;

/// Words that are not counted.
const EXCLUDED: [&str; 3] = ["a", "b", "c"];

fn main() -> millstream::Result<()> {
    common::log_to_stderr();
    match &common::arguments()[..] {
        [] => {
            let own = OwnDirectory::new("recoverable-network-wordcount")?;
            let (checkpoints, output) = (own.join("checkpoints"), own.join("counts.txt"));
            let input = Input::served(Duration::from_millis(200), common::send_lines)?;

            let (ssc, _) = start(&input, &checkpoints, &output)?;
            ssc.await_termination_or_timeout(input.run_for / 5)?;
            // Not gracefully: what it is at is neither finished nor saved.
            ssc.stop(false)?;

            let (ssc, dropped) = start(&input, &checkpoints, &output)?;
            let before = dropped.value();
            if !ssc.await_termination_or_timeout(input.run_for)? {
                ssc.stop(true)?;
            }
            input.report(format_args!(
                "{} batches in the file, {before} words dropped before the restart and {} in all",
                fs::read_to_string(output)?.lines().count(),
                dropped.value()
            ));
            Ok(())
        }
        [host, port, checkpoints, output] => {
            let input = Input::given(format!("{host}:{port}"));
            let (ssc, _) = start(&input, Path::new(checkpoints), Path::new(output))?;
            ssc.await_termination()
        }
        _ => Err(common::usage(
            "recoverable_network_wordcount",
            "[<host> <port> <checkpoint-directory> <output-file>]",
        )),
    }
}

/// Begins, or goes on from the newest checkpoint. Gives the number of words that were
/// dropped, too.
fn start(
    input: &Input,
    checkpoints: &Path,
    output: &Path,
) -> millstream::Result<(StreamingContext, LongAccumulator)> {
    let mut dropped = None;
    let ssc = StreamingContext::get_or_create(checkpoints, || {
        let (ssc, counter) = make(input, output)?;
        dropped = Some(counter);
        Ok(ssc)
    })?;
    let dropped = dropped.expect("it is made each time");
    match ssc.recovered_time() {
        Some(time) => println!("Going on behind the batch of {time}"),
        None => {
            println!("Creating a new context");
            // One of an earlier program.
            if output.exists() {
                fs::remove_file(output)?;
            }
        }
    }
    common::stop_at_ctrl_c(&ssc)?;
    ssc.start()?;
    Ok((ssc, dropped))
}

fn make(input: &Input, output: &Path) -> millstream::Result<(StreamingContext, LongAccumulator)> {
    let ssc = StreamingContext::builder()
        .app_name("RecoverableNetworkWordCount")
        .batch_interval(input.second)
        .build()?;
    let excluded = ssc.broadcast(EXCLUDED);
    // By its name it has its value again.
    let dropped = ssc.long_accumulator("DroppedWordsCounter");

    let counts = ssc
        .socket_text_stream(&input.address)?
        .flat_map(|line| line.split(' '))
        .map(|word| (word, 1u64))
        .reduce_by_key(|a, b| a + b);
    let (counter, output) = (dropped.clone(), output.to_owned());
    counts.foreach_rdd(move |rdd, time| {
        let (excluded, dropped) = (excluded.clone(), counter.clone());
        let kept = rdd.filter(move |(word, count)| {
            let is_excluded = excluded.contains(&word.as_str());
            if is_excluded {
                dropped.add(*count as i64);
            }
            !is_excluded
        });
        let kept: Vec<_> = kept.collect()?.iter().map(Text::to_text).collect();
        let line = format!("Counts at time {time} [{}]", kept.join(", "));
        println!("{line}");
        println!("Dropped {} word(s) totally", counter.value());
        println!("Appending to {}", output.display());
        let mut file = OpenOptions::new().create(true).append(true).open(&output)?;
        writeln!(file, "{line}")?;
        Ok(())
    });
    Ok((ssc, dropped))
}
