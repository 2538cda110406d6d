//! The values of a batch, those of each key together.

/// Values in groups that are numbered from zero.
#[derive(Debug)]
pub(super) struct Grouped<V> {
    values: Vec<V>,
    /// Where each group ends; empty if there are no values at all.
    ends: Vec<u32>,
}

impl<V: Clone> Grouped<V> {
    /// Puts the values of each group together; they stay in their order.
    /// `group_of[i]`, below `groups`, is the group of `values[i]`.
    pub(super) fn new(groups: usize, group_of: &[u32], values: Vec<V>) -> Self {
        if values.is_empty() {
            return Self {
                values,
                ends: Vec::new(),
            };
        }
        // While the values are placed, a group's entry moves from its start to its
        // end.
        let mut ends = vec![0_u32; groups];
        for &group in group_of {
            ends[group as usize] += 1;
        }
        let mut sum = 0;
        for end in &mut ends {
            sum += std::mem::replace(end, sum);
        }
        let mut order = vec![0_u32; values.len()];
        for (i, &group) in (0..).zip(group_of) {
            let next = &mut ends[group as usize];
            order[*next as usize] = i;
            *next += 1;
        }
        // Not moved along the cycles of the permutation, where each move has to wait
        // for the one before.
        let values = if std::mem::needs_drop::<V>() {
            let mut values: Vec<_> = values.into_iter().map(Some).collect();
            let taken = order.iter().filter_map(|&i| values[i as usize].take());
            taken.collect()
        } else {
            order.iter().map(|&i| values[i as usize].clone()).collect()
        };
        Self { values, ends }
    }

    /// The values of a group.
    #[inline]
    pub(super) fn of(&self, group: usize) -> &[V] {
        match self.ends.get(group) {
            Some(&end) => {
                let start = group.checked_sub(1).map_or(0, |before| self.ends[before]);
                &self.values[start as usize..end as usize]
            }
            None => &[],
        }
    }

    /// The values of one group after the other, to be taken out.
    pub(super) fn into_groups(self) -> Groups<V> {
        Groups {
            values: self.values.into_iter(),
            ends: self.ends.into_iter(),
            taken: 0,
        }
    }
}

/// See [`Grouped::into_groups`].
#[derive(Debug)]
pub(super) struct Groups<V> {
    values: std::vec::IntoIter<V>,
    ends: std::vec::IntoIter<u32>,
    taken: u32,
}

impl<V> Groups<V> {
    /// The values of the next group.
    pub(super) fn next_group(&mut self) -> Vec<V> {
        let end = self.ends.next().unwrap_or(self.taken);
        let len = end - std::mem::replace(&mut self.taken, end);
        self.values.by_ref().take(len as usize).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check<V: Clone + PartialEq + std::fmt::Debug>(
        groups: usize,
        group_of: &[u32],
        values: &[V],
    ) {
        let plain: Vec<Vec<V>> = (0..groups as u32)
            .map(|group| {
                let all = group_of.iter().zip(values);
                let own = all.filter(|&(&of, _)| of == group);
                own.map(|(_, value)| value.clone()).collect()
            })
            .collect();
        let grouped = Grouped::new(groups, group_of, values.to_vec());
        for (group, plain) in plain.iter().enumerate() {
            assert_eq!(grouped.of(group), plain);
        }
        assert_eq!(grouped.of(groups), []);
        let mut taken = grouped.into_groups();
        for plain in plain {
            assert_eq!(taken.next_group(), plain);
        }
    }

    proptest! {
        #[test]
        fn equals_a_list_for_each_group(group_of in proptest::collection::vec(0..20_u32, 0..60)) {
            let numbers: Vec<_> = (0..group_of.len()).collect();
            check(20, &group_of, &numbers);
            let texts: Vec<_> = numbers.iter().map(ToString::to_string).collect();
            check(20, &group_of, &texts);
        }
    }
}
