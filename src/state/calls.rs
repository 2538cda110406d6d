//! `map_with_state` on one partition: a call per record.

use std::hash::Hash;

use super::handle::State;
use super::idle::Idle;
use super::keyed::StatePartition;
use super::table::{AHEAD, Ahead, Editor};
use super::undo::Undo;
use crate::rdd::Arrived;
use crate::rdd::pipe::Data;
use crate::time::BatchTime;

impl<K: Data + Hash + Eq, S: Data> StatePartition<K, S> {
    /// Calls `f` for each record, in their order, and then for each key that is
    /// idle for too long; gives what it returned.
    ///
    /// Costs what the records and the idle keys cost, however many keys there are.
    pub(crate) fn call<V, M, F>(
        &mut self,
        time: BatchTime,
        mut records: Arrived<(K, V)>,
        f: &F,
    ) -> Vec<M>
    where
        F: Fn(BatchTime, K, Option<V>, &mut State<'_, S>) -> Option<M>,
    {
        let mut mapped = Vec::new();
        if records.len() == 0 && self.due(time) == 0 {
            // To change a table whose rows are held would copy it.
            return mapped;
        }
        let mut calls = Calls {
            edit: self.table.edit(),
            undo: &mut self.undo,
            idle: self.idle.as_mut(),
            time,
            f,
        };
        for list in records.lists() {
            let mut records = list.drain(..);
            while records.len() > 0 {
                let ahead = calls.look_ahead(records.as_slice());
                for ((hash, near), (key, value)) in ahead.into_iter().zip(records.by_ref()) {
                    mapped.extend(calls.record(hash, near, key, value));
                }
            }
        }
        calls.time_out(&mut mapped);
        mapped
    }
}

/// The calls of one step.
struct Calls<'s, K, S, F> {
    edit: Editor<'s, K, S>,
    undo: &'s mut Undo<S>,
    idle: Option<&'s mut Idle>,
    time: BatchTime,
    f: &'s F,
}

impl<K: Data + Hash + Eq, S: Data, F> Calls<'_, K, S, F> {
    #[inline]
    fn look_ahead<V>(&self, records: &[(K, V)]) -> Ahead {
        match &self.idle {
            Some(idle) => self.edit.look_ahead(records, |place| idle.prefetch(place)),
            None => self.edit.look_ahead(records, |_| ()),
        }
    }

    /// One record. The hash of its key and where that most likely is are known.
    #[inline]
    fn record<V, M>(&mut self, hash: u64, near: Option<u32>, key: K, value: V) -> Option<M>
    where
        F: Fn(BatchTime, K, Option<V>, &mut State<'_, S>) -> Option<M>,
    {
        let Some(place) = self.edit.find_near(near, hash, &key) else {
            let mut state = State::absent();
            let mapped = (self.f)(self.time, key.clone(), Some(value), &mut state);
            if let Some(new) = state.into_new() {
                let place = self.undo.insert(&mut self.edit, hash, key, new);
                self.touch(place);
            }
            return mapped;
        };
        let mut state = State::of_row(place, self.edit.value_mut(place), self.undo, false);
        let mapped = (self.f)(self.time, key, Some(value), &mut state);
        if state.is_removed() {
            self.edit.remove(place);
        } else {
            self.touch(place);
        }
        mapped
    }

    #[inline]
    fn touch(&mut self, place: u32) {
        if let Some(idle) = &mut self.idle {
            idle.touch(place, self.time);
        }
    }

    /// The last call of each key that is idle for too long.
    fn time_out<V, M>(&mut self, mapped: &mut Vec<M>)
    where
        F: Fn(BatchTime, K, Option<V>, &mut State<'_, S>) -> Option<M>,
    {
        let Some(idle) = &self.idle else {
            return;
        };
        let expired = idle.expired(self.time, |place| self.edit.is_live(place));
        for some in expired.chunks(AHEAD) {
            for &place in some {
                self.edit.prefetch_row(place);
            }
            for &place in some {
                let key = self.edit.key(place).clone();
                let mut state = State::of_row(place, self.edit.value_mut(place), self.undo, true);
                mapped.extend((self.f)(self.time, key, None, &mut state));
                self.edit.remove(place);
            }
        }
    }
}
