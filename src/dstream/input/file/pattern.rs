//! Patterns that directories match.

use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

/// What one pattern may stand for after its braces were written out.
const MAX_WRITTEN_OUT: usize = 1024;

/// A pattern, or several if it has slashes in braces.
#[derive(Debug)]
pub(super) struct Pattern(Vec<Way>);

/// A literal directory, and how to go on from there.
#[derive(Debug)]
struct Way {
    base: PathBuf,
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Name(OsString),
    Match {
        glob: GlobMatcher,
        /// Whether it is about names that begin with a dot.
        dotted: bool,
    },
}

impl Pattern {
    /// Reads a pattern; the error says what is wrong with it.
    pub(super) fn parse(pattern: &Path) -> Result<Self, String> {
        let bytes = pattern.as_os_str().as_encoded_bytes();
        if bytes.is_empty() {
            return Err("it is empty".to_owned());
        }
        if memchr::memmem::find(bytes, b"://").is_some() {
            return Err("it is a URL; only directories of this machine can be watched".to_owned());
        }
        if !bytes.iter().any(|byte| b"*?[{".contains(byte)) {
            let base = std::path::absolute(pattern).map_err(|cause| cause.to_string())?;
            let steps = Vec::new();
            return Ok(Self(vec![Way { base, steps }]));
        }
        let Some(text) = pattern.to_str() else {
            return Err("it is not UTF-8".to_owned());
        };
        let written_out = write_out(text)?;
        let ways = written_out.iter().map(|pattern| Way::parse(pattern));
        Ok(Self(ways.collect::<Result<_, _>>()?))
    }

    /// The directories that match now, in order, each once. `failed` hears of what
    /// cannot be looked at.
    pub(super) fn directories(&self, failed: &mut impl FnMut(&Path, io::Error)) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for way in &self.0 {
            if way.steps.is_empty() {
                // To be told of, if it is not there.
                match fs::metadata(&way.base) {
                    Ok(metadata) if metadata.is_dir() => found.push(way.base.clone()),
                    Ok(_) => failed(&way.base, ErrorKind::NotADirectory.into()),
                    Err(cause) => failed(&way.base, cause),
                }
            } else {
                walk(way.base.clone(), &way.steps, &mut found, failed);
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

impl Way {
    fn parse(pattern: &str) -> Result<Self, String> {
        let mut base = if pattern.starts_with('/') {
            PathBuf::from("/")
        } else {
            std::env::current_dir().map_err(|cause| cause.to_string())?
        };
        let mut steps = Vec::new();
        for name in pattern.split('/').filter(|name| !matches!(*name, "" | ".")) {
            if name.contains(['*', '?', '[', '{', '\\']) {
                let glob = GlobBuilder::new(name)
                    .backslash_escape(true)
                    .build()
                    .map_err(|cause| cause.to_string())?;
                steps.push(Step::Match {
                    glob: glob.compile_matcher(),
                    dotted: name.starts_with('.') || name.starts_with("\\."),
                });
            } else if steps.is_empty() {
                base.push(name);
            } else {
                steps.push(Step::Name(name.into()));
            }
        }
        Ok(Self { base, steps })
    }
}

/// Goes on from `directory` by `steps`.
fn walk(
    directory: PathBuf,
    steps: &[Step],
    found: &mut Vec<PathBuf>,
    failed: &mut impl FnMut(&Path, io::Error),
) {
    match steps {
        [] => {
            if directory.is_dir() {
                found.push(directory);
            }
        }
        [Step::Name(name), rest @ ..] => walk(directory.join(name), rest, found, failed),
        [Step::Match { glob, dotted }, rest @ ..] => {
            let entries = match fs::read_dir(&directory) {
                Ok(entries) => entries,
                // Not everything that matches so far has to go on.
                Err(cause)
                    if matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
                {
                    return;
                }
                Err(cause) => return failed(&directory, cause),
            };
            for entry in entries {
                let name = match entry {
                    Ok(entry) => entry.file_name(),
                    Err(cause) => return failed(&directory, cause),
                };
                let hidden = name.as_encoded_bytes().starts_with(b".");
                if (!hidden || *dotted) && glob.is_match(Path::new(&name)) {
                    walk(directory.join(name), rest, found, failed);
                }
            }
        }
    }
}

/// Writes out the braces that have slashes between them, as names are matched one
/// by one.
fn write_out(pattern: &str) -> Result<Vec<String>, String> {
    let mut done = Vec::new();
    let mut rest = vec![pattern.to_owned()];
    while let Some(pattern) = rest.pop() {
        match first_group(&pattern)? {
            None => done.push(pattern),
            Some(Group { from, to, choices }) => {
                for choice in choices {
                    rest.push([&pattern[..from], choice, &pattern[to..]].concat());
                }
            }
        }
        if done.len() + rest.len() > MAX_WRITTEN_OUT {
            return Err(format!(
                "it stands for more than {MAX_WRITTEN_OUT} patterns"
            ));
        }
    }
    Ok(done)
}

/// A pair of braces in a pattern.
struct Group<'p> {
    from: usize,
    to: usize,
    choices: Vec<&'p str>,
}

/// The first outermost group that has a slash in it.
fn first_group(pattern: &str) -> Result<Option<Group<'_>>, String> {
    let (mut depth, mut from, mut choice) = (0_usize, 0, 0);
    let (mut slash, mut escaped) = (false, false);
    let mut choices = Vec::new();
    for (at, sign) in pattern.char_indices() {
        let plain = escaped;
        escaped = !plain && sign == '\\';
        if plain {
            continue;
        }
        match sign {
            '{' => {
                depth += 1;
                if depth == 1 {
                    (from, choice, slash) = (at, at + 1, false);
                    choices.clear();
                }
            }
            ',' if depth == 1 => {
                choices.push(&pattern[choice..at]);
                choice = at + 1;
            }
            '/' => slash = true,
            '}' if depth > 0 => {
                depth -= 1;
                if depth == 0 && slash {
                    choices.push(&pattern[choice..at]);
                    let to = at + 1;
                    return Ok(Some(Group { from, to, choices }));
                }
            }
            _ => {}
        }
    }
    if depth > 0 {
        return Err("a { has no }".to_owned());
    }
    Ok(None)
}
