//! Without the feature `gzip`.

use std::convert::Infallible;
use std::io::{self, Read};

use super::Limits;
use crate::error::{Error, ErrorKind, Result};
use crate::rdd::file::InputFile;

/// There is none.
#[derive(Debug)]
pub(in crate::rdd::file) struct Inflated(Infallible);

impl Inflated {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the same signature as with the feature"
    )]
    pub(in crate::rdd::file) fn new(file: InputFile, _: Limits) -> Result<Self> {
        Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "{:?} is compressed: build millstream with the feature gzip to read it, or keep \
                 such files out by a filter",
                file.path()
            ),
        ))
    }

    pub(in crate::rdd::file) fn file(&self) -> &InputFile {
        match self.0 {}
    }

    pub(in crate::rdd::file) fn offset(&self) -> u64 {
        match self.0 {}
    }
}

impl Read for Inflated {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        match self.0 {}
    }
}
