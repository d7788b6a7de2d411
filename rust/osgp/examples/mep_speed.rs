//! How fast one thread opens a capture of the MEP port, in clear and enciphered, with the right key as the second of two.
//!
//! `cargo run --release -p osgp --example mep_speed [MB [WORDS OF THE LINES WANTED]]`

use std::hint::black_box;
use std::time::{Duration, Instant};

use osgp::scan::{ScanOptions, Wrap, scan};
use osgp::security::Key;
use osgp::security::messages::Exchange;

/// Partial reads of a table, of so many bytes each, until the capture is that long.
fn capture(key: &Key, size: usize, len: u16, encrypt: bool) -> (Vec<u8>, usize) {
    let mut out = Vec::with_capacity(size + 1000);
    let mut reads = 0u32;
    while out.len() < size {
        let mut ask = vec![0x3F, 0, 64];
        ask.extend(&(reads % 1000 * 400).to_be_bytes()[1..]);
        ask.extend(len.to_be_bytes());
        let exchange = Exchange::request(key, &ask, reads, encrypt).expect("a request that fits");
        let mut answer = vec![0];
        answer.extend(len.to_be_bytes());
        answer.extend((0..len).map(|i| (u32::from(i) * 7 + reads) as u8));
        out.extend_from_slice(exchange.message());
        out.extend(exchange.respond(&answer).expect("an answer that fits"));
        reads += 1;
    }
    (out, reads as usize)
}

/// The time that this thread has run, where the system tells: others on the machine are not to count.
fn on_cpu() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

fn main() {
    let size = std::env::args().nth(1).and_then(|mb| mb.parse().ok()).unwrap_or(100) * 1_000_000;
    let wanted = std::env::args().nth(2).unwrap_or_default();
    let keys = [[2; 16], [1; 16]].map(|bytes| Key::new(&bytes).expect("16 bytes"));
    for (what, keys) in [("one key", &keys[1..]), ("the second of two keys", &keys[..]), ("a wrong key", &keys[..1])] {
        for (len, encrypt) in [(465, false), (465, true), (44, false), (44, true)] {
            let case = format!("{what}, answers of {len} bytes, {}", if encrypt { "RC4" } else { "clear" });
            if !case.contains(&wanted) {
                continue;
            }
            let (bytes, reads) = capture(&Key::new(&[1; 16]).expect("16 bytes"), size, len, encrypt);
            let options = ScanOptions {
                input: "bench".into(),
                stem: "bench",
                meter: None,
                wrap: Wrap::None,
                keys,
                local_to_utc: &|local| local,
            };
            let (start, cpu) = (Instant::now(), on_cpu());
            let found = black_box(scan(&bytes, &options));
            let seconds = on_cpu().zip(cpu).map_or(start.elapsed(), |(end, start)| end - start).as_secs_f64();
            let images = found.map_or(0, |found| found.sessions.iter().map(|session| session.images.len()).sum());
            assert!(images == reads || images == 0 && what == "a wrong key");
            println!(
                "{case}: {:.0} MB in {seconds:.2} s, {:.0} MB/s",
                bytes.len() as f64 / 1e6,
                bytes.len() as f64 / 1e6 / seconds
            );
        }
    }
}
