//! Invariants: decode(encode(x)) == x for any x that fits; any chunking gives the events of the whole; no frame is longer
//! than its bytes on the line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osgp::wire::ppp::{self, Decoder, Event};

fn frames(events: Vec<Event>) -> Vec<Vec<u8>> {
    events.into_iter().filter_map(|e| if let Event::Frame(_, payload) = e { Some(payload) } else { None }).collect()
}

fuzz_target!(|input: (u8, &[u8])| {
    let (step, line) = input;
    let mut whole = Decoder::new();
    let mut events = whole.feed(line);
    events.extend(whole.finish());

    let mut pieces = Decoder::new();
    let mut again = Vec::new();
    for chunk in line.chunks(usize::from(step) + 1) {
        again.extend(pieces.feed(chunk));
    }
    again.extend(pieces.finish());
    assert_eq!(events, again);
    assert!(frames(events).iter().map(Vec::len).sum::<usize>() <= line.len());

    if !line.is_empty() && line.len() + 2 < ppp::MAX_FRAME {
        let mut stuffed = Vec::new();
        ppp::encode(&mut stuffed, line);
        let mut decoder = Decoder::new();
        let mut events = decoder.feed(&stuffed);
        events.extend(decoder.finish());
        assert_eq!(frames(events), [line]);
    }
});
