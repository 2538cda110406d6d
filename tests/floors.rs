//! The order of the modules, and other rules of the house that the compiler
//! does not know. Reads `src/` as text.
//!
//! Modules stand on floors and use lower floors only, so that nothing goes
//! round in circles. What counts are paths from the root of the crate, in `use`
//! declarations and anywhere else in the code. Comments, strings and modules
//! under `#[cfg(test)]` do not count.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

/// From the lowest floor up. Not all of them are built yet. `prelude` and the kit
/// for tests are on top, with the parts behind features; `lib.rs` may use everything.
const FLOORS: &[&[&str]] = &[
    &["error", "conf", "time", "id", "hash", "fault", "sync"],
    &["arch", "cpu", "task", "metrics", "codec", "disk", "rate"],
    &["block", "wal", "listener"],
    &["executor", "shared"],
    &["rdd"],
    &["state", "receiver"],
    &["dstream"],
    &["checkpoint"],
    &["scheduler"],
    &["context"],
    &[
        "prelude", "guide", "testing", "fuzz", "kafka", "kinesis", "sql", "ml", "ui",
    ],
];

/// Uses between siblings that are allowed, beside those of `error`.
const SIBLINGS: &[(&str, &str)] = &[("conf", "time"), ("time", "sync"), ("disk", "cpu")];

/// The modules that may say `unsafe`.
const UNSAFE: &[&str] = &["arch", "sync", "block", "cpu"];

/// A longer file has a second thing inside.
const MAX_LINES: usize = 800;

/// A rule that a line of a file breaks.
#[derive(Debug, PartialEq, Eq)]
struct Offence {
    file: String,
    line: usize,
    rule: String,
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.rule)
    }
}

/// A word or a sign of the language, and its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Token<'s> {
    text: &'s str,
    line: usize,
}

/// The tokens of a source without its comments and literals. `::` is one token,
/// every other sign is one by itself.
fn tokens(source: &str) -> Vec<Token<'_>> {
    let bytes = source.as_bytes();
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < bytes.len() {
        let rest = &source[at..];
        let (len, is_token) = token(rest);
        if is_token {
            let text = &rest[..len];
            tokens.push(Token { text, line });
        }
        line += bytes[at..at + len].iter().filter(|&&b| b == b'\n').count();
        at += len;
    }
    tokens
}

/// The length of what `rest` starts with, and whether it is a token.
fn token(rest: &str) -> (usize, bool) {
    let first = rest.chars().next().expect("there is something left");
    if first.is_whitespace() {
        return (first.len_utf8(), false);
    }
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), false);
    }
    if rest.starts_with("/*") {
        return (comment_len(rest), false);
    }
    if let Some(len) = string_len(rest) {
        return (len, false);
    }
    if first == '\'' {
        return (char_len(rest), false);
    }
    if is_word(first) {
        let len = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        return (len, true);
    }
    let len = if rest.starts_with("::") {
        2
    } else {
        first.len_utf8()
    };
    (len, true)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Block comments nest.
fn comment_len(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// The length of the string literal that `rest` starts with.
fn string_len(rest: &str) -> Option<usize> {
    let prefix = rest
        .bytes()
        .take_while(u8::is_ascii_lowercase)
        .take(3)
        .count();
    let raw = match &rest[..prefix] {
        "" | "b" | "c" => false,
        "r" | "br" | "cr" => true,
        _ => return None,
    };
    let hashes = rest[prefix..].bytes().take_while(|&b| b == b'#').count();
    let body = rest[prefix + hashes..].strip_prefix('"')?;
    let start = prefix + hashes + 1;
    if raw {
        let end = format!("\"{}", "#".repeat(hashes));
        return Some(start + body.find(&end).map_or(body.len(), |at| at + end.len()));
    }
    if hashes > 0 {
        return None;
    }
    let mut escaped = false;
    let end = body.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    Some(start + end.map_or(body.len(), |at| at + 1))
}

/// The length of the character literal or the lifetime that `rest` starts with.
fn char_len(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    let second = chars.next();
    let third = chars.next();
    match (second, third) {
        (Some((_, '\\')), Some((escaped, _))) => rest[escaped + 1..]
            .find('\'')
            .map_or(rest.len(), |at| escaped + 1 + at + 1),
        (_, Some((at, '\''))) => at + 1,
        _ => 1 + rest[1..].find(|c| !is_word(c)).unwrap_or(rest.len() - 1),
    }
}

/// A use of something at the root of the crate.
#[derive(Debug, PartialEq, Eq)]
struct Use {
    name: String,
    line: usize,
}

/// What a file uses and declares, apart from its tests.
#[derive(Debug, Default)]
struct Report {
    uses: Vec<Use>,
    /// Child modules in files of their own that are compiled for tests only.
    test_files: Vec<String>,
}

/// Reads one file; `depth` is how many modules it is below the root.
struct Reader<'s> {
    tokens: Vec<Token<'s>>,
    at: usize,
    depth: usize,
    report: Report,
}

fn read(source: &str, depth: usize) -> Report {
    let mut reader = Reader {
        tokens: tokens(source),
        at: 0,
        depth,
        report: Report::default(),
    };
    reader.items();
    reader.report
}

impl<'s> Reader<'s> {
    fn peek(&self, ahead: usize) -> &'s str {
        self.tokens.get(self.at + ahead).map_or("", |t| t.text)
    }

    /// Up to the `}` of the block that the reader is in, or the end.
    fn items(&mut self) {
        while self.at < self.tokens.len() {
            match (self.peek(0), self.peek(1)) {
                ("}", _) => {
                    self.at += 1;
                    return;
                }
                ("#", "[") => {
                    if self.attribute() {
                        self.test_item();
                    }
                }
                ("mod", _) if self.peek(2) == "{" => {
                    self.at += 3;
                    self.depth += 1;
                    self.items();
                    self.depth -= 1;
                }
                ("{", _) => {
                    self.at += 1;
                    self.items();
                }
                ("crate", "::") => {
                    self.at += 2;
                    self.path(self.depth);
                }
                ("super", "::") => self.path(0),
                _ => self.at += 1,
            }
        }
    }

    /// A path, or a tree of them, that has gone up by `up` modules.
    fn path(&mut self, up: usize) {
        match self.peek(0) {
            "super" if self.peek(1) == "::" => {
                self.at += 2;
                self.path(up + 1);
            }
            "{" => {
                self.at += 1;
                while !matches!(self.peek(0), "}" | "") {
                    self.path(up);
                    self.skip_until(&[",", "}"]);
                    if self.peek(0) == "," {
                        self.at += 1;
                    }
                }
                self.at += 1;
            }
            // The parent itself, in a list.
            "self" | "}" | "" => {}
            name => {
                if up >= self.depth {
                    self.report.uses.push(Use {
                        name: name.to_owned(),
                        line: self.tokens[self.at].line,
                    });
                }
                self.at += 1;
            }
        }
    }

    /// Skips an attribute; whether what follows is for tests only.
    fn attribute(&mut self) -> bool {
        let from = self.at;
        self.at += 1;
        self.group();
        let words = &self.tokens[from..self.at];
        let cfg = words.get(2).is_some_and(|t| t.text == "cfg");
        let test = words
            .windows(3)
            .any(|w| w[2].text == "test" && w[0].text != "not");
        cfg && test
    }

    /// Skips an item for tests; remembers it if it is a file.
    fn test_item(&mut self) {
        while self.peek(0) == "#" {
            self.attribute();
        }
        let mut is_mod = false;
        while self.at < self.tokens.len() {
            match self.peek(0) {
                "mod" => {
                    is_mod = true;
                    self.at += 1;
                }
                "{" => return self.group(),
                "(" | "[" => self.group(),
                ";" => {
                    let name = self.tokens[self.at - 1].text;
                    if is_mod {
                        self.report.test_files.push(name.to_owned());
                    }
                    self.at += 1;
                    return;
                }
                "}" => return,
                _ => self.at += 1,
            }
        }
    }

    /// Skips a group in brackets of any kind.
    fn group(&mut self) {
        let mut open = 0;
        while self.at < self.tokens.len() {
            match self.peek(0) {
                "{" | "(" | "[" => open += 1,
                "}" | ")" | "]" => open -= 1,
                _ => {}
            }
            self.at += 1;
            if open == 0 {
                return;
            }
        }
    }

    /// Goes to the next of `ends` that is not inside a group.
    fn skip_until(&mut self, ends: &[&str]) {
        while self.at < self.tokens.len() && !ends.contains(&self.peek(0)) {
            if self.peek(0) == "{" {
                self.group();
            } else {
                self.at += 1;
            }
        }
    }
}

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

/// What rule it breaks that `module` uses `name` from the root of the crate.
fn broken_rule(module: &str, name: &str) -> Option<String> {
    let Some(own) = floor(module) else {
        return Some(format!("the module `{module}` stands on no floor"));
    };
    let Some(used) = floor(name) else {
        return Some(format!(
            "`{module}` uses `crate::{name}`: name the module where it is, not the re-export"
        ));
    };
    if name == module || name == "error" && own >= used || SIBLINGS.contains(&(module, name)) {
        return None;
    }
    let which = match used.cmp(&own) {
        std::cmp::Ordering::Less => return None,
        std::cmp::Ordering::Equal => "siblings do not use each other",
        std::cmp::Ordering::Greater => "a module uses lower floors only",
    };
    Some(format!(
        "`{module}` (floor {own}) uses `{name}` (floor {used}): {which}"
    ))
}

/// Checks the uses of one file.
fn check_uses(file: &str, module: &str, report: &Report) -> Vec<Offence> {
    let offence = |found: &Use| {
        let rule = broken_rule(module, &found.name)?;
        let (file, line) = (file.to_owned(), found.line);
        Some(Offence { file, line, rule })
    };
    report.uses.iter().filter_map(offence).collect()
}

fn check_unsafe(file: &str, module: &str, source: &str) -> Vec<Offence> {
    let found = tokens(source).into_iter().filter(|t| t.text == "unsafe");
    let allowed = UNSAFE.contains(&module);
    found
        .filter(|_| !allowed)
        .map(|token| Offence {
            file: file.to_owned(),
            line: token.line,
            rule: format!("unsafe code in `{module}`: only {} may", UNSAFE.join(", ")),
        })
        .collect()
}

fn check_length(file: &str, source: &str) -> Option<Offence> {
    let lines = source.lines().count();
    (lines > MAX_LINES).then(|| Offence {
        file: file.to_owned(),
        line: MAX_LINES + 1,
        rule: format!("{lines} lines: look for the second thing inside"),
    })
}

/// The module that a file in `src/` belongs to, and how deep it is below the
/// root; none for `lib.rs`.
fn place(path: &str) -> Option<(&str, usize)> {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    let module = path.split('/').next()?;
    (path != "lib").then(|| (module, path.split('/').count()))
}

/// Where the children of a file are.
fn folder(path: &Path) -> PathBuf {
    let is_mod = path.file_stem().is_some_and(|s| s == "mod" || s == "lib");
    if is_mod {
        path.parent().map(Path::to_path_buf).unwrap_or_default()
    } else {
        path.with_extension("")
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below a folder of the package, by their path in it; none if
/// there is no such folder.
fn rust_files(folder: &str) -> Vec<(PathBuf, String)> {
    let base = root().join(folder);
    let mut folders = vec![base.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().into_iter().flatten() {
            let path = entry.expect("the folder can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let source = std::fs::read_to_string(&path).expect("sources are UTF-8");
                let path = path.strip_prefix(&base).expect("it is below").to_owned();
                files.push((path, source));
            }
        }
    }
    files.sort();
    files
}

fn none(offences: &[Offence]) {
    let lines: Vec<_> = offences.iter().map(ToString::to_string).collect();
    assert!(offences.is_empty(), "\n{}\n", lines.join("\n"));
}

#[test]
fn modules_use_lower_floors_only() {
    let files = rust_files("src");
    assert!(!files.is_empty(), "there is a src/ to read");
    let reports: Vec<_> = files
        .iter()
        .map(|(path, source)| {
            let place = place(path.to_str().expect("names are UTF-8"));
            (
                path,
                place,
                read(source, place.map_or(0, |(_, depth)| depth)),
            )
        })
        .collect();
    let tests: BTreeSet<PathBuf> = reports
        .iter()
        .flat_map(|(path, _, report)| {
            let base = folder(path);
            report.test_files.iter().map(move |name| base.join(name))
        })
        .collect();
    let mut offences = Vec::new();
    for (path, place, report) in &reports {
        let is_test = path
            .with_extension("")
            .ancestors()
            .any(|part| tests.contains(part));
        if let (false, Some((module, _))) = (is_test, place) {
            let file = format!("src/{}", path.display());
            offences.extend(check_uses(&file, module, report));
        }
    }
    none(&offences);
}

#[test]
fn every_module_stands_on_a_floor() {
    let mut seen = BTreeSet::new();
    for module in FLOORS.iter().flat_map(|floor| floor.iter()) {
        assert!(seen.insert(module), "{module} stands on two floors");
    }
    for (path, _) in rust_files("src") {
        let path = path.to_str().expect("names are UTF-8");
        if let Some((module, _)) = place(path) {
            assert!(
                floor(module).is_some(),
                "src/{path}: `{module}` has no floor"
            );
        }
    }
}

#[test]
fn unsafe_only_where_listed() {
    let mut offences = Vec::new();
    for (path, source) in rust_files("src") {
        let path = path.to_str().expect("names are UTF-8");
        let (module, _) = place(path).unwrap_or(("lib", 0));
        offences.extend(check_unsafe(&format!("src/{path}"), module, &source));
    }
    none(&offences);
}

#[test]
fn no_file_is_too_long() {
    let mut offences = Vec::new();
    for folder in ["src", "tests", "benches", "examples"] {
        for (path, source) in rust_files(folder) {
            let file = format!("{folder}/{}", path.display());
            offences.extend(check_length(&file, &source));
        }
    }
    none(&offences);
}

// The checker itself.

/// The offences of a file of the module `rdd`, one below the root.
fn offences(source: &str) -> Vec<String> {
    let report = read(source, 1);
    check_uses("src/rdd/mod.rs", "rdd", &report)
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn uses(source: &str, depth: usize) -> Vec<(String, usize)> {
    let uses = read(source, depth).uses;
    uses.into_iter().map(|u| (u.name, u.line)).collect()
}

fn found(uses: &[(&str, usize)]) -> Vec<(String, usize)> {
    uses.iter()
        .map(|&(name, line)| (name.to_owned(), line))
        .collect()
}

#[test]
fn an_offence_names_file_line_and_rule() {
    assert_eq!(
        offences("use crate::block::Str;\n\nuse crate::dstream::DStream;\n"),
        [
            "src/rdd/mod.rs:3: `rdd` (floor 4) uses `dstream` (floor 6): \
          a module uses lower floors only"
        ]
    );
    assert_eq!(
        offences("fn f() -> crate::ErrorKind { g() }"),
        ["src/rdd/mod.rs:1: `rdd` uses `crate::ErrorKind`: \
          name the module where it is, not the re-export"]
    );
    assert_eq!(
        check_unsafe(
            "src/rdd/x.rs",
            "rdd",
            "// unsafe\n\"unsafe\";\nunsafe { f() }"
        )[0]
        .to_string(),
        "src/rdd/x.rs:3: unsafe code in `rdd`: only arch, sync, block, cpu may"
    );
    assert_eq!(check_unsafe("src/arch/x.rs", "arch", "unsafe {}"), []);
    assert_eq!(check_length("a.rs", &"\n".repeat(800)), None);
    assert_eq!(
        check_length("a.rs", &"\n".repeat(801)).map(|o| o.to_string()),
        Some("a.rs:801: 801 lines: look for the second thing inside".to_owned())
    );
}

#[test]
fn rules_between_modules() {
    for (module, used) in [
        ("rdd", "rdd"),
        ("rdd", "executor"),
        ("context", "error"),
        ("time", "error"),
        ("conf", "time"),
        ("listener", "id"),
        ("prelude", "context"),
    ] {
        assert_eq!(broken_rule(module, used), None, "{module} uses {used}");
    }
    for (module, used) in [
        ("executor", "shared"),
        ("time", "conf"),
        ("id", "time"),
        ("error", "time"),
        ("block", "listener"),
        ("arch", "block"),
        ("context", "prelude"),
        ("newcomer", "error"),
        ("rdd", "newcomer"),
    ] {
        assert!(broken_rule(module, used).is_some(), "{module} uses {used}");
    }
}

#[test]
fn paths_are_found_everywhere() {
    assert_eq!(
        uses(
            "use crate::{\n  block::{Str, ring::{self, Taken}},\n  time as t, hash::*,\n};",
            1
        ),
        found(&[("block", 2), ("time", 3), ("hash", 3)])
    );
    assert_eq!(
        uses(
            "pub(in crate::arch) fn f(a: &crate::id::StreamId) { crate::hash::new() }",
            1
        ),
        found(&[("arch", 1), ("id", 1), ("hash", 1)])
    );
    assert_eq!(
        uses(
            "macro_rules! m { () => { $crate::time::now() } }\npub(crate) use crate::*;",
            1
        ),
        found(&[("time", 1), ("*", 2)])
    );
}

#[test]
fn paths_upwards_are_found() {
    assert_eq!(uses("use super::time::Clock;", 1), found(&[("time", 1)]));
    assert_eq!(uses("use super::pipe::Data;", 2), []);
    assert_eq!(
        uses("use super::super::time::Clock;", 2),
        found(&[("time", 1)])
    );
    assert_eq!(
        uses("use super::{pipe, super::time};", 2),
        found(&[("time", 1)])
    );
    assert_eq!(
        uses(
            "mod inner { use super::a; use super::super::time; } use super::id;",
            1
        ),
        found(&[("time", 1), ("id", 1)])
    );
}

#[test]
fn comments_literals_and_tests_do_not_count() {
    let source = r##"
        //! [`a`](crate::context)
        /* crate::context /* crate::context */ crate::context */
        const A: &str = "crate::context \" crate::context";
        const B: &str = r#"" crate::context"#;
        const C: (char, u8, &[u8]) = ('"', b'\'', b"crate::context");
        fn f<'a>(x: &'a str) -> &'a str { x }
        #[cfg(test)]
        use crate::context::A;
        #[cfg(test)]
        #[expect(dead_code, reason = "a test")]
        pub(crate) fn g() -> [u8; 2] { crate::context::A }
        #[cfg(test)]
        mod tests { use super::*; fn h() { crate::context::A } }
        #[cfg(all(test, not(loom)))]
        mod more;
        use crate::time::Clock;
    "##;
    let report = read(source, 1);
    assert_eq!(report.test_files, ["more"]);
    assert_eq!(
        report.uses,
        [Use {
            name: "time".to_owned(),
            line: 17
        }]
    );
    // What is for all but tests counts.
    assert_eq!(
        uses("#[cfg(not(test))]\nuse crate::time;", 1),
        found(&[("time", 2)])
    );
    assert_eq!(
        uses("#[derive(Debug)]\nstruct A(crate::id::B);", 1),
        found(&[("id", 2)])
    );
}

#[test]
fn files_have_a_place() {
    assert_eq!(place("lib.rs"), None);
    assert_eq!(place("hash.rs"), Some(("hash", 1)));
    assert_eq!(place("rdd/mod.rs"), Some(("rdd", 1)));
    assert_eq!(place("rdd/op/map.rs"), Some(("rdd", 3)));
    assert_eq!(folder(Path::new("rdd/mod.rs")), Path::new("rdd"));
    assert_eq!(folder(Path::new("hash.rs")), Path::new("hash"));
}
