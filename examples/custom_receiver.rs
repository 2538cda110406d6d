//! Counts words in text that a receiver of the program's own reads from a socket
//! (guide: Spark Streaming Custom Receivers).
//!
//! Without arguments it brings its own text source and runs for some seconds:
//!
//! ```text
//! cargo run --release --example custom_receiver
//! ```
//!
//! With a host and a port it reads from any text server, in batches of a second,
//! until Ctrl-C:
//!
//! ```text
//! nc -lk 9999
//! cargo run --release --example custom_receiver -- localhost 9999
//! ```

mod common;

use std::io::{BufRead, BufReader};
use std::net::{Shutdown, TcpStream};

use common::Input;
use millstream::prelude::*;
use millstream::receiver::{Receiver, ReceiverHandle};

fn main() -> millstream::Result<()> {
    common::log_to_stderr();
    let input = Input::socket(
        "custom_receiver",
        Duration::from_millis(200),
        common::send_lines,
    )?;

    let ssc = StreamingContext::builder()
        .app_name("CustomReceiver")
        .batch_interval(input.second)
        .build()?;
    let lines = ssc.receiver_stream(CustomReceiver::new(&input.address))?;
    let counts = lines
        .flat_map(|line| line.split(' '))
        .map(|word| (word, 1u64))
        .reduce_by_key(|a, b| a + b);
    counts.print();

    let words = common::total(&counts.map(|(_, count)| count));

    common::stop_at_ctrl_c(&ssc)?;
    ssc.start()?;
    if !ssc.await_termination_or_timeout(input.run_for)? {
        ssc.stop(true)?;
    }
    input.report(format_args!("{} words", words.value()));
    Ok(())
}

/// Receives lines of text.
struct CustomReceiver {
    address: String,
    connection: Option<TcpStream>,
}

impl CustomReceiver {
    fn new(address: &str) -> Self {
        Self {
            address: address.into(),
            connection: None,
        }
    }
}

impl Receiver<Str> for CustomReceiver {
    // If this fails it is tried again, after a while.
    fn on_start(&mut self, handle: ReceiverHandle<Str>) -> millstream::Result<()> {
        let connection = TcpStream::connect(&self.address)?;
        self.connection = Some(connection.try_clone()?);
        common::spawn("receiver", move || receive(connection, &handle))
    }

    fn on_stop(&mut self) {
        if let Some(connection) = self.connection.take() {
            // Ends the read that the thread waits in; if it was closed before, the
            // thread has ended.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

/// Stores the lines until the connection or the context ends.
fn receive(connection: TcpStream, handle: &ReceiverHandle<Str>) {
    for line in BufReader::new(connection).lines() {
        let stored = line.map(|line| handle.store(line.into()));
        match stored {
            Ok(Ok(())) => {}
            Ok(Err(_refused)) => return,
            Err(error) => return handle.restart("error receiving data", Some(error.into())),
        }
    }
    handle.restart("the server closed the connection", None);
}
