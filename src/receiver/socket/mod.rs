//! Sockets: the engine connects, as a client, and reads.

pub(crate) mod converted;
pub(crate) mod raw;
pub(crate) mod text;

use std::io::ErrorKind;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;

use super::{Exit, Session};
use crate::cpu::thread;
use crate::error::Error;
use crate::time::Duration;

/// How long one address may take to answer.
const CONNECT: Duration = Duration::from_secs(5);

/// Connects to `address` (`host:port`); a stop interrupts that.
fn connect(address: &str, session: &Arc<Session>) -> Result<TcpStream, Exit> {
    let refused = |cause| {
        let message = format!("error connecting to {address}");
        Exit::restart(message.clone(), Some(Error::io(message, cause)))
    };
    // On a thread of its own: nothing ends the look-up of a name or an attempt
    // to connect early, and a stop does not wait for them.
    let attempt = {
        let (address, session) = (address.to_owned(), Arc::clone(session));
        move || session.offer(dial(&address))
    };
    thread::spawn("connect", None, attempt).map_err(refused)?;
    match session.await_connection() {
        Some(outcome) => outcome.map_err(refused),
        None => Err(Exit::Shutdown),
    }
}

/// Tries all addresses of a host.
fn dial(address: &str) -> std::io::Result<TcpStream> {
    let mut last = std::io::Error::new(ErrorKind::NotFound, "the host has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            // On one machine the system may choose the very port as the near end
            // that nobody listens on, and connect the socket to itself.
            Ok(connection) if connection.local_addr()? == address => {
                last = ErrorKind::ConnectionRefused.into();
            }
            Ok(connection) => return Ok(connection),
            Err(cause) => last = cause,
        }
    }
    Err(last)
}

/// How a source ends whose connection failed or ended.
fn disconnected(address: &str, session: &Session, cause: Option<std::io::Error>) -> Exit {
    if session.is_shut_down() {
        return Exit::Shutdown;
    }
    match cause {
        None => Exit::restart(format!("no more data from {address}"), None),
        Some(cause) => {
            let message = format!("error receiving from {address}");
            Exit::restart(message.clone(), Some(Error::io(message, cause)))
        }
    }
}
