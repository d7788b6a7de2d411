//! What termineter's `dump_tables` writes: lines of decimal id, name, length, hex; no header, nothing quoted.
//!
//! Source: termineter 1.0.6, modules/dump_tables.py.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use osgp::image::{MAX_TABLE, TableId, TableImage};
use osgp::reject::Reject;

use crate::error::{Error, plain};

/// A line cannot honestly be longer: a whole table in hex, its id, name and length.
const MAX_LINE: u64 = 2 * MAX_TABLE as u64 + 1024;

/// Whether the first line looks like one.
pub(crate) fn is_csv(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head);
    let Some(line) = head.split(|&b| b == b'\n').find(|line| !line.trim_ascii().is_empty()) else { return false };
    let line = line.trim_ascii();
    let mut fields = line.split(|&b| b == b',');
    let Some(id) = fields.next() else { return false };
    let digits = |field: &[u8]| !field.is_empty() && field.len() < 10 && field.iter().all(u8::is_ascii_digit);
    // The hex of a long table is not all in the head: then its beginning must do.
    let rest: Vec<&[u8]> = fields.collect();
    match rest.as_slice() {
        [.., len, hex] if rest.len() >= 3 => digits(id) && digits(len) && hex.iter().all(u8::is_ascii_hexdigit),
        _ => false,
    }
}

/// Read the lines; every table is an image of one meter.
pub(crate) fn read(
    path: &Path,
    session: u32,
    rejects: &mut Vec<Reject>,
    push: &mut dyn FnMut(&TableImage<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let input: Arc<str> = path.to_string_lossy().into();
    let unreadable =
        |error: &io::Error| Reject::new("input.unreadable", format!("cannot be read: {}", plain(error))).input(&input);
    let mut reader = match File::open(path) {
        Ok(file) => BufReader::with_capacity(1 << 16, file),
        Err(error) => {
            rejects.push(unreadable(&error));
            return Ok(());
        }
    };
    let mut line = Vec::new();
    let (mut number, mut at) = (0u64, 0i64);
    loop {
        line.clear();
        let read = match reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(read) => read,
            Err(error) => {
                rejects.push(unreadable(&error));
                return Ok(());
            }
        };
        if read == 0 {
            return Ok(());
        }
        number += 1;
        let start = at;
        at += read as i64;
        let wrong = |code, reason: String, line: &[u8]| {
            Reject::new(code, reason).item(format!("line {number}")).input(&input).offset(start).data(line)
        };
        if read as u64 == MAX_LINE && line.last() != Some(&b'\n') {
            let reason = "the line is longer than any table in hex; what follows it is not read".to_owned();
            rejects.push(wrong("termineter.line", reason, &line));
            return Ok(());
        }
        let text = line.strip_prefix(b"\xEF\xBB\xBF").filter(|_| number == 1).unwrap_or(&line).trim_ascii();
        if text.is_empty() {
            continue;
        }
        match row(text) {
            Ok((table, data)) => push(&TableImage {
                table,
                offset: 0,
                data: Cow::Owned(data),
                read_at: None,
                whole: Some(true),
                ped: None,
                session,
                input: input.clone(),
                position: Some(start),
            })?,
            Err((code, reason)) => rejects.push(wrong(code, reason, text)),
        }
    }
}

fn row(line: &[u8]) -> Result<(TableId, Vec<u8>), (&'static str, String)> {
    let no_line = || {
        let reason = "not a line of termineter's dump_tables (id, name, length, hex); remove or mend it";
        ("termineter.line", reason.to_owned())
    };
    let no_hex =
        || ("termineter.hex", "the last field is not hex, or a digit is missing; dump the table again".to_owned());
    // A name may hold commas: it is what stands between the first field and the last two.
    let mut ends = line.rsplitn(3, |&b| b == b',');
    let (Some(hex), Some(len), Some(rest)) = (ends.next(), ends.next(), ends.next()) else { return Err(no_line()) };
    let Some(comma) = rest.iter().position(|&b| b == b',') else { return Err(no_line()) };
    let digits = |field: &[u8], most: usize| {
        let text =
            std::str::from_utf8(field).ok().filter(|t| t.len() <= most && t.bytes().all(|b| b.is_ascii_digit()))?;
        text.parse::<u32>().ok()
    };
    let id = digits(&rest[..comma], 5).ok_or_else(no_line)?;
    let len = digits(len.trim_ascii(), 9).ok_or_else(no_line)?;
    let digit = |b: u8| char::from(b).to_digit(16).ok_or_else(no_hex);
    let hex = hex.trim_ascii();
    if hex.len() % 2 != 0 {
        return Err(no_hex());
    }
    let mut data = Vec::with_capacity(hex.len() / 2);
    for pair in hex.chunks_exact(2) {
        data.push((digit(pair[0])? << 4 | digit(pair[1])?) as u8);
    }
    if data.len() as u64 != u64::from(len) {
        let reason =
            format!("the line says {len} bytes and holds {}; it was probably cut; dump the table again", data.len());
        return Err(("termineter.length", reason));
    }
    if data.is_empty() {
        return Err(("input.empty", "the table is empty; read the table again, or delete the line".to_owned()));
    }
    Ok((TableId(id as i32), data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_lines() {
        for head in ["0,General,2,00ff", "\u{feff}64,a,b,1,0", "\r\n1,x,0,\r\n", "64,LP,40000,00112233"] {
            assert!(is_csv(head.as_bytes()), "{head:?}");
        }
        for head in ["", "a,b,1,00", "1,x,00", "meter,table,data,offset", "1,x,2,zz", "12:00 TX EE"] {
            assert!(!is_csv(head.as_bytes()), "{head:?}");
        }
    }

    #[test]
    fn rows() {
        assert_eq!(row(b"2048,a, b,2,00Ff"), Ok((TableId(2048), vec![0, 255])));
        for bad in ["", "1,2,00", "1,x,1,0", "1,x,2,00", "1,x,1,0g", "x,x,1,00", "999999,x,1,00", "1,x,-1,00", "1,x,0,"]
        {
            assert!(row(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
