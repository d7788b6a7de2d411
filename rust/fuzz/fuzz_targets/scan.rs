//! Invariants: a capture gives table images whose bytes stood in it, rejects with a code, or "not recognised"; what comes
//! out is no longer than what went in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osgp::scan::{ScanOptions, Wrap, scan};
use osgp::wire::c1218;

fuzz_target!(|input: (u8, Vec<&[u8]>)| {
    let (choice, parts) = input;
    // Parts become the data of packets, so that the fuzzer need not guess a CRC, or noise.
    let mut line = Vec::new();
    for (n, part) in parts.iter().enumerate() {
        if part.len() % 5 == 4 {
            line.extend_from_slice(part);
        } else {
            let toggle = if n % 4 < 2 { 0 } else { c1218::Control::TOGGLE };
            if c1218::emit(&mut line, 0, c1218::Control(toggle), 0, part).is_err() {
                return;
            }
            line.push(c1218::ACK);
        }
    }
    let wrap = match choice % 4 {
        1 => Wrap::Ppp,
        2 => Wrap::Slip,
        _ => Wrap::None,
    };
    let options = ScanOptions { input: "fuzz".into(), stem: "fuzz", meter: None, wrap, local_to_utc: &|t| t };
    let Ok(capture) = scan(&line, &options) else { return };
    let mut bytes = 0;
    for session in &capture.sessions {
        for image in &session.images {
            bytes += image.data.len();
            assert!(image.offset >= 0);
        }
    }
    assert!(bytes <= line.len());
    for reject in &capture.rejects {
        assert!(reject.code.contains('.') && !reject.reason.is_empty());
        assert!(reject.data.len() <= osgp::reject::MAX_DATA);
    }
});
