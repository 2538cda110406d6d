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

use common::{Input, OwnDirectory, TEXT};
use millstream::prelude::*;

fn main() -> millstream::Result<()> {
    common::log_to_stderr();
    let (input, own) = match &common::arguments()[..] {
        [] => {
            let own = OwnDirectory::new("file-wordcount")?;
            let path = own.display().to_string();
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
    if let Some(directory) = &own {
        let lines: Vec<_> = TEXT.lines().collect();
        common::move_files_to(directory, "part", &lines)?;
    }
    if !ssc.await_termination_or_timeout(input.run_for)? {
        ssc.stop(true)?;
    }
    input.report(format_args!("{} words", words.value()));
    Ok(())
}
