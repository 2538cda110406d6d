//! Lines, wherever reads and cuts divide them.

use super::*;

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
