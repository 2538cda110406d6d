//! Data sets that a context makes.

use millstream::Str;

use crate::helpers::*;

/// The lines of a text in blocks of 4 KiB, the least that there is.
fn blocks(text: &[u8]) -> Vec<Vec<Str>> {
    let program = Program::with(|builder| builder.set("block_bytes", "4096"));
    let lines = program.ssc.text_lines(text);
    let parts = lines.collect_partitions().expect("nothing can fail");
    let count: usize = parts.iter().map(Vec::len).sum();
    assert_eq!(lines.count().expect("nothing can fail"), count as u64);
    parts
}

#[test]
fn lines_end_as_anywhere() {
    assert_eq!(blocks(b""), Vec::<Vec<Str>>::new());
    assert_eq!(blocks(b"\n"), [[""]]);
    assert_eq!(
        blocks(b"a\nb\r\n\r\nc\rd"),
        [["a", "b", "", "c", "d"]],
        "LF, CRLF, CR, and no last end"
    );
    assert_eq!(
        blocks(b"\xff\xfe\n\xc3\xa9"),
        [["\u{fffd}\u{fffd}", "\u{e9}"]]
    );
}

#[test]
fn lines_of_every_length_come_back_whole() {
    let lines: Vec<String> = [0, 1, 14, 15, 16, 17, 63, 64, 65, 300, 4095, 4096, 9000]
        .iter()
        .cycle()
        .take(60)
        .enumerate()
        .map(|(i, &len)| char::from(b'a' + (i % 26) as u8).to_string().repeat(len))
        .collect();
    for end in ["\n", "\r\n"] {
        for last in ["", end] {
            let parts = blocks((lines.join(end) + last).as_bytes());
            let texts: Vec<_> = lines.iter().cloned().map(Str::from).collect();
            assert_eq!(parts.concat(), texts);
            assert!(parts.len() > 10, "in many blocks");
        }
    }
}

#[test]
fn blocks_end_behind_a_line() {
    let line = "x".repeat(1023);
    let text = format!("{line}\n").repeat(9);
    let lens: Vec<_> = blocks(text.as_bytes()).iter().map(Vec::len).collect();
    assert_eq!(lens, [4, 4, 1]);
    // A line that is longer than a block makes a block of its own.
    let long = format!("{}\nshort\n", "y".repeat(10_000));
    let lens: Vec<_> = blocks(long.as_bytes()).iter().map(Vec::len).collect();
    assert_eq!(lens, [1, 1]);
}

#[test]
fn records_are_dealt_in_order_to_nearly_equal_partitions() {
    let ssc = Program::new().ssc;
    let parts = |n: u64, p| ssc.parallelize(0..n, p).collect_partitions().unwrap();
    assert_eq!(parts(5, 2), [vec![0, 1], vec![2, 3, 4]]);
    assert_eq!(parts(2, 3), [vec![], vec![0], vec![1]]);
    assert_eq!(parts(0, 2), [[0_u64; 0], []]);
    assert_eq!(parts(2, 0), [[0, 1]]);
}
