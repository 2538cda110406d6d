//! Lines that hold a word, with memchr.

use memchr::memmem::Finder;

use super::Padded;

/// Counts the lines that hold a word, line by line.
pub(crate) fn grep_lines(text: &Padded, finder: &Finder<'_>, threads: usize) -> u64 {
    on_threads(text, threads, |part| {
        let mut start = 0;
        let mut found = 0;
        for end in memchr::memchr_iter(b'\n', part) {
            found += u64::from(finder.find(&part[start..end]).is_some());
            start = end + 1;
        }
        if start < part.len() {
            found += u64::from(finder.find(&part[start..]).is_some());
        }
        found
    })
}

/// Counts the lines that hold a word, searching the whole text for it.
pub(crate) fn grep_block(text: &Padded, finder: &Finder<'_>, threads: usize) -> u64 {
    on_threads(text, threads, |part| {
        let mut at = 0;
        let mut found = 0;
        while let Some(next) = finder.find(&part[at..]) {
            found += 1;
            // The rest of the line counts no more.
            match memchr::memchr(b'\n', &part[at + next..]) {
                Some(end) => at += next + end + 1,
                None => break,
            }
        }
        found
    })
}

fn on_threads(text: &Padded, threads: usize, body: impl Fn(&[u8]) -> u64 + Sync) -> u64 {
    let bytes = text.text();
    let body = &body;
    std::thread::scope(|scope| {
        let mut parts = text.parts(threads).into_iter();
        let first = parts.next().unwrap_or_default();
        let others: Vec<_> = parts
            .map(|part| scope.spawn(move || body(&bytes[part])))
            .collect();
        let mut sum = body(&bytes[first]);
        for other in others {
            sum += other.join().expect("searching does not panic");
        }
        sum
    })
}
