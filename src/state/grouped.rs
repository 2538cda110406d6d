//! The values of a batch, those of each key together.

/// Values in groups that are numbered from zero.
#[derive(Debug)]
pub(super) struct Grouped<V> {
    values: Vec<V>,
    /// Where each group ends; empty if there are no values at all.
    ends: Vec<u32>,
}

impl<V> Grouped<V> {
    /// Puts the values of each group together; they stay in their order.
    /// `group_of[i]`, below `groups`, is the group of `values[i]`.
    pub(super) fn new(groups: usize, mut group_of: Vec<u32>, mut values: Vec<V>) -> Self {
        if values.is_empty() {
            return Self {
                values,
                ends: Vec::new(),
            };
        }
        // While the values are placed, a group's entry moves from its start to its
        // end.
        let mut ends = vec![0_u32; groups];
        for &group in &group_of {
            ends[group as usize] += 1;
        }
        let mut sum = 0;
        for end in &mut ends {
            sum += std::mem::replace(end, sum);
        }
        for group in &mut group_of {
            let next = &mut ends[*group as usize];
            *group = *next;
            *next += 1;
        }
        // Each swap brings one value to where it belongs.
        let mut goes_to = group_of;
        for i in 0..values.len() {
            while goes_to[i] as usize != i {
                let to = goes_to[i] as usize;
                values.swap(i, to);
                goes_to.swap(i, to);
            }
        }
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
