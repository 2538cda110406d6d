//! A context, a server, what listeners are told and what comes out.

use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread::{Builder, JoinHandle};

use millstream::listener::{BatchInfo, ReceiverInfo, StreamingListener};
use millstream::prelude::*;
use millstream::receiver::{Receiver, ReceiverHandle};
use millstream::time::{Clock, ManualClock, SystemClock};

/// A receiver that fails is started again at once.
pub(crate) const AT_ONCE: &[(&str, &str)] = &[("receiver_restart_delay", "0ms")];

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A context at real intervals.
pub(crate) fn context(interval: u64, settings: &[(&str, &str)]) -> StreamingContext {
    build(interval, settings, SystemClock::new())
}

/// A context whose time starts at 0 and stands still until the test moves it.
pub(crate) fn manual(interval: u64, settings: &[(&str, &str)]) -> (StreamingContext, ManualClock) {
    let clock = ManualClock::new(0);
    (build(interval, settings, clock.clone()), clock)
}

fn build(
    interval: u64,
    settings: &[(&str, &str)],
    clock: impl Clock + 'static,
) -> StreamingContext {
    let builder = StreamingContext::builder()
        .ignore_environment()
        .workers(2)
        .batch_interval(ms(interval))
        .clock(clock);
    settings
        .iter()
        .fold(builder, |builder, &(key, value)| builder.set(key, value))
        .build()
        .unwrap()
}

/// Moves the time to `time` and waits for the batch of that time.
pub(crate) fn run_to(ssc: &StreamingContext, clock: &ManualClock, time: i64) {
    clock.set(BatchTime::from_millis(time));
    ssc.await_batch(BatchTime::from_millis(time));
}

pub(crate) fn spawn<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    Builder::new().spawn(body).unwrap()
}

/// A server on a free port that serves one script per connection, one after the
/// other, and then keeps listening without accepting until it is dropped.
pub(crate) struct Server {
    pub(crate) address: String,
    thread: Option<JoinHandle<TcpListener>>,
}

pub(crate) type Script = Box<dyn FnOnce(TcpStream) + Send>;

impl Server {
    pub(crate) fn new(scripts: Vec<Script>) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), scripts)
    }

    pub(crate) fn on(listener: TcpListener, scripts: Vec<Script>) -> Self {
        let address = listener.local_addr().unwrap().to_string();
        let thread = spawn(move || {
            for script in scripts {
                let (connection, _) = listener.accept().unwrap();
                connection.set_nodelay(true).unwrap();
                script(connection);
            }
            listener
        });
        Self {
            address,
            thread: Some(thread),
        }
    }

    /// Serves one connection with these bytes and closes it.
    pub(crate) fn sending(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(vec![send(bytes)])
    }

    /// Waits until all scripts have run.
    pub(crate) fn join(mut self) {
        drop(self.thread.take().unwrap().join().unwrap());
    }
}

/// Sends bytes and closes.
pub(crate) fn send(bytes: impl Into<Vec<u8>>) -> Script {
    let bytes = bytes.into();
    Box::new(move |mut connection| {
        std::io::Write::write_all(&mut connection, &bytes).unwrap();
    })
}

/// What listeners are told, in order.
pub(crate) struct Events(mpsc::Receiver<Event>);

#[derive(Debug)]
pub(crate) enum Event {
    Started(ReceiverInfo),
    Error(ReceiverInfo),
    Stopped(ReceiverInfo),
    Submitted(BatchInfo),
    Completed(BatchInfo),
}

struct Tell(mpsc::Sender<Event>);

impl Tell {
    fn tell(&self, event: Event) {
        // A test that has seen enough no longer listens.
        let _ = self.0.send(event);
    }
}

impl StreamingListener for Tell {
    fn on_batch_submitted(&self, batch: &BatchInfo) {
        self.tell(Event::Submitted(batch.clone()));
    }
    fn on_batch_completed(&self, batch: &BatchInfo) {
        self.tell(Event::Completed(batch.clone()));
    }
    fn on_receiver_started(&self, receiver: &ReceiverInfo) {
        self.tell(Event::Started(receiver.clone()));
    }
    fn on_receiver_error(&self, receiver: &ReceiverInfo) {
        self.tell(Event::Error(receiver.clone()));
    }
    fn on_receiver_stopped(&self, receiver: &ReceiverInfo) {
        self.tell(Event::Stopped(receiver.clone()));
    }
}

impl Events {
    pub(crate) fn of(ssc: &StreamingContext) -> Self {
        let (send, receive) = mpsc::channel();
        ssc.add_listener(Tell(send));
        Self(receive)
    }

    /// Waits for an event that `pick` takes; those before it are passed over.
    pub(crate) fn next<R>(&self, pick: impl Fn(Event) -> Option<R>) -> R {
        loop {
            if let Some(picked) = pick(self.0.recv().unwrap()) {
                return picked;
            }
        }
    }

    pub(crate) fn started(&self) -> ReceiverInfo {
        self.next(|event| match event {
            Event::Started(receiver) => Some(receiver),
            _ => None,
        })
    }

    pub(crate) fn stopped(&self) -> ReceiverInfo {
        self.next(|event| match event {
            Event::Stopped(receiver) => Some(receiver),
            _ => None,
        })
    }

    pub(crate) fn error(&self) -> ReceiverInfo {
        self.next(|event| match event {
            Event::Error(receiver) => Some(receiver),
            _ => None,
        })
    }

    /// Waits until receivers stopped `times` times as their source had no more.
    pub(crate) fn ends(&self, times: usize) {
        for _ in 0..times {
            self.next(|event| match event {
                Event::Stopped(receiver) if receiver.last_message.starts_with("no more data") => {
                    Some(())
                }
                _ => None,
            });
        }
    }
}

/// The batches of a stream.
pub(crate) struct Gathered<T> {
    batches: Mutex<Vec<(i64, Vec<Vec<T>>)>>,
    changed: Condvar,
}

impl<T: Data> Gathered<T> {
    pub(crate) fn of(stream: &DStream<T>) -> Arc<Self> {
        let gathered = Arc::new(Self {
            batches: Mutex::default(),
            changed: Condvar::new(),
        });
        let into = Arc::clone(&gathered);
        stream.foreach_rdd(move |rdd, time| {
            let partitions = rdd.collect_partitions()?;
            into.batches
                .lock()
                .unwrap()
                .push((time.as_millis(), partitions));
            into.changed.notify_all();
            Ok(())
        });
        gathered
    }

    /// The partitions of each batch.
    pub(crate) fn batches(&self) -> Vec<(i64, Vec<Vec<T>>)> {
        self.batches.lock().unwrap().clone()
    }

    /// All records, in order.
    pub(crate) fn records(&self) -> Vec<T> {
        let batches = self.batches().into_iter();
        batches.flat_map(|(_, parts)| parts).flatten().collect()
    }

    /// Waits until there are so many records.
    pub(crate) fn wait(&self, count: usize) {
        let enough = |batches: &mut Vec<(i64, Vec<Vec<T>>)>| {
            let parts = batches.iter().flat_map(|(_, parts)| parts);
            parts.map(Vec::len).sum::<usize>() < count
        };
        drop(
            self.changed
                .wait_while(self.batches.lock().unwrap(), enough)
                .unwrap(),
        );
    }
}

/// A receiver that gives its handle to the test, which stores with it.
pub(crate) struct Hands<T: Data> {
    started: mpsc::Sender<ReceiverHandle<T>>,
    stopped: mpsc::Sender<()>,
}

/// The test's ends of [`Hands`].
pub(crate) struct Held<T: Data> {
    pub(crate) started: mpsc::Receiver<ReceiverHandle<T>>,
    pub(crate) stopped: mpsc::Receiver<()>,
}

impl<T: Data> Hands<T> {
    pub(crate) fn new() -> (Self, Held<T>) {
        let (started, handles) = mpsc::channel();
        let (stopped, stops) = mpsc::channel();
        let held = Held {
            started: handles,
            stopped: stops,
        };
        (Self { started, stopped }, held)
    }
}

impl<T: Data> Receiver<T> for Hands<T> {
    fn on_start(&mut self, handle: ReceiverHandle<T>) -> millstream::Result<()> {
        // The test may be over.
        let _ = self.started.send(handle);
        Ok(())
    }

    fn on_stop(&mut self) {
        let _ = self.stopped.send(());
    }
}

/// Numbers that look random and are always the same.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        // Knuth's multiplier; the high bits are the good ones.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}
