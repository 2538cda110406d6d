//! Every record is in exactly one cut, in its order.

use super::*;

const SMALL: RingOptions = RingOptions {
    block: 1024,
    bound: 16 << 10,
    queue: 8,
    lossy: false,
};

const CUTS: usize = if cfg!(miri) { 50 } else { 100_000 };

/// Cuts while `write` stores at full speed, until `CUTS` cuts found something;
/// `write` counts in `stored` what it has stored.
fn cut_while<B: Block>(
    mut cutter: Cutter<B>,
    write: impl FnOnce(&AtomicUsize, &AtomicBool) + Send,
    mut check: impl FnMut(&Taken<B>),
) {
    let (stored, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut records = 0;
    let mut once = || {
        let before = stored.load(Ordering::Acquire);
        for range in cut(&mut cutter) {
            records += range.records();
            check(&range);
        }
        assert!(records >= before, "a stored record was not cut");
        records
    };
    thread::scope(|scope| {
        let writer = scope.spawn(|| write(&stored, &stop));
        let (mut cuts, mut records) = (0, 0);
        while cuts < CUTS && !writer.is_finished() {
            let now = once();
            cuts += usize::from(now > records);
            records = now;
        }
        stop.store(true, Ordering::Relaxed);
        while !writer.is_finished() {
            once();
        }
        writer.join().expect("the writer does not panic");
    });
    assert_eq!(once(), stored.load(Ordering::Relaxed));
}

#[test]
fn cuts_are_exact_typed() {
    let (mut writer, cutter, budget) = typed_ring::<usize>(SMALL);
    let mut expected = 0;
    cut_while(
        cutter,
        |stored, stop| {
            let mut next = 0;
            while !stop.load(Ordering::Relaxed) {
                if next % 1000 == 17 {
                    writer.push_block((next..next + 5).collect(), 40).unwrap();
                    next += 5;
                } else {
                    writer.push(next, 8).unwrap();
                    next += 1;
                }
                stored.store(next, Ordering::Release);
            }
        },
        |range| {
            for &record in range.as_slice() {
                assert_eq!(record, expected);
                expected += 1;
            }
        },
    );
    assert_eq!(budget.used(), 0);
}

/// No cut and no block comes between records that were stored together.
#[test]
fn records_stored_together_are_cut_together() {
    // A block holds 64 records of this size.
    type Member = (u32, u32, u64);
    let (mut writer, cutter, budget) = typed_ring::<Member>(SMALL);
    let (mut group, mut at) = (0, 0);
    let len = |group: u32| [1, 3, 40, 64, 65, 200, 0, 7][group as usize % 8];
    cut_while(
        cutter,
        |stored, stop| {
            let (mut group, mut count) = (0, 0);
            while !stop.load(Ordering::Relaxed) {
                let members = (0..len(group)).map(|at| (group, at, 0)).collect();
                writer.push_all(members, 16).unwrap();
                count += len(group) as usize;
                group += 1;
                stored.store(count, Ordering::Release);
            }
        },
        |range| {
            assert_eq!(at, 0, "a range begins with a group");
            for &member in range.as_slice() {
                while len(group) == 0 {
                    group += 1;
                }
                assert_eq!(member, (group, at, 0));
                at += 1;
                if at == len(group) {
                    (group, at) = (group + 1, 0);
                }
            }
            assert_eq!(at, 0, "a range ends with a group");
        },
    );
    assert_eq!(budget.used(), 0);
}

#[test]
fn cuts_are_exact_text() {
    let options = RingOptions {
        block: 1000,
        bound: 16 << 10,
        queue: 8,
        lossy: false,
    };
    let (mut writer, cutter, budget) = text_ring(options, 100);
    let mut expected = 0_usize;
    cut_while(
        cutter,
        |stored, stop| {
            let mut next = 0_usize;
            let mut text = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                text.clear();
                for number in next..next + 7 {
                    text.extend_from_slice(number.to_string().as_bytes());
                    text.extend_from_slice(b"\r\n");
                }
                // Each piece ends inside a line.
                for piece in text.chunks(11) {
                    receive(&mut writer, piece);
                    next += writer.publish(usize::MAX);
                    stored.store(next, Ordering::Release);
                }
            }
        },
        |range| {
            for line in lines_of(range) {
                assert_eq!(line, expected.to_string().as_bytes());
                expected += 1;
            }
        },
    );
    assert_eq!(budget.used(), 0);
}
