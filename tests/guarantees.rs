//! Whether `GUARANTEES.md` has all its rows, and the tests that it names are there. Reads
//! files as text.

use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeInclusive;

const TABLE: &str = "tests/GUARANTEES.md";

/// The numbers of the rows, by their letter. Those of security that are about pages and
/// connections have none yet.
const ROWS: &[(char, &[RangeInclusive<u32>])] = &[
    ('G', &[1..=7, 10..=20]),
    ('F', &[1..=29]),
    ('B', &[1..=15]),
    ('O', &[1..=15]),
    ('R', &[1..=23]),
    ('X', &[5..=7, 9..=9, 12..=12]),
];

/// The ids of rows, each with what is its proof.
fn rows(text: &str) -> Vec<(&str, &str)> {
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.trim_matches(['|', ' ']).splitn(3, " | ");
        Some((cells.next()?, cells.nth(1)?))
    });
    let is_id = |id: &str| id.starts_with(|c: char| c.is_ascii_uppercase()) && id.contains('-');
    rows.filter(|(id, _)| is_id(id)).collect()
}

/// The tests that a proof names, as file and name.
fn tests(proof: &str) -> impl Iterator<Item = (&str, &str)> {
    // Every second piece stands between back-quotes.
    let quoted = proof.split('`').skip(1).step_by(2);
    quoted.filter_map(|test| test.split_once("::"))
}

/// What is wrong with a table, if `has` tells whether a file has a test.
fn offences(text: &str, mut has: impl FnMut(&str, &str) -> bool) -> Vec<String> {
    let mut offences = Vec::new();
    for (id, proof) in rows(text) {
        if tests(proof).next().is_none() && !proof.contains("**Missing**") {
            offences.push(format!("{id}: no test, and nothing is said to be missing"));
        }
        for (file, name) in tests(proof) {
            if !has(file, name) {
                offences.push(format!("{id}: {file} has no test {name}"));
            }
        }
    }
    offences
}

#[test]
fn every_row_names_tests_that_are_there() {
    let text = fs::read_to_string(TABLE).expect("the table is there");
    let mut files = BTreeMap::<String, String>::new();
    let offences = offences(&text, |file, name| {
        let source = files
            .entry(file.to_owned())
            .or_insert_with(|| fs::read_to_string(file).unwrap_or_default());
        source.contains(&format!("fn {name}("))
    });
    assert!(offences.is_empty(), "{TABLE}: {}", offences.join("\n"));
}

#[test]
fn every_promise_has_its_row() {
    let text = fs::read_to_string(TABLE).expect("the table is there");
    let ids: Vec<_> = rows(&text).into_iter().map(|(id, _)| id).collect();
    let numbers = ROWS.iter().flat_map(|(letter, ranges)| {
        let numbers = ranges.iter().cloned().flatten();
        numbers.map(move |number| format!("{letter}-{number}"))
    });
    assert_eq!(ids, numbers.collect::<Vec<_>>());
}

#[test]
fn an_offence_names_the_row() {
    let text = "| Id | Promise | Proof |\n\
                | --- | --- | --- |\n\
                | G-1 | one | `a.rs::there`, `a.rs::gone` |\n\
                | G-2 | two | nothing |\n\
                | G-3 | three | **Missing**: not built |\n";
    assert_eq!(
        offences(text, |file, name| (file, name) == ("a.rs", "there")),
        [
            "G-1: a.rs has no test gone",
            "G-2: no test, and nothing is said to be missing"
        ]
    );
}
