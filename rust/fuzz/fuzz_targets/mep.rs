//! Invariants: any chunking gives the events of the whole; the events cover every byte once; what was emitted is parsed;
//! `find` stays within the bytes and in order.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osgp::wire::mep::{self, Event, MessageParser};

fuzz_target!(|input: (u8, &[u8])| {
    let (step, line) = input;
    let mut whole = MessageParser::new();
    let mut events = whole.feed(line);
    events.extend(whole.finish());
    let mut at = 0;
    for event in &events {
        let (start, len) = match event {
            Event::Message(at, body) => (*at, body.len() + mep::LENGTH),
            Event::Alert(at) => (*at, mep::LENGTH),
            Event::Noise(at, bytes) => (*at, bytes.len()),
        };
        assert_eq!(start, at, "a hole or an overlap");
        at += len as u64;
    }
    assert_eq!(at, line.len() as u64);

    let mut pieces = MessageParser::new();
    let mut again = Vec::new();
    for chunk in line.chunks(usize::from(step) + 1) {
        again.extend(pieces.feed(chunk));
        assert!(pieces.pending() <= mep::MAX_BODY + mep::LENGTH);
    }
    again.extend(pieces.finish());
    assert_eq!(events, again);

    let mut end = 0;
    for range in mep::find(line) {
        assert!(end <= range.start && range.start < range.end && range.end <= line.len());
        end = range.end;
    }

    let mut emitted = Vec::new();
    if !line.is_empty() && mep::emit(&mut emitted, line, &[step; mep::DIGEST]).is_ok() {
        let mut parser = MessageParser::new();
        let body = [line, &[step; mep::DIGEST]].concat();
        assert_eq!(parser.feed(&emitted), [Event::Message(0, body)]);
    }
});
