//! Blocks of records.

use super::*;

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
