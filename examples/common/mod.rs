//! What the programs share: the part of each that is not about streams.

#![allow(dead_code, reason = "each program uses a part of it")]

use std::fmt::Display;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fs, process, thread};

use millstream::prelude::*;
use millstream::rdd::pipe::Pipe;
use millstream::shared::LongAccumulator;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tracing_subscriber::filter::LevelFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub(crate) const TEXT: &str = include_str!("../text/alice.txt");

/// How long a program runs on its own source, which has sent all after a second and a half.
const DEMO: Duration = Duration::from_secs(5);

/// Where the input comes from, and what follows from that.
pub(crate) struct Input {
    /// `host:port`, or a directory.
    pub(crate) address: String,
    /// What the guide calls a second; on its own source a program is in more of a
    /// hurry.
    pub(crate) second: Duration,
    /// For ever, unless the source is the program's own.
    pub(crate) run_for: Duration,
    is_own: bool,
}

impl Input {
    /// The program's own source, with so short a second.
    pub(crate) fn own(address: String, second: Duration) -> Self {
        Self {
            address,
            second,
            run_for: DEMO,
            is_own: true,
        }
    }

    /// What the command line names.
    pub(crate) fn given(address: String) -> Self {
        Self {
            address,
            second: Duration::from_secs(1),
            run_for: Duration::MAX,
            is_own: false,
        }
    }

    /// A server of the program's own, with so short a second; `send` is what it does for
    /// each client.
    pub(crate) fn served(
        second: Duration,
        send: impl Fn(&mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> millstream::Result<Self> {
        Ok(Self::own(serve(send)?, second))
    }

    /// The server that the command line names by host and port. Without one, a
    /// [server](Self::served) of the program's own.
    pub(crate) fn socket(
        program: &str,
        second: Duration,
        send: impl Fn(&mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> millstream::Result<Self> {
        match &arguments()[..] {
            [] => Self::served(second, send),
            [host, port] => Ok(Self::given(format!("{host}:{port}"))),
            _ => Err(usage(program, "[<host> <port>]")),
        }
    }

    /// Tells what came of it. Given an input, standard output has the batches and
    /// nothing else.
    #[expect(
        clippy::print_stdout,
        clippy::print_stderr,
        reason = "a program talks to its user"
    )]
    pub(crate) fn report(&self, summary: impl Display) {
        if self.is_own {
            println!("{summary}");
        } else {
            eprintln!("{summary}");
        }
    }
}

/// What goes wrong, as a source that cannot be reached, is told on standard error;
/// `RUST_LOG=info` tells more.
pub(crate) fn log_to_stderr() {
    let level = env::var("RUST_LOG")
        .ok()
        .and_then(|level| level.parse().ok());
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_max_level(level.unwrap_or(LevelFilter::WARN))
        .init();
}

pub(crate) fn arguments() -> Vec<String> {
    env::args().skip(1).collect()
}

pub(crate) fn usage(program: &str, arguments: &str) -> millstream::Error {
    millstream::Error::invalid_argument(format!("usage: {program} {arguments}"))
}

/// Stops the context gracefully at Ctrl-C.
pub(crate) fn stop_at_ctrl_c(ssc: &StreamingContext) -> millstream::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let ssc = ssc.clone();
    spawn("signals", move || {
        signals.forever().next();
        if let Err(error) = ssc.stop(true) {
            tracing::error!(%error, "not all was stopped cleanly");
        }
    })
}

/// The sum of the numbers of all batches.
pub(crate) fn total<P: Pipe<Out = u64>>(numbers: &DStream<u64, P>) -> LongAccumulator {
    let total = LongAccumulator::new("total", 0);
    let sum = total.clone();
    numbers.foreach_rdd(move |rdd, _| {
        let batch = rdd.reduce(|a, b| a + b)?.unwrap_or(0);
        sum.add(batch as i64);
        Ok(())
    });
    total
}

/// The items at a walking pace, as a source has them that talks.
pub(crate) fn every<T>(
    pause: Duration,
    items: impl IntoIterator<Item = T>,
) -> impl Iterator<Item = T> {
    items.into_iter().inspect(move |_| thread::sleep(pause))
}

/// Sends the lines of the text, twenty in a second.
pub(crate) fn send_lines(client: &mut TcpStream) -> io::Result<()> {
    every(Duration::from_millis(50), TEXT.lines())
        .try_for_each(|line| client.write_all(format!("{line}\n").as_bytes()))
}

/// Moves one file after the other into the directory, of four lines each. A file has to
/// be complete when the stream finds it, so it is written under a name that the stream
/// passes over.
pub(crate) fn move_files_to(directory: &Path, name: &str, lines: &[&str]) -> io::Result<()> {
    for (i, part) in every(Duration::from_millis(150), lines.chunks(4)).enumerate() {
        let written = directory.join(format!(".{name}-{i}"));
        fs::write(&written, part.join("\n"))?;
        fs::rename(written, directory.join(format!("{name}-{i}")))?;
    }
    Ok(())
}

/// A directory that goes away with the program.
pub(crate) struct OwnDirectory(PathBuf);

impl OwnDirectory {
    pub(crate) fn new(name: &str) -> io::Result<Self> {
        let path = env::temp_dir().join(format!("{name}-{}", process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl std::ops::Deref for OwnDirectory {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for OwnDirectory {
    fn drop(&mut self) {
        // What stays is in the directory for what may be lost.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A server on a free port. When it has sent all to a client it keeps the
/// connection, as `nc` does.
fn serve(
    send: impl Fn(&mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
) -> millstream::Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?.to_string();
    let send = Arc::new(send);
    spawn("source", move || {
        for client in listener.incoming() {
            let send = Arc::clone(&send);
            let served = client.map_err(Into::into).and_then(|mut client| {
                spawn("client", move || {
                    // Until the client goes away.
                    let _ = send(&mut client).and_then(|()| client.read(&mut [0]));
                })
            });
            if served.is_err() {
                return;
            }
        }
    })?;
    Ok(address)
}

pub(crate) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> millstream::Result<()> {
    thread::Builder::new().name(name.into()).spawn(body)?;
    Ok(())
}
