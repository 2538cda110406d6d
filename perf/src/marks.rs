//! Lines that carry the time at which they were due, to tell latencies by.

use std::time::{SystemTime, UNIX_EPOCH};

/// What such a line begins with.
pub const MARK: u8 = b'@';

/// The line for a due time, in nanoseconds since the Unix epoch.
#[must_use]
pub fn line(due: u64) -> String {
    format!("{}{due}\n", char::from(MARK))
}

/// The due time that a line carries, if it does.
#[must_use]
pub fn due(line: &[u8]) -> Option<u64> {
    let digits = line.strip_prefix(&[MARK])?;
    std::str::from_utf8(digits).ok()?.trim_end().parse().ok()
}

/// Nanoseconds since the Unix epoch.
#[must_use]
pub fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_nanos() as u64
}

/// The value below which `per_mille` of the sorted `values` are; zero of none.
#[must_use]
pub fn percentile(values: &[u64], per_mille: usize) -> u64 {
    let rank = (values.len() * per_mille).div_ceil(1000).max(1);
    values.get(rank - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_back() {
        assert_eq!(due(line(17).trim_end().as_bytes()), Some(17));
        assert_eq!(due(b"17"), None);
        assert_eq!(due(b"@home"), None);
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let values: Vec<u64> = (1..=200).collect();
        assert_eq!(
            [500, 990, 1000].map(|p| percentile(&values, p)),
            [100, 198, 200]
        );
        assert_eq!(percentile(&[], 500), 0);
    }
}
