//! Counts words in new text files of a directory (the guide's `HdfsWordCount`).
//!
//! Without an argument it makes a directory, moves files into it, and runs for some
//! seconds:
//!
//! ```text
//! cargo run --release --example file_wordcount
//! ```
//!
//! With a directory it reads the files that are moved there, in batches of a
//! second, until Ctrl-C:
//!
//! ```text
//! mkdir -p /tmp/texts
//! cargo run --release --example file_wordcount -- /tmp/texts
//! echo "hello world hello" >/tmp/texts/.hello && mv /tmp/texts/.hello /tmp/texts/hello
//! ```

mod common;

use std::path::Path;
use std::{fs, io};

use common::{Input, OwnDirectory, TEXT};
use millstream::prelude::*;

fn main() -> millstream::Result<()> {
    let (input, own) = match &common::arguments()[..] {
        [] => {
            let own = OwnDirectory::new("file-wordcount")?;
            let path = own.0.display().to_string();
            (Input::own(path, Duration::from_millis(200)), Some(own))
        }
        [directory] => (Input::given(directory.clone()), None),
        _ => return Err(common::usage("file_wordcount", "[<directory>]")),
    };

    let ssc = StreamingContext::builder()
        .app_name("FileWordCount")
        .batch_interval(input.second)
        .build()?;
    let lines = ssc.text_file_stream(&input.address)?;
    let counts = lines
        .flat_map(|line| line.split(' '))
        .map(|word| (word, 1u64))
        .reduce_by_key(|a, b| a + b);
    counts.print();

    let words = common::total(&counts.map(|(_, count)| count));

    common::stop_at_ctrl_c(&ssc)?;
    ssc.start()?;
    if let Some(OwnDirectory(path)) = &own {
        move_files_to(path)?;
    }
    ssc.await_termination_or_timeout(input.run_for)?;
    ssc.stop(true)?;
    input.report(format_args!("{} words", words.value()));
    Ok(())
}

/// Moves one file after the other into the directory. A file has to be complete
/// when the stream finds it, so it is written under a name that the stream passes
/// over.
fn move_files_to(directory: &Path) -> io::Result<()> {
    let lines: Vec<_> = TEXT.lines().collect();
    for (i, part) in common::every(Duration::from_millis(150), lines.chunks(4)).enumerate() {
        let written = directory.join(format!(".part-{i}"));
        fs::write(&written, part.join("\n"))?;
        fs::rename(written, directory.join(format!("part-{i}")))?;
    }
    Ok(())
}
