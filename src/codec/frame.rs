//! Frames: bytes in a file with their length and a checksum.
//!
//! ```text
//! frame    length    4 bytes, little-endian, not 0
//!          checksum  4 bytes, little-endian: CRC-32 of the length and the payload
//!          payload   `length` bytes
//! end      as a frame of length 0: what has none was cut off
//! ```
//!
//! A file may have a [`Salt`], with which all its checksums begin: then a frame that
//! came there from another file is not taken for one of its own. A log, which can end
//! anywhere, has no end.

use std::io::{ErrorKind as IoErrorKind, Read, Result as IoResult, Write};

use crate::error::{Error, ErrorKind, Result};

/// Length and checksum.
pub(crate) const HEADER: usize = 8;

/// The longest payload.
pub(crate) const MAX_PAYLOAD: usize = 1 << 30;

/// What all checksums of a file begin with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Salt(crc32fast::Hasher);

impl Salt {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let mut crc = crc32fast::Hasher::new();
        crc.update(bytes);
        Self(crc)
    }

    /// What stands in front of a payload, which may come in parts.
    pub(crate) fn header(&self, payload: &[&[u8]]) -> [u8; HEADER] {
        let length: usize = payload.iter().map(|part| part.len()).sum();
        let length = (length as u32).to_le_bytes();
        let mut header = [0; HEADER];
        header[..4].copy_from_slice(&length);
        header[4..].copy_from_slice(&self.checksum(length, payload).to_le_bytes());
        header
    }

    fn checksum(&self, length: [u8; 4], payload: &[&[u8]]) -> u32 {
        let mut crc = self.0.clone();
        crc.update(&length);
        payload.iter().for_each(|part| crc.update(part));
        crc.finalize()
    }
}

/// Writes one frame.
///
/// # Errors
/// Those of `out`, and one for a payload that is longer than [`MAX_PAYLOAD`].
pub(crate) fn write_frame(out: &mut dyn Write, payload: &[u8]) -> IoResult<()> {
    debug_assert!(!payload.is_empty(), "an empty frame is the end");
    if payload.len() > MAX_PAYLOAD {
        let what = format!("{} bytes are too many for a frame", payload.len());
        return Err(std::io::Error::new(IoErrorKind::InvalidInput, what));
    }
    out.write_all(&Salt::default().header(&[payload]))?;
    out.write_all(payload)
}

/// Writes what tells that nothing was cut off.
pub(crate) fn write_end(out: &mut dyn Write) -> IoResult<()> {
    out.write_all(&Salt::default().header(&[]))
}

/// Reads frames.
#[derive(Debug)]
pub(crate) struct FrameReader<R> {
    input: R,
    /// Where in the file the next frame begins.
    offset: u64,
    /// Bytes of the file from there on.
    left: u64,
    salt: Salt,
    payload: Vec<u8>,
}

impl<R: Read> FrameReader<R> {
    /// Reads the frames in the bytes `offset..end` of a file, which `input` has.
    pub(crate) fn new(input: R, offset: u64, end: u64) -> Self {
        Self {
            input,
            offset,
            left: end.saturating_sub(offset),
            salt: Salt::default(),
            payload: Vec::new(),
        }
    }

    /// Reads frames of a file that has this salt.
    pub(crate) fn salted(self, salt: Salt) -> Self {
        Self { salt, ..self }
    }

    /// Where in the file the next frame begins.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether nothing is left, not even an end.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.left == 0
    }

    /// The payload that came last.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.payload
    }

    pub(crate) fn into_input(self) -> R {
        self.input
    }

    /// The payload of the next frame; `None` at the end.
    ///
    /// # Errors
    /// Those of the input, or of kind [`ErrorKind::Corrupt`], with the place in the
    /// file: a length or a checksum is wrong, the end is missing, or something
    /// stands behind it.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>> {
        if self.left < HEADER as u64 {
            return Err(self.corrupt("the end is missing: the file was cut off"));
        }
        let mut header = [0; HEADER];
        self.input.read_exact(&mut header)?;
        self.left -= HEADER as u64;
        let [a, b, c, d, e, f, g, h] = header;
        let length = u32::from_le_bytes([a, b, c, d]);
        // Before memory is taken for it.
        if u64::from(length) > self.left.min(MAX_PAYLOAD as u64) {
            return Err(self.corrupt(&format!(
                "a frame of {length} bytes, and there are {} left: the file was cut off, or damaged",
                self.left
            )));
        }
        self.payload.resize(length as usize, 0);
        self.input.read_exact(&mut self.payload)?;
        self.left -= u64::from(length);
        let checksum = self.salt.checksum([a, b, c, d], &[&self.payload]);
        if checksum != u32::from_le_bytes([e, f, g, h]) {
            return Err(self.corrupt("the checksum is wrong: the file was damaged"));
        }
        if length == 0 {
            return if self.left == 0 {
                Ok(None)
            } else {
                Err(self.corrupt("something stands behind the end"))
            };
        }
        self.offset += HEADER as u64 + u64::from(length);
        Ok(Some(&self.payload))
    }

    fn corrupt(&self, what: &str) -> Error {
        let what = format!("at byte {}: {what}", self.offset);
        Error::new(ErrorKind::Corrupt, what)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(payloads: &[Vec<u8>]) -> Vec<u8> {
        let mut file = b"head".to_vec();
        for payload in payloads {
            write_frame(&mut file, payload).unwrap();
        }
        write_end(&mut file).unwrap();
        file
    }

    fn read(file: &[u8]) -> Result<Vec<Vec<u8>>> {
        let mut frames = FrameReader::new(&file[4..], 4, file.len() as u64);
        let mut payloads = Vec::new();
        while let Some(payload) = frames.next()? {
            payloads.push(payload.to_vec());
        }
        Ok(payloads)
    }

    fn some_payloads() -> impl Strategy<Value = Vec<Vec<u8>>> {
        prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 0..5)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn frames_come_back(payloads in some_payloads()) {
            prop_assert_eq!(read(&written(&payloads)).unwrap(), payloads);
        }
    }

    /// Every cut and every flipped bit of a file is found, and none costs memory.
    #[test]
    fn damage_is_found_wherever_it_is() {
        let file = written(&[vec![0; 3], b"payload".to_vec()]);
        for end in 4..file.len() {
            let error = read(&file[..end]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "cut at {end}");
        }
        for at in 4..file.len() {
            for bit in 0..8 {
                let mut file = file.clone();
                file[at] ^= 1 << bit;
                let error = read(&file).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Corrupt, "bit {bit} of byte {at}");
            }
        }
        let mut longer = file;
        longer.push(0);
        assert!(
            read(&longer)
                .unwrap_err()
                .to_string()
                .contains("behind the end")
        );
    }

    #[test]
    fn an_error_names_the_place() {
        let mut file = written(&[vec![1; 3], vec![2; 3]]);
        file[15 + HEADER] ^= 1;
        assert_eq!(
            read(&file).unwrap_err().to_string(),
            "corrupt data: at byte 15: the checksum is wrong: the file was damaged"
        );
        assert_eq!(
            read(&file[..17]).unwrap_err().to_string(),
            "corrupt data: at byte 15: the end is missing: the file was cut off"
        );
        assert_eq!(
            read(&file[..24]).unwrap_err().to_string(),
            "corrupt data: at byte 15: a frame of 3 bytes, and there are 1 left: \
             the file was cut off, or damaged"
        );
    }

    #[test]
    fn a_frame_counts_only_with_the_salt_of_its_file() {
        let (salt, other) = (Salt::new(b"salt"), Salt::new(b"other"));
        let header = salt.header(&[b"pay", b"load"]);
        assert_eq!(
            header[4..],
            crc32fast::hash(b"salt\x07\0\0\0payload").to_le_bytes()
        );
        let file = [&header[..], b"payload"].concat();
        let frames = |salt| FrameReader::new(&file[..], 0, file.len() as u64).salted(salt);
        let mut own = frames(salt);
        assert_eq!(own.next().unwrap(), Some(&b"payload"[..]));
        assert!(own.is_exhausted());
        assert_eq!((own.payload(), own.offset()), (&b"payload"[..], 15));
        for salt in [other, Salt::default()] {
            assert_eq!(frames(salt).next().unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }

    #[test]
    fn the_bytes_of_a_frame_are_for_ever() {
        let mut file = Vec::new();
        write_frame(&mut file, b"millstream").unwrap();
        write_end(&mut file).unwrap();
        let crc = crc32fast::hash(b"\x0a\0\0\0millstream").to_le_bytes();
        let end = crc32fast::hash(b"\0\0\0\0").to_le_bytes();
        let expected = [
            &b"\x0a\0\0\0"[..],
            &crc[..],
            b"millstream",
            b"\0\0\0\0",
            &end[..],
        ];
        assert_eq!(file, expected.concat());
    }
}
