//! Invariants: a capture gives table images whose bytes stood in it, rejects with a code, or "not recognised"; what comes
//! out is no longer than what went in, but for the reads of a transaction, which are there twice; keys show nowhere.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osgp::scan::{ScanOptions, Wrap, scan};
use osgp::security::Key;
use osgp::security::messages::Exchange;
use osgp::wire::c1218;

fuzz_target!(|input: &[u8]| {
    let Some((&choice, mut rest)) = input.split_first() else { return };
    let mut line = Vec::new();
    // The keys, and the last request of the MEP port, so that the fuzzer need not guess a digest either.
    let keys = [1, 2].map(|byte| Key::new(&[byte; 16]).expect("a key"));
    let mut asked: Option<Exchange> = None;
    if choice & 0x80 != 0 {
        line.extend_from_slice(rest);
    } else {
        // Parts become the data of packets, so that the fuzzer need not guess a CRC, or noise.
        while let Some((&[mark, len], tail)) = rest.split_first_chunk() {
            let (part, tail) = tail.split_at(usize::from(len).min(tail.len()));
            if mark & 0x10 != 0 {
                if let (0x04, Some(Ok(answer))) = (mark & 0x04, asked.as_ref().map(|asked| asked.respond(part))) {
                    line.extend(answer);
                } else if let Ok(request) =
                    Exchange::request(&keys[usize::from(mark & 1)], part, mark.into(), mark & 0x08 != 0)
                {
                    line.extend_from_slice(request.message());
                    asked = Some(request);
                }
            } else if mark & 1 != 0 {
                line.extend_from_slice(part);
            } else if c1218::emit(&mut line, 0, c1218::Control(mark & 0xE0), mark >> 1 & 3, part).is_ok() {
                line.push(c1218::ACK);
            }
            rest = tail;
        }
    }
    let wrap = match choice % 4 {
        1 => Wrap::Ppp,
        2 => Wrap::Slip,
        _ => Wrap::None,
    };
    let options =
        ScanOptions { input: "fuzz".into(), stem: "fuzz", meter: None, wrap, keys: &keys, local_to_utc: &|t| t };
    let Ok(capture) = scan(&line, &options) else { return };
    let mut bytes = 0;
    for session in &capture.sessions {
        for image in &session.images {
            bytes += image.data.len();
            assert!(image.offset >= 0);
        }
    }
    assert!(bytes <= 2 * line.len());
    for reject in &capture.rejects {
        assert!(reject.code.contains('.') && !reject.reason.is_empty());
        assert!(reject.data.len() <= osgp::reject::MAX_DATA);
    }
});
