//! Invariants: no bytes make a side of TLS panic; any chunking gives the events and answers of the whole; what comes after
//! the end is ignored; nothing that was not made with the key comes out as clear text.
//!
//! The input is put into a handshake with known random bytes: at its start, in its middle, or after it. Bytes that are no
//! record may get a header first, so that they reach the parsers of messages.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osgp::security::Key;
use osgp::security::messages::Exchange;
use osgp::security::tls::{Client, Event, Opener, Server, Status, identity};
use osgp::security::tls_messages;

const RANDOM: [u8; 32] = [7; 32];

struct Sides {
    client: Client,
    server: Server,
    opener: Opener,
}

impl Sides {
    /// Both sides and a reader of the line, after so many flights of a handshake.
    fn after(flights: u8) -> Self {
        let key = Key::new(&[1; 16]).unwrap();
        let client = Client::new(&identity(100, 1), &key, RANDOM).unwrap();
        let server = Server::new(vec![(1, key.clone())], RANDOM, &[]).unwrap();
        let mut sides = Self { client, server, opener: Opener::new(vec![key]) };
        let mut to_server = sides.client.start();
        for _ in 0..flights {
            sides.opener.client(&to_server);
            let (to_client, _) = sides.server.feed(&to_server);
            sides.opener.server(&to_client);
            to_server = sides.client.feed(&to_client).0;
        }
        sides
    }

    fn fed<'a>(mut self, pieces: impl Iterator<Item = &'a [u8]>) -> [(Vec<u8>, Vec<Event>); 4] {
        let mut found: [(Vec<u8>, Vec<Event>); 4] = Default::default();
        for piece in pieces {
            for (i, (sent, events)) in [self.client.feed(piece), self.server.feed(piece)].into_iter().enumerate() {
                found[i].0.extend(sent);
                found[i].1.extend(events);
            }
            found[2].1.extend(self.opener.client(piece));
            found[3].1.extend(self.opener.server(piece));
        }
        for (status, events) in [(self.client.status(), &found[0].1), (self.server.status(), &found[1].1)] {
            let over = events.iter().any(|event| matches!(event, Event::Failed(_) | Event::Closed));
            assert_eq!(over, matches!(status, Status::Failed | Status::Closed));
        }
        assert!(found.iter().all(|(_, events)| events.iter().all(|event| !matches!(event, Event::Data(_)))));
        found
    }
}

fuzz_target!(|input: (u8, u8, u8, &[u8])| {
    let (flights, kind, step, bytes) = input;
    let line = match kind {
        20..=23 => {
            let bytes = &bytes[..bytes.len().min(1 << 14)];
            [&[kind, 3, 3], (bytes.len() as u16).to_be_bytes().as_slice(), bytes].concat()
        }
        _ => bytes.to_vec(),
    };
    let whole = Sides::after(flights % 3).fed(std::iter::once(line.as_slice()));
    let pieces = Sides::after(flights % 3).fed(line.chunks(usize::from(step) + 1));
    // The opener's two directions share one end, so that their order is that of the pieces.
    assert_eq!(whole[..2], pieces[..2]);

    let key = Key::new(&[1; 16]).unwrap();
    let _ = tls_messages::parse_request(bytes);
    if Exchange::open(std::slice::from_ref(&key), bytes).is_err() {
        let sent = Exchange::request(&key, &[0x30, 0, 1], 5, step % 2 == 0).unwrap();
        let _ = sent.read(bytes);
    }
});
