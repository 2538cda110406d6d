//! Sockets: the engine connects, as a client, and reads.

pub(crate) mod converted;
pub(crate) mod raw;
pub(crate) mod text;

use std::net::{TcpStream, ToSocketAddrs};

use super::{Exit, Session};
use crate::error::Error;
use crate::time::Duration;

/// How long one address may take to answer.
const CONNECT: Duration = Duration::from_secs(5);

/// Connects to `address` (`host:port`), which a stop can interrupt once it
/// stands.
fn connect(address: &str, session: &Session) -> Result<TcpStream, Exit> {
    let refused = |cause| {
        let message = format!("error connecting to {address}");
        Exit::restart(message.clone(), Some(Error::io(message, cause)))
    };
    let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "the host has no address");
    for address in address.to_socket_addrs().map_err(refused)? {
        if session.is_shut_down() {
            return Err(Exit::Shutdown);
        }
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(connection) => {
                return match session.attach(&connection).map_err(refused)? {
                    true => Ok(connection),
                    false => Err(Exit::Shutdown),
                };
            }
            Err(cause) => last = cause,
        }
    }
    Err(refused(last))
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
