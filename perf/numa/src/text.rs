//! Lines from two sockets, with a worker and a receiver on each node, all on CPUs of their
//! own.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use millstream::prelude::*;
use millstream::testing::TestContext;

use crate::check::{Checks, Places};
use crate::key::{Key, TABLES, counts, in_order};
use crate::{system, threads};

/// From each socket; together they are some MiB.
const LINES: usize = 1 << 16;

pub(crate) fn run(checks: &mut Checks) -> Result<(), Box<dyn Error>> {
    let nodes = threads::nodes()?;
    checks.equal(
        "the machine has two nodes",
        &nodes,
        &["0-1", "2-3"].map(String::from).into(),
    );

    let test = TestContext::with(|builder| builder.workers(2).pin(true));
    let listeners = [
        TcpListener::bind("127.0.0.1:0")?,
        TcpListener::bind("127.0.0.1:0")?,
    ];
    let received = Arc::new(Received::default());
    for (receiver, listener) in listeners.iter().enumerate() {
        let lines = test
            .ssc
            .socket_text_stream(listener.local_addr()?.to_string())?;
        let received = Arc::clone(&received);
        lines.foreach_rdd(move |rdd, _| received.keep(receiver, rdd));
    }
    test.start();
    let _connections = listeners
        .iter()
        .enumerate()
        .map(|(receiver, listener)| send(receiver, listener))
        .collect::<std::io::Result<Vec<_>>>()?;
    while received.lines() < 2 * LINES as u64 {
        test.tick();
        if let Some(error) = test.first_error() {
            return Err(error.into());
        }
    }

    checks.equal(
        "text: workers and receivers have CPUs of their own on both nodes",
        &threads::places()?,
        &threads::expected([
            ("ms-worker-0", "0"),
            ("ms-worker-1", "2"),
            ("ms-receiver-0", "1"),
            ("ms-receiver-1", "3"),
        ]),
    );

    let all = received.all().ok_or("nothing was received")?;
    let look = Arc::new(Look::default());
    let found = {
        let look = Arc::clone(&look);
        Key::expect(2 * LINES);
        all.map(move |line| Key::count(look.at(&line)))
            .reduce_by_key(|a, b| a + b)
            .collect()?
    };
    checks.near(
        "text: the blocks of a receiver are on its node",
        &look.blocks,
    );
    checks.near("text: the table of a worker is on its node", &TABLES);
    for (node, order) in look.orders.iter().enumerate() {
        let order = lock(order);
        checks.equal(
            &format!(
                "text: the worker of node {node} reads what was received there, and then helps"
            ),
            &order[..]
                .split_first()
                .is_some_and(|(first, rest)| *first == node && rest.len() < 2),
            &true,
        );
        println!("numa: receivers by the turns of the worker of node {node}: {order:?}");
    }
    let expected = counts((0..LINES).chain(0..LINES));
    checks.equal(
        "text: the counts are exact",
        &(in_order(found) == Some(expected)),
        &true,
    );
    test.stop();
    Ok(())
}

/// The batches of each receiver.
#[derive(Default)]
struct Received {
    batches: [Mutex<Vec<Rdd<Str>>>; 2],
    lines: Mutex<u64>,
}

impl Received {
    fn keep(&self, receiver: usize, rdd: Rdd<Str>) -> millstream::Result<()> {
        let count = rdd.count()?;
        if count > 0 {
            lock(&self.batches[receiver]).push(rdd);
            *lock(&self.lines) += count;
        }
        Ok(())
    }

    fn lines(&self) -> u64 {
        *lock(&self.lines)
    }

    /// All together: those of the second node first, so that the workers' numbers alone
    /// would lead them to the other one's.
    fn all(&self) -> Option<Rdd<Str>> {
        let batches = self
            .batches
            .iter()
            .rev()
            .flat_map(|batches| lock(batches).clone());
        batches.reduce(Rdd::union)
    }
}

/// What the workers see.
#[derive(Default)]
struct Look {
    /// Pages of lines, against the nodes of their receivers.
    blocks: Places,
    /// The receivers whose lines the worker of each node read, one after the other.
    orders: [Mutex<Vec<usize>>; 2],
}

impl Look {
    /// Looks at a line, and gives its number.
    fn at(&self, line: &Str) -> usize {
        let mut fields = line
            .as_str()
            .split(' ')
            .map(|field| field.parse().expect("a number"));
        let mut next = || fields.next().expect("two numbers and more");
        let (receiver, number): (usize, usize) = (next(), next());
        self.blocks.note_page(|| receiver, line.as_bytes().as_ptr());
        let mut order = lock(&self.orders[system::node_of_thread()]);
        if order.last() != Some(&receiver) {
            order.push(receiver);
        }
        number
    }
}

/// Sends the lines of a receiver, each of 64 bytes: longer than what a string has room for in
/// itself.
fn send(receiver: usize, listener: &TcpListener) -> std::io::Result<TcpStream> {
    let mut text = String::new();
    for number in 0..LINES {
        writeln!(
            text,
            "{receiver} {number} {:0>width$}",
            0,
            width = 60 - digits(number)
        )
        .expect("a string takes all");
    }
    let (mut connection, _) = listener.accept()?;
    connection.write_all(text.as_bytes())?;
    Ok(connection)
}

fn digits(number: usize) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poison| poison.into_inner())
}
