//! Lines that are not UTF-8.

use super::*;
use crate::conf::InvalidUtf8;

const LINES: &[&[u8]] = &[
    b"",
    b"plain",
    "caf\u{e9}".as_bytes(),
    b"\xff",
    b"a line that is cut \xe2\x82",
    &[b'y'; 300],
];

/// Lines of several pieces, some of them not UTF-8.
fn mixed_lines() -> impl Strategy<Value = Vec<u8>> {
    let line = prop::sample::select(LINES);
    prop::collection::vec(line, 1..40).prop_map(|lines| {
        let lines = lines.iter().map(|line| [line, b"\n".as_slice()].concat());
        lines.collect::<Vec<_>>().concat().repeat(300)
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn invalid_lines_are_counted_once_and_done_with_as_set(text in mixed_lines()) {
        let is_valid = |line: &&[u8]| std::str::from_utf8(line).is_ok();
        let all = text.strip_suffix(b"\n").unwrap().split(|&byte| byte == b'\n');
        let valid: Vec<_> = all.clone().filter(is_valid).map(|line| {
            Str::from(std::str::from_utf8(line).unwrap())
        }).collect();
        let invalid = (all.count() - valid.len()) as u64;
        for workers in [1, 2] {
            for (policy, expected) in [
                (InvalidUtf8::Replace, twin_lines(&text)),
                (InvalidUtf8::Skip, valid.clone()),
            ] {
                let reading = Arc::new(Reading { invalid: policy, stream: "lines".to_owned() });
                let lines = Arc::new(Lines::copy_of(&text, &reading)) as Arc<dyn Partition<Str>>;
                let lines = Rdd::ready(Arc::new([lines]), executor(workers));
                // Stops early, in the first piece.
                prop_assert_eq!(&lines.take(1).unwrap()[..], &expected[..expected.len().min(1)]);
                // Several workers at a time, then one.
                let longer = lines.clone().filter(|line| !line.is_empty()).count().unwrap();
                let twin = expected.iter().filter(|line| !line.is_empty()).count();
                prop_assert_eq!(longer, twin as u64);
                prop_assert_eq!(lines.count().unwrap(), expected.len() as u64);
                prop_assert_eq!(lines.collect().unwrap(), expected);
                prop_assert_eq!(lines.invalid_lines(), invalid);
            }
        }
    }
}
