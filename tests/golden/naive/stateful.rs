//! State by key.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::{Batch, Naive, Table, by_key, pairs};
use crate::case::Failure;
use crate::functions::Change;
use crate::program::{Emit, Op, Step};
use crate::value::Value;

impl Naive<'_> {
    pub(super) fn update_state(
        &mut self,
        step: &Step,
        stream: usize,
        time: i64,
    ) -> Result<Option<Batch>, Failure> {
        let Op::UpdateStateByKey { f, initial, .. } = &step.op else {
            unreachable!("it is update_state_by_key");
        };
        let before = self.at(stream, time - self.slides[stream])?;
        let new = self.at(step.inputs[0], time)?;
        let mut old = BTreeMap::new();
        match (&before, &new) {
            (Some(before), _) => old.extend(pairs(before)),
            // Of a key that is there twice the first counts.
            (None, Some(_)) => old.extend(initial.iter().rev().cloned()),
            (None, None) => return Ok(None),
        }
        let new = by_key(new.iter().flat_map(|new| pairs(new)));
        let keys: BTreeSet<_> = old.keys().chain(new.keys()).collect();
        let states = keys.into_iter().filter_map(|key| {
            let values = new.get(key).map_or(&[][..], Vec::as_slice);
            let state = f.apply(time, values, old.get(key))?;
            Some(Value::pair(key.clone(), state))
        });
        Ok(Some(vec![states.collect()]))
    }

    pub(super) fn map_with_state(
        &mut self,
        step: &Step,
        stream: usize,
        time: i64,
    ) -> Result<Batch, Failure> {
        let Op::MapWithState {
            f,
            emit,
            initial,
            timeout_ms,
            checkpoint_ms,
        } = &step.op
        else {
            unreachable!("it is map_with_state");
        };
        let slide = self.slides[stream];
        let mut table: Table = match time - slide {
            0 => {
                let initial = initial.iter().rev().cloned();
                initial.map(|(key, state)| (key, (state, time))).collect()
            }
            before => {
                self.at(stream, before)?;
                (*self.tables[&(stream, before)]).clone()
            }
        };
        let mut mapped = Vec::new();
        let batch = self.at(step.inputs[0], time)?.unwrap_or_default();
        for (key, value) in pairs(&batch) {
            let state = table.get(&key).map(|(state, _)| state);
            let (change, emitted) = f.apply(time, &key, &value, state);
            mapped.extend(emitted);
            match change {
                Change::Update(state) => {
                    table.insert(key, (state, time));
                }
                Change::Remove => {
                    table.remove(&key);
                }
                // Looking at a state is enough to keep it from timing out.
                Change::Keep => {
                    table.entry(key).and_modify(|(_, touched)| *touched = time);
                }
            }
        }
        let interval = checkpoint_ms.unwrap_or(10 * slide);
        if let Some(timeout) = timeout_ms
            && (self.rules.prompt_timeouts || time % interval == 0)
        {
            table.retain(|key, (state, touched)| {
                let keep = *touched >= time - timeout;
                if !keep {
                    mapped.extend(f.timed_out(key, state));
                }
                keep
            });
        }
        let snapshot = table
            .iter()
            .map(|(key, (state, _))| Value::pair(key.clone(), state.clone()));
        let output = match emit {
            Emit::Mapped => mapped,
            Emit::Snapshots => snapshot.collect(),
        };
        self.tables.insert((stream, time), Rc::new(table));
        Ok(vec![output])
    }
}
