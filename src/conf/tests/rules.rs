//! The rules for settings, and the table of those that count.

use super::*;

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
