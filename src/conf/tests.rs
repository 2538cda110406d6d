use super::*;
use crate::error::ErrorKind;
use crate::testing::Log;

fn env<const N: usize>(variables: [(&str, &str); N]) -> [(OsString, OsString); N] {
    variables.map(|(name, value)| (name.into(), value.into()))
}

#[track_caller]
fn refused<T: fmt::Debug>(result: Result<T>, text: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(error.to_string(), format!("configuration error: {text}"));
}

/// A conf that passes.
fn good() -> Conf {
    let mut conf = Conf::new();
    conf.batch_interval = Some(Duration::from_secs(1));
    conf
}

fn source(conf: &Conf, name: &str) -> Source {
    conf.effective()
        .into_iter()
        .find(|setting| setting.name == name)
        .unwrap()
        .source
}

#[test]
fn the_table_is_in_order() {
    let mut seen = std::collections::BTreeSet::new();
    for key in KEYS {
        assert_eq!(key.env, format!("MILLSTREAM_{}", key.name.to_uppercase()));
        assert!(!key.meaning.is_empty());
        for spelling in [&[key.name], key.guide].concat() {
            assert!(seen.insert(spelling), "{spelling} twice");
            assert!(std::ptr::eq(Key::find(spelling).unwrap(), key));
        }
        let mut conf = Conf::new();
        assert_eq!(
            key.text(&mut conf),
            key.default,
            "{}: the default is spelled as shown",
            key.name
        );
        if !key.default.is_empty() {
            conf.set(key.name, key.default).unwrap();
            assert_eq!(key.text(&mut conf), key.default, "{}", key.name);
        }
    }
}

#[test]
fn defaults() {
    let conf = Conf::default();
    assert_eq!(conf.app_name, "millstream");
    assert_eq!(conf.batch_interval, None);
    assert_eq!(conf.workers, None);
    assert_eq!(conf.default_parallelism, None);
    assert_eq!(conf.block_interval, Duration::from_millis(200));
    assert_eq!(conf.block_bytes, 1 << 20);
    assert_eq!(conf.ring_bytes, None);
    assert_eq!(conf.memory_max, None);
    assert_eq!(conf.spill_dir, "system temp");
    assert!(conf.unpersist);
    assert_eq!(conf.block_queue_size, 4096);
    assert_eq!(conf.receiver_overflow, Overflow::Wait);
    assert_eq!(conf.receiver_max_rate, None);
    assert!(!conf.backpressure_enabled);
    assert_eq!(conf.backpressure_initial_rate, None);
    assert_eq!(conf.backpressure_rate_estimator, "pid");
    assert_eq!(conf.backpressure_pid_proportional, 1.0);
    assert_eq!(conf.backpressure_pid_integral, 0.2);
    assert_eq!(conf.backpressure_pid_derivative, 0.0);
    assert_eq!(conf.backpressure_pid_min_rate, 100.0);
    assert_eq!(conf.receiver_restart_delay, Duration::from_secs(2));
    assert_eq!(conf.receiver_max_restart_delay, Duration::from_secs(60));
    assert_eq!(conf.socket_keepalive, Duration::from_secs(60));
    assert_eq!(conf.socket_read_timeout, None);
    assert_eq!(conf.max_line_bytes, 1 << 20);
    assert_eq!(conf.max_frame_bytes, 64 << 20);
    assert_eq!(
        conf.file_stream_min_remember_duration,
        Duration::from_secs(60)
    );
    assert_eq!(conf.max_inflated_bytes, 16 << 30);
    assert_eq!(conf.max_inflate_ratio, 200);
    assert_eq!(conf.task_max_failures, 4);
    assert!(!conf.pin);
    assert_eq!(conf.concurrent_jobs, 1);
    assert!(!conf.dynamic_allocation_enabled);
    assert_eq!(conf.dynamic_allocation_min_workers, 1);
    assert_eq!(conf.dynamic_allocation_max_workers, None);
    assert_eq!(
        conf.dynamic_allocation_scaling_interval,
        Duration::from_secs(60)
    );
    assert_eq!(conf.dynamic_allocation_scaling_up_ratio, 0.9);
    assert_eq!(conf.dynamic_allocation_scaling_down_ratio, 0.3);
    assert_eq!(conf.max_queued_batches, 10_000);
    assert!(!conf.receiver_write_ahead_log);
    assert!(conf.write_ahead_log_sync);
    assert!(!conf.write_ahead_log_skip_damage);
    assert_eq!(conf.checkpoint_directory, "none");
    assert_eq!(conf.checkpoint_interval, None);
    assert_eq!(conf.failed_batch_hold, Duration::from_secs(600));
    assert_eq!(conf.batch_stuck_after, Duration::from_secs(60));
    assert_eq!(conf.graceful_stop_timeout, None);
    assert_eq!(conf.stop_timeout, Duration::from_secs(2));
    assert!(!conf.stop_gracefully_on_shutdown);
    assert_eq!(conf.remember, None);
    assert!(!conf.one_active_context);
    assert!(conf.warnings().is_empty());
}

#[test]
fn every_setting_is_set_by_name_and_by_variable() {
    let values = [
        ("app_name", "word count"),
        ("batch_interval", "5ms"),
        ("workers", "3"),
        ("default_parallelism", "12"),
        ("block_interval", "7ms"),
        ("block_bytes", "64KiB"),
        ("ring_bytes", "3MiB"),
        ("memory_max", "8GiB"),
        ("state_max_bytes", "4MiB"),
        ("spill_dir", "/var/spill"),
        ("spill_max_bytes", "1GiB"),
        ("receiver_storage_level", "MEMORY_AND_DISK"),
        ("block_queue_size", "8"),
        ("receiver_overflow", "drop_newest"),
        ("receiver_max_rate", "5000"),
        ("backpressure_enabled", "true"),
        ("backpressure_initial_rate", "1000"),
        ("backpressure_rate_estimator", "pid"),
        ("backpressure_pid_proportional", "0.5"),
        ("backpressure_pid_integral", "0"),
        ("backpressure_pid_derivative", "0.05"),
        ("backpressure_pid_min_rate", "0.5"),
        ("receiver_restart_delay", "0ms"),
        ("receiver_max_restart_delay", "5s"),
        ("socket_keepalive", "0ms"),
        ("socket_read_timeout", "90s"),
        ("max_line_bytes", "100"),
        ("invalid_utf8", "skip"),
        ("max_frame_bytes", "2GiB"),
        ("file_stream_min_remember_duration", "5s"),
        ("max_inflated_bytes", "1GiB"),
        ("max_inflate_ratio", "1000"),
        ("task_max_failures", "1"),
        ("pin", "true"),
        ("concurrent_jobs", "2"),
        ("dynamic_allocation_enabled", "true"),
        ("dynamic_allocation_min_workers", "2"),
        ("dynamic_allocation_max_workers", "3"),
        ("dynamic_allocation_scaling_interval", "10s"),
        ("dynamic_allocation_scaling_up_ratio", "0.8"),
        ("dynamic_allocation_scaling_down_ratio", "0.25"),
        ("max_queued_batches", "1"),
        ("receiver_write_ahead_log", "true"),
        ("write_ahead_log_sync", "false"),
        ("write_ahead_log_skip_damage", "true"),
        ("checkpoint_directory", "/var/checkpoints"),
        ("checkpoint_interval", "10s"),
        ("failed_batch_hold", "5m"),
        ("batch_stuck_after", "0ms"),
        ("graceful_stop_timeout", "1m"),
        ("stop_timeout", "1s"),
        ("stop_gracefully_on_shutdown", "true"),
        ("remember", "1h"),
        ("unpersist", "false"),
        ("one_active_context", "true"),
    ];
    assert_eq!(
        values.map(|(name, _)| name).as_slice(),
        KEYS.iter().map(|k| k.name).collect::<Vec<_>>()
    );
    let mut by_name = Conf::new();
    for (name, value) in values {
        by_name.set(name, value).unwrap();
    }
    let variables = KEYS
        .iter()
        .zip(values)
        .map(|(key, (_, value))| (key.env.into(), value.into()));
    let by_variable = Conf::new().load_env(variables).unwrap();
    for conf in [&by_name, &by_variable] {
        conf.validate().unwrap();
        let effective: Vec<_> = conf
            .effective()
            .into_iter()
            .map(|s| (s.name, s.value))
            .collect();
        assert_eq!(
            effective,
            values.map(|(name, value)| (name, value.to_owned()))
        );
    }
    for key in KEYS {
        assert_eq!(source(&by_name, key.name), Source::Program);
        assert_eq!(source(&by_variable, key.name), Source::Environment(key.env));
    }
}

#[test]
fn the_guides_keys_are_understood() {
    let mut conf = Conf::new();
    for (key, value) in [
        ("spark.app.name", "NetworkWordCount"),
        ("spark.master", "local[*]"),
        ("spark.default.parallelism", "6"),
        ("spark.streaming.blockInterval", "50"),
        ("spark.streaming.blockQueueSize", "10"),
        ("spark.streaming.receiver.maxRate", "100"),
        ("spark.streaming.backpressure.enabled", "true"),
        ("spark.streaming.backpressure.initialRate", "50"),
        ("spark.streaming.backpressure.rateEstimator", "pid"),
        ("spark.streaming.backpressure.pid.proportional", "0.9"),
        ("spark.streaming.backpressure.pid.integral", "0.1"),
        ("spark.streaming.backpressure.pid.derived", "0.01"),
        ("spark.streaming.backpressure.pid.minRate", "10"),
        ("spark.streaming.dynamicAllocation.enabled", "true"),
        ("spark.streaming.dynamicAllocation.minExecutors", "2"),
        ("spark.streaming.dynamicAllocation.maxExecutors", "8"),
        ("spark.streaming.dynamicAllocation.scalingInterval", "30s"),
        ("spark.streaming.dynamicAllocation.scalingUpRatio", "1.1"),
        ("spark.streaming.dynamicAllocation.scalingDownRatio", "0.5"),
        ("spark.streaming.receiverRestartDelay", "500"),
        ("spark.task.maxFailures", "8"),
        ("spark.streaming.concurrentJobs", "4"),
        ("spark.streaming.gracefulStopTimeout", "30s"),
        ("spark.streaming.stopGracefullyOnShutdown", "true"),
    ] {
        conf.set(key, value).unwrap();
    }
    assert_eq!(conf.app_name, "NetworkWordCount");
    assert_eq!(conf.workers, None);
    assert_eq!(conf.default_parallelism, Some(6));
    assert_eq!(conf.block_interval, Duration::from_millis(50));
    assert_eq!(conf.block_queue_size, 10);
    assert_eq!(conf.receiver_max_rate, Some(100));
    assert!(conf.backpressure_enabled);
    assert_eq!(conf.backpressure_initial_rate, Some(50));
    assert_eq!(conf.backpressure_rate_estimator, "pid");
    assert_eq!(conf.backpressure_pid_proportional, 0.9);
    assert_eq!(conf.backpressure_pid_integral, 0.1);
    assert_eq!(conf.backpressure_pid_derivative, 0.01);
    assert_eq!(conf.backpressure_pid_min_rate, 10.0);
    assert_eq!(conf.receiver_restart_delay, Duration::from_millis(500));
    assert!(conf.dynamic_allocation_enabled);
    assert_eq!(conf.dynamic_allocation_min_workers, 2);
    assert_eq!(conf.dynamic_allocation_max_workers, Some(8));
    assert_eq!(
        conf.dynamic_allocation_scaling_interval,
        Duration::from_secs(30)
    );
    assert_eq!(conf.dynamic_allocation_scaling_up_ratio, 1.1);
    assert_eq!(conf.dynamic_allocation_scaling_down_ratio, 0.5);
    assert_eq!(conf.task_max_failures, 8);
    assert_eq!(conf.concurrent_jobs, 4);
    assert_eq!(conf.graceful_stop_timeout, Some(Duration::from_secs(30)));
    assert!(conf.stop_gracefully_on_shutdown);
}

#[test]
fn words_take_a_setting_back() {
    let mut conf = Conf::new();
    for (name, value, word) in [
        ("workers", "2", "*"),
        ("default_parallelism", "2", "Workers"),
        ("receiver_max_rate", "2", "unlimited"),
        ("graceful_stop_timeout", "2s", "10 batch intervals"),
        ("remember", "2s", "none"),
    ] {
        conf.set(name, value).unwrap();
        conf.set(name, word).unwrap();
    }
    assert_eq!(conf.workers, None);
    assert_eq!(conf.default_parallelism, None);
    assert_eq!(conf.receiver_max_rate, None);
    assert_eq!(conf.graceful_stop_timeout, None);
    assert_eq!(conf.remember, None);
    conf.set("receiver_max_rate", "-1").unwrap();
    assert_eq!(conf.receiver_max_rate, None);
    conf.set("receiver_max_rate", "0").unwrap();
    assert_eq!(conf.receiver_max_rate, None);
}

#[test]
fn wrong_values_are_refused_and_change_nothing() {
    let duration = "expected a whole number with ms, s, m or min, h or d (bare: ms), at least 1ms";
    let mut conf = good();
    let mut set = |key, value| conf.set(key, value);
    refused(
        set("spark.streaming.blockInterval", "50us"),
        &format!(
            "spark.streaming.blockInterval = \"50us\": \
             the smallest unit is ms; {duration} (default: 200ms)"
        ),
    );
    refused(
        set("batch_interval", "0"),
        &format!("batch_interval = \"0\": out of range; {duration}"),
    );
    refused(
        set("batch_interval", ""),
        &format!("batch_interval = \"\": the value is empty; {duration}"),
    );
    refused(
        set("batch_interval", "106751991168d"),
        &format!("batch_interval = \"106751991168d\": the duration is too long; {duration}"),
    );
    refused(
        set("remember", "-1s"),
        &format!("remember = \"-1s\": the value is negative; {duration} (default: none)"),
    );
    refused(
        set("block_bytes", "4095"),
        "block_bytes = \"4095\": out of range; expected a whole number of bytes, \
         or one with KiB, MiB, GiB or k, m, g, at least 4KiB (default: 1MiB)",
    );
    refused(
        set("workers", "0"),
        "workers = \"0\": out of range; expected a number of threads from 1 to 4096, \
         * for one per core, local, local[n] or local[*] (default: *)",
    );
    refused(
        set("concurrent_jobs", "1025"),
        "concurrent_jobs = \"1025\": out of range; \
         expected a whole number from 1 to 1024 (default: 1)",
    );
    refused(
        set("receiver_max_rate", "NaN"),
        "receiver_max_rate = \"NaN\": not a number; \
         expected a whole number of records per second, or unlimited (default: unlimited)",
    );
    refused(
        set("receiver_overflow", "dropNewest"),
        "receiver_overflow = \"dropNewest\": there is no such choice; \
         expected wait or drop_newest or drop_oldest (default: wait)",
    );
    refused(
        set("backpressure_rate_estimator", "gradient"),
        "backpressure_rate_estimator = \"gradient\": there is no such choice; \
         expected pid (default: pid)",
    );
    refused(
        set("backpressure_pid_integral", "-0.2"),
        "backpressure_pid_integral = \"-0.2\": out of range; \
         expected a number from 0 on, such as 0.2 (default: 0.2)",
    );
    refused(
        set("spark.streaming.backpressure.pid.minRate", "0"),
        "spark.streaming.backpressure.pid.minRate = \"0\": out of range; \
         expected a number above 0, such as 0.5 (default: 100)",
    );
    refused(
        set("app_name", "a\nb"),
        "app_name = \"a\\nb\": it has a control character; \
         expected a text on one line (default: millstream)",
    );
    for (name, value) in [
        ("app_name", " "),
        ("workers", "4097"),
        ("default_parallelism", "0"),
        ("block_interval", "0s"),
        ("ring_bytes", "0"),
        ("block_queue_size", "0"),
        ("receiver_restart_delay", "-2s"),
        ("max_line_bytes", "0"),
        ("max_frame_bytes", "0"),
        ("backpressure_enabled", "maybe"),
        ("backpressure_initial_rate", "0.5"),
        ("backpressure_pid_proportional", "NaN"),
        ("backpressure_pid_derivative", "fast"),
        ("task_max_failures", "0"),
        ("pin", "core"),
        ("concurrent_jobs", "0"),
        ("max_queued_batches", "0"),
        ("graceful_stop_timeout", "soon"),
        ("stop_gracefully_on_shutdown", "no"),
        ("unpersist", "maybe"),
        ("one_active_context", "-1"),
    ] {
        assert_eq!(
            set(name, value).unwrap_err().kind(),
            ErrorKind::Config,
            "{name}={value}"
        );
    }
    assert_eq!(conf.effective(), good().effective());
}

#[test]
fn unknown_keys_name_the_nearest() {
    let mut conf = Conf::new();
    for (key, nearest) in [
        ("batchInterval", "batch_interval"),
        ("RING_BYTES", "ring_bytes"),
        (
            "spark.streaming.blockIntreval",
            "spark.streaming.blockInterval",
        ),
        (
            "spark.streaming.batchInterval",
            "spark.streaming.blockInterval",
        ),
    ] {
        let text = format!("unknown setting {key:?}; the nearest known one is {nearest:?}");
        refused(conf.set(key, "1"), &text);
    }
}

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

#[test]
fn validation_checks_fields_and_rules_between_them() {
    fn fails(change: impl FnOnce(&mut Conf), text: &str) {
        let mut conf = good();
        conf.validate().unwrap();
        change(&mut conf);
        refused(conf.validate(), text);
    }
    let duration = "expected a whole number with ms, s, m or min, h or d (bare: ms), at least 1ms";
    fails(
        |conf| conf.batch_interval = None,
        "batch_interval is not set; \
         set it in the program or by MILLSTREAM_BATCH_INTERVAL, for example to 250ms",
    );
    fails(
        |conf| conf.batch_interval = Some(Duration::ZERO),
        &format!("batch_interval = 0ms (program): out of range; {duration}"),
    );
    fails(
        |conf| conf.batch_interval = Some(Duration::from_micros(1_500)),
        &format!(
            "batch_interval = 1.5ms (program): not a whole number of milliseconds; {duration}"
        ),
    );
    fails(
        |conf| conf.batch_interval = Some(Duration::from_millis(1 << 63)),
        &format!("batch_interval = 9223372036854775808ms (program): out of range; {duration}"),
    );
    fails(
        |conf| {
            conf.receiver_storage_level = "MEMORY_AND_DISK".to_owned();
            conf.receiver_overflow = Overflow::DropOldest;
        },
        "receiver_storage_level = MEMORY_AND_DISK (program) and \
         receiver_overflow = drop_oldest (program): what is in a file makes no room when it is \
         dropped; choose one of them",
    );
    fails(
        |conf| conf.block_interval = Duration::ZERO,
        &format!("block_interval = 0ms (program): out of range; {duration} (default: 200ms)"),
    );
    fails(
        |conf| conf.workers = Some(0),
        "workers = 0 (program): out of range; expected a number of threads from 1 to 4096, \
         * for one per core, local, local[n] or local[*] (default: *)",
    );
    fails(
        |conf| conf.receiver_max_rate = Some(0),
        "receiver_max_rate = 0 (program): out of range; \
         expected a whole number of records per second, or unlimited (default: unlimited)",
    );
    fails(
        |conf| conf.app_name.clear(),
        "app_name = not set (program): the value is empty; \
         expected a text on one line (default: millstream)",
    );
    fails(
        |conf| conf.backpressure_pid_min_rate = f64::NAN,
        "backpressure_pid_min_rate = NaN (program): out of range; \
         expected a number above 0, such as 0.5 (default: 100)",
    );
    fails(
        |conf| conf.backpressure_rate_estimator = "PID".to_owned(),
        "backpressure_rate_estimator = PID (program): there is no such choice; \
         expected pid (default: pid)",
    );
    fails(
        |conf| conf.dynamic_allocation_scaling_down_ratio = 0.9,
        "dynamic_allocation_scaling_up_ratio = 0.9 (default) is not more than \
         dynamic_allocation_scaling_down_ratio = 0.9 (program): \
         workers would come and go at once",
    );
    fails(
        |conf| {
            conf.dynamic_allocation_min_workers = 3;
            conf.dynamic_allocation_max_workers = Some(2);
        },
        "dynamic_allocation_min_workers = 3 (program) is more than \
         dynamic_allocation_max_workers = 2 (program)",
    );
    fails(
        |conf| conf.ring_bytes = Some(1 << 19),
        "block_bytes = 1MiB (default) is more than ring_bytes = 512KiB (program): \
         no block fits; lower the first or raise the second",
    );
    let zero_sizes: [fn(&mut Conf); 9] = [
        |conf| conf.block_bytes = 4095,
        |conf| conf.ring_bytes = Some(0),
        |conf| conf.block_queue_size = 0,
        |conf| conf.max_line_bytes = 0,
        |conf| conf.max_frame_bytes = 0,
        |conf| conf.max_inflated_bytes = 0,
        |conf| conf.max_inflate_ratio = 0,
        |conf| conf.concurrent_jobs = 0,
        |conf| conf.max_queued_batches = 0,
    ];
    for change in zero_sizes {
        let mut conf = good();
        change(&mut conf);
        assert!(
            conf.validate()
                .unwrap_err()
                .to_string()
                .contains(" (program): out of range; ")
        );
    }
    let mut least = good();
    least.block_bytes = 4096;
    least.ring_bytes = Some(4096);
    least.validate().unwrap();
    let mut large = good();
    large.ring_bytes = Some(256 << 20);
    refused(
        large
            .load_env(env([("MILLSTREAM_BLOCK_BYTES", "512m")]))
            .unwrap()
            .validate(),
        "block_bytes = 512MiB (environment MILLSTREAM_BLOCK_BYTES) is more than \
         ring_bytes = 256MiB (program): no block fits; lower the first or raise the second",
    );
}

#[test]
fn a_ring_has_room_for_two_batches_of_the_interval() {
    let mut conf = Conf::new();
    let bound = |conf: &Conf, millis, available_gib: u64| {
        conf.ring_bound(Duration::from_millis(millis), available_gib << 30, 1) >> 20
    };
    assert_eq!(bound(&conf, 1, 16), 256);
    assert_eq!(bound(&conf, 51, 16), 256);
    assert_eq!(bound(&conf, 100, 16), 500);
    assert_eq!(bound(&conf, 1_000, 16), 1024);
    assert_eq!(bound(&conf, u64::MAX, 16), 1024);
    // No more than an eighth of the memory, and a quarter for all receivers together.
    let of_several = |rings| conf.ring_bound(Duration::from_secs(1), 8 << 30, rings) >> 20;
    assert_eq!([1, 2, 3, 8, 9].map(of_several), [1024, 1024, 682, 256, 256]);
    assert_eq!(bound(&conf, 1_000, 4), 512);
    assert_eq!(bound(&conf, 1_000, 1), 256);
    conf.block_bytes = 512 << 20;
    assert_eq!(bound(&conf, 1, 16), 512);
    conf.ring_bytes = Some(1 << 20);
    assert_eq!(bound(&conf, 1_000, 16), 1);
}

#[test]
fn the_effective_settings_are_a_table() {
    let mut conf = Conf::new();
    conf.set("workers", "2").unwrap();
    conf.pin = true;
    let conf = conf
        .load_env(env([("MILLSTREAM_RING_BYTES", "2097152")]))
        .unwrap();
    let expected = "\
name                                   value               source
app_name                               millstream          default
batch_interval                         not set             default
workers                                2                   program
default_parallelism                    workers             default
block_interval                         200ms               default
block_bytes                            1MiB                default
ring_bytes                             2MiB                environment MILLSTREAM_RING_BYTES
memory_max                             half                default
state_max_bytes                        none                default
spill_dir                              system temp         default
spill_max_bytes                        16GiB               default
receiver_storage_level                 MEMORY_ONLY         default
block_queue_size                       4096                default
receiver_overflow                      wait                default
receiver_max_rate                      unlimited           default
backpressure_enabled                   false               default
backpressure_initial_rate              unlimited           default
backpressure_rate_estimator            pid                 default
backpressure_pid_proportional          1                   default
backpressure_pid_integral              0.2                 default
backpressure_pid_derivative            0                   default
backpressure_pid_min_rate              100                 default
receiver_restart_delay                 2s                  default
receiver_max_restart_delay             1m                  default
socket_keepalive                       1m                  default
socket_read_timeout                    none                default
max_line_bytes                         1MiB                default
invalid_utf8                           replace             default
max_frame_bytes                        64MiB               default
file_stream_min_remember_duration      1m                  default
max_inflated_bytes                     16GiB               default
max_inflate_ratio                      200                 default
task_max_failures                      4                   default
pin                                    true                program
concurrent_jobs                        1                   default
dynamic_allocation_enabled             false               default
dynamic_allocation_min_workers         1                   default
dynamic_allocation_max_workers         workers             default
dynamic_allocation_scaling_interval    1m                  default
dynamic_allocation_scaling_up_ratio    0.9                 default
dynamic_allocation_scaling_down_ratio  0.3                 default
max_queued_batches                     10000               default
receiver_write_ahead_log               false               default
write_ahead_log_sync                   true                default
write_ahead_log_skip_damage            false               default
checkpoint_directory                   none                default
checkpoint_interval                    as the streams ask  default
failed_batch_hold                      10m                 default
batch_stuck_after                      1m                  default
graceful_stop_timeout                  10 batch intervals  default
stop_timeout                           2s                  default
stop_gracefully_on_shutdown            false               default
remember                               none                default
unpersist                              true                default
one_active_context                     false               default
";
    assert_eq!(conf.to_string(), expected);
}
