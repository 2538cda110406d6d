//! Shows what is in a directory of checkpoints. Without one, a program of its own
//! leaves some in a temporary directory first.
//!
//! ```text
//! cargo run --release --example checkpoint_inspect -- <directory>
//! ```

#![expect(clippy::print_stdout, reason = "a program talks to its user")]

mod common;

use std::fs;
use std::path::Path;

use common::OwnDirectory;
use millstream::checkpoint::inspect;
use millstream::prelude::*;

fn main() -> millstream::Result<()> {
    common::log_to_stderr();
    match &common::arguments()[..] {
        [] => {
            let own = OwnDirectory::new("checkpoint-inspect")?;
            leave_some(&own)?;
            println!("{}", inspect(own.join("checkpoints"))?);
        }
        [directory] => println!("{}", inspect(directory)?),
        _ => return Err(common::usage("checkpoint_inspect", "[<directory>]")),
    }
    Ok(())
}

/// Counts the words of a text, with checkpoints.
fn leave_some(directory: &Path) -> millstream::Result<()> {
    let texts = directory.join("texts");
    fs::create_dir(&texts)?;
    let ssc = StreamingContext::builder()
        .app_name("CheckpointInspect")
        .batch_interval(Duration::from_millis(100))
        .build()?;
    ssc.checkpoint(directory.join("checkpoints"))?;
    let words = ssc.long_accumulator("words");
    let count = words.clone();
    ssc.text_file_stream(&*texts.to_string_lossy())?
        .flat_map(|line| line.split_whitespace())
        .map(move |word| {
            count.add(1);
            (word, 1_u64)
        })
        .update_state_by_key(|new, old| Some(old.unwrap_or(&0) + new.len() as u64))
        .uid("counts")?
        .checkpoint(Duration::from_millis(100))?
        .foreach_rdd(|counts, _| counts.count().map(|_| ()));
    ssc.start()?;
    // Files of the time before the start are old, by the clock of the file system.
    ssc.await_termination_or_timeout(Duration::from_millis(100))?;
    let aside = texts.join(".alice.txt");
    fs::write(&aside, common::TEXT)?;
    fs::rename(aside, texts.join("alice.txt"))?;
    while words.value() == 0 {
        ssc.await_termination_or_timeout(Duration::from_millis(100))?;
    }
    ssc.stop(true)
}
