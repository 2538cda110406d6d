//! The kernel's list notation for sets of CPUs: `0-3,8,10-11`.
//!
//! A list stays a list of ranges and is never expanded, so that a short text cannot make a large
//! set.

use std::ops::RangeInclusive;

/// The highest CPU id a list may name. Linux is built for 8,192 CPUs at most today.
pub(crate) const MAX_CPU_ID: usize = 65_535;

/// A set of CPU ids.
///
/// The ranges are ascending and do not overlap or touch, so two lists of the same CPUs are equal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CpuList {
    ranges: Vec<RangeInclusive<usize>>,
}

impl CpuList {
    /// Reads a list as sysfs writes it, with or without the newline at its end.
    ///
    /// A blank text is the empty set: a node with memory only has such a list. Ranges may overlap
    /// and come in any order. `None` for everything else: the part of a broken list that happens to
    /// be readable is not what the kernel meant to say.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim_ascii();
        if text.is_empty() {
            return Some(Self::default());
        }
        let mut ranges = text
            .split(',')
            .map(parse_range)
            .collect::<Option<Vec<_>>>()?;
        ranges.sort_unstable_by_key(|range| *range.start());
        ranges.dedup_by(|next, kept| {
            let joined = *next.start() <= *kept.end() + 1;
            if joined {
                *kept = *kept.start()..=*kept.end().max(next.end());
            }
            joined
        });
        Some(Self { ranges })
    }

    /// Whether the set holds this CPU.
    pub(crate) fn contains(&self, cpu: usize) -> bool {
        let behind = self.ranges.partition_point(|range| *range.start() <= cpu);
        behind > 0 && self.ranges[behind - 1].contains(&cpu)
    }

    /// The lowest CPU of the set.
    pub(crate) fn first(&self) -> Option<usize> {
        self.ranges.first().map(|range| *range.start())
    }
}

/// One id, or two with a hyphen between, the lower one first.
fn parse_range(text: &str) -> Option<RangeInclusive<usize>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (parse_id(first)?, parse_id(last)?);
    (first <= last && last <= MAX_CPU_ID).then_some(first..=last)
}

/// Digits only; the standard parser would take a plus sign too.
pub(super) fn parse_id(text: &str) -> Option<usize> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn ids(list: &CpuList) -> Vec<usize> {
        list.ranges.iter().cloned().flatten().collect()
    }

    /// Writes a set the way the kernel does.
    fn format(cpus: &BTreeSet<usize>) -> String {
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for &cpu in cpus {
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == cpu => *last = cpu,
                _ => runs.push((cpu, cpu)),
            }
        }
        let runs: Vec<String> = runs
            .iter()
            .map(|(first, last)| match first == last {
                true => format!("{first}"),
                false => format!("{first}-{last}"),
            })
            .collect();
        runs.join(",") + "\n"
    }

    #[test]
    fn reads_what_the_kernel_writes() {
        let list = CpuList::parse("0-3,8,10-11\n").unwrap();
        assert_eq!(ids(&list), [0, 1, 2, 3, 8, 10, 11]);
        assert_eq!(list.first(), Some(0));
        assert_eq!(ids(&CpuList::parse("65535").unwrap()), [65_535]);
    }

    #[test]
    fn blank_is_the_empty_set() {
        for text in ["", "\n", " \n\n"] {
            let list = CpuList::parse(text).unwrap();
            assert_eq!(list, CpuList::default());
            assert_eq!(list.first(), None);
            assert!(!list.contains(0));
        }
    }

    #[test]
    fn overlapping_touching_and_unordered_ranges_become_one() {
        assert_eq!(CpuList::parse("4,0-2,1-3,2"), CpuList::parse("0-4"));
        assert_eq!(CpuList::parse("0-9,3"), CpuList::parse("0-9"));
    }

    #[test]
    fn refuses_anything_else() {
        for text in [
            "x",
            "-",
            "1-",
            "-1",
            "3-1",
            "0,,1",
            "0,",
            ",0",
            "0 1",
            "0\n1",
            "+1",
            "1-2-3",
            "0-6:2/4",
            "0x1",
            "65536",
            "0-65536",
            "0-99999999",
            "99999999999999999999999",
        ] {
            assert_eq!(CpuList::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn formatted_sets_come_back(cpus in prop::collection::btree_set(0..=300_usize, 0..120)) {
            let list = CpuList::parse(&format(&cpus)).unwrap();
            for cpu in 0..=301 {
                prop_assert_eq!(list.contains(cpu), cpus.contains(&cpu));
            }
            prop_assert_eq!(ids(&list), Vec::from_iter(cpus));
        }

        #[test]
        fn never_panics(text in any::<String>()) {
            let _ = CpuList::parse(&text);
        }

        /// Nearly right texts reach further into the parser than arbitrary ones.
        #[test]
        fn accepts_only_bounded_ids(
            chars in prop::collection::vec(
                prop::sample::select(Vec::from_iter("0123456789-,\n".chars())),
                0..24,
            ),
        ) {
            let text = String::from_iter(chars);
            if let Some(list) = CpuList::parse(&text) {
                prop_assert!(ids(&list).iter().all(|&cpu| cpu <= MAX_CPU_ID));
            }
        }
    }
}
