//! Invariants: no panic; the bytes of all streams together are at most half the characters; the chunks of a stream are in
//! order and start within it and within the file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osgp::text_log;

fuzz_target!(|data: &[u8]| {
    text_log::is_text(data);
    let log = text_log::parse(data);
    let mut bytes = 0;
    for stream in &log.streams {
        bytes += stream.bytes.len();
        assert!(stream.chunks.is_sorted_by_key(|chunk| chunk.at));
        for chunk in &stream.chunks {
            assert!(chunk.at < stream.bytes.len() as u64);
            assert!(chunk.file < data.len() as u64);
        }
    }
    assert!(bytes <= data.len() / 2 + 1);
});
