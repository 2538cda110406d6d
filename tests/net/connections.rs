//! Connections that fail, flap or fall silent (F-19 to F-21, F-27, G-20, R-17).

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc;
use std::{fs, thread};

use millstream::receiver::{Receiver, ReceiverHandle};
use millstream::{Error, ErrorKind};

use crate::helpers::{AT_ONCE, Events, Gathered, Server, context, manual, ms, run_to, send};
use crate::own_process::{in_own_process, in_own_process_under};

/// Fails to start, unless it is told to store something first.
struct Failing {
    starts: mpsc::Sender<()>,
    store: mpsc::Receiver<()>,
}

impl Receiver<u64> for Failing {
    fn on_start(&mut self, handle: ReceiverHandle<u64>) -> millstream::Result<()> {
        if self.store.try_recv().is_ok() {
            handle.store(1).unwrap();
        }
        let _ = self.starts.send(());
        Err(Error::invalid_argument("no such queue"))
    }

    fn on_stop(&mut self) {}
}

#[test]
fn f_5_pauses_grow_until_data_arrives() {
    let settings = [
        ("receiver_restart_delay", "100ms"),
        ("receiver_max_restart_delay", "1s"),
    ];
    let (ssc, clock) = manual(10_000, &settings);
    let (starts, started) = mpsc::channel();
    let (data, store) = mpsc::channel();
    let numbers = Gathered::of(&ssc.receiver_stream(Failing { starts, store }).unwrap());
    ssc.start().unwrap();
    started.recv().unwrap();
    let pause = |from: u64, to: u64| {
        // The receiver waits, and so does the thread that cuts.
        clock.await_waiters(2);
        clock.advance(ms(from - 1));
        clock.await_waiters(2);
        assert!(started.try_recv().is_err(), "earlier than after {from} ms");
        clock.advance(ms(to - from + 1));
        started.recv().unwrap();
    };
    for _ in 0..2 {
        pause(100, 100);
        pause(100, 200);
        pause(200, 400);
        pause(400, 800);
        pause(500, 1_000);
        data.send(()).unwrap();
        pause(500, 1_000);
        // The run that just began stored something.
        pause(100, 100);
    }
    ssc.stop(true).unwrap();
    assert_eq!(numbers.records(), [1, 1]);
}

#[test]
fn f_19_a_reset_drops_the_line_that_it_tears() {
    let server = Server::new(vec![
        Box::new(|mut connection: TcpStream| {
            connection.write_all(b"first\nsecond\ntorn").unwrap();
            reset_when_read(&connection);
        }),
        send("third\n"),
    ]);
    let ssc = context(1, AT_ONCE);
    let lines = Gathered::of(&ssc.socket_text_stream(server.address.as_str()).unwrap());
    let events = Events::of(&ssc);
    ssc.start().unwrap();
    let dropped = format!(
        "4 bytes of an unfinished line from {} were dropped",
        server.address
    );
    assert_eq!(events.error().last_message, dropped);
    let error = events.stopped().last_error.unwrap();
    let text = format!(
        "input/output error: error receiving from {}: Connection reset by peer (os error 104)",
        server.address
    );
    assert_eq!(error.to_string(), text);
    events.ends(1);
    ssc.stop(true).unwrap();
    assert_eq!(lines.records(), ["first", "second", "third"]);
}

/// Waits until the other end has read everything; then closing it is a reset.
fn reset_when_read(connection: &TcpStream) {
    use std::ffi::{c_int, c_void};
    use std::os::fd::AsRawFd;

    unsafe extern "C" {
        fn setsockopt(s: c_int, level: c_int, name: c_int, value: *const c_void, len: u32)
        -> c_int;
    }

    // A reset overtakes what was not read.
    while receive_queue(connection) > 0 {
        thread::yield_now();
    }
    // SOL_SOCKET and SO_LINGER: on, for no time.
    let linger: [c_int; 2] = [1, 0];
    // SAFETY: the descriptor is open, and eight bytes are read.
    let result = unsafe { setsockopt(connection.as_raw_fd(), 1, 13, linger.as_ptr().cast(), 8) };
    assert_eq!(result, 0);
}

/// The line of `/proc/net/tcp` about the other end of a connection, in words.
fn other_end(connection: &TcpStream) -> Vec<String> {
    let port = |end: std::net::SocketAddr| format!(":{:04X}", end.port());
    let (near, far) = (
        port(connection.peer_addr().unwrap()),
        port(connection.local_addr().unwrap()),
    );
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let line = table
        .lines()
        .map(|line| {
            line.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .find(|words| words[1].ends_with(&near) && words[2].ends_with(&far));
    line.expect("the connection is open")
}

/// How much the other end of a connection has not read.
fn receive_queue(connection: &TcpStream) -> u64 {
    let own = other_end(connection);
    u64::from_str_radix(own[4].split_once(':').unwrap().1, 16).unwrap()
}

#[test]
fn f_20_a_peer_is_asked_whether_it_is_there() {
    for (setting, waiting) in [("60s", Some(30)), ("1h", Some(1_800)), ("0ms", None)] {
        let (tell, told) = mpsc::channel();
        let (done, wait) = mpsc::channel::<()>();
        let server = Server::new(vec![Box::new(move |mut connection: TcpStream| {
            connection.write_all(b"here\n").unwrap();
            while receive_queue(&connection) > 0 {
                thread::yield_now();
            }
            tell.send(other_end(&connection)[5].clone()).unwrap();
            let _ = wait.recv();
        })]);
        let ssc = context(1, &[("socket_keepalive", setting)]);
        let lines = Gathered::of(&ssc.socket_text_stream(server.address.as_str()).unwrap());
        ssc.start().unwrap();
        lines.wait(1);
        let timer = told.recv().unwrap();
        let (kind, hundredths) = timer.split_once(':').unwrap();
        let seconds = u64::from_str_radix(hundredths, 16).unwrap().div_ceil(100);
        // 02 is the timer of the keepalive; it has just been set.
        match waiting {
            Some(waiting) => {
                assert_eq!(kind, "02", "{setting}");
                assert!((waiting - 5..=waiting).contains(&seconds), "{timer}");
            }
            None => assert_eq!(kind, "00"),
        }
        drop(done);
        ssc.stop(true).unwrap();
    }
}

/// A network of the test's own, whose one device goes away in the middle.
#[test]
fn f_20_a_peer_that_vanished_is_noticed() {
    let alone = ["unshare", "-rn"];
    let able = Command::new(alone[0])
        .args([alone[1], "ip", "link"])
        .output();
    if !able.is_ok_and(|output| output.status.success()) {
        println!("skipped: no network of its own here");
        return;
    }
    let up = r#"ip link set lo up && exec "$0" "$@""#;
    let command = [alone[0], alone[1], "sh", "-c", up];
    let name = "connections::f_20_a_peer_that_vanished_is_noticed";
    in_own_process_under(&command, name, || {
        let (done, wait) = mpsc::channel::<()>();
        let server = Server::new(vec![Box::new(move |mut connection: TcpStream| {
            connection.write_all(b"here\n").unwrap();
            let _ = wait.recv();
        })]);
        let settings = [("socket_keepalive", "4s"), ("receiver_restart_delay", "1h")];
        let ssc = context(1, &settings);
        let lines = Gathered::of(&ssc.socket_text_stream(server.address.as_str()).unwrap());
        let events = Events::of(&ssc);
        ssc.start().unwrap();
        lines.wait(1);
        let down = ["link", "set", "lo", "down"];
        assert!(Command::new("ip").args(down).status().unwrap().success());
        let stopped = events.stopped();
        let message = format!("error receiving from {}", server.address);
        assert_eq!(stopped.last_message, message);
        assert_eq!(stopped.last_error.unwrap().kind(), ErrorKind::Io);
        drop(done);
        ssc.stop(true).unwrap();
        assert_eq!(lines.records(), ["here"]);
    });
}

#[test]
fn f_20_silence_beyond_the_timeout_ends_the_connection() {
    let silent = |bytes: &'static [u8]| {
        let script = move |mut connection: TcpStream| {
            connection.write_all(bytes).unwrap();
            // Until the reader goes away.
            let _ = std::io::Read::read(&mut connection, &mut [0]);
        };
        Box::new(script) as Box<dyn FnOnce(TcpStream) + Send>
    };
    let settings = [AT_ONCE[0], ("socket_read_timeout", "2s")];
    let servers = [
        Server::new(vec![silent(b"one\ntorn"), send("two\n")]),
        Server::new(vec![silent(b"1;2"), send("3")]),
        Server::new(vec![silent(&[0, 0, 0, 1, 7, 0, 0]), send([0, 0, 0, 1, 8])]),
    ];
    let address = |n: usize| servers[n].address.as_str();
    let ssc = context(1, &settings);
    let lines = Gathered::of(&ssc.socket_text_stream(address(0)).unwrap());
    let parts = ssc.socket_stream(address(1), |bytes| {
        std::io::BufRead::split(std::io::BufReader::new(bytes), b';')
    });
    let parts = Gathered::of(&parts.unwrap());
    let frames = Gathered::of(&ssc.raw_socket_stream(address(2)).unwrap());
    let events = Events::of(&ssc);
    ssc.start().unwrap();
    let (mut silent, mut ended) = (0, 0);
    while silent < 3 || ended < 3 {
        let stopped = events.stopped();
        let Some(error) = stopped.last_error else {
            ended += 1;
            continue;
        };
        silent += 1;
        let address = address(stopped.stream_id.0 as usize);
        let text = format!(
            "input/output error: error receiving from {address}: \
             nothing was received for socket_read_timeout = 2s"
        );
        assert_eq!(error.to_string(), text);
    }
    ssc.stop(true).unwrap();
    assert_eq!(lines.records(), ["one", "two"]);
    assert_eq!(parts.records(), [b"1", b"3"]);
    let frames: Vec<_> = frames.records().iter().map(|frame| frame[0]).collect();
    assert_eq!(frames, [7, 8]);
}

/// Lines that were received, but not yet allowed by the rate.
#[test]
fn g_15_a_graceful_stop_waits_for_no_permits_and_loses_no_line() {
    let (ssc, clock) = manual(1_000, &[("receiver_max_rate", "4")]);
    let (done, wait) = mpsc::channel::<()>();
    let (read, is_read) = mpsc::channel();
    let server = Server::new(vec![Box::new(move |mut connection: TcpStream| {
        connection
            .write_all("a line\n".repeat(100).as_bytes())
            .unwrap();
        while receive_queue(&connection) > 0 {
            thread::yield_now();
        }
        read.send(()).unwrap();
        let _ = wait.recv();
    })]);
    let lines = Gathered::of(&ssc.socket_text_stream(server.address.as_str()).unwrap());
    ssc.start().unwrap();
    is_read.recv().unwrap();
    run_to(&ssc, &clock, 1_000);
    ssc.stop(true).unwrap();
    drop(done);
    assert_eq!(lines.records(), ["a line"; 100]);
}

/// Threads of the engine, and open descriptors.
fn held() -> (usize, usize) {
    let tasks = fs::read_dir("/proc/self/task").unwrap().filter(|task| {
        let name = task.as_ref().unwrap().path().join("comm");
        // One that ends meanwhile has no name any more.
        fs::read_to_string(name).is_ok_and(|name| name.starts_with("ms-"))
    });
    (
        tasks.count(),
        fs::read_dir("/proc/self/fd").unwrap().count(),
    )
}

#[test]
fn f_19_a_peer_that_flaps_costs_neither_threads_nor_descriptors() {
    const FLAPS: usize = 300;
    in_own_process(
        "connections::f_19_a_peer_that_flaps_costs_neither_threads_nor_descriptors",
        || {
            let before = held();
            let settings = [AT_ONCE[0], ("receiver_max_restart_delay", "0ms")];
            let ssc = context(1, &settings);
            let (sample, samples) = mpsc::channel();
            let scripts = (0..FLAPS).map(|n| {
                let sample = sample.clone();
                let script = move |mut connection: TcpStream| {
                    sample.send(held()).unwrap();
                    match n % 3 {
                        0 => connection.write_all(b"whole\nla").unwrap(),
                        1 => reset_when_read(&connection),
                        _ => {}
                    }
                };
                Box::new(script) as Box<dyn FnOnce(TcpStream) + Send>
            });
            let server = Server::new(scripts.collect());
            let lines = Gathered::of(&ssc.socket_text_stream(server.address.as_str()).unwrap());
            ssc.start().unwrap();
            let samples: Vec<_> = samples.iter().take(FLAPS).collect();
            lines.wait(FLAPS / 3 * 2);
            ssc.stop(true).unwrap();
            drop(server);
            let (threads, descriptors) = samples[0];
            for (n, &(more_threads, more_descriptors)) in samples.iter().enumerate() {
                // The engine is still starting at the first flap, and a thread that
                // connects may end a little after the next one began; what every
                // flap left behind would be far more than this.
                let most = FLAPS / 10;
                assert!(more_threads <= threads + most, "flap {n}: {more_threads}");
                assert!(
                    more_descriptors <= descriptors + most,
                    "flap {n}: {more_descriptors}"
                );
            }
            assert_eq!(lines.records().len(), FLAPS / 3 * 2);
            drop((ssc, lines));
            // Workers are told to end, but not waited for.
            while held() != before {
                thread::yield_now();
            }
        },
    );
}

/// A stream that is connected goes on, and another one connects when it can.
#[test]
fn f_27_without_descriptors_the_receiver_tries_again() {
    let limited = ["sh", "-c", r#"ulimit -n 64 && exec "$0" "$@""#];
    let name = "connections::f_27_without_descriptors_the_receiver_tries_again";
    in_own_process_under(&limited, name, || {
        let settings = [AT_ONCE[0], ("receiver_max_restart_delay", "1ms")];
        let (more, wait) = mpsc::channel();
        let first = Server::new(vec![Box::new(move |mut connection: TcpStream| {
            for line in wait {
                writeln!(connection, "{line}").unwrap();
            }
        })]);
        let connected = context(1, &settings);
        let lines = connected.socket_text_stream(first.address.as_str());
        let lines = Gathered::of(&lines.unwrap());
        connected.start().unwrap();
        more.send(1).unwrap();
        lines.wait(1);

        let second = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = second.local_addr().unwrap().to_string();
        let ssc = context(1, &settings);
        let late = Gathered::of(&ssc.socket_text_stream(address.as_str()).unwrap());
        let events = Events::of(&ssc);
        let used: Vec<_> = std::iter::from_fn(|| fs::File::open("/dev/null").ok()).collect();
        assert!(!used.is_empty());
        ssc.start().unwrap();
        let text = format!(
            "input/output error: error connecting to {address}: Too many open files (os error 24)"
        );
        for _ in 0..3 {
            assert_eq!(events.stopped().last_error.unwrap().to_string(), text);
        }
        more.send(2).unwrap();
        lines.wait(2);

        drop(used);
        let (mut connection, _) = second.accept().unwrap();
        connection.write_all(b"at last\n").unwrap();
        late.wait(1);
        drop(more);
        connected.stop(true).unwrap();
        ssc.stop(true).unwrap();
        assert_eq!(lines.records(), ["1", "2"]);
        assert_eq!(late.records(), ["at last"]);
    });
}
