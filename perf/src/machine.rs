//! What a record says of the machine and the sources.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

/// Facts of the machine, and of what was measured on it.
#[must_use]
pub fn facts(home: &Path) -> Vec<(String, String)> {
    let mut facts = vec![
        (
            "date",
            command("date", &["-u", "+%Y-%m-%d %H:%M UTC"], home),
        ),
        ("processor", field("/proc/cpuinfo", "model name")),
        (
            "cores",
            thread::available_parallelism().map_or(String::new(), |n| n.to_string()),
        ),
        ("L2 cache", cache(2)),
        ("L3 cache", cache(3)),
        ("memory", field("/proc/meminfo", "MemTotal")),
        ("system", command("uname", &["-sr"], home)),
        ("load before", first_words("/proc/loadavg", 3)),
        ("rustc", command("rustc", &["--version"], home)),
        (
            "commit",
            command("git", &["describe", "--always", "--dirty"], home),
        ),
        ("allocator", "mimalloc".to_owned()),
    ];
    facts.retain(|(_, value)| !value.is_empty());
    let settings = std::env::vars().filter(|(name, _)| name.starts_with("MILLSTREAM_"));
    let facts = facts
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    facts.chain(settings).collect()
}

/// Today, as records are named.
#[must_use]
pub fn date() -> String {
    command("date", &["-u", "+%Y-%m-%d"], Path::new("."))
}

fn command(program: &str, arguments: &[&str], folder: &Path) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output();
    output.map_or(String::new(), |output| {
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    })
}

/// The first value of a name in a file of `name: value` lines.
fn field(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.split_once(':'));
    value.map_or(String::new(), |(_, value)| value.trim().to_owned())
}

fn cache(level: u32) -> String {
    let read = |index: u32, what: &str| {
        let file = format!("/sys/devices/system/cpu/cpu0/cache/index{index}/{what}");
        fs::read_to_string(file)
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    (0..5)
        .find(|&index| read(index, "level") == level.to_string())
        .map_or(String::new(), |index| read(index, "size"))
}

fn first_words(file: &str, n: usize) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.split_whitespace()
        .take(n)
        .collect::<Vec<_>>()
        .join(" ")
}
