//! The known name that a misspelled one was probably meant to be.

/// The name at the smallest distance from `word`, without regard to case; the first of several.
pub(super) fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    names
        .into_iter()
        .min_by_key(|name| distance(word.as_bytes(), name.to_ascii_lowercase().as_bytes()))
}

/// How many insertions, deletions, replacements and swaps of neighbours turn `a` into `b`.
fn distance(a: &[u8], b: &[u8]) -> usize {
    // Row i holds the distances of the first i bytes of `a` to each beginning of `b`.
    let mut two_up = Vec::new();
    let mut up: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = up[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(up[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(two_up[j - 2] + 1);
            }
            row.push(least);
        }
        two_up = std::mem::replace(&mut up, row);
    }
    up[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        let d = |a: &str, b: &str| distance(a.as_bytes(), b.as_bytes());
        assert_eq!(d("", ""), 0);
        assert_eq!(d("", "abc"), 3);
        assert_eq!(d("abc", ""), 3);
        assert_eq!(d("abc", "abc"), 0);
        assert_eq!(d("abc", "abx"), 1);
        assert_eq!(d("abc", "abcd"), 1);
        assert_eq!(d("abc", "bc"), 1);
        assert_eq!(d("abc", "acb"), 1, "a swap is one edit");
        assert_eq!(d("kitten", "sitting"), 3);
        assert_eq!(d("batch_intreval", "batch_interval"), 1);
    }

    #[test]
    fn the_nearest_name_wins() {
        let names = ["ring_bytes", "block_bytes", "workers"];
        assert_eq!(nearest("wokers", names), Some("workers"));
        assert_eq!(nearest("RING_BYTE", names), Some("ring_bytes"));
        assert_eq!(
            nearest("", names),
            Some("workers"),
            "even when nothing is near"
        );
        assert_eq!(nearest("x", []), None);
    }
}
