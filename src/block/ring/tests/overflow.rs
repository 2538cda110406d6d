//! Rings that drop what does not fit.

use super::*;

const LOSSY: RingOptions = RingOptions {
    lossy: true,
    ..ROOMY
};

/// What happens after a piece was received.
#[derive(Clone, Debug)]
struct Step {
    piece: Vec<u8>,
    publish: bool,
    cut: bool,
    /// Let go of all that was cut.
    release: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let byte = || prop::sample::select(b"abcdefgh\n\r\n".to_vec());
    let piece = prop::collection::vec(byte(), 0..30);
    let flag = any::<bool>;
    let step = (piece, flag(), flag(), flag()).prop_map(|(piece, publish, cut, release)| Step {
        piece,
        publish,
        cut,
        release,
    });
    prop::collection::vec(step, 0..if cfg!(miri) { 12 } else { 60 })
}

/// Whether `part` is what is left of `whole` when some are left out.
fn is_part<T: PartialEq>(part: &[T], whole: &[T]) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|item| rest.any(|other| other == item))
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn o_1_lines_are_kept_whole_or_dropped_and_counted(
        steps in steps(),
        block in 2..64_usize,
        bound in 1..100_usize,
        queue in 1..4_usize,
        max_line in prop_oneof![Just(6_usize), Just(200)],
    ) {
        let options = RingOptions { block, bound, queue, lossy: true };
        let (mut writer, mut cutter, budget) = text_ring(options, max_line);
        let (mut text, mut lines, mut held) = (Vec::new(), Vec::new(), Vec::new());
        for step in steps {
            text.extend_from_slice(&step.piece);
            receive(&mut writer, &step.piece);
            if step.publish {
                writer.publish(usize::MAX);
            }
            if step.cut {
                let taken = cut(&mut cutter);
                lines.extend(taken.iter().flat_map(lines_of));
                held.extend(taken);
            }
            if step.release {
                held.clear();
            }
        }
        writer.finish();
        writer.publish(usize::MAX);
        lines.extend(cut(&mut cutter).iter().flat_map(lines_of));
        let all = naive_lines(&text);
        prop_assert!(is_part(&lines, &all), "{lines:?} of {all:?}");
        let lost = budget.dropped() + writer.oversize_lines();
        prop_assert_eq!(lines.len() as u64 + lost, all.len() as u64);
        prop_assert_eq!(budget.waits(), 0);
    }
}

#[test]
fn o_1_a_line_that_began_before_the_ring_was_full_goes_with_its_rest() {
    let options = RingOptions { bound: 8, ..LOSSY };
    let (mut writer, mut cutter, budget) = text_ring(options, 100);
    receive(&mut writer, b"one\ntw");
    writer.publish(1);
    receive(&mut writer, b"o,");
    assert_eq!(budget.dropped(), 0);
    receive(&mut writer, b"three");
    receive(&mut writer, b"\r");
    assert_eq!(budget.dropped(), 1);
    receive(&mut writer, b"\nfour\nfi");
    assert_eq!(budget.dropped(), 3);
    assert_eq!(lines_after(&mut writer, &mut cutter), [b"one"]);
    // There is room again, but the line has lost its start.
    receive(&mut writer, b"ve\nsix\n");
    assert_eq!(lines_after(&mut writer, &mut cutter), [b"six"]);
    assert_eq!((budget.dropped(), budget.waits()), (3, 0));
}

#[test]
fn o_1_the_newest_records_are_dropped_and_counted() {
    let options = RingOptions { bound: 3, ..LOSSY };
    let (mut writer, mut cutter, budget) = typed_ring(options);
    for number in 0..5 {
        let dropped = writer.offer(number, 1).unwrap();
        assert_eq!(dropped, (number >= 3).then_some(number));
    }
    assert_eq!((budget.dropped(), budget.used()), (2, 3));
    let taken = cut(&mut cutter);
    assert_eq!(writer.offer(5, 1), Ok(Some(5)), "cut, but not processed");
    drop(taken);
    assert_eq!(writer.offer(6, 1), Ok(None));
    assert_eq!(cut(&mut cutter)[0].as_slice(), [6]);
    assert_eq!((budget.dropped(), budget.waits()), (3, 0));
}

#[test]
fn o_3_records_are_dropped_where_the_queue_of_blocks_is_full() {
    let options = RingOptions {
        block: 8,
        queue: 2,
        ..LOSSY
    };
    let (mut writer, mut cutter, budget) = typed_ring::<u32>(options);
    for number in 0..6 {
        writer.offer(number, 4).unwrap();
    }
    assert_eq!(budget.dropped(), 2);
    let taken: Vec<u32> = cut(&mut cutter)
        .iter()
        .flat_map(|range| range.as_slice().to_vec())
        .collect();
    assert_eq!(taken, [0, 1, 2, 3]);
    assert_eq!(writer.offer(6, 4), Ok(None));
}

#[test]
fn o_1_what_is_not_offered_waits_and_a_closed_ring_refuses() {
    let options = RingOptions { bound: 1, ..LOSSY };
    let (mut writer, mut cutter, budget) = typed_ring(options);
    writer.push(0, 1).unwrap();
    let taken = cut(&mut cutter);
    thread::scope(|scope| {
        let writer = &mut writer;
        let pushing = scope.spawn(move || writer.push(1, 1));
        until_waiting(&budget, 1);
        drop(taken);
        assert_eq!(pushing.join().unwrap(), Ok(()));
    });
    budget.close();
    assert_eq!(writer.offer(2, 1), Err(2));
    assert_eq!(budget.dropped(), 0);

    let (mut writer, _cutter, budget) = text_ring(options, 100);
    receive(&mut writer, b"a\n");
    writer.publish(1);
    assert_eq!(writer.spare(1).unwrap().len(), 1);
    budget.close();
    assert_eq!(writer.spare(1).unwrap_err(), Closed);
}
