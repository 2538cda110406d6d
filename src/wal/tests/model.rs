//! A program that uses a log, what it may expect of it, and a machine that crashes.

use std::collections::BTreeMap;

use super::*;
use crate::disk::sim::Survives;
use crate::disk::sim::random::Random;

/// Tells which seed failed.
pub(super) struct Seed(pub(super) u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the seed is {}", self.0);
        }
    }
}

/// What a program did, with the number of changes on the disk after which that holds.
#[derive(Clone, Default)]
pub(super) struct Model {
    /// What was asked to be appended under each number.
    attempts: BTreeMap<u64, Vec<Attempt>>,
    /// What was acknowledged or read, and when.
    known: BTreeMap<u64, (usize, Vec<u8>)>,
    /// What was called superseded from when on.
    superseded: Vec<(usize, u64)>,
    bodies: u64,
}

#[derive(Clone)]
struct Attempt {
    body: Vec<u8>,
    since: usize,
    /// When a restart was over that did not find it.
    until: usize,
}

impl Model {
    pub(super) fn superseded(&self) -> u64 {
        self.superseded.last().map_or(0, |&(_, below)| below)
    }

    /// Opens the log as after a restart and compares what is in it. `keeps` tells
    /// whether what was acknowledged has to be there.
    pub(super) fn recover(
        &mut self,
        disk: &SimDisk,
        options: &WalOptions,
        keeps: bool,
    ) -> Result<WriteAheadLog> {
        let superseded = self.superseded();
        let log = open_with(disk, superseded, options.clone())?;
        let found = records(&log, superseded)?;
        let end = superseded + found.len() as u64;
        assert_eq!(log.end(), end);
        for (at, (sequence, body)) in found.iter().enumerate() {
            assert_eq!(*sequence, superseded + at as u64, "no gaps");
            let mut attempts = self.attempts.get(sequence).into_iter().flatten();
            let was_written = attempts.any(|attempt| attempt.body == *body);
            assert!(was_written, "record {sequence} is not what was written");
        }
        if keeps {
            for (sequence, (_, body)) in self.known.range(superseded..) {
                let found = found.get((sequence - superseded) as usize);
                let found = found.map(|(_, body)| body);
                assert_eq!(found, Some(body), "record {sequence} was acknowledged");
            }
        }
        // The program has seen it: from now on it has to stay.
        let mut before = std::mem::take(&mut self.known);
        for (sequence, attempts) in self.attempts.range_mut(superseded..) {
            let found = found.get((sequence - superseded) as usize);
            for attempt in attempts {
                if found.is_none_or(|(_, body)| *body != attempt.body) {
                    attempt.until = attempt.until.min(disk.operations());
                }
            }
        }
        for (sequence, body) in found {
            let known = before.remove(&sequence).filter(|(_, known)| *known == body);
            let known = known.unwrap_or((disk.operations(), body));
            self.known.insert(sequence, known);
        }
        Ok(log)
    }

    /// Works with a log for some steps. Gives how many of them failed.
    pub(super) fn work(
        &mut self,
        disk: &SimDisk,
        log: &WriteAheadLog,
        chance: &mut Random,
        steps: usize,
    ) -> usize {
        let mut failed = 0;
        for _ in 0..steps {
            let done = match chance.below(8) {
                0 => {
                    let left = (log.end() - self.superseded()) as usize;
                    let below = self.superseded() + chance.below(left + 1) as u64;
                    self.superseded.push((disk.operations(), below));
                    log.remove_below(below)
                }
                _ => {
                    let count = 1 + chance.below(3);
                    self.append(disk, log, count, chance.below(30))
                }
            };
            failed += usize::from(done.is_err());
        }
        failed
    }

    pub(super) fn append(
        &mut self,
        disk: &SimDisk,
        log: &WriteAheadLog,
        count: usize,
        len: usize,
    ) -> Result<()> {
        let first = log.end();
        let bodies: Vec<_> = (0..count)
            .map(|_| {
                self.bodies += 1;
                format!("{} {}", self.bodies, "x".repeat(len)).into_bytes()
            })
            .collect();
        for (sequence, body) in (first..).zip(&bodies) {
            let attempts = self.attempts.entry(sequence).or_default();
            attempts.push(Attempt {
                body: body.clone(),
                since: disk.operations() + 1,
                until: usize::MAX,
            });
        }
        let range = log.append_all(bodies.clone())?;
        assert_eq!(range, first..first + count as u64);
        for (sequence, body) in (first..).zip(bodies) {
            self.known.insert(sequence, (disk.operations(), body));
        }
        Ok(())
    }

    /// Forgets what came after so many changes.
    fn rewind(&mut self, operations: usize) {
        self.superseded.retain(|&(at, _)| at <= operations);
        self.known.retain(|_, (at, _)| *at <= operations);
        for attempts in self.attempts.values_mut() {
            attempts.retain(|attempt| (attempt.since..attempt.until).contains(&operations));
            attempts
                .iter_mut()
                .for_each(|attempt| attempt.until = usize::MAX);
        }
    }

    /// The disk after a crash at some time. The changes of it are counted anew if the
    /// machine crashed.
    pub(super) fn crash(&mut self, disk: &SimDisk, at: usize, survives: Survives) -> SimDisk {
        self.rewind(at);
        if survives != Survives::Written {
            self.superseded.iter_mut().for_each(|(at, _)| *at = 0);
            self.known.values_mut().for_each(|(at, _)| *at = 0);
            let attempts = self.attempts.values_mut().flatten();
            attempts.for_each(|attempt| attempt.since = 0);
        }
        disk.crash(at, survives)
    }
}
