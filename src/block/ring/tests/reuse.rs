//! Blocks that are used again, and those that are let go.

use super::*;

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
