//! Settings by the variables of the environment.

use super::*;
use crate::testing::Log;

#[test]
fn the_environment_overrides_the_program() {
    let mut conf = good();
    conf.set("workers", "2").unwrap();
    conf.block_queue_size = 10;
    let mut conf = conf
        .load_env(env([
            ("MILLSTREAM_WORKERS", "local[4]"),
            ("HOME", "/root"),
            ("OTHER_MILLSTREAM_WORKERS", "x"),
            ("MILLSTREAM_BATCH_INTERVAL", "250ms"),
        ]))
        .unwrap();
    assert!(conf.warnings().is_empty());
    assert_eq!(conf.workers, Some(4));
    assert_eq!(conf.batch_interval, Some(Duration::from_millis(250)));
    assert_eq!(
        source(&conf, "workers"),
        Source::Environment("MILLSTREAM_WORKERS")
    );
    assert_eq!(source(&conf, "block_queue_size"), Source::Program);
    assert_eq!(source(&conf, "pin"), Source::Default);
    conf.workers = Some(5);
    assert_eq!(
        source(&conf, "workers"),
        Source::Program,
        "a field set later is the program's"
    );
}

#[test]
fn wrong_variables_are_errors() {
    refused(
        good().load_env(env([("MILLSTREAM_RING_BYTES", "32MB")])),
        "MILLSTREAM_RING_BYTES = \"32MB\": unknown unit \"mb\"; expected a whole number of bytes, \
         or one with KiB, MiB, GiB or k, m, g, at least 4KiB (default: interval)",
    );
    refused(
        good().load_env(env([("MILLSTREAM_CONCURRENT_JOBS", "")])),
        "MILLSTREAM_CONCURRENT_JOBS = \"\": the value is empty; \
         expected a whole number from 1 to 1024 (default: 1)",
    );
}

#[cfg(unix)]
#[test]
fn bytes_that_are_no_text() {
    use std::os::unix::ffi::OsStringExt;

    let broken = || OsString::from_vec(b"a\xff".to_vec());
    refused(
        good().load_env([("MILLSTREAM_APP_NAME".into(), broken())]),
        "MILLSTREAM_APP_NAME = \"a\u{fffd}\": not valid UTF-8; \
         expected a text on one line (default: millstream)",
    );
    let name = OsString::from_vec(b"MILLSTREAM_PIN\xff".to_vec());
    let variables = [
        ("PATH".into(), broken()),
        (broken(), "x".into()),
        (name, broken()),
    ];
    assert_eq!(
        good().load_env(variables).unwrap().warnings(),
        [
            "unknown environment variable MILLSTREAM_PIN\u{fffd} is ignored; \
          the nearest known one is MILLSTREAM_PIN"
        ]
    );
}

#[test]
fn unknown_variables_are_warnings_kept_and_logged() {
    let log = Log::default();
    let conf = tracing::subscriber::with_default(log.clone(), || {
        good().load_env(env([
            ("MILLSTREAM_BATCH_INTREVAL", "secret"),
            ("MILLSTREAM_PIN", "on"),
            ("MILLSTREAM_", ""),
        ]))
    });
    let conf = conf.unwrap();
    let warnings = [
        "unknown environment variable MILLSTREAM_BATCH_INTREVAL is ignored; \
         the nearest known one is MILLSTREAM_BATCH_INTERVAL",
        "unknown environment variable MILLSTREAM_ is ignored; \
         the nearest known one is MILLSTREAM_PIN",
    ];
    assert_eq!(conf.warnings(), warnings);
    assert_eq!(
        log.events(),
        warnings.map(|warning| format!("WARN {warning}"))
    );
    assert!(conf.pin);
}
