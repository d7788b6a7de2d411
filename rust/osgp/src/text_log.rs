//! Text logs of hex bytes, as readers and bridges write them: who sent which bytes, and when.
//!
//! A line is understood by its parts, wherever they stand: a date-time or epoch, a mark of the direction (`TX`, `Received`,
//! `>>>`, ...), and the longest run of hex bytes after the mark (`EE 00`, `ee00...`, `0xEE`, `EE:00:20`, `EE-00`, `\xEE`).
//! Which mark means which side does not matter: it only keeps the two streams apart. Bytes on lines without any mark go
//! on where the line before ended, or, in a plain hex dump, make a stream of both directions.
//!
//! Times: a date with a time, or seconds, milliseconds or microseconds since 1970. A time without a date is no time.

/// A line's time stands within so many bytes of its start.
const HEAD: usize = 512;
/// So many bytes at the start of a file decide whether it is text.
const PEEK: usize = 4096;

/// A time stamp, in microseconds since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// With a zone, or an epoch.
    Utc(i64),
    /// Without a zone: some local clock.
    Local(i64),
}

/// Some bytes of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Where its first byte is in the stream's bytes.
    pub at: u64,
    /// Where its hex digits start in the file.
    pub file: u64,
    /// The line's time.
    pub time: Option<Stamp>,
}

/// The bytes of one direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// All its bytes.
    pub bytes: Vec<u8>,
    /// Which of them came from which line, in order.
    pub chunks: Vec<Chunk>,
}

/// A log, read: one stream sent, one received, and one of lines without a mark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// Sent, received, unmarked.
    pub streams: [Stream; 3],
}

/// Whether a file's content is text rather than raw bytes of a line, which are hardly ever without a control character.
pub fn is_text(data: &[u8]) -> bool {
    if utf16(data).is_some() {
        return true;
    }
    let head = &data[..data.len().min(PEEK)];
    !head.is_empty() && head.iter().all(|&b| matches!(b, b'\t' | b'\n' | b'\r' | 0x1B | b' '..=b'~' | 0x80..))
}

/// Whether it starts with a byte order mark of UTF-16, and if so where the low byte of each pair is.
fn utf16(data: &[u8]) -> Option<usize> {
    match data {
        [0xFF, 0xFE, ..] => Some(0),
        [0xFE, 0xFF, ..] => Some(1),
        _ => None,
    }
}

/// Read a log.
pub fn parse(data: &[u8]) -> Log {
    if let Some(low) = utf16(data) {
        // Windows shells write it. Everything of interest is ASCII.
        let narrow: Vec<u8> =
            data[2..].as_chunks::<2>().0.iter().map(|p| if p[1 - low] == 0 { p[low] } else { 0x80 }).collect();
        return parse_bytes(&narrow, 2, 2);
    }
    let skip = if data.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
    parse_bytes(&data[skip..], skip as u64, 1)
}

fn parse_bytes(data: &[u8], base: u64, width: u64) -> Log {
    let mut log = Log::default();
    let mut lexer = Lexer::default();
    let mut last: Option<(usize, Option<Stamp>)> = None;
    let mut start = 0;
    while start < data.len() {
        let rest = &data[start..];
        let len = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let line = &rest[..len];
        let found = lexer.line(line);
        match found.side {
            Some(side) => last = Some((side, found.time)),
            None if lexer.run.is_empty() && !found.blank => last = None,
            None => {}
        }
        if !lexer.run.is_empty() {
            let (side, time) = last.unwrap_or((2, None));
            let stream = &mut log.streams[side];
            stream.chunks.push(Chunk {
                at: stream.bytes.len() as u64,
                file: base + (start + found.run_at) as u64 * width,
                time: found.time.or(time),
            });
            stream.bytes.extend_from_slice(&lexer.run);
        }
        start += len + 1;
    }
    log
}

struct Line {
    side: Option<usize>,
    time: Option<Stamp>,
    blank: bool,
    run_at: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Word,
    /// A word that is a mark of a side by itself.
    Mark(usize),
    /// A word that is one only with a colon or right before hex bytes or an arrow.
    Weak(usize),
    Arrow(usize),
    Hex,
}

#[derive(Clone, Copy)]
struct Token {
    kind: Kind,
    start: usize,
    end: usize,
    colon: bool,
    /// Bytes of a hex token, and where they start in the lexer's `bytes`.
    len: usize,
    bytes_at: usize,
}

#[derive(Default)]
struct Lexer {
    tokens: Vec<Token>,
    bytes: Vec<u8>,
    run: Vec<u8>,
}

impl Lexer {
    /// Take a line apart; the bytes are left in `run`.
    fn line(&mut self, line: &[u8]) -> Line {
        self.run.clear();
        let time = self.tokens_of(line);
        let tokens = &self.tokens;
        let stands_for_a_side = |i: usize| {
            tokens[i].colon || tokens.get(i + 1).is_some_and(|next| matches!(next.kind, Kind::Hex | Kind::Arrow(_)))
        };
        let mark = tokens
            .iter()
            .enumerate()
            .find_map(|(i, token)| match token.kind {
                Kind::Mark(side) => Some((i, side)),
                Kind::Weak(side) if stands_for_a_side(i) => Some((i, side)),
                _ => None,
            })
            .or_else(|| {
                tokens.iter().enumerate().find_map(|(i, token)| match token.kind {
                    Kind::Arrow(side) => Some((i, side)),
                    _ => None,
                })
            });
        let from = mark.map_or(0, |(i, _)| i + 1);
        // The longest run of hex tokens; of equal ones the last.
        let is_data = |token: &Token| token.kind == Kind::Hex && !token.colon;
        let mut best: Option<(usize, usize, usize)> = None;
        let mut i = from;
        while i < tokens.len() {
            let start = i;
            let mut len = 0;
            while i < tokens.len() && is_data(&tokens[i]) {
                len += tokens[i].len;
                i += 1;
            }
            if len > 0 && best.is_none_or(|(_, _, most)| len >= most) {
                best = Some((start, i, len));
            }
            i = i.max(start + 1);
        }
        let mut found = Line {
            side: mark.map(|(_, side)| side),
            time: time.flatten(),
            blank: tokens.is_empty() && time.is_none(),
            run_at: 0,
        };
        let Some((mut start, end, len)) = best else { return found };
        let plain = |token: &Token| match token.kind {
            Kind::Word => !line[token.start..token.end].iter().all(u8::is_ascii_digit),
            Kind::Weak(_) | Kind::Mark(_) => true,
            Kind::Arrow(_) | Kind::Hex => false,
        };
        let accepted = match mark {
            Some((mark, _)) => {
                let words = tokens[mark + 1..start].iter().any(plain);
                !words || tokens[start - 1].colon || len >= 4
            }
            None => !tokens[..start].iter().any(plain),
        };
        if !accepted {
            return found;
        }
        // The offset column of a hex dump: eight digits before pairs.
        if mark.is_none()
            && end - start > 1
            && tokens[start].end - tokens[start].start == 8
            && tokens[start].len == 4
            && tokens[start + 1..end].iter().all(|token| token.len == 1)
        {
            start += 1;
        }
        found.run_at = tokens[start].start;
        for token in &tokens[start..end] {
            self.run.extend_from_slice(&self.bytes[token.bytes_at..token.bytes_at + token.len]);
        }
        found
    }

    /// Cut a line into tokens. Some(..) if there was something like a time, with its value if it tells one.
    fn tokens_of(&mut self, line: &[u8]) -> Option<Option<Stamp>> {
        self.tokens.clear();
        self.bytes.clear();
        let mut time = None;
        let mut marked = false;
        let mut at = 0;
        while let Some(&byte) = line.get(at) {
            match byte {
                0x1B => {
                    at += 1;
                    if line.get(at) == Some(&b'[') {
                        at += 1;
                        while line.get(at).is_some_and(|b| !(0x40..=0x7E).contains(b)) {
                            at += 1;
                        }
                        at += 1;
                    }
                    continue;
                }
                b'(' => {
                    at = count_in_parentheses(line, at).unwrap_or(at + 1);
                    continue;
                }
                b'<' | b'>' => {
                    let start = at;
                    while line.get(at).is_some_and(|b| matches!(b, b'<' | b'>' | b'-' | b'=')) {
                        at += 1;
                    }
                    let side = usize::from(byte == b'<');
                    self.push(Kind::Arrow(side), start, at, false, 0);
                    continue;
                }
                _ if is_separator(byte) => {
                    at += 1;
                    continue;
                }
                _ => {}
            }
            if time.is_none()
                && at < HEAD
                && let Some((end, stamp)) = time_at(line, at, self.tokens.is_empty(), marked)
            {
                time = Some(stamp);
                at = end;
                continue;
            }
            let start = at;
            while line.get(at).is_some_and(|&b| !is_separator(b) && !matches!(b, b'<' | b'>' | b'(' | 0x1B)) {
                at += 1;
            }
            let (mut first, mut end, mut colon) = (start, at, false);
            while end > first && matches!(line[end - 1], b':' | b'-') {
                colon |= line[end - 1] == b':';
                end -= 1;
            }
            while first < end && matches!(line[first], b':' | b'-') {
                first += 1;
            }
            if first == end {
                if colon && let Some(last) = self.tokens.last_mut() {
                    last.colon = true;
                }
                continue;
            }
            let word = &line[first..end];
            let bytes_at = self.bytes.len();
            if hex_into(word, &mut self.bytes) {
                self.push(Kind::Hex, first, end, colon, bytes_at);
            } else {
                self.bytes.truncate(bytes_at);
                let kind = mark_of(word);
                marked |= matches!(kind, Kind::Mark(_));
                self.push(kind, first, end, colon, bytes_at);
            }
        }
        time
    }

    fn push(&mut self, kind: Kind, start: usize, end: usize, colon: bool, bytes_at: usize) {
        let len = if kind == Kind::Hex { self.bytes.len() - bytes_at } else { 0 };
        self.tokens.push(Token { kind, start, end, colon, len, bytes_at });
    }
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, 0..=b' ' | b'[' | b']' | b'{' | b'}' | b'(' | b')' | b'|' | b'"' | b'\'' | b'`' | b',' | b';' | b'=')
        && byte != 0x1B
}

/// `(12)` or `(12 bytes)`: how many bytes the line has, which is no data. Gives where it ends.
fn count_in_parentheses(line: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    let digits = digits_at(line, at);
    at += digits;
    if !(1..=5).contains(&digits) {
        return None;
    }
    if line.get(at) == Some(&b' ') {
        at += 1;
    }
    let start = at;
    while line.get(at).is_some_and(u8::is_ascii_alphabetic) {
        at += 1;
    }
    let unit = line[start..at].to_ascii_lowercase();
    (matches!(&unit[..], b"" | b"b" | b"byte" | b"bytes") && line.get(at) == Some(&b')')).then_some(at + 1)
}

/// Bytes written as hex, in any of the usual ways. Appends them; if it is no hex, false (and what was appended is junk).
fn hex_into(word: &[u8], out: &mut Vec<u8>) -> bool {
    let mut at = 0;
    loop {
        if matches!(word.get(at..at + 2), Some(b"0x" | b"0X" | b"\\x" | b"\\X")) {
            at += 2;
        }
        let start = at;
        while let Some(&[a, b]) = word.get(at..at + 2)
            && let (Some(a), Some(b)) = (nibble(a), nibble(b))
        {
            out.push(a << 4 | b);
            at += 2;
        }
        if at == start {
            return false;
        }
        if matches!(word.get(at), Some(b'h' | b'H')) {
            at += 1;
        }
        match word.get(at) {
            None => return true,
            Some(b':' | b'-' | b'.' | b'_') => at += 1,
            Some(b'\\') => {}
            Some(_) => return false,
        }
    }
}

fn nibble(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

fn mark_of(word: &[u8]) -> Kind {
    let mut lower = [0; 12];
    let Some(lower) = lower.get_mut(..word.len()) else { return Kind::Word };
    lower.copy_from_slice(word);
    lower.make_ascii_lowercase();
    match &lower[..] {
        b"tx" | b"txd" | b"send" | b"sends" | b"sent" | b"sending" | b"snd" | b"transmit" | b"transmits"
        | b"transmitted" | b"transmitting" => Kind::Mark(0),
        b"rx" | b"rxd" | b"recv" | b"rcv" | b"receive" | b"receives" | b"received" | b"receiving" => Kind::Mark(1),
        b"out" | b"write" | b"writes" | b"writing" | b"wrote" | b"request" | b"req" | b"host" | b"client" | b"pc" => {
            Kind::Weak(0)
        }
        b"in" | b"read" | b"reads" | b"reading" | b"response" | b"resp" | b"reply" | b"answer" | b"meter" => {
            Kind::Weak(1)
        }
        _ => Kind::Word,
    }
}

fn digits_at(line: &[u8], at: usize) -> usize {
    line.get(at..).unwrap_or_default().iter().take_while(|b| b.is_ascii_digit()).count()
}

/// The number of `len` digits at `at`, if there are so many and no more.
fn number(line: &[u8], at: usize, len: usize) -> Option<i64> {
    (digits_at(line, at) == len).then(|| value(&line[at..at + len]))
}

fn value(digits: &[u8]) -> i64 {
    digits.iter().fold(0i64, |n, b| n.saturating_mul(10).saturating_add(i64::from(b - b'0')))
}

/// Something like a time at `at`: where it ends, and its value if it tells one.
fn time_at(line: &[u8], at: usize, first: bool, marked: bool) -> Option<(usize, Option<Stamp>)> {
    if !line.get(at).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    if let Some((end, date)) = date_at(line, at) {
        // Up to three characters stand between a date and its time.
        let mut clock = end;
        while clock < line.len()
            && clock - end < 3
            && matches!(line[clock], b' ' | b'T' | b't' | b'_' | b',' | b'[' | b']')
        {
            clock += 1;
        }
        if clock > end
            && let Some((end, micros)) = clock_at(line, clock)
        {
            let (end, zone) = zone_at(line, end);
            let local = date.zip(micros).map(|(days, micros)| days * DAY + micros);
            let stamp = match (local, zone) {
                (Some(local), Zone::None) => Some(Stamp::Local(local)),
                (Some(local), Zone::Minutes(minutes)) => Some(Stamp::Utc(local - minutes * 60_000_000)),
                _ => None,
            };
            return Some((end, stamp));
        }
        return ends(line, end).then_some((end, None));
    }
    if let Some((end, _)) = clock_at(line, at) {
        // After a mark, 12:00:01 may as well be three bytes.
        let fraction = line[at..end].iter().any(|b| matches!(b, b'.' | b','));
        return ((!marked || fraction) && ends(line, end)).then_some((end, None));
    }
    if !first {
        return None;
    }
    let digits = digits_at(line, at);
    let scale = match digits {
        10 => 1_000_000,
        13 => 1_000,
        16 => 1,
        _ => return None,
    };
    let whole = value(&line[at..at + digits]) * scale;
    let mut end = at + digits;
    let mut micros = 0;
    if digits == 10 && line.get(end) == Some(&b'.') {
        let (after, fraction) = fraction_at(line, end);
        (end, micros) = (after, fraction);
    }
    ((1_000_000_000_000_000..4_102_444_800_000_000).contains(&whole) && ends(line, end))
        .then_some((end, Some(Stamp::Utc(whole + micros))))
}

const DAY: i64 = 86_400_000_000;

fn ends(line: &[u8], at: usize) -> bool {
    line.get(at).is_none_or(|&b| is_separator(b) || matches!(b, b'<' | b'>' | 0x1B))
        || (line.get(at) == Some(&b':') && line.get(at + 1).is_none_or(|&b| is_separator(b)))
}

/// `2024-03-14`, `2024/03/14` or `14.03.2024`: where it ends, and its days since 1970 if it exists.
fn date_at(line: &[u8], at: usize) -> Option<(usize, Option<i64>)> {
    let (year, month, day) = match digits_at(line, at) {
        4 => {
            let separator = *line.get(at + 4)?;
            if !matches!(separator, b'-' | b'/') || line.get(at + 7) != Some(&separator) {
                return None;
            }
            (number(line, at, 4)?, number(line, at + 5, 2)?, number(line, at + 8, 2)?)
        }
        2 if line.get(at + 2) == Some(&b'.') && line.get(at + 5) == Some(&b'.') => {
            (number(line, at + 6, 4)?, number(line, at + 3, 2)?, number(line, at, 2)?)
        }
        _ => return None,
    };
    Some((at + 10, days(year, month, day)))
}

/// Days since 1970-01-01 of a date of the Gregorian calendar, from 1970 on.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let month = usize::try_from(month - 1).ok()?;
    let length = *lengths.get(month)?;
    if year < 1970 || !(1..=length).contains(&day) {
        return None;
    }
    let before = year - 1;
    let leaps = before / 4 - before / 100 + before / 400 - (1969 / 4 - 1969 / 100 + 1969 / 400);
    Some((year - 1970) * 365 + leaps + lengths[..month].iter().sum::<i64>() + day - 1)
}

/// `10:07:30`, with a fraction or not: where it ends, and its microseconds if it exists.
fn clock_at(line: &[u8], at: usize) -> Option<(usize, Option<i64>)> {
    let digits = digits_at(line, at);
    if !matches!(digits, 1 | 2) || line.get(at + digits) != Some(&b':') || line.get(at + digits + 3) != Some(&b':') {
        return None;
    }
    let hour = number(line, at, digits)?;
    let minute = number(line, at + digits + 1, 2)?;
    let second = number(line, at + digits + 4, 2)?;
    let (end, micros) = fraction_at(line, at + digits + 6);
    let exists = hour < 24 && minute < 60 && second < 60;
    Some((end, exists.then_some(((hour * 60 + minute) * 60 + second) * 1_000_000 + micros)))
}

/// `.123` or `,123`: where it ends, and its microseconds.
fn fraction_at(line: &[u8], at: usize) -> (usize, i64) {
    let digits = match line.get(at) {
        Some(b'.' | b',') => digits_at(line, at + 1),
        _ => 0,
    };
    if digits == 0 {
        return (at, 0);
    }
    let known = digits.min(6);
    let micros = value(&line[at + 1..at + 1 + known]) * 10i64.pow(6 - known as u32);
    (at + 1 + digits, micros)
}

enum Zone {
    None,
    Minutes(i64),
}

/// `Z`, ` UTC`, `+01:00`, `+0100`, ` +01:00`: where it ends.
fn zone_at(line: &[u8], at: usize) -> (usize, Zone) {
    let start = if line.get(at) == Some(&b' ') { at + 1 } else { at };
    let sign = match line.get(start) {
        Some(b'Z' | b'z') if ends(line, start + 1) => return (start + 1, Zone::Minutes(0)),
        Some(b'U' | b'G') if matches!(line.get(start..start + 3), Some(b"UTC" | b"GMT")) && ends(line, start + 3) => {
            return (start + 3, Zone::Minutes(0));
        }
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return (at, Zone::None),
    };
    let (hours, minutes, end) = match digits_at(line, start + 1) {
        4 => (number(&line[..start + 3], start + 1, 2), number(line, start + 3, 2), start + 5),
        2 if line.get(start + 3) == Some(&b':') => (number(line, start + 1, 2), number(line, start + 4, 2), start + 6),
        2 => (number(line, start + 1, 2), Some(0), start + 3),
        _ => (None, None, at),
    };
    match (hours, minutes) {
        (Some(hours), Some(minutes)) if hours < 24 && minutes < 60 && ends(line, end) => {
            (end, Zone::Minutes(sign * (hours * 60 + minutes)))
        }
        _ => (at, Zone::None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bytes of the three streams as hex.
    fn read(text: &str) -> [String; 3] {
        parse(text.as_bytes()).streams.map(|stream| stream.bytes.iter().map(|b| format!("{b:02X}")).collect())
    }

    fn time(line: &str) -> Option<Stamp> {
        let log = parse(line.as_bytes());
        log.streams.iter().flat_map(|stream| &stream.chunks).next().unwrap().time
    }

    #[test]
    fn ways_to_write_a_line() {
        for line in [
            "TX EE 00 20",
            "TX: EE 00 20",
            "tx: ee0020",
            "[12:00:01] > ee0020",
            "[12:00:01.250] >>> EE:00:20",
            "[12:00:01][D][uart_debug:114]: >>> EE:00:20",
            "\x1b[0;36m[12:00:01][D][uart_debug:114]: >>> EE:00:20\x1b[0m",
            "2024-03-14 10:07:30,123 DEBUG reader: Sending: 0xEE 0x00 0x20",
            "Sending packet to the meter: EE-00-20",
            "Sent (3 bytes): EE.00.20",
            "1710410850.25 TX 0xEE,0x00,0x20",
            "-> EE 00 20 (3)",
            "TX [3] EE 00 20",
            "write: \\xEE\\x00\\x20",
            "TX EEh 00h 20h",
            "host -> meter: ee 00 20",
            "\u{feff}TX EE0020",
            "TX\nEE 00 20",
            "TX:\r\n  EE 00\r\n  20\r\n",
            "TX 12:00:01.5 EE 00 20",
        ] {
            assert_eq!(read(line), ["EE0020", "", ""], "{line}");
        }
        for line in ["RX 06", "< 06", "<<< 06", "Received: 06", "Recv 0x06", "meter: 06", "[IN] 06", "<-- 06"] {
            assert_eq!(read(line), ["", "06", ""], "{line}");
        }
        for line in ["RX timeout after 10 s", "Waiting for response", "TX buffer full", "", "connected to 12 34 56 78"]
        {
            assert_eq!(read(line), ["", "", ""], "{line}");
        }
        assert_eq!(read("EE 00\n20 06"), ["", "", "EE002006"]);
        assert_eq!(read("00000000: ee00 2006 15  .. ..\n"), ["", "", "EE00200615"]);
        assert_eq!(read("00000000  ee 00 20 06  |....|\n"), ["", "", "EE002006"]);
    }

    #[test]
    fn times() {
        let local = Some(Stamp::Local(1_710_410_850_123_000));
        let utc = |micros| Some(Stamp::Utc(micros));
        for line in [
            "2024-03-14T10:07:30.123 TX 06",
            "[2024-03-14 10:07:30,123] TX 06",
            "2024/03/14 10:07:30.123 TX 06",
            "14.03.2024 10:07:30.123000999 TX 06",
            "[2024-03-14][10:07:30.123] TX 06",
        ] {
            assert_eq!(time(line), local, "{line}");
        }
        assert_eq!(time("2024-03-14T10:07:30.123Z TX 06"), utc(1_710_410_850_123_000));
        assert_eq!(time("2024-03-14 10:07:30.123 UTC TX 06"), utc(1_710_410_850_123_000));
        assert_eq!(time("2024-03-14 10:07:30.123+01:00 TX 06"), utc(1_710_407_250_123_000));
        assert_eq!(time("2024-03-14 10:07:30.123 -0130 TX 06"), utc(1_710_416_250_123_000));
        assert_eq!(time("1710410850 TX 06"), utc(1_710_410_850_000_000));
        assert_eq!(time("1710410850.5 TX 06"), utc(1_710_410_850_500_000));
        assert_eq!(time("1710410850123 TX 06"), utc(1_710_410_850_123_000));
        assert_eq!(time("2024-02-29 00:00:00 TX 06"), Some(Stamp::Local(1_709_164_800_000_000)));
        for line in
            ["TX 06", "12:00:01 TX 06", "2023-02-29 00:00:00 TX 06", "2024-03-14 24:00:00 TX 06", "2024-03-14 TX 06"]
        {
            assert_eq!(time(line), None, "{line}");
        }
        assert_eq!(days(1970, 1, 1), Some(0));
        assert_eq!(days(2000, 3, 1), Some(11_017));
        assert_eq!(days(2100, 3, 1), Some(47_541));
    }

    #[test]
    fn wide_text() {
        let mut data = vec![0xFF, 0xFE];
        data.extend("TX EE 00\r\nRX 06\r\n".encode_utf16().flat_map(u16::to_le_bytes));
        assert!(is_text(&data));
        let log = parse(&data);
        assert_eq!((&log.streams[0].bytes[..], &log.streams[1].bytes[..]), (&[0xEE, 0][..], &[6][..]));
        assert_eq!(log.streams[0].chunks[0].file, 8);
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(text in "([ -~\\n]|TX|RX|EE|2024-03-14|[0-9]{1,16}|[:.+-])*") {
            let log = parse(text.as_bytes());
            for stream in &log.streams {
                let mut at = 0;
                for chunk in &stream.chunks {
                    prop_assert!(chunk.at >= at && (chunk.file as usize) < text.len());
                    at = chunk.at + 1;
                }
                prop_assert!(at <= stream.bytes.len() as u64);
            }
        }

        #[test]
        fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            parse(&bytes);
        }
    }
}
