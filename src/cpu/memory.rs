//! How much memory this process may use: the machine's, or the limit of its
//! control group (a container, a service).

use std::fs;
use std::path::{Path, PathBuf};

/// What is assumed where nothing can be read.
const ASSUMED: u64 = 4 << 30;

/// The bytes of memory that this process may use.
pub(crate) fn available_bytes() -> u64 {
    available_under(Path::new("/"))
}

/// As above, with `/proc` and `/sys` under another root.
fn available_under(root: &Path) -> u64 {
    let machine = read(&root.join("proc/meminfo")).and_then(|text| total(&text));
    let limits = groups(root).into_iter().filter_map(|file| {
        // A group without a limit says `max`, or in the old form a huge number.
        read(&file)?.trim().parse().ok()
    });
    limits
        .chain(machine)
        .min()
        .filter(|&bytes| bytes > 0)
        .unwrap_or(ASSUMED)
}

/// The files with the limits of this process: of its group, and of every group
/// around it.
fn groups(root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let text = read(&root.join("proc/self/cgroup")).unwrap_or_default();
    for line in text.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(kinds), Some(group)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let (top, file) = match kinds {
            "" => ("sys/fs/cgroup", "memory.max"),
            kinds if kinds.split(',').any(|kind| kind == "memory") => {
                ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let inside = Path::new(group.trim_start_matches('/'));
        files.extend(
            inside
                .ancestors()
                .map(|group| root.join(top).join(group).join(file)),
        );
    }
    files
}

/// The total of `/proc/meminfo`.
fn total(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

fn read(file: &Path) -> Option<String> {
    fs::read_to_string(file).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> u64 {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/memory");
        available_under(&root.join(name))
    }

    #[test]
    fn the_least_limit_counts() {
        assert_eq!(fixture("machine"), 8_000_000 * 1024);
        assert_eq!(fixture("group_v2"), 1 << 30);
        assert_eq!(fixture("group_v1"), 512 << 20);
    }

    #[test]
    fn without_files_some_memory_is_assumed() {
        assert_eq!(fixture("none"), ASSUMED);
    }

    #[test]
    fn this_machine_has_memory() {
        assert!(available_bytes() > 1 << 20);
    }
}
