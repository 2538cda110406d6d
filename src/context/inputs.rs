//! Data sets and inputs that a context makes.

use std::io::Read;
use std::panic::Location;
use std::sync::Arc;

use super::StreamingContext;
use crate::block::{Budget, RingOptions, Str, text_ring, typed_ring};
use crate::conf::Overflow;
use crate::dstream::input::constant::ConstantIngest;
use crate::dstream::input::queue::QueueIngest;
use crate::dstream::input::receiver::ReceiverIngest;
use crate::dstream::input::source::CustomDirect;
use crate::dstream::{DStream, InputSource, RddQueue, check_like, transform_of, union_of};
use crate::error::{Error, Result};
use crate::rdd::pipe::{Data, Pipe};
use crate::rdd::{Lines, Partition, Rdd, Reading};
use crate::receiver::log::Logging;
use crate::receiver::{
    Backoff, ConvertedSocket, CustomSource, Peer, RateLimit, RateLimiter, RawSocket, Receiver,
    Source, Supervisor, TextSocket,
};
use crate::time::BatchTime;

/// # Data sets
impl StreamingContext {
    /// A static data set of `partitions` partitions (at least one) of nearly
    /// equal length, in the order of `records`.
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// let numbers = ssc.parallelize(1..=5, 2);
    /// assert_eq!(numbers.collect_partitions()?, [vec![1, 2], vec![3, 4, 5]]);
    /// # Ok::<(), millstream::Error>(())
    /// ```
    pub fn parallelize<T: Data>(
        &self,
        records: impl IntoIterator<Item = T>,
        partitions: usize,
    ) -> Rdd<T> {
        Rdd::parallelize(records, partitions, self.inner.graph.executor())
    }

    /// The lines of a text as a data set, in blocks of `block_bytes`: the text is
    /// copied once, its lines are slices of the blocks. Bytes that are not UTF-8
    /// become U+FFFD when a line is read, unless `invalid_utf8` says otherwise.
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// let words = ssc.text_lines("to be\nor not to be\n").flat_map(|line| line.split(' '));
    /// assert_eq!(words.count()?, 6);
    /// # Ok::<(), millstream::Error>(())
    /// ```
    pub fn text_lines(&self, text: impl AsRef<[u8]>) -> Rdd<Str> {
        let reading = self.reading("text_lines");
        let parts = text_blocks(text.as_ref(), self.inner.conf.block_bytes, &reading);
        Rdd::ready(parts.into(), Arc::clone(self.inner.graph.executor()))
    }
}

/// Copies a text into blocks of whole lines.
fn text_blocks(
    text: &[u8],
    block_bytes: usize,
    reading: &Arc<Reading>,
) -> Vec<Arc<dyn Partition<Str>>> {
    let mut parts: Vec<Arc<dyn Partition<Str>>> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = block_end(rest, block_bytes);
        let (bytes, next) = rest.split_at(end);
        parts.push(Arc::new(Lines::copy_of(bytes, reading)));
        rest = next;
    }
    parts
}

/// Where the first block of `text` ends: behind a line, near `block_bytes`.
fn block_end(text: &[u8], block_bytes: usize) -> usize {
    if text.len() <= block_bytes {
        return text.len();
    }
    match memchr::memrchr(b'\n', &text[..block_bytes]) {
        Some(at) => at + 1,
        None => memchr::memchr(b'\n', text).map_or(text.len(), |at| at + 1),
    }
}

/// Whether an address is of the form `host:port`; whether it can be reached is
/// found out when the receiver starts.
fn check_address(address: &str, site: &'static Location<'static>) -> Result<()> {
    let port = address
        .rsplit_once(':')
        .filter(|(host, _)| !host.is_empty())
        .map(|(_, port)| port);
    match port.map(str::parse::<u16>) {
        Some(Ok(_)) => Ok(()),
        _ => Err(Error::invalid_argument(format!(
            "the address {address:?} is not of the form host:port"
        ))
        .at(site)),
    }
}

/// # Input streams
impl StreamingContext {
    /// Takes one Rdd of the queue per batch; an empty batch when it is empty.
    /// For tests and for data that is already in the process.
    ///
    /// # Errors
    /// If the context was started.
    #[doc(alias = "queueStream")]
    #[track_caller]
    pub fn queue_stream<T: Data>(&self, queue: &RddQueue<T>) -> Result<DStream<T>> {
        self.queue_stream_with(queue, true, None)
    }

    /// As [`queue_stream`](Self::queue_stream): one Rdd per batch, or all that
    /// wait as one; `default` stands in when the queue is empty.
    ///
    /// # Errors
    /// If the context was started.
    #[track_caller]
    pub fn queue_stream_with<T: Data>(
        &self,
        queue: &RddQueue<T>,
        one_at_a_time: bool,
        default: Option<Rdd<T>>,
    ) -> Result<DStream<T>> {
        let default = default.unwrap_or_else(|| self.parallelize(Vec::new(), 1));
        let site = Location::caller();
        QueueIngest::declare(&self.inner.graph, site, queue, one_at_a_time, default)
    }

    /// The same Rdd in every batch.
    ///
    /// # Errors
    /// If the context was started.
    #[doc(alias = "ConstantInputDStream")]
    #[track_caller]
    pub fn constant_stream<T: Data>(&self, rdd: Rdd<T>) -> Result<DStream<T>> {
        ConstantIngest::declare(&self.inner.graph, Location::caller(), rdd)
    }

    /// Lines of text from a server at `address` (`host:port`), to which the
    /// context connects: UTF-8, ended by `\n`, `\r` or `\r\n`; bytes that are not
    /// UTF-8 become U+FFFD, unless `invalid_utf8` says otherwise. A last line
    /// without an end counts when the server closes. If the connection is refused,
    /// fails or ends, it is made again after `receiver_restart_delay`; while that
    /// gives no data, the pause grows up to `receiver_max_restart_delay`. A peer that vanished is noticed within
    /// `socket_keepalive`, one that has nothing to say within
    /// `socket_read_timeout`, which is not set by default. A line of more than
    /// `max_line_bytes` is dropped and reported.
    ///
    /// Received bytes stay in the block that they were read into; a line is a
    /// slice of it. When `ring_bytes` are waiting to be processed, reading
    /// pauses, and TCP holds the sender back.
    ///
    /// # Errors
    /// If the context was started, or the address is not of the form `host:port`.
    #[doc(alias = "socketTextStream")]
    #[track_caller]
    pub fn socket_text_stream(&self, address: impl Into<String>) -> Result<DStream<Str>> {
        let site = Location::caller();
        let peer = self.peer(address.into(), site)?;
        let logging = Arc::new(Logging::of_bytes(self.logs()));
        ReceiverIngest::declare(&self.inner.graph, "Socket", site, &logging, |_, name| {
            let max_line = self.inner.conf.max_line_bytes;
            let (writer, cutter, budget) = text_ring(self.ring_options(), max_line);
            let (limiter, limit) = self.limiter();
            let source = TextSocket::new(peer, writer, limiter);
            (
                cutter,
                self.reading(name),
                self.supervisor(source, budget, limit),
            )
        })
    }

    /// Records that `convert` makes of the bytes from a server at `address`
    /// (`host:port`). When its iterator ends or gives an error, the connection is
    /// made again, as with [`socket_text_stream`](Self::socket_text_stream).
    ///
    /// # Errors
    /// If the context was started, or the address is not of the form `host:port`.
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// use std::io::{BufRead, BufReader};
    ///
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// let records = ssc.socket_stream("localhost:9999", |bytes| {
    ///     BufReader::new(bytes).split(b';')
    /// })?;
    /// records.count().print();
    /// # Ok::<(), millstream::Error>(())
    /// ```
    #[doc(alias = "socketStream")]
    #[track_caller]
    pub fn socket_stream<T, I, F>(
        &self,
        address: impl Into<String>,
        convert: F,
    ) -> Result<DStream<T>>
    where
        T: Data,
        I: Iterator<Item = std::io::Result<T>> + 'static,
        F: Fn(Box<dyn Read + Send>) -> I + Send + 'static,
    {
        let site = Location::caller();
        let peer = self.peer(address.into(), site)?;
        let logging = Arc::new(Logging::new(self.logs()));
        ReceiverIngest::declare(&self.inner.graph, "Socket", site, &logging, |_, _| {
            let (writer, cutter, budget) = typed_ring(self.ring_options());
            let (limiter, limit) = self.limiter();
            let source = ConvertedSocket::new(peer, convert, writer, limiter);
            (cutter, (), self.supervisor(source, budget, limit))
        })
    }

    /// Frames of bytes from a server at `address` (`host:port`): four bytes of
    /// length, big-endian, then that many bytes, which are one record. Not
    /// subject to the rate limit. A frame of more than `max_frame_bytes` ends the
    /// connection, which is then made again.
    ///
    /// # Errors
    /// If the context was started, or the address is not of the form `host:port`.
    #[doc(alias = "rawSocketStream")]
    #[track_caller]
    pub fn raw_socket_stream(&self, address: impl Into<String>) -> Result<DStream<Arc<[u8]>>> {
        let site = Location::caller();
        let peer = self.peer(address.into(), site)?;
        let logging = Arc::new(Logging::new(self.logs()).with_codec(RawSocket::codec()));
        ReceiverIngest::declare(&self.inner.graph, "Raw socket", site, &logging, |_, _| {
            let (writer, cutter, budget) = typed_ring(self.ring_options());
            let source = RawSocket::new(peer, writer, self.inner.conf.max_frame_bytes);
            (cutter, (), self.supervisor(source, budget, None))
        })
    }

    /// What a receiver of the program's own stores.
    ///
    /// # Errors
    /// If the context was started.
    #[doc(alias = "receiverStream")]
    #[track_caller]
    pub fn receiver_stream<T: Data>(&self, receiver: impl Receiver<T>) -> Result<DStream<T>> {
        let site = Location::caller();
        let logging = Arc::new(Logging::new(self.logs()));
        ReceiverIngest::declare(
            &self.inner.graph,
            "Receiver",
            site,
            &logging,
            |stream_id, _| {
                let (writer, cutter, budget) = typed_ring(self.ring_options());
                // A block never spans batches.
                let block_interval = self.inner.conf.block_interval.min(self.batch_interval());
                let (limiter, limit) = self.limiter();
                let logging = Arc::clone(&logging);
                let source = CustomSource::new(
                    receiver,
                    stream_id,
                    writer,
                    limiter,
                    block_interval,
                    logging,
                );
                (cutter, (), self.supervisor(source, budget, limit))
            },
        )
    }

    /// The batches that a source of the program's own gives when it is asked.
    ///
    /// # Errors
    /// If the context was started.
    #[doc(alias = "InputDStream")]
    #[track_caller]
    pub fn input_stream<T: Data>(&self, source: impl InputSource<T>) -> Result<DStream<T>> {
        CustomDirect::declare(&self.inner.graph, Location::caller(), source)
    }

    /// How the lines of a stream are read.
    fn reading(&self, stream: &str) -> Arc<Reading> {
        Arc::new(Reading {
            invalid: self.inner.conf.invalid_utf8,
            stream: stream.to_owned(),
        })
    }

    /// Whether receivers write to a log.
    fn logs(&self) -> bool {
        self.inner.conf.receiver_write_ahead_log
    }

    fn ring_options(&self) -> RingOptions {
        let conf = &self.inner.conf;
        RingOptions {
            block: conf.block_bytes,
            // Where it is not set it follows when all receivers are known, at the start.
            bound: conf.ring_bytes.unwrap_or(usize::MAX),
            queue: conf.block_queue_size,
            lossy: conf.receiver_overflow == Overflow::DropNewest,
        }
    }

    /// The two ends of a rate limit, if there is to be one.
    fn limiter(&self) -> (Option<RateLimiter>, Option<Arc<RateLimit>>) {
        let conf = &self.inner.conf;
        let max = conf.receiver_max_rate;
        let limit = if conf.backpressure_enabled {
            Some(RateLimit::new(conf.backpressure_initial_rate, max))
        } else {
            max.map(|_| RateLimit::new(None, max))
        };
        let limiter = limit.clone().map(|limit| {
            let clock = Arc::clone(&self.inner.clock);
            RateLimiter::new(limit, clock, self.batch_interval())
        });
        (limiter, limit)
    }

    fn peer(&self, address: String, site: &'static Location<'static>) -> Result<Peer> {
        check_address(&address, site)?;
        Ok(Peer {
            address,
            keepalive: self.inner.conf.socket_keepalive,
            read_timeout: self.inner.conf.socket_read_timeout,
        })
    }

    fn supervisor(
        &self,
        source: impl Source,
        budget: Arc<Budget>,
        limit: Option<Arc<RateLimit>>,
    ) -> Supervisor {
        let conf = &self.inner.conf;
        Supervisor {
            source: Box::new(source),
            budget,
            limit,
            overflow: conf.receiver_overflow,
            backoff: Backoff::new(conf.receiver_restart_delay, conf.receiver_max_restart_delay),
        }
    }

    /// The union of streams of one type: in each batch all their partitions.
    ///
    /// # Errors
    /// If the list is empty, a stream belongs to another context, they slide
    /// differently, or the context was started.
    #[track_caller]
    pub fn union<T: Data, P: Pipe<Out = T>>(
        &self,
        streams: impl IntoIterator<Item = DStream<T, P>>,
    ) -> Result<DStream<T>> {
        let site = Location::caller();
        union_of(self.check_streams("union", streams, site)?, site)
    }

    /// Calls `f` once per batch with the data of several streams of one type and
    /// the time, and goes on with the Rdd that it returns.
    ///
    /// # Errors
    /// If the list is empty, a stream belongs to another context, they slide
    /// differently, or the context was started.
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// # let (queue, other_queue) = (RddQueue::<Str>::new(), RddQueue::new());
    /// let streams = [ssc.queue_stream(&queue)?, ssc.queue_stream(&other_queue)?];
    /// let longest = ssc.transform(streams, |rdds, _time| {
    ///     let counts = rdds.iter().map(Rdd::count).collect::<millstream::Result<Vec<_>>>()?;
    ///     let first = if counts[0] >= counts[1] { 0 } else { 1 };
    ///     Ok(rdds[first].clone())
    /// })?;
    /// longest.print();
    /// # Ok::<(), millstream::Error>(())
    /// ```
    #[track_caller]
    pub fn transform<T, P, U, Q, F>(
        &self,
        streams: impl IntoIterator<Item = DStream<T, P>>,
        f: F,
    ) -> Result<DStream<U>>
    where
        T: Data,
        P: Pipe<Out = T>,
        U: Data,
        Q: Pipe<Out = U>,
        F: Fn(Vec<Rdd<T>>, BatchTime) -> Result<Rdd<U, Q>> + Send + Sync + 'static,
    {
        let site = Location::caller();
        transform_of(self.check_streams("transform", streams, site)?, f, site)
    }

    /// Streams that an operation can take together.
    fn check_streams<T: Data, P: Pipe<Out = T>>(
        &self,
        operation: &str,
        streams: impl IntoIterator<Item = DStream<T, P>>,
        site: &'static Location<'static>,
    ) -> Result<Vec<DStream<T>>> {
        let graph = &self.inner.graph;
        graph.check_open(site)?;
        let streams: Vec<_> = streams.into_iter().collect();
        if let Some(first) = streams.first() {
            for stream in &streams {
                check_like(operation, graph, first.slide_interval(), stream, site)?;
            }
        }
        Ok(streams.iter().map(DStream::boxed).collect())
    }
}
