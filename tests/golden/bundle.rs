//! Reads the cases: those beside this file, and those of further folders.

use std::io::Read;
use std::path::Path;
use std::{env, fs};

use flate2::read::GzDecoder;
use serde::Deserialize;

/// One line of JSON each, packed; see the README beside.
const BUNDLE: &[u8] = include_bytes!("cases.json.gz");

/// Names further folders of cases, as `PATH` names folders.
const FOLDERS: &str = "MILLSTREAM_GOLDEN_DIR";

/// What every case has, of whatever kind.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) json: String,
}

#[derive(Deserialize)]
struct Head {
    case: String,
    kind: String,
}

fn entry(json: &str) -> Result<Entry, String> {
    let head: Head = serde_json::from_str(json).map_err(|error| error.to_string())?;
    Ok(Entry {
        name: head.case,
        kind: head.kind,
        json: json.to_owned(),
    })
}

/// The cases that come with the sources.
pub(crate) fn bundled() -> Vec<Entry> {
    let mut text = String::new();
    GzDecoder::new(BUNDLE)
        .read_to_string(&mut text)
        .expect("the bundle is text in gzip");
    let lines = text.lines().map(entry);
    lines
        .collect::<Result<_, _>>()
        .expect("each line of the bundle is a case")
}

/// The cases of the folders in the environment.
///
/// # Errors
/// Names the file that cannot be read, or is no case.
pub(crate) fn further() -> Result<Vec<Entry>, String> {
    let folders = env::var_os(FOLDERS).unwrap_or_default();
    let mut cases = Vec::new();
    for folder in env::split_paths(&folders).filter(|folder| !folder.as_os_str().is_empty()) {
        cases.extend(folder_of_cases(&folder)?);
    }
    Ok(cases)
}

fn folder_of_cases(folder: &Path) -> Result<Vec<Entry>, String> {
    let unreadable = |error| format!("{FOLDERS}: {} cannot be read: {error}", folder.display());
    let mut files = Vec::new();
    for file in fs::read_dir(folder).map_err(unreadable)? {
        let file = file.map_err(unreadable)?.path();
        if file
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            files.push(file);
        }
    }
    files.sort();
    let read = |file: &Path| entry(&fs::read_to_string(file).map_err(|error| error.to_string())?);
    files
        .iter()
        .map(|file| read(file).map_err(|error| format!("{}: {error}", file.display())))
        .collect()
}
