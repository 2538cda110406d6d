//! Records of receivers of the program's own, where the workers take all CPUs: the receivers
//! have a node, and no CPU.

use std::error::Error;
use std::sync::mpsc::{self, Receiver as Requests, Sender};
use std::sync::{Arc, Barrier};

use millstream::receiver::{Receiver, ReceiverHandle};
use millstream::testing::{TestContext, watch};

use crate::check::{Checks, Places};
use crate::key::{Key, TABLES, counts, in_order};
use crate::{system, threads};

/// Blocks that a receiver stores for each batch, as many as there are workers on its node.
const BLOCKS: usize = 2;
/// Records of a block: a batch is far too large for one thread.
const RECORDS: usize = 1 << 15;
/// Enough for each worker to get tables that are used again.
const BATCHES: usize = 8;

/// Pages of records, against the nodes of their receivers.
static PAGES: Places = Places::new();

pub(crate) fn run(checks: &mut Checks) -> Result<(), Box<dyn Error>> {
    let test = TestContext::with(|builder| builder.workers(4).pin(true));
    let (mut feeds, mut streams) = (Vec::new(), Vec::new());
    for receiver in 0..2 {
        let (request, requests) = mpsc::channel();
        let (done, is_done) = mpsc::channel();
        let source = Source {
            receiver,
            channels: Some((requests, done)),
        };
        streams.push(test.ssc.receiver_stream(source)?);
        feeds.push((request, is_done));
    }
    // Those of the second node first, so that the workers' numbers alone would lead them to
    // the other one's.
    streams.reverse();
    let records = test.ssc.union(streams)?;
    let tasks = Arc::new(Places::new());
    let noted = Arc::clone(&tasks);
    // So each worker takes one partition.
    let together = Arc::new(Barrier::new(2 * BLOCKS));
    records.foreach_rdd(move |rdd, _| {
        let (noted, together) = (Arc::clone(&noted), Arc::clone(&together));
        rdd.for_each_partition(move |mut records| {
            together.wait();
            if let Some(record) = records.next() {
                noted.note(record.receiver, system::node_of_thread());
            }
            Ok(())
        })
    });
    let counted = records
        .map(|record| Key::count(record.number))
        .reduce_by_key(|a, b| a + b);
    let found = watch(&counted);
    test.start();
    for _ in 0..BATCHES {
        for (request, _) in &feeds {
            request.send(())?;
        }
        for (_, is_done) in &feeds {
            is_done.recv()?;
        }
        Key::expect(2 * BLOCKS * RECORDS);
        test.tick();
        if let Some(error) = test.first_error() {
            return Err(error.into());
        }
    }

    checks.equal(
        "typed: workers have CPUs of their own, and receivers those of a node",
        &threads::places()?,
        &threads::expected([
            ("ms-worker-0", "0"),
            ("ms-worker-1", "1"),
            ("ms-worker-2", "2"),
            ("ms-worker-3", "3"),
            ("ms-receiver-0", "0-1"),
            ("ms-receiver-1", "2-3"),
        ]),
    );
    checks.near("typed: the blocks of a receiver are on its node", &PAGES);
    checks.near(
        "typed: partitions are processed on the node that they were received on",
        &tasks,
    );
    checks.near(
        "typed: the table of a worker is on its node, in each batch",
        &TABLES,
    );
    let expected = Some(counts((0..2 * BLOCKS).flat_map(|_| 0..RECORDS)));
    let batches = found.take();
    let exact = batches
        .into_iter()
        .filter(|(_, found)| in_order(found.clone()) == expected);
    checks.equal(
        "typed: the counts of all batches are exact",
        &exact.count(),
        &BATCHES,
    );
    test.stop();
    Ok(())
}

struct Record {
    receiver: usize,
    number: usize,
}

impl Clone for Record {
    /// Whoever reads a block that others may read, too, clones its records.
    fn clone(&self) -> Self {
        PAGES.note_page(|| self.receiver, self);
        Self { ..*self }
    }
}

/// Stores some blocks for each request.
struct Source {
    receiver: usize,
    channels: Option<(Requests<()>, Sender<()>)>,
}

impl Receiver<Record> for Source {
    fn on_start(&mut self, handle: ReceiverHandle<Record>) -> millstream::Result<()> {
        let receiver = self.receiver;
        let Some((requests, done)) = self.channels.take() else {
            return Ok(());
        };
        // It stays on the node of the thread that starts it.
        std::thread::spawn(move || {
            for () in requests {
                for _ in 0..BLOCKS {
                    let records = (0..RECORDS).map(|number| Record { receiver, number });
                    if handle.store_many(records.collect()).is_err() {
                        return;
                    }
                }
                if done.send(()).is_err() {
                    return;
                }
            }
        });
        Ok(())
    }

    fn on_stop(&mut self) {}
}
