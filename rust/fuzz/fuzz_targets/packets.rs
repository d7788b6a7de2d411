//! Invariants: any chunking gives the events of the whole; the events cover every byte once; the columns of
//! `scan_packets` name the same packets; emit gives back the bytes that were parsed, and parse what was emitted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osgp::wire::c1218::{self, Event, PacketParser, PacketView};

fn length(event: &Event) -> (u64, u64) {
    match event {
        Event::Packet(at, packet) => (*at, (packet.data.len() + c1218::HEADER + 2) as u64),
        Event::Ack(at) | Event::Nak(at) => (*at, 1),
        Event::Noise(at, bytes) => (*at, bytes.len() as u64),
    }
}

fuzz_target!(|input: (u8, &[u8])| {
    let (step, line) = input;
    // Half of the runs get past the CRC: the input is then data of a packet among noise.
    let mut sealed = Vec::new();
    let line = if step & 1 == 1 {
        let cut = line.len() / 3;
        sealed.extend_from_slice(&line[..cut]);
        if c1218::emit(&mut sealed, step, c1218::Control(line.first().copied().unwrap_or(0)), step, &line[cut..]).is_err() {
            return;
        }
        sealed.extend_from_slice(&line[..cut]);
        &sealed[..]
    } else {
        line
    };

    let mut whole = PacketParser::new();
    let mut events = whole.feed(line);
    events.extend(whole.finish());

    let mut at = 0;
    for event in &events {
        let (start, len) = length(event);
        assert_eq!(start, at, "a hole or an overlap");
        at += len;
    }
    assert_eq!(at, line.len() as u64);

    let mut pieces = PacketParser::new();
    let mut again = Vec::new();
    for chunk in line.chunks(usize::from(step >> 1) + 1) {
        again.extend(pieces.feed(chunk));
        assert!(pieces.pending() <= c1218::MAX_PACKET);
    }
    again.extend(pieces.finish());
    assert_eq!(events, again);

    let packets: Vec<_> = events.iter().filter_map(|e| if let Event::Packet(at, p) = e { Some((*at, p)) } else { None }).collect();
    let columns = c1218::scan_packets(line);
    assert_eq!(columns.position, packets.iter().map(|(at, _)| *at).collect::<Vec<_>>());
    for (at, packet) in packets {
        let mut emitted = Vec::new();
        packet.emit(&mut emitted).expect("a parsed packet is not too long");
        let at = at as usize;
        assert_eq!(emitted, &line[at..at + emitted.len()]);
        let (view, used) = PacketView::parse(&emitted).expect("what was emitted is a packet");
        assert_eq!((view.to_packet(), used), (packet.clone(), emitted.len()));
    }
    let mut masked = line.to_vec();
    c1218::mask_secrets(&mut masked);
    assert_eq!(masked.len(), line.len());
});
