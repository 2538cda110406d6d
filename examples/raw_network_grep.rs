//! Counts the lines with a word, in text that comes over several sockets at once,
//! as frames of bytes.
//!
//! Without arguments it brings its own source and runs for some seconds:
//!
//! ```text
//! cargo run --release --example raw_network_grep
//! ```
//!
//! With a host and a port it reads from any server that sends frames (four bytes
//! of length, big-endian, then the line), in batches of a second, until Ctrl-C:
//!
//! ```text
//! cargo run --release --example raw_network_grep -- localhost 9999
//! ```

#![expect(clippy::print_stdout, reason = "a program talks to its user")]

mod common;

use std::io::{self, Write};
use std::net::TcpStream;

use common::{Input, TEXT};
use millstream::prelude::*;

const STREAMS: usize = 3;

fn main() -> millstream::Result<()> {
    common::log_to_stderr();
    let input = Input::socket("raw_network_grep", Duration::from_millis(200), send_frames)?;

    let ssc = StreamingContext::builder()
        .app_name("RawNetworkGrep")
        .batch_interval(input.second)
        .build()?;
    let streams = (0..STREAMS)
        .map(|_| ssc.raw_socket_stream(&input.address))
        .collect::<millstream::Result<Vec<_>>>()?;
    let union = ssc.union(streams)?;
    let found = union
        .filter(|line| str::from_utf8(line).is_ok_and(|line| line.contains("the")))
        .count();
    found.foreach_rdd(|rdd, _| {
        for count in rdd.collect()? {
            println!("Grep count: {count}");
        }
        Ok(())
    });

    let lines = common::total(&union.count());
    let found = common::total(&found);

    common::stop_at_ctrl_c(&ssc)?;
    ssc.start()?;
    if !ssc.await_termination_or_timeout(input.run_for)? {
        ssc.stop(true)?;
    }
    input.report(format_args!(
        "{} of {} lines from {STREAMS} streams have the word",
        found.value(),
        lines.value()
    ));
    Ok(())
}

/// Sends the lines of the text, each as a frame.
fn send_frames(client: &mut TcpStream) -> io::Result<()> {
    common::every(Duration::from_millis(50), TEXT.lines()).try_for_each(|line| {
        let length = (line.len() as u32).to_be_bytes();
        client.write_all(&[&length, line.as_bytes()].concat())
    })
}
