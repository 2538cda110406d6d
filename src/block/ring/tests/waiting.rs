//! Writers that wait for room.

use super::*;

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
