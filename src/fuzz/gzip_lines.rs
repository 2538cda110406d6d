//! Lines out of compressed files.

use std::fs;
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::take;
use crate::block::{Str, naive};
use crate::conf::InvalidUtf8;
use crate::error::Result;
use crate::rdd::Partition;
use crate::rdd::file::{BatchFile, Identity, InputFormat, Limits, Tally, TextFiles};
use crate::rdd::pipe::{Pipe, Source};

/// What may come out of a file.
const MAX_BYTES: u64 = 64 << 10;
const MAX_LINE: usize = 100;

/// Reads a file of these bytes, or of members that hold them and are damaged then. If the
/// whole of it can be inflated and is not too much the lines are its lines, and else there is
/// an error.
pub fn gzip_lines(mut input: &[u8]) {
    let [shape, cut] = take(&mut input);
    let bytes = match shape {
        0 => input.to_vec(),
        shape => members(input, shape, cut),
    };
    let name = format!("millstream-fuzz-{}.gz", std::process::id());
    let path = std::env::temp_dir().join(name);
    fs::write(&path, &bytes).expect("the system's temporary directory can be written to");
    let lines = read(&path);
    fs::remove_file(&path).expect("it was just made");

    let mut text = Vec::new();
    let whole = MultiGzDecoder::new(&*bytes)
        .take(MAX_BYTES + 1)
        .read_to_end(&mut text);
    match whole {
        Ok(len) if len as u64 <= MAX_BYTES => {
            let expected = naive::lines_between(&text, MAX_LINE, 0, u64::MAX).0;
            assert_eq!(lines.expect("the file is whole"), expected);
        }
        // Too much, or damaged before it was.
        _ => assert!(lines.is_err(), "{} lines of a bad file", text.len()),
    }
}

/// The input in members of as many bytes as `shape` says, up to one byte behind the cut.
fn members(input: &[u8], shape: u8, cut: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in input.chunks(usize::from(shape)) {
        let mut member = GzEncoder::new(&mut bytes, Compression::fast());
        let written = member.write_all(part).and_then(|()| member.finish());
        written.expect("memory takes everything");
    }
    if cut > 0 {
        let at = usize::from(cut) * bytes.len() / 256;
        bytes.truncate(at);
    }
    bytes
}

fn read(path: &Path) -> Result<Vec<Str>> {
    let metadata = fs::metadata(path)?;
    let (len, identity) = (metadata.len(), Identity::of(&metadata));
    let file = BatchFile::new(Arc::from(path), len, identity, Arc::<Tally>::default());
    let format = TextFiles {
        part_bytes: 1000,
        max_line_bytes: MAX_LINE,
        invalid: InvalidUtf8::Replace,
        gzip: Limits {
            max_ratio: u64::MAX,
            max_bytes: MAX_BYTES,
        },
    };
    let mut parts: Vec<Arc<dyn Partition<Str>>> = Vec::new();
    Arc::new(format).split(file, &mut parts);
    let mut lines = Vec::new();
    for part in parts {
        part.chunks(&mut |chunk| {
            Source::new().feed(chunk, &mut lines);
            ControlFlow::Continue(())
        })?;
    }
    Ok(lines)
}
