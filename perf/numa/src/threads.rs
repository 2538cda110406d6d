//! The threads of this process, and where they may run.

use std::collections::BTreeMap;
use std::fs;
use std::io::Result;

/// The CPUs of each node, in the kernel's notation.
pub(crate) fn nodes() -> Result<Vec<String>> {
    let mut nodes = Vec::new();
    loop {
        let file = format!("/sys/devices/system/node/node{}/cpulist", nodes.len());
        match fs::read_to_string(file) {
            Ok(list) => nodes.push(list.trim().to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(nodes),
            Err(error) => return Err(error),
        }
    }
}

/// The CPUs that the workers and receivers may use, by the names of the threads.
pub(crate) fn places() -> Result<BTreeMap<String, String>> {
    let mut places = BTreeMap::new();
    for task in fs::read_dir("/proc/self/task")? {
        let folder = task?.path();
        let name = fs::read_to_string(folder.join("comm"))?.trim().to_owned();
        let status = fs::read_to_string(folder.join("status"))?;
        let allowed = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        if name.starts_with("ms-worker") || name.starts_with("ms-receiver") {
            places.insert(name, allowed.unwrap_or_default().trim().to_owned());
        }
    }
    Ok(places)
}

/// What [`places`] should give.
pub(crate) fn expected<const N: usize>(places: [(&str, &str); N]) -> BTreeMap<String, String> {
    places
        .map(|(name, cpus)| (name.to_owned(), cpus.to_owned()))
        .into()
}
