//! From the text of a value to the value and back.
//!
//! Errors are the bare problem; the caller adds which setting, which value and what is expected.

use std::time::Duration;

/// The text that stands for "one per core".
pub(super) const ALL_CORES: &str = "*";

/// The largest size: half of the address space, as for any object.
pub(super) const MAX_BYTES: usize = isize::MAX as usize;

const MILLIS_PER_UNIT: [(&str, u64); 4] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
];
const BYTES_PER_UNIT: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = number_and_unit(text)?;
    let unit_ms = match unit.as_str() {
        "" | "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "us" | "\u{b5}s" | "\u{3bc}s" | "ns" => return Err("the smallest unit is ms".to_owned()),
        _ => return Err(format!("unknown unit {unit:?}")),
    };
    number
        .checked_mul(unit_ms)
        .filter(|ms| i64::try_from(*ms).is_ok())
        .map(Duration::from_millis)
        .ok_or_else(|| "the duration is too long".to_owned())
}

/// The shortest spelling that [`duration`] reads as the same value. Values set by a program may
/// have a part of a millisecond, which no spelling has.
pub(super) fn duration_text(duration: Duration) -> String {
    if !duration.subsec_nanos().is_multiple_of(1_000_000) {
        return format!("{duration:?}");
    }
    with_unit(duration.as_millis(), &MILLIS_PER_UNIT, "ms")
}

pub(super) fn bytes(text: &str) -> Result<usize, String> {
    let (number, unit) = number_and_unit(text)?;
    let unit_bytes = match unit.as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        _ => return Err(format!("unknown unit {unit:?}")),
    };
    number
        .checked_mul(unit_bytes)
        .and_then(|bytes| usize::try_from(bytes).ok())
        .filter(|bytes| *bytes <= MAX_BYTES)
        .ok_or_else(|| "the size is too large".to_owned())
}

pub(super) fn bytes_text(bytes: usize) -> String {
    with_unit(bytes as u128, &BYTES_PER_UNIT, "")
}

pub(super) fn integer(text: &str) -> Result<usize, String> {
    let (number, unit) = number_and_unit(text)?;
    if !unit.is_empty() {
        return Err(format!("a bare number is needed, without {unit:?}"));
    }
    usize::try_from(number).map_err(|_| "the number is too large".to_owned())
}

/// A count of threads as a number or as a master of the guide; `None` is one per core.
pub(super) fn workers(text: &str) -> Result<Option<usize>, String> {
    let text = text.trim();
    let count = match text.strip_prefix("local") {
        None => text,
        Some("") => "1",
        Some(rest) => rest
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .filter(|n| *n == ALL_CORES || n.bytes().all(|b| b.is_ascii_digit()))
            .ok_or_else(|| "a local master is local, local[n] or local[*]".to_owned())?,
    };
    if count == ALL_CORES {
        Ok(None)
    } else {
        integer(count).map(Some)
    }
}

/// A limit of records per second; zero and below is no limit.
pub(super) fn rate(text: &str) -> Result<Option<u64>, String> {
    let text = text.trim();
    let below_zero = text.strip_prefix('-');
    let (number, unit) = number_and_unit(below_zero.unwrap_or(text))?;
    if !unit.is_empty() {
        return Err(format!("a bare number is needed, without {unit:?}"));
    }
    Ok((below_zero.is_none() && number > 0).then_some(number))
}

/// A number that may have a fraction.
pub(super) fn real(text: &str) -> Result<f64, String> {
    let number: f64 = text.trim().parse().map_err(|_| "not a number".to_owned())?;
    if number.is_finite() {
        Ok(number)
    } else {
        Err("not a finite number".to_owned())
    }
}

pub(super) fn flag(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "on" | "1" => Ok(true),
        "false" | "off" | "0" => Ok(false),
        _ => Err("neither true nor false".to_owned()),
    }
}

/// Splits `5 Min` into 5 and `min`; the unit may be empty.
fn number_and_unit(text: &str) -> Result<(u64, String), String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("the value is empty".to_owned());
    }
    if text.starts_with('-') {
        return Err("the value is negative".to_owned());
    }
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    if digits.is_empty() {
        return Err("not a number".to_owned());
    }
    if unit.starts_with(['.', ',']) {
        return Err("fractions are not allowed".to_owned());
    }
    let number = digits
        .parse()
        .map_err(|_| "the number is too large".to_owned())?;
    Ok((number, unit.trim_start().to_lowercase()))
}

/// The value in the largest unit it is a whole number of.
fn with_unit(value: u128, units: &[(&str, u64)], smallest: &str) -> String {
    let fits = |unit: &u64| value != 0 && value.is_multiple_of(u128::from(*unit));
    match units.iter().find(|(_, unit)| fits(unit)) {
        Some((name, unit)) => format!("{}{name}", value / u128::from(*unit)),
        None => format!("{value}{smallest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused<T: std::fmt::Debug>(result: Result<T, String>, problem: &str) {
        assert_eq!(result.unwrap_err(), problem);
    }

    #[test]
    fn durations() {
        let good = [
            ("0", 0),
            ("250", 250),
            ("250ms", 250),
            (" 250 MS ", 250),
            ("2s", 2_000),
            ("3m", 180_000),
            ("3min", 180_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
            ("007s", 7_000),
            ("9223372036854775807", i64::MAX as u64),
        ];
        for (text, ms) in good {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "  "] {
            refused(duration(text), "the value is empty");
        }
        for text in ["us", "5us", "5 \u{b5}s", "5\u{3bc}s", "5ns"] {
            let problem = if text == "us" {
                "not a number"
            } else {
                "the smallest unit is ms"
            };
            refused(duration(text), problem);
        }
        refused(duration("-5s"), "the value is negative");
        refused(duration("+5s"), "not a number");
        refused(duration("0x10"), "unknown unit \"x10\"");
        refused(duration("5 parsecs"), "unknown unit \"parsecs\"");
        refused(duration("1s 5ms"), "unknown unit \"s 5ms\"");
        refused(duration("1y"), "unknown unit \"y\"");
        refused(duration("0.5s"), "fractions are not allowed");
        refused(duration("0,5s"), "fractions are not allowed");
        refused(duration("9223372036854775808"), "the duration is too long");
        refused(duration("106751991168d"), "the duration is too long");
        refused(
            duration("18446744073709551615d"),
            "the duration is too long",
        );
        refused(duration("18446744073709551616"), "the number is too large");
    }

    #[test]
    fn duration_texts_read_back() {
        let texts = [
            (0, "0ms"),
            (1, "1ms"),
            (1_000, "1s"),
            (1_001, "1001ms"),
            (60_000, "1m"),
            (90_000, "90s"),
            (7_200_000, "2h"),
            (86_400_000, "1d"),
        ];
        for (ms, text) in texts {
            assert_eq!(duration_text(Duration::from_millis(ms)), text);
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)));
        }
        assert_eq!(duration_text(Duration::from_micros(1_500)), "1.5ms");
    }

    #[test]
    fn sizes() {
        let good = [
            ("0", 0),
            ("4096", 4_096),
            ("12b", 12),
            ("2k", 2_048),
            ("2KiB", 2_048),
            ("3 m", 3 << 20),
            ("3MIB", 3 << 20),
            ("1g", 1 << 30),
            ("1GiB", 1 << 30),
        ];
        for (text, size) in good {
            assert_eq!(bytes(text), Ok(size), "{text}");
        }
        refused(bytes("1kb"), "unknown unit \"kb\"");
        refused(bytes("1.5m"), "fractions are not allowed");
        refused(bytes("-1"), "the value is negative");
        refused(bytes("17179869184g"), "the size is too large");
        refused(bytes("9223372036854775808"), "the size is too large");
        let texts = [
            (0, "0"),
            (1, "1"),
            (4_096, "4KiB"),
            (1 << 20, "1MiB"),
            (5 << 30, "5GiB"),
        ];
        for (size, text) in texts {
            assert_eq!(bytes_text(size), text);
            assert_eq!(bytes(text), Ok(size));
        }
    }

    #[test]
    fn integers() {
        assert_eq!(integer("0"), Ok(0));
        assert_eq!(integer(" 12 "), Ok(12));
        refused(integer("12ms"), "a bare number is needed, without \"ms\"");
        refused(
            integer("1_000"),
            "a bare number is needed, without \"_000\"",
        );
        refused(integer("many"), "not a number");
        refused(integer("-1"), "the value is negative");
        refused(integer("99999999999999999999"), "the number is too large");
    }

    #[test]
    fn worker_counts_and_masters() {
        for text in ["1", "local", " local[1] "] {
            assert_eq!(workers(text), Ok(Some(1)), "{text}");
        }
        assert_eq!(workers("local[12]"), Ok(Some(12)));
        assert_eq!(workers("*"), Ok(None));
        assert_eq!(workers("local[*]"), Ok(None));
        for text in [
            "local[2",
            "local2",
            "local[2,3]",
            "local[-1]",
            "local-cluster[2,1,1024]",
        ] {
            refused(
                workers(text),
                "a local master is local, local[n] or local[*]",
            );
        }
        refused(workers("local[]"), "the value is empty");
        refused(workers("spark://host:7077"), "not a number");
    }

    #[test]
    fn rates() {
        assert_eq!(rate("1000"), Ok(Some(1_000)));
        assert_eq!(rate("18446744073709551615"), Ok(Some(u64::MAX)));
        for text in ["0", "-1", "-9223372036854775808"] {
            assert_eq!(rate(text), Ok(None), "{text}");
        }
        for text in ["NaN", "inf", "fast", "-", "--1", "-x"] {
            assert!(rate(text).is_err(), "{text}");
        }
        refused(rate("0.5"), "fractions are not allowed");
        refused(rate("5/s"), "a bare number is needed, without \"/s\"");
    }

    #[test]
    fn reals() {
        for (text, number) in [("0", 0.0), (" 0.25 ", 0.25), ("1e3", 1_000.0), ("-2", -2.0)] {
            assert_eq!(real(text), Ok(number), "{text}");
        }
        for text in ["", "fast", "0,5", "1s"] {
            refused(real(text), "not a number");
        }
        for text in ["NaN", "inf", "-infinity", "1e999"] {
            refused(real(text), "not a finite number");
        }
    }

    #[test]
    fn flags() {
        for text in ["true", "TRUE", "on", "1", " On "] {
            assert_eq!(flag(text), Ok(true), "{text}");
        }
        for text in ["false", "False", "off", "0"] {
            assert_eq!(flag(text), Ok(false), "{text}");
        }
        for text in ["", "yes", "2", "truee"] {
            refused(flag(text), "neither true nor false");
        }
    }
}
