//! Sockets: the engine connects, as a client, and reads.

pub(crate) mod converted;
pub(crate) mod raw;
pub(crate) mod text;

use std::io::{ErrorKind, Read};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;

use super::{Exit, Session};
use crate::cpu::keepalive::set_keepalive;
use crate::cpu::thread;
use crate::error::Error;
use crate::time::Duration;

/// How long one address may take to answer.
const CONNECT: Duration = Duration::from_secs(5);

/// The server at the other end, and how silent it may be.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// `host:port`.
    pub(crate) address: String,
    /// How long it may leave the system's probes without an answer; zero is for
    /// ever.
    pub(crate) keepalive: Duration,
    /// How long it may send nothing.
    pub(crate) read_timeout: Option<Duration>,
}

impl Peer {
    /// Connects; a stop interrupts that.
    fn connect(&self, session: &Arc<Session>) -> Result<Connection, Exit> {
        let refused = |cause| {
            let message = format!("error connecting to {}", self.address);
            Exit::restart(message.clone(), Some(Error::io(message, cause)))
        };
        // On a thread of its own: nothing ends the look-up of a name or an attempt
        // to connect early, and a stop does not wait for them.
        let attempt = {
            let (peer, session) = (self.clone(), Arc::clone(session));
            move || session.offer(peer.dial())
        };
        thread::spawn("connect", &[], attempt).map_err(refused)?;
        match session.await_connection() {
            Some(outcome) => outcome.map_err(refused).map(|stream| Connection {
                stream,
                read_timeout: self.read_timeout,
            }),
            None => Err(Exit::Shutdown),
        }
    }

    /// Tries all addresses of the host.
    fn dial(&self) -> std::io::Result<TcpStream> {
        let mut last = std::io::Error::new(ErrorKind::NotFound, "the host has no address");
        for address in self.address.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, CONNECT) {
                // On one machine the system may choose the very port as the near end
                // that nobody listens on, and connect the socket to itself.
                Ok(connection) if connection.local_addr()? == address => {
                    last = ErrorKind::ConnectionRefused.into();
                }
                Ok(connection) => {
                    connection.set_read_timeout(self.read_timeout)?;
                    self.keep_alive(&connection);
                    return Ok(connection);
                }
                Err(cause) => last = cause,
            }
        }
        Err(last)
    }

    fn keep_alive(&self, connection: &TcpStream) {
        if self.keepalive.is_zero() {
            return;
        }
        if let Err(cause) = set_keepalive(connection, self.keepalive) {
            // Better such a connection than none.
            tracing::debug!(%cause, peer = self.address, "keepalive cannot be switched on");
        }
    }

    /// How a source ends whose connection failed or ended.
    fn disconnected(&self, session: &Session, cause: Option<std::io::Error>) -> Exit {
        if session.is_shut_down() {
            return Exit::Shutdown;
        }
        match cause {
            None => Exit::restart(format!("no more data from {}", self.address), None),
            Some(cause) => {
                let message = format!("error receiving from {}", self.address);
                Exit::restart(message.clone(), Some(Error::io(message, cause)))
            }
        }
    }
}

/// An open connection, whose reads say what it means when nothing came.
#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    read_timeout: Option<Duration>,
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.stream.read(buffer);
        match (&read, self.read_timeout) {
            (Err(cause), Some(limit)) if cause.kind() == ErrorKind::WouldBlock => {
                let silent = format!("nothing was received for socket_read_timeout = {limit:?}");
                Err(std::io::Error::new(ErrorKind::TimedOut, silent))
            }
            _ => read,
        }
    }
}
