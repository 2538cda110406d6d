//! Tests of what is global to a process.

use std::env;
use std::process::Command;

/// Runs a test in a process of its own; gives what that printed, or nothing
/// inside of it.
pub(crate) fn in_own_process(name: &str, body: impl FnOnce()) -> Option<String> {
    in_own_process_under(&[], name, body)
}

/// The same, with the process started by a command that takes its command line as
/// further arguments.
pub(crate) fn in_own_process_under(
    command: &[&str],
    name: &str,
    body: impl FnOnce(),
) -> Option<String> {
    const INSIDE: &str = "TEST_IN_OWN_PROCESS";
    if env::var_os(INSIDE).is_some() {
        body();
        return None;
    }
    let test = env::current_exe().expect("a test has a file");
    let mut line = command.iter().map(AsRef::as_ref).chain([test.as_os_str()]);
    let child = Command::new(line.next().expect("at least the test"))
        .args(line)
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .output()
        .expect("a test can start itself");
    let out = String::from_utf8_lossy(&child.stdout).into_owned();
    let err = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{out}\n{err}");
    assert!(out.contains("1 passed"), "there is no test {name}");
    Some(out)
}
