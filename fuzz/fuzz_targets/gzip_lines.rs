#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| millstream::fuzz::gzip_lines(input));
