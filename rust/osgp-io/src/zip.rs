//! Zip archives, as far as a dump needs them: the central directory, stored and deflated members.
//!
//! Written here because a dump's archive is hostile until shown otherwise: names that stand twice, members that lie over
//! one another and sizes that lie have to be seen, and workers read members side by side from one open file.
//! Source: PKWARE APPNOTE.TXT 4.3.6 to 4.3.16, 4.5.3.

use std::fs::File;
use std::io::{BufReader, Read};

use crate::error::plain;
use crate::listing::{Place, RawKind, RawMember};
use crate::pread::{self, Section, read_exact_at};

const LOCAL: [u8; 4] = *b"PK\x03\x04";
const CENTRAL: [u8; 4] = *b"PK\x01\x02";
const END: [u8; 4] = *b"PK\x05\x06";
const END_64: [u8; 4] = *b"PK\x06\x06";
const LOCATOR_64: [u8; 4] = *b"PK\x06\x07";
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// Whether the first bytes are those of a zip archive.
pub(crate) fn is_zip(head: &[u8]) -> bool {
    head.starts_with(&LOCAL) || head.starts_with(&END)
}

fn u16_le(b: &[u8], at: usize) -> u16 {
    b.get(at..at + 2).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]))
}
fn u32_le(b: &[u8], at: usize) -> u32 {
    u32::from(u16_le(b, at)) | u32::from(u16_le(b, at + 2)) << 16
}
fn u64_le(b: &[u8], at: usize) -> u64 {
    u64::from(u32_le(b, at)) | u64::from(u32_le(b, at + 4)) << 32
}

/// Read the central directory.
pub(crate) fn list(file: &File, len: u64) -> Result<Vec<RawMember>, String> {
    let (start, end, shift) = central(file, len)?;
    let mut reader = BufReader::with_capacity(1 << 16, Section { file, at: start, end });
    let mut members = Vec::new();
    let mut left = end - start;
    let broken = || "the zip archive's directory is broken; copy it again or repair it with `zip -F`".to_owned();
    while left >= 46 {
        let mut fixed = [0; 46];
        reader.read_exact(&mut fixed).map_err(|_| broken())?;
        if fixed[..4] != CENTRAL {
            break;
        }
        let (name_len, extra_len, comment_len) = (u16_le(&fixed, 28), u16_le(&fixed, 30), u16_le(&fixed, 32));
        let tail = u64::from(name_len) + u64::from(extra_len) + u64::from(comment_len);
        left = left.checked_sub(46 + tail).ok_or_else(broken)?;
        let mut rest = vec![0; tail as usize];
        reader.read_exact(&mut rest).map_err(|_| broken())?;
        let (name, rest) = rest.split_at(usize::from(name_len));
        let extra = &rest[..usize::from(extra_len)];
        let flags = u16_le(&fixed, 8);
        let (mut compressed, mut size, mut header) =
            (u64::from(u32_le(&fixed, 20)), u64::from(u32_le(&fixed, 24)), u64::from(u32_le(&fixed, 42)));
        if let Some(zip64) = extra_field(extra, 1) {
            let mut at = 0;
            for value in [&mut size, &mut compressed, &mut header] {
                if *value == u64::from(u32::MAX) && at + 8 <= zip64.len() {
                    *value = u64_le(zip64, at);
                    at += 8;
                }
            }
        }
        // UTF-8 whether or not it is announced; else the names are some old code page: any one will do for a label.
        let name = match std::str::from_utf8(name) {
            Ok(name) => name.to_owned(),
            Err(_) => name.iter().map(|&b| char::from(b)).collect(),
        };
        let unix_mode = if fixed[5] == 3 { u32_le(&fixed, 38) >> 16 } else { 0 };
        let kind = if name.ends_with('/') {
            RawKind::Directory
        } else if flags & 1 != 0 {
            RawKind::Encrypted
        } else if !matches!(unix_mode & 0o170_000, 0 | 0o100_000) {
            RawKind::Special
        } else {
            RawKind::File
        };
        let place = Place::Zip {
            header: header.saturating_add(shift),
            compressed,
            crc: u32_le(&fixed, 16),
            method: u16_le(&fixed, 10),
        };
        members.push(RawMember { name, len: size, place, kind });
    }
    Ok(members)
}

fn extra_field(mut extra: &[u8], id: u16) -> Option<&[u8]> {
    while extra.len() >= 4 {
        let len = usize::from(u16_le(extra, 2));
        let body = extra.get(4..4 + len)?;
        if u16_le(extra, 0) == id {
            return Some(body);
        }
        extra = &extra[4 + len..];
    }
    None
}

/// Start and end of the central directory, and how far everything is shifted by what stands before the archive.
fn central(file: &File, len: u64) -> Result<(u64, u64, u64), String> {
    let broken = || "the zip archive has no directory: it is cut short or broken; copy it again".to_owned();
    let from = len.saturating_sub(22 + 65_535);
    let tail = pread::read_up_to_at(file, from, 22 + 65_535).map_err(|error| plain(&error))?;
    let at = (0..tail.len().saturating_sub(21))
        .rev()
        .find(|&i| tail[i..i + 4] == END && i + 22 + usize::from(u16_le(&tail, i + 20)) <= tail.len())
        .ok_or_else(broken)?;
    let record = &tail[at..at + 22];
    let mut end = from + at as u64;
    let (mut entries, mut size, mut offset) =
        (u64::from(u16_le(record, 10)), u64::from(u32_le(record, 12)), u64::from(u32_le(record, 16)));
    if entries == 0xFFFF || size == 0xFFFF_FFFF || offset == 0xFFFF_FFFF {
        let mut locator = [0; 20];
        if end >= 20 && read_exact_at(file, &mut locator, end - 20).is_ok() && locator[..4] == LOCATOR_64 {
            let mut record = [0; 56];
            let at = u64_le(&locator, 8);
            read_exact_at(file, &mut record, at).map_err(|_| broken())?;
            if record[..4] != END_64 {
                return Err(broken());
            }
            (entries, size, offset, end) = (u64_le(&record, 32), u64_le(&record, 40), u64_le(&record, 48), at);
        }
    }
    if entries == 0 {
        return Ok((end, end, 0));
    }
    let start = end.checked_sub(size).ok_or_else(broken)?;
    let shift = start.checked_sub(offset).ok_or_else(broken)?;
    Ok((start, end, shift))
}

/// Where a member's bytes start; they are `compressed` long and lie within the file, or reading them fails.
fn body(file: &File, header: u64) -> Result<u64, String> {
    let mut fixed = [0; 30];
    read_exact_at(file, &mut fixed, header).map_err(|_| "its place is outside the archive".to_owned())?;
    if fixed[..4] != LOCAL {
        return Err("its local header is not where the directory says".to_owned());
    }
    Ok(header.saturating_add(30 + u64::from(u16_le(&fixed, 26)) + u64::from(u16_le(&fixed, 28))))
}

/// The first bytes of a member, as far as they can be had.
pub(crate) fn head(file: &File, place: Place, len: usize) -> Vec<u8> {
    let Place::Zip { header, compressed, method, .. } = place else { return Vec::new() };
    let mut out = Vec::new();
    if let Ok(at) = body(file, header) {
        let raw = BufReader::new(Section { file, at, end: at.saturating_add(compressed) });
        // What was inflated before an error is as good a head as any.
        let _ = match method {
            STORED => raw.take(len as u64).read_to_end(&mut out),
            DEFLATED => flate2::bufread::DeflateDecoder::new(raw).take(len as u64).read_to_end(&mut out),
            _ => Ok(0),
        };
    }
    out
}

/// A whole member of `len` bytes (which the caller has limited), checked.
pub(crate) fn read(file: &File, place: Place, len: u64) -> Result<Vec<u8>, (String, Vec<u8>)> {
    let Place::Zip { header, compressed, crc, method } = place else { return Err((String::new(), Vec::new())) };
    let none = |reason: String| (reason, Vec::new());
    let at = body(file, header).map_err(none)?;
    let mut out = Vec::new();
    let raw = Section { file, at, end: at.saturating_add(compressed) };
    // Never more than one byte beyond what was announced: then it lies.
    let result = match method {
        STORED => raw.take(len + 1).read_to_end(&mut out),
        DEFLATED => {
            // The capacity is a hint: a table is at most 16 MiB, but the number is not ours.
            out.reserve(len.min(1 << 20) as usize);
            let capacity = compressed.clamp(64, 1 << 16) as usize;
            let raw = BufReader::with_capacity(capacity, raw);
            flate2::bufread::DeflateDecoder::new(raw).take(len + 1).read_to_end(&mut out)
        }
        other => {
            return Err(none(format!(
                "it is compressed with method {other}; only stored and deflated ones are read; pack it again"
            )));
        }
    };
    if let Err(error) = result {
        return Err((format!("it cannot be unpacked: {}; copy the archive again", plain(&error)), out));
    }
    if out.len() as u64 != len {
        return Err((format!("it has not the {len} bytes that the archive's directory says"), out));
    }
    let mut sum = flate2::Crc::new();
    sum.update(&out);
    if sum.sum() != crc {
        return Err((format!("its checksum is {:08x}, not {crc:08x}; copy the archive again", sum.sum()), out));
    }
    Ok(out)
}
