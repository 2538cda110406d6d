//! With the feature `gzip`.

use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use super::Limits;
use crate::error::Result;
use crate::rdd::file::InputFile;

/// Compressed bytes that are read at a time.
const BUFFER: usize = 64 << 10;

/// As much may come out of any file: a little that repeats itself is no harm.
const FREE: u64 = 1 << 20;

/// What comes out of a compressed file: its members, one after the other.
#[derive(Debug)]
pub(in crate::rdd::file) struct Inflated {
    decoder: MultiGzDecoder<BufReader<InputFile>>,
    /// Bytes that came out.
    inflated: u64,
    limits: Limits,
}

impl Inflated {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "without the feature this is an error"
    )]
    pub(in crate::rdd::file) fn new(file: InputFile, limits: Limits) -> Result<Self> {
        Ok(Self {
            decoder: MultiGzDecoder::new(BufReader::with_capacity(BUFFER, file)),
            inflated: 0,
            limits,
        })
    }

    pub(in crate::rdd::file) fn file(&self) -> &InputFile {
        self.decoder.get_ref().get_ref()
    }

    /// How much of the file was used.
    pub(in crate::rdd::file) fn offset(&self) -> u64 {
        self.file().position() - self.decoder.get_ref().buffer().len() as u64
    }

    /// An error if more came out than may.
    fn check(&self) -> io::Result<()> {
        let Limits {
            max_ratio,
            max_bytes,
        } = self.limits;
        let by_ratio = self.offset().saturating_mul(max_ratio).max(FREE);
        if self.inflated <= by_ratio.min(max_bytes) {
            return Ok(());
        }
        let (setting, value) = if max_bytes < by_ratio {
            ("max_inflated_bytes", max_bytes)
        } else {
            ("max_inflate_ratio", max_ratio)
        };
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "{} bytes came out so far, more than {setting} = {value} allows",
                self.inflated
            ),
        ))
    }
}

impl Read for Inflated {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let n = self.decoder.read(to)?;
        self.inflated += n as u64;
        self.check()?;
        Ok(n)
    }
}
