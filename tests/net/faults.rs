//! What goes wrong is reported in clear words, and the rest goes on.

use std::io::Write;
use std::net::TcpListener;
use std::sync::mpsc;

use millstream::prelude::*;
use millstream::receiver::{Receiver, ReceiverHandle};
use millstream::{Error, ErrorKind};

use crate::helpers::{
    AT_ONCE, Event, Events, Gathered, Hands, Server, context, manual, run_to, send,
};

#[test]
fn a_refused_port_is_reported_and_tried_again() {
    // An address that no other test takes a port of in the meantime.
    let Ok(listener) = TcpListener::bind("127.0.0.2:0") else {
        println!("skipped: this machine has no address 127.0.0.2");
        return;
    };
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let ssc = context(5, &[("receiver_restart_delay", "2ms")]);
    let lines = Gathered::of(&ssc.socket_text_stream(address.as_str()).unwrap());
    let events = Events::of(&ssc);
    ssc.start().unwrap();
    for _ in 0..3 {
        assert!(events.started().active);
        let stopped = events.stopped();
        assert!(!stopped.active);
        assert_eq!(stopped.name, "Socket stream [0]");
        let message = format!("error connecting to {address}");
        assert_eq!(stopped.last_message, message);
        let error = stopped.last_error.unwrap();
        assert_eq!(error.kind(), ErrorKind::Io);
        let text = format!("input/output error: {message}: Connection refused (os error 111)");
        assert_eq!(error.to_string(), text);
    }
    let listener = TcpListener::bind(&address).unwrap();
    let server = Server::on(listener, vec![send("here\nat last")]);
    events.ends(1);
    ssc.stop(true).unwrap();
    server.join();
    assert_eq!(lines.records(), ["here", "at last"]);
}

#[test]
fn an_unknown_host_is_reported_and_tried_again() {
    let ssc = context(5, AT_ONCE);
    Gathered::of(&ssc.socket_text_stream("no-such-host.invalid:1").unwrap());
    let events = Events::of(&ssc);
    ssc.start().unwrap();
    for _ in 0..2 {
        let stopped = events.stopped();
        let message = "error connecting to no-such-host.invalid:1";
        assert_eq!(stopped.last_message, message);
        let error = stopped.last_error.unwrap().to_string();
        assert!(
            error.starts_with(&format!("input/output error: {message}: ")),
            "{error}"
        );
    }
    ssc.stop(false).unwrap();
}

#[test]
fn a_peer_that_vanishes_in_a_line_gives_a_last_line() {
    let server = Server::new(vec![send("whole\nhal"), send("f\nwhole\r"), send("\n")]);
    let ssc = context(5, AT_ONCE);
    let lines = Gathered::of(&ssc.socket_text_stream(server.address.as_str()).unwrap());
    let events = Events::of(&ssc);
    ssc.start().unwrap();
    events.ends(3);
    ssc.stop(true).unwrap();
    server.join();
    // No line is put together from two connections.
    assert_eq!(lines.records(), ["whole", "hal", "f", "whole", ""]);
}

#[test]
fn bytes_that_are_not_utf8_become_replacement_characters() {
    let server = Server::sending(b"a\xffb\n\xe6\xbc\nplain\n\xf0\x9f\xa6\x80".as_slice());
    let ssc = context(5, AT_ONCE);
    let lines = Gathered::of(&ssc.socket_text_stream(server.address.as_str()).unwrap());
    let events = Events::of(&ssc);
    ssc.start().unwrap();
    events.ends(1);
    ssc.stop(true).unwrap();
    assert_eq!(
        lines.records(),
        ["a\u{fffd}b", "\u{fffd}", "plain", "\u{1f980}"]
    );
}

/// What a batch of lines that are not UTF-8 gives: by two outputs, the second of which
/// counts them; what is told of it; and the first error.
fn read_invalid(workers: usize, policy: &str) -> (Vec<Str>, (u64, u64), Option<String>) {
    let text = b"a\xffb\nplain\n\xe6\xbc\n\xf0\x9f\xa6\x80\nno \xc3";
    let server = Server::sending(text.as_slice());
    let workers = workers.to_string();
    let settings = [("invalid_utf8", policy), ("workers", &workers)];
    let (ssc, clock) = manual(1000, &settings);
    let stream = ssc.socket_text_stream(server.address.as_str()).unwrap();
    let lines = Gathered::of(&stream);
    let counts = Gathered::of(&stream.count());
    let events = Events::of(&ssc);
    ssc.start().unwrap();
    events.ends(1);
    run_to(&ssc, &clock, 1000);
    let error = ssc.await_termination_or_timeout(Duration::ZERO).err();
    ssc.stop(false).unwrap();
    let batch = events.next(|event| match event {
        Event::Completed(batch) => Some(batch),
        _ => None,
    });
    let told = (batch.inputs[0].num_records, batch.inputs[0].invalid_lines);
    let count = counts.records().first().copied().unwrap_or_default();
    assert_eq!(count as usize, lines.records().len());
    (
        lines.records(),
        told,
        error.map(|error| format!("{error:#?}")),
    )
}

#[test]
fn b_2_lines_that_are_not_utf8_are_replaced_left_out_or_fail_their_batch() {
    for workers in [1, 2] {
        let (lines, told, error) = read_invalid(workers, "replace");
        assert_eq!(
            lines,
            [
                "a\u{fffd}b",
                "plain",
                "\u{fffd}",
                "\u{1f980}",
                "no \u{fffd}"
            ]
        );
        assert_eq!((told, error), ((5, 3), None));
        let (lines, told, error) = read_invalid(workers, "skip");
        assert_eq!(lines, ["plain", "\u{1f980}"]);
        assert_eq!(
            (told, error),
            ((5, 3), None),
            "counted once, however often read"
        );
        let (lines, told, error) = read_invalid(workers, "error");
        assert_eq!((lines, told), (Vec::new(), (5, 1)));
        let error = error.unwrap();
        assert!(
            error.contains("line 1 of a block is not UTF-8 from its byte 1 on")
                && error.contains("Socket stream [0]"),
            "{error}"
        );
    }
}

#[test]
fn a_line_that_is_too_long_is_dropped_and_reported() {
    let settings = [
        AT_ONCE[0],
        ("max_line_bytes", "1000"),
        ("block_bytes", "4KiB"),
        ("ring_bytes", "8KiB"),
    ];
    let server = Server::new(vec![Box::new(|mut connection| {
        let longest = [b'y'; 1000];
        connection.write_all(b"first\n").unwrap();
        connection.write_all(&longest).unwrap();
        // Without an end, a thousand times the ring.
        for _ in 0..8 << 10 {
            connection.write_all(&[b'x'; 1024]).unwrap();
        }
        connection.write_all(b"\r\nsecond\n").unwrap();
        connection.write_all(&longest).unwrap();
        connection.write_all(b"\nlast").unwrap();
    })]);
    let ssc = context(1, &settings);
    let lines = Gathered::of(&ssc.socket_text_stream(server.address.as_str()).unwrap());
    let events = Events::of(&ssc);
    ssc.start().unwrap();
    let message = format!(
        "1 lines from {} were longer than max_line_bytes and dropped so far",
        server.address
    );
    let error = events.error();
    assert_eq!(error.last_message, message);
    assert!(error.active, "it goes on receiving");
    events.ends(1);
    ssc.stop(true).unwrap();
    let longest = "y".repeat(1000);
    assert_eq!(lines.records(), ["first", "second", &longest, "last"]);
}

/// What is dropped leaves no trace at its neighbours: an empty line behind it
/// stays a line, also where the line before it ended in a lone `\r`.
#[test]
fn lines_around_one_that_is_too_long_stay_apart() {
    let settings = [AT_ONCE[0], ("max_line_bytes", "10")];
    let long = "x".repeat(11);
    let server = Server::new(vec![
        send(format!("a\r{long}\n\nb\r{long}\r\n\nc\r\n{long}")),
        send("\nd\r"),
        send("\n"),
    ]);
    let ssc = context(5, &settings);
    let lines = ssc.socket_text_stream(server.address.as_str()).unwrap();
    let counts = Gathered::of(&lines.count());
    let lines = Gathered::of(&lines);
    let events = Events::of(&ssc);
    ssc.start().unwrap();
    events.ends(3);
    ssc.stop(true).unwrap();
    assert_eq!(lines.records(), ["a", "", "b", "", "c", "", "d", ""]);
    assert_eq!(counts.records().iter().sum::<u64>(), 8);
}

/// The same, with the long line received bit by bit.
#[test]
fn lines_around_one_that_is_too_long_stay_apart_over_reads() {
    let (ssc, clock) = manual(
        1_000,
        &[("max_line_bytes", "10"), ("receiver_restart_delay", "1h")],
    );
    let (step, steps) = mpsc::channel::<()>();
    let server = Server::new(vec![Box::new(move |mut connection| {
        for piece in [
            "a\rxxx",
            "xxxxxxxxx\r1\n",
            "\n2\rxx",
            "xxxxxxxxxxx",
            "x\n",
            "\n3\n",
        ] {
            connection.write_all(piece.as_bytes()).unwrap();
            steps.recv().unwrap();
        }
    })]);
    let lines = Gathered::of(&ssc.socket_text_stream(server.address.as_str()).unwrap());
    let events = Events::of(&ssc);
    ssc.start().unwrap();
    // Each piece ends a line or drops one: both can be seen.
    let mut second = 0;
    for known in [1, 2, 4, 0, 0, 6] {
        if known == 0 {
            step.send(()).unwrap();
            continue;
        }
        while lines.records().len() < known {
            second += 1_000;
            run_to(&ssc, &clock, second);
        }
        step.send(()).unwrap();
    }
    events.ends(1);
    ssc.stop(true).unwrap();
    server.join();
    assert_eq!(lines.records(), ["a", "1", "", "2", "", "3"]);
}

#[test]
fn an_address_without_a_port_is_refused_where_it_is_declared() {
    let ssc = context(5, &[]);
    for address in [
        "localhost",
        "localhost:",
        ":80",
        "",
        "localhost:http",
        "a:65536",
        "a:-1",
    ] {
        let line = line!() + 1;
        let error = ssc.socket_text_stream(address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert_eq!(
            error.to_string(),
            format!(
                "invalid argument: the address {address:?} is not of the form host:port \
                 (declared at {}:{line})",
                file!()
            )
        );
        assert!(ssc.raw_socket_stream(address).is_err());
        let records = ssc.socket_stream(address, |_| std::iter::empty::<std::io::Result<u8>>());
        assert!(records.is_err());
    }
}

#[test]
fn a_closure_that_panics_fails_its_batch_only() {
    let (ssc, clock) = manual(1_000, &[]);
    let (hands, held) = Hands::new();
    let numbers = ssc.receiver_stream(hands).unwrap();
    let line = line!() + 1;
    let odd = numbers.map(|n: u64| if n == 13 { panic!("unlucky {n}") } else { n });
    let results = Gathered::of(&odd.boxed());
    let all = Gathered::of(&numbers);
    let events = Events::of(&ssc);
    ssc.start().unwrap();
    let handle = held.started.recv().unwrap();
    for (time, number) in [(1_000, 12), (2_000, 13), (3_000, 14)] {
        handle.store(number).unwrap();
        run_to(&ssc, &clock, time);
    }
    let failed: Vec<_> = (0..3)
        .map(|_| {
            events.next(|event| match event {
                Event::Completed(batch) => Some((batch.num_records(), batch.error().cloned())),
                _ => None,
            })
        })
        .collect();
    assert!(failed[0].1.is_none() && failed[2].1.is_none());
    assert_eq!(failed.iter().map(|batch| batch.0).sum::<u64>(), 3);
    let error = failed[1].1.clone().unwrap().to_string();
    assert!(error.contains("panicked: unlucky 13"), "{error}");
    let step = format!("map at {}:{line}", file!());
    assert!(error.contains(&step), "{error}");
    assert!(error.contains("batch 2000 ms"), "{error}");
    for _ in 0..2 {
        let reported = ssc.await_termination().unwrap_err();
        assert_eq!(reported.kind(), ErrorKind::Panic);
        assert_eq!(reported.to_string(), error);
    }
    ssc.stop(true).unwrap();
    assert_eq!(results.records(), [12, 14]);
    assert_eq!(all.records(), [12, 13, 14], "another output has them all");
}

#[test]
fn an_output_that_fails_is_reported_and_the_others_go_on() {
    let (ssc, clock) = manual(1_000, &[]);
    let (hands, held) = Hands::<u64>::new();
    let numbers = ssc.receiver_stream(hands).unwrap();
    numbers.foreach_rdd(|rdd, _| match rdd.count()? {
        2 => Err(Error::from(std::io::Error::other("disk full"))),
        _ => Ok(()),
    });
    let all = Gathered::of(&numbers);
    ssc.start().unwrap();
    let handle = held.started.recv().unwrap();
    for (time, count) in [(1_000, 1), (2_000, 2), (3_000, 3)] {
        (0..count).for_each(|n| handle.store(n).unwrap());
        run_to(&ssc, &clock, time);
    }
    let error = ssc.await_termination().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Job);
    let error = error.to_string();
    assert!(error.contains("foreach_rdd at "), "{error}");
    assert!(error.contains("batch 2000 ms"), "{error}");
    assert!(error.contains("disk full"), "{error}");
    ssc.stop(true).unwrap();
    assert_eq!(all.records(), [0, 0, 1, 0, 1, 2]);
}

/// Fails to start in one way after the other.
struct Unwilling {
    starts: usize,
    stops: mpsc::Sender<usize>,
}

impl Receiver<u64> for Unwilling {
    fn on_start(&mut self, handle: ReceiverHandle<u64>) -> millstream::Result<()> {
        self.starts += 1;
        match self.starts {
            1 => Err(Error::invalid_argument("no such queue")),
            2 => panic!("no brokers"),
            n => {
                handle.store(n as u64).unwrap();
                Ok(())
            }
        }
    }

    fn on_stop(&mut self) {
        let _ = self.stops.send(self.starts);
    }
}

#[test]
fn a_receiver_that_cannot_start_is_reported_stopped_and_started_again() {
    let (stops, stopped) = mpsc::channel();
    let ssc = context(5, AT_ONCE);
    let unwilling = Unwilling { starts: 0, stops };
    let numbers = Gathered::of(&ssc.receiver_stream(unwilling).unwrap());
    let events = Events::of(&ssc);
    ssc.start().unwrap();
    let first = events.stopped();
    assert_eq!(first.last_message, "the receiver could not start");
    let error = first.last_error.unwrap().to_string();
    assert_eq!(error, "invalid argument: no such queue");
    let second = events.stopped();
    assert_eq!(second.last_message, "the receiver panicked");
    let error = second.last_error.unwrap().to_string();
    assert_eq!(error, "panic: receiver panicked: no brokers");
    numbers.wait(1);
    ssc.stop(true).unwrap();
    assert_eq!(numbers.records(), [3]);
    // What a start launched before it failed has to be ended, too.
    assert_eq!(stopped.try_iter().collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn b_9_bad_settings_are_refused_when_the_context_is_built() {
    let cases = [
        ("receiver_restart_delay", "soon", "receiver_restart_delay"),
        ("ring_bytes", "0", "ring_bytes"),
        // A block interval of nothing lost all data (SPARK-8367).
        ("block_interval", "0", "block_interval = \"0\": "),
        ("batch_interval", "0", "batch_interval"),
        ("batch_interval", "-1s", "the value is negative"),
        ("workers", "0", "workers"),
        ("receiver_max_rate", "nan", "receiver_max_rate"),
        (
            "backpressure_pid_min_rate",
            "inf",
            "backpressure_pid_min_rate",
        ),
        ("block_bytes", "1KiB", "block_bytes"),
        (
            "spark.streaming.receiver.maxRate",
            "many",
            "spark.streaming.receiver.maxRate = \"many\": not a number",
        ),
        ("max_line_bytes", "-1", "the value is negative"),
        (
            "reciever_max_rate",
            "1",
            "the nearest known one is \"receiver_max_rate\"",
        ),
    ];
    for (key, value, part) in cases {
        let builder = StreamingContext::builder().ignore_environment();
        let builder = builder.batch_interval(Duration::from_millis(1));
        let error = builder.set(key, value).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{key} = {value}");
        assert!(error.to_string().contains(part), "{error}");
    }
}
