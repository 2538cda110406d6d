//! The recorded cases.

use crate::bundle::bundled;
use crate::case::parse;
use crate::naive;

#[test]
fn the_interpreter_does_as_spark_did() {
    let mut bad = 0;
    for entry in bundled() {
        if entry.kind != "dstream" { continue; }
        let (case, recorded) = parse(&entry.json).unwrap_or_else(|error| panic!("{}: {error}", entry.name));
        let got = naive::run(&case, naive::SPARK);
        if got != recorded { bad += 1; println!("{}: {}\n{:?}\n{:?}", entry.name, case.describe(), recorded.failure, got.failure);
            for (a, b) in recorded.output.iter().zip(&got.output) { if a!= b { println!("{:?}\n{:?}", a, b); break; } }
        }
        let def = naive::run(&case, naive::DEFINITION);
        if def != recorded { println!("by definition {}", entry.name); }
    }
    assert_eq!(bad, 0);
}
