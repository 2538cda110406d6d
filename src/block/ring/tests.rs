mod overflow;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{TryRecvError, channel};
use std::thread;

use proptest::prelude::*;

use super::segment::{Block, REST};
use super::*;
use crate::arch;
use crate::block::{Str, TextBlock};

const ROOMY: RingOptions = RingOptions {
    block: 64,
    bound: 1 << 20,
    // Never full, whatever the tests' texts are.
    queue: if cfg!(miri) { 512 } else { 4096 },
    lossy: false,
};

fn cases() -> ProptestConfig {
    ProptestConfig {
        cases: if cfg!(miri) { 6 } else { 2_000 },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// The lines that `BufferedReader.readLine` gives, byte by byte.
fn naive_lines(text: &[u8]) -> Vec<Vec<u8>> {
    let (mut lines, mut line) = (Vec::new(), Vec::new());
    let mut skip_feed = false;
    for &byte in text {
        match byte {
            b'\n' if skip_feed => skip_feed = false,
            b'\n' | b'\r' => {
                lines.push(std::mem::take(&mut line));
                skip_feed = byte == b'\r';
            }
            _ => {
                line.push(byte);
                skip_feed = false;
            }
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// Stores bytes as a socket would deliver them.
fn receive(writer: &mut TextWriter, mut bytes: &[u8]) -> usize {
    let mut waiting = writer.filled(0);
    while !bytes.is_empty() {
        let spare = writer.spare(bytes.len()).expect("the ring is open");
        let (now, later) = bytes.split_at(spare.len());
        spare.copy_from_slice(now);
        waiting = writer.filled(now.len());
        bytes = later;
    }
    waiting
}

/// The lines of a range, which has just as many records and ends behind a line.
fn lines_of(range: &Taken<TextBlock>) -> Vec<Vec<u8>> {
    let bytes = range.bytes();
    assert!(matches!(bytes.last(), Some(b'\n' | b'\r')));
    assert_eq!(range.weight(), bytes.len());
    let mut lines = Vec::new();
    arch::lines(bytes, |start, end, _| {
        lines.push(bytes[start..end].to_vec());
        true
    });
    assert_eq!(lines.len(), range.records());
    lines
}

fn cut<B: Block>(cutter: &mut Cutter<B>) -> Vec<Taken<B>> {
    let mut taken = Vec::new();
    cutter.cut(&mut taken);
    taken
}

/// What happens after a piece was received.
#[derive(Clone, Debug)]
struct Step {
    piece: Vec<u8>,
    publish: usize,
    cut: bool,
    /// Keep a string of the next cut's first line.
    pin: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let byte = || prop::sample::select(b"ab\n\rcde".to_vec());
    let piece = prop_oneof![
        4 => prop::collection::vec(byte(), 0..4),
        2 => prop::collection::vec(byte(), 0..40),
        // Long lines.
        1 => prop::collection::vec(Just(b'x'), 0..100),
    ];
    let publish = prop_oneof![Just(usize::MAX), 0..6_usize];
    let step =
        (piece, publish, any::<bool>(), any::<bool>()).prop_map(|(piece, publish, cut, pin)| {
            Step {
                piece,
                publish,
                cut,
                pin,
            }
        });
    prop::collection::vec(step, 0..if cfg!(miri) { 12 } else { 60 })
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn any_split_gives_the_lines_of_a_naive_reader(
        steps in steps(),
        block in 2..64_usize,
        max_line in prop_oneof![0..20_usize, 20..200_usize],
    ) {
        let options = RingOptions { block, ..ROOMY };
        let (mut writer, mut cutter, budget) = text_ring(options, max_line);
        let (mut text, mut lines, mut published) = (Vec::new(), Vec::new(), 0);
        let mut pinned: Vec<(Str, Vec<u8>)> = Vec::new();
        let mut take = |cutter: &mut Cutter<TextBlock>, pin: bool| {
            for range in cut(cutter) {
                let found = lines_of(&range);
                if pin {
                    let end = range.start() + found[0].len();
                    // SAFETY: the texts are ASCII, and the line was published.
                    let text = unsafe { Str::slice_of(range.block(), range.start(), end) };
                    pinned.push((text, found[0].clone()));
                }
                lines.extend(found);
            }
            lines.len()
        };
        for step in &steps {
            text.extend_from_slice(&step.piece);
            let waiting = receive(&mut writer, &step.piece);
            let now = writer.publish(step.publish);
            prop_assert_eq!(now, waiting.min(step.publish));
            prop_assert_eq!(writer.filled(0), waiting - now);
            published += now;
            if step.cut {
                // All that was published, and nothing else.
                prop_assert_eq!(take(&mut cutter, step.pin), published);
                prop_assert_eq!(budget.used(), 0);
            }
        }
        let waiting = writer.finish();
        prop_assert_eq!(writer.publish(usize::MAX), waiting);
        prop_assert_eq!(take(&mut cutter, false), published + waiting);
        prop_assert_eq!(take(&mut cutter, false), published + waiting);

        let (short, long): (Vec<_>, Vec<_>) =
            naive_lines(&text).into_iter().partition(|line| line.len() <= max_line);
        prop_assert_eq!(lines, short);
        prop_assert_eq!(writer.oversize_lines(), long.len() as u64);
        prop_assert_eq!(budget.waits(), 0);
        for (text, copy) in pinned {
            prop_assert_eq!(text.as_bytes(), &copy);
        }
    }

    #[test]
    fn byte_by_byte_and_at_once_are_the_same(
        text in prop::collection::vec(prop::sample::select(b"a\n\r".to_vec()), 0..if cfg!(miri) { 20 } else { 100 }),
        block in 2..16_usize,
    ) {
        let naive = naive_lines(&text);
        for piece in [1, 2, 100] {
            let (mut writer, mut cutter, _budget) =
                text_ring(RingOptions { block, ..ROOMY }, 100);
            for bytes in text.chunks(piece) {
                receive(&mut writer, bytes);
                writer.publish(usize::MAX);
            }
            writer.finish();
            writer.publish(usize::MAX);
            let lines: Vec<_> = cut(&mut cutter).iter().flat_map(lines_of).collect();
            prop_assert_eq!(&lines, &naive);
        }
    }
}

fn lines_after(writer: &mut TextWriter, cutter: &mut Cutter<TextBlock>) -> Vec<Vec<u8>> {
    writer.publish(usize::MAX);
    cut(cutter).iter().flat_map(lines_of).collect()
}

#[test]
fn the_end_of_a_line_may_be_cut_in_two() {
    let (mut writer, mut cutter, _budget) = text_ring(ROOMY, 100);
    receive(&mut writer, b"a\r");
    assert_eq!(lines_after(&mut writer, &mut cutter), [b"a"]);
    receive(&mut writer, b"\n");
    assert!(lines_after(&mut writer, &mut cutter).is_empty());
    receive(&mut writer, b"\nb\r");
    receive(&mut writer, b"\r\n");
    let lines = lines_after(&mut writer, &mut cutter);
    assert_eq!(lines, [&b""[..], b"b", b""]);
}

#[test]
fn lines_longer_than_the_limit_are_dropped_whole() {
    let (mut writer, mut cutter, _budget) = text_ring(ROOMY, 10);
    // At once, in pieces, with each terminator, and at the end of the stream.
    receive(&mut writer, b"0123456789\n0123456789a\nb\r0123456789");
    receive(&mut writer, b"cd");
    receive(&mut writer, b"ef\r");
    receive(&mut writer, b"\n0123456789");
    receive(&mut writer, b"\r\ng\n0123456789hi");
    assert_eq!(writer.oversize_lines(), 3);
    assert_eq!(writer.finish(), 4);
    let lines = lines_after(&mut writer, &mut cutter);
    assert_eq!(lines, [&b"0123456789"[..], b"b", b"0123456789", b"g"]);
    assert_eq!(writer.oversize_lines(), 3);
}

#[test]
fn an_endless_line_takes_no_more_memory_than_the_limit() {
    let options = RingOptions { block: 16, ..ROOMY };
    let (mut writer, mut cutter, _budget) = text_ring(options, 1000);
    for _ in 0..if cfg!(miri) { 200 } else { 10_000 } {
        // A block has one byte more than the limit, and one for a terminator.
        let spare = writer.spare(usize::MAX).unwrap().len();
        assert!(spare <= 1001, "{spare} bytes");
        receive(&mut writer, b"0123456789");
    }
    assert_eq!(writer.oversize_lines(), 1);
    receive(&mut writer, b"\nshort\n");
    assert_eq!(lines_after(&mut writer, &mut cutter), [b"short"]);
}

#[test]
fn an_unfinished_line_is_dropped_before_a_new_connection() {
    let (mut writer, mut cutter, _budget) = text_ring(ROOMY, 10);
    assert_eq!(writer.discard_partial(), 0);
    receive(&mut writer, b"a\nbcd");
    assert_eq!(writer.discard_partial(), 3);
    receive(&mut writer, b"e\r");
    assert_eq!(writer.discard_partial(), 0);
    // These belong to no line of the connection before.
    receive(&mut writer, b"\nf\n0123456789g");
    assert_eq!(writer.discard_partial(), 0);
    receive(&mut writer, b"h\n");
    let lines = lines_after(&mut writer, &mut cutter);
    assert_eq!(lines, [&b"a"[..], b"e", b"", b"f", b"h"]);
}

#[test]
#[should_panic(expected = "more bytes filled than were spare")]
fn more_than_the_spare_cannot_be_filled() {
    let (mut writer, _cutter, _budget) = text_ring(ROOMY, 10);
    let spare = writer.spare(5).unwrap().len();
    writer.filled(spare + 1);
}

#[test]
fn lines_held_back_move_on_to_the_next_block() {
    let options = RingOptions { block: 8, ..ROOMY };
    let (mut writer, mut cutter, _budget) = text_ring(options, 100);
    assert_eq!(receive(&mut writer, b"a\nb\nc\nd\ne\nf\ng\n"), 7);
    assert_eq!(writer.publish(2), 2);
    assert_eq!(receive(&mut writer, b"h\n"), 6);
    assert_eq!(writer.publish(3), 3);
    let lines: Vec<_> = cut(&mut cutter).iter().flat_map(lines_of).collect();
    assert_eq!(lines, [b"a", b"b", b"c", b"d", b"e"]);
    assert_eq!(lines_after(&mut writer, &mut cutter), [b"f", b"g", b"h"]);
}

/// Fills one block after the other and says where each one lies; `keep` may
/// keep some of a cut.
fn places(blocks: usize, mut keep: impl FnMut(usize, &Taken<TextBlock>)) -> Vec<usize> {
    let options = RingOptions {
        block: 21,
        bound: 100,
        ..ROOMY
    };
    let (mut writer, mut cutter, _budget) = text_ring(options, 100);
    (0..blocks)
        .map(|number| {
            receive(&mut writer, format!("{number:019}\n").as_bytes());
            writer.publish(1);
            let taken = cut(&mut cutter);
            assert_eq!(taken.len(), 1);
            keep(number, &taken[0]);
            taken[0].block().as_ptr().addr()
        })
        .collect()
}

#[test]
fn blocks_are_used_again() {
    let places = places(10, |_, _| {});
    // While one is filled the other one is free.
    assert_ne!(places[0], places[1]);
    for (number, place) in places.iter().enumerate() {
        assert_eq!(*place, places[number % 2]);
    }
}

#[test]
fn a_pinned_block_is_stepped_over() {
    let mut pinned = Vec::new();
    let places = places(40, |number, range| {
        if number % 4 == 0 {
            // SAFETY: ASCII, and published.
            pinned.push(unsafe { Str::slice_of(range.block(), 0, 19) });
        }
    });
    for (index, text) in pinned.iter().enumerate() {
        assert_eq!(*text, *format!("{:019}", index * 4));
        let place = places[index * 4];
        assert!(!places[index * 4 + 1..].contains(&place));
    }
}

#[test]
fn a_ring_at_rest_gives_its_memory_back() {
    let options = RingOptions { block: 8, ..ROOMY };
    let (mut writer, mut cutter, _budget) = text_ring(options, 100);
    let mut taken = Vec::new();
    for _ in 0..5 {
        receive(&mut writer, b"a line\n");
        writer.publish(1);
        taken.append(&mut cut(&mut cutter));
    }
    // The fifth is still open.
    assert_eq!(writer.spent(), 4);
    drop(taken);
    for _ in 0..REST {
        assert!(cut(&mut cutter).is_empty());
    }
    assert_eq!(writer.spent(), 4);
    for left in [3, 2] {
        assert!(cut(&mut cutter).is_empty());
        assert_eq!(writer.spent(), left);
    }
    // It was not over.
    receive(&mut writer, b"a line\n");
    assert_eq!(lines_after(&mut writer, &mut cutter), [b"a line"]);
    assert!(cut(&mut cutter).is_empty());
    assert_eq!(writer.spent(), 2, "one is used again, one was filled");
}

#[test]
fn the_ranges_of_a_block_are_held_apart() {
    let (mut writer, mut cutter, budget) = text_ring(ROOMY, 100);
    receive(&mut writer, b"ab\n");
    writer.publish(1);
    let first = cut(&mut cutter);
    receive(&mut writer, b"cde\n");
    writer.publish(1);
    let second = cut(&mut cutter);
    assert_eq!(first[0].bytes(), b"ab\n");
    assert_eq!(second[0].bytes(), b"cde\n");
    assert_eq!((second[0].start(), second[0].end()), (3, 7));
    assert_eq!(budget.used(), 7);
    let copy = second.clone();
    drop(first);
    assert_eq!(budget.used(), 4);
    drop(second);
    assert_eq!(budget.used(), 4);
    drop(copy);
    assert_eq!(budget.used(), 0);
}

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
    let options = RingOptions {
        block: 1024,
        bound: 16 << 10,
        queue: 8,
        lossy: false,
    };
    let (mut writer, cutter, budget) = typed_ring::<usize>(options);
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
    let options = RingOptions {
        block: 1024,
        bound: 16 << 10,
        queue: 8,
        lossy: false,
    };
    let (mut writer, cutter, budget) = typed_ring::<Member>(options);
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

#[test]
fn typed_blocks_are_sealed_by_number_and_by_weight() {
    let options = RingOptions { block: 32, ..ROOMY };
    let (mut writer, mut cutter, budget) = typed_ring::<u64>(options);
    let weights = [1, 1, 1, 1, 1, 20, 20, 100, 1, 32, 0, 0];
    for (number, weight) in weights.into_iter().enumerate() {
        writer.push(number as u64, weight).unwrap();
    }
    writer.seal();
    writer.seal();
    writer.push(12, 1).unwrap();
    let taken = cut(&mut cutter);
    let sizes: Vec<_> = taken
        .iter()
        .map(|range| (range.records(), range.weight()))
        .collect();
    assert_eq!(
        sizes,
        [(4, 4), (2, 21), (1, 20), (1, 100), (1, 1), (3, 32), (1, 1)]
    );
    let all: Vec<u64> = taken
        .iter()
        .flat_map(|range| range.as_slice().to_vec())
        .collect();
    assert_eq!(all, (0..13).collect::<Vec<u64>>());
    assert_eq!(budget.used(), 179);
}

#[test]
fn a_whole_block_is_not_moved() {
    let (mut writer, mut cutter, budget) = typed_ring::<String>(ROOMY);
    writer.push("a".to_owned(), 1).unwrap();
    let mut items = Vec::with_capacity(100);
    items.extend(["b".to_owned(), "c".to_owned()]);
    let place = items.as_ptr();
    writer.push_block(items, 50).unwrap();
    writer.push_block(Vec::new(), 50).unwrap();
    writer.push("d".to_owned(), 1).unwrap();
    let taken = cut(&mut cutter);
    assert_eq!(taken.len(), 3);
    assert_eq!(taken[0].as_slice(), ["a"]);
    assert_eq!(taken[1].as_slice(), ["b", "c"]);
    assert_eq!(taken[1].as_slice().as_ptr(), place);
    assert_eq!(taken[2].as_slice(), ["d"]);
    assert_eq!(budget.used(), 52);
}

#[test]
fn records_without_a_size() {
    let (mut writer, mut cutter, _budget) = typed_ring::<()>(ROOMY);
    for _ in 0..100 {
        writer.push((), 1).unwrap();
    }
    writer.push_block(vec![(); 1000], 1).unwrap();
    let records: usize = cut(&mut cutter).iter().map(|r| r.as_slice().len()).sum();
    assert_eq!(records, 1100);
}

#[test]
fn every_record_is_dropped_once() {
    let alive = Arc::new(());
    let (mut writer, mut cutter, budget) = typed_ring::<Arc<()>>(ROOMY);
    for _ in 0..20 {
        writer.push(Arc::clone(&alive), 8).unwrap();
    }
    writer
        .push_block(vec![Arc::clone(&alive), Arc::clone(&alive)], 16)
        .unwrap();
    let taken = cut(&mut cutter);
    writer.push(Arc::clone(&alive), 8).unwrap();
    assert_eq!(Arc::strong_count(&alive), 24);
    drop(taken);
    // The last block was neither cut nor sealed.
    assert_eq!(Arc::strong_count(&alive), 2);
    assert_eq!(budget.used(), 8);
    drop(writer);
    drop(cutter);
    assert_eq!(Arc::strong_count(&alive), 1);
}

#[test]
fn much_is_told_of_when_a_block_is_opened() {
    let options = RingOptions {
        block: 512 << 10,
        bound: 1 << 30,
        ..ROOMY
    };
    let (mut writer, _cutter, budget) = typed_ring(options);
    let (tell, told) = channel();
    budget.when_filled(Box::new(move || tell.send(()).unwrap()));
    // Two records a block, so four are the megabyte.
    for number in 0..4 {
        writer.push(number, 256 << 10).unwrap();
    }
    assert_eq!(told.try_iter().count(), 0);
    for number in 4..9 {
        writer.push(number, 256 << 10).unwrap();
    }
    assert_eq!(told.try_iter().count(), 2);
}

/// Waits until the writer had to wait for the `n`th time.
fn until_waiting(budget: &Budget, n: u64) {
    while budget.waits() < n {
        thread::yield_now();
    }
    assert_eq!(budget.waits(), n);
}

#[test]
fn a_writer_waits_for_bytes_until_ranges_are_dropped() {
    let options = RingOptions { bound: 3, ..ROOMY };
    let (mut writer, mut cutter, budget) = typed_ring(options);
    for number in 0..3 {
        writer.push(number, 1).unwrap();
    }
    assert_eq!((budget.used(), budget.waits()), (3, 0));
    let (done, on_done) = channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            writer.push(3, 1).unwrap();
            done.send(()).unwrap();
        });
        until_waiting(&budget, 1);
        // A cut does not make room, dropping what it took does.
        let taken = cut(&mut cutter);
        assert_eq!(on_done.try_recv(), Err(TryRecvError::Empty));
        drop(taken);
        on_done.recv().unwrap();
    });
    assert_eq!((budget.used(), budget.waits()), (1, 1));
    assert_eq!(cut(&mut cutter)[0].as_slice(), [3]);
}

#[test]
fn a_text_writer_waits_for_bytes_and_gets_what_is_free() {
    let options = RingOptions { bound: 10, ..ROOMY };
    let (mut writer, mut cutter, budget) = text_ring(options, 100);
    assert_eq!(writer.spare(100).unwrap().len(), 10);
    receive(&mut writer, b"abcde\nf");
    writer.publish(1);
    assert_eq!(writer.spare(100).unwrap().len(), 3);
    receive(&mut writer, b"ghi");
    let taken = cut(&mut cutter);
    thread::scope(|scope| {
        let spare = scope.spawn(move || writer.spare(100).unwrap().len());
        until_waiting(&budget, 1);
        drop(taken);
        // The unfinished line of four bytes counts, too.
        assert_eq!(spare.join().unwrap(), 6);
    });
}

#[test]
fn a_line_longer_than_the_bound_can_be_completed() {
    let options = RingOptions { bound: 10, ..ROOMY };
    let (mut writer, mut cutter, budget) = text_ring(options, 200);
    let line = [b'x'; 150];
    receive(&mut writer, &line);
    receive(&mut writer, b"\n");
    assert_eq!(lines_after(&mut writer, &mut cutter), [line]);
    assert_eq!((budget.used(), budget.waits()), (0, 0));
}

#[test]
fn an_item_larger_than_the_bound_passes_alone() {
    let options = RingOptions { bound: 10, ..ROOMY };
    let (mut writer, mut cutter, budget) = typed_ring(options);
    writer.push(0, 1).unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            writer.push(1, 1000).unwrap();
            writer.push_block(vec![2, 3], 5000).unwrap();
        });
        until_waiting(&budget, 1);
        drop(cut(&mut cutter));
        until_waiting(&budget, 2);
        assert_eq!(budget.used(), 1000);
        drop(cut(&mut cutter));
    });
    assert_eq!(budget.used(), 5000);
    assert_eq!(cut(&mut cutter)[0].as_slice(), [2, 3]);
}

#[test]
fn a_writer_waits_for_a_cut_when_the_queue_is_full() {
    let options = RingOptions { queue: 2, ..ROOMY };
    let (mut writer, mut cutter, budget) = typed_ring(options);
    writer.push_block(vec![0], 1).unwrap();
    writer.push_block(vec![1], 1).unwrap();
    let mut taken = Vec::new();
    thread::scope(|scope| {
        scope.spawn(move || writer.push_block(vec![2], 1).unwrap());
        until_waiting(&budget, 1);
        cutter.cut(&mut taken);
    });
    cutter.cut(&mut taken);
    let all: Vec<i32> = taken.iter().flat_map(|r| r.as_slice().to_vec()).collect();
    assert_eq!(all, [0, 1, 2]);
}

#[test]
fn closing_wakes_a_writer_that_waits_for_bytes() {
    let options = RingOptions { bound: 2, ..ROOMY };
    let (mut typed, _cutter, typed_budget) = typed_ring(options);
    typed.push(1, 2).unwrap();
    let (mut text, mut cutter, text_budget) = text_ring(options, 10);
    receive(&mut text, b"a\n");
    text.publish(1);
    thread::scope(|scope| {
        let typed = scope.spawn(move || typed.push(2, 1));
        let text = scope.spawn(move || text.spare(1).map(|spare| spare.len()));
        until_waiting(&typed_budget, 1);
        until_waiting(&text_budget, 1);
        typed_budget.close();
        text_budget.close();
        assert_eq!(typed.join().unwrap(), Err(2));
        assert_eq!(text.join().unwrap(), Err(Closed));
    });
    // What was stored before stays.
    assert_eq!(cut(&mut cutter)[0].bytes(), b"a\n");
}

#[test]
fn closing_wakes_a_writer_that_waits_for_a_cut() {
    let options = RingOptions { queue: 1, ..ROOMY };
    let (mut writer, cutter, budget) = typed_ring(options);
    writer.push_block(vec![0], 1).unwrap();
    thread::scope(|scope| {
        let refused = scope.spawn(move || writer.push_block(vec![1, 2], 1));
        until_waiting(&budget, 1);
        // A ring without a cutter is closed.
        drop(cutter);
        assert_eq!(refused.join().unwrap(), Err(vec![1, 2]));
    });
}

#[test]
fn a_closed_ring_takes_nothing_and_keeps_what_it_has() {
    let (mut writer, mut cutter, budget) = text_ring(ROOMY, 10);
    assert_eq!(receive(&mut writer, b"a\nb"), 1);
    budget.close();
    budget.close();
    assert_eq!(writer.spare(1), Err(Closed));
    assert_eq!(writer.finish(), 2);
    assert_eq!(lines_after(&mut writer, &mut cutter), [b"a", b"b"]);

    let (mut writer, mut cutter, budget) = typed_ring(ROOMY);
    writer.push(1, 1).unwrap();
    budget.close();
    assert_eq!(writer.push(2, 1), Err(2));
    assert_eq!(writer.push_block(vec![3], 1), Err(vec![3]));
    assert_eq!(writer.push_all(vec![4, 5], 1), Err(vec![4, 5]));
    assert_eq!(cut(&mut cutter)[0].as_slice(), [1]);
}
