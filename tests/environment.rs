//! Settings from the environment of a process: a process for each case.

use std::env;
use std::process::Command;

use millstream::prelude::*;

const INSIDE: &str = "IT_ENVIRONMENT";

/// Runs the test `name` again in a process with these variables; gives the line
/// that [`inside`] printed.
fn with(name: &str, variables: &[(&str, &str)]) -> String {
    let mut child = Command::new(env::current_exe().expect("a test has a file"));
    child.args([name, "--exact", "--nocapture", "--test-threads=1"]);
    for (variable, _) in env::vars_os() {
        if variable.to_string_lossy().starts_with("MILLSTREAM_") {
            child.env_remove(variable);
        }
    }
    let out = child
        .envs(variables.iter().copied())
        .env(INSIDE, "1")
        .output()
        .expect("a test can start itself");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let line = text.lines().find_map(|line| line.split_once("says: "));
    line.expect("the process says something").1.to_owned()
}

/// Inside of such a process: says something, and that it is.
fn inside(say: impl FnOnce() -> String) -> bool {
    let inside = env::var_os(INSIDE).is_some();
    if inside {
        #[expect(clippy::print_stdout, reason = "the way back to the other process")]
        {
            println!("says: {}", say());
        }
    }
    inside
}

#[test]
fn the_environment_overrides_the_program() {
    let say = || {
        let builder = StreamingContext::builder()
            .app_name("program")
            .batch_interval(Duration::from_secs(1))
            .workers(3)
            .set("block_interval", "50ms");
        let read = builder.clone().build().expect("right settings");
        let ignored = builder.ignore_environment().build().expect("right ones");
        let show = |ssc: StreamingContext| {
            let rdd = ssc.parallelize([1], 1).map(|x| (x, x));
            let partitions = rdd.group_by_key_into(1).num_partitions();
            let conf = ssc.conf();
            format!(
                "{} {:?} {:?} {:?} {partitions}",
                conf.app_name,
                ssc.batch_interval(),
                conf.workers,
                conf.block_interval
            )
        };
        format!("{}; {}", show(read), show(ignored))
    };
    if inside(say) {
        return;
    }
    let program = "program 1s Some(3) 50ms 1";
    let name = "the_environment_overrides_the_program";
    assert_eq!(with(name, &[]), format!("{program}; {program}"));
    assert_eq!(
        with(
            name,
            &[
                ("MILLSTREAM_APP_NAME", "environment"),
                ("MILLSTREAM_BATCH_INTERVAL", "250ms"),
                ("MILLSTREAM_WORKERS", "2"),
            ]
        ),
        format!("environment 250ms Some(2) 50ms 1; {program}")
    );
}

#[test]
fn the_environment_may_give_the_batch_interval_alone() {
    let say = || match StreamingContext::builder().build() {
        Ok(ssc) => format!("{:?}", ssc.batch_interval()),
        Err(error) => error.to_string(),
    };
    if inside(say) {
        return;
    }
    let name = "the_environment_may_give_the_batch_interval_alone";
    assert_eq!(with(name, &[("MILLSTREAM_BATCH_INTERVAL", "1ms")]), "1ms");
    let missing = with(name, &[]);
    assert!(missing.contains("batch_interval"), "{missing}");
    let wrong = with(name, &[("MILLSTREAM_BATCH_INTERVAL", "fast")]);
    assert!(
        wrong.starts_with("configuration error: MILLSTREAM_BATCH_INTERVAL"),
        "{wrong}"
    );
    assert!(wrong.contains("fast"), "{wrong}");
}
