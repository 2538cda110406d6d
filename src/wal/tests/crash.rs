//! Crashes at every moment, and everything that a disk may make of them.

use super::model::{Model, Seed};
use super::*;
use crate::disk::sim::Survives;
use crate::disk::sim::random::Random;

/// How many crashes each test tries: `CRASH_IMAGES`, from the seed `CRASH_SEED` on.
fn trials() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let first = number("CRASH_SEED").unwrap_or(0);
    first..first + number("CRASH_IMAGES").unwrap_or(300)
}

/// Small segments, so that there are many.
fn options(sync: SyncMode) -> WalOptions {
    WalOptions::new().sync(sync).segment_bytes(200)
}

/// One life after the other, each of which ends in a crash, the first at the start.
fn lives(seed: u64, sync: SyncMode, mut survives: impl FnMut(&mut Random) -> Survives) {
    let _seed = Seed(seed);
    let mut chance = Random::new(seed);
    let options = options(sync);
    let (mut disk, mut model) = (SimDisk::new(), Model::default());
    let mut keeps = true;
    for _ in 0..1 + chance.below(4) {
        let opened = disk.operations();
        let log = model.recover(&disk, &options, keeps).unwrap();
        let steps = chance.below(12);
        assert_eq!(model.work(&disk, &log, &mut chance, steps), 0);
        drop(log);
        // Also while it was being opened.
        let at = opened + chance.below(disk.operations() - opened + 1);
        let what = survives(&mut chance);
        keeps = sync == SyncMode::Always || what == Survives::Written;
        disk = model.crash(&disk, at, what);
    }
    model.recover(&disk, &options, keeps).unwrap();
}

/// Any crash of the process or the machine, several times over.
fn any(chance: &mut Random) -> Survives {
    match chance.below(4) {
        0 => Survives::Written,
        1 => Survives::Durable,
        _ => Survives::Some(chance.next()),
    }
}

/// F-2, G-16, G-17: in the mode `always` everything that was acknowledged is there, and
/// nothing else than what was written, in order and without gaps.
#[test]
fn nothing_acknowledged_is_lost_in_a_crash_of_the_machine() {
    for seed in trials() {
        lives(seed, SyncMode::Always, any);
    }
}

/// F-1: in the mode `os`, too, if only the process crashes.
#[test]
fn nothing_written_is_lost_in_a_crash_of_the_process() {
    for seed in trials() {
        lives(seed, SyncMode::Os, |_| Survives::Written);
    }
}

/// In the mode `os` a crash of the machine takes from the end only: what is left is
/// read without an error.
#[test]
fn a_crash_of_the_machine_in_mode_os_takes_from_the_end_only() {
    for seed in trials() {
        lives(seed, SyncMode::Os, any);
    }
}

/// The same with every crash of one life, and with operations that fail in it.
#[test]
fn every_moment_of_a_life_survives() {
    let mut chance = Random::new(1);
    let options = options(SyncMode::Always);
    let (disk, mut model) = (SimDisk::new(), Model::default());
    let log = model.recover(&disk, &options, true).unwrap();
    for call in [20, 33, 47, 60] {
        disk.fail(call..=call, crate::disk::sim::Fault::Io);
    }
    model.work(&disk, &log, &mut chance, 40);
    drop(log);
    assert!(log_was_busy(&disk), "{disk:?}");
    for at in 0..=disk.operations() {
        let images = (0..6).map(Survives::Some);
        for survives in images.chain([Survives::Written, Survives::Durable]) {
            let mut model = model.clone();
            let image = model.crash(&disk, at, survives);
            let log = model.recover(&image, &options, true).unwrap();
            // And it goes on.
            model.append(&image, &log, 1, 1).unwrap();
            drop(log);
            let durable = model.crash(&image, image.operations(), Survives::Durable);
            model.recover(&durable, &options, true).unwrap();
        }
    }
}

/// Segments were made and removed.
fn log_was_busy(disk: &SimDisk) -> bool {
    let files = files(disk);
    files.len() > 2 && !files.contains(&"segment-00000000000000000000.wal".to_owned())
}

/// Operations fail and the machine crashes, in any mixture.
#[test]
fn faults_and_crashes_together_lose_nothing_acknowledged() {
    use crate::disk::sim::Fault;
    for seed in trials() {
        let _seed = Seed(seed);
        let mut chance = Random::new(seed);
        let options = options(SyncMode::Always);
        let (mut disk, mut model) = (SimDisk::new(), Model::default());
        for _ in 0..1 + chance.below(3) {
            let opened = disk.operations();
            for _ in 0..chance.below(4) {
                let at = disk.calls() + chance.below(40) as u64;
                let many = [1, 1, 2, 5, 30][chance.below(5)];
                let fault = [Fault::Io, Fault::Full, Fault::Short][chance.below(3)];
                disk.fail(at..at + many, fault);
            }
            // It may be that it cannot be opened.
            if let Ok(log) = model.recover(&disk, &options, true) {
                let steps = chance.below(15);
                model.work(&disk, &log, &mut chance, steps);
            }
            let at = opened + chance.below(disk.operations() - opened + 1);
            disk = model.crash(&disk, at, any(&mut chance));
        }
        model.recover(&disk, &options, true).unwrap();
    }
}
