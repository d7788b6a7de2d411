//! Tar archives: a scan of the headers (ustar, GNU long names, PAX paths and sizes).
//!
//! Written here for the same reasons as `zip.rs`; long names and PAX headers are the places where a number in the archive
//! could make a reader allocate.

use std::fs::File;

use crate::listing::{Place, RawKind, RawMember};
use crate::pread::{read_exact_at, read_up_to_at};

const BLOCK: u64 = 512;
/// Longer than any path.
const MAX_NAME: u64 = 1 << 16;

/// Whether a block is a tar header (its checksum is right).
pub(crate) fn is_tar(block: &[u8]) -> bool {
    let Some(block) = block.get(..512) else { return false };
    let sum: u64 =
        block.iter().enumerate().map(|(i, &b)| u64::from(if (148..156).contains(&i) { b' ' } else { b })).sum();
    block[0] != 0 && number(&block[148..156]) == Some(sum)
}

fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        // Base 256, for what octal cannot hold.
        let high = field.len() - 8.min(field.len() - 1);
        if field[0] & 0x7F != 0 || field[1..high].iter().any(|&b| b != 0) {
            return None;
        }
        return Some(field[high..].iter().fold(0, |n, &b| n << 8 | u64::from(b)));
    }
    let text: Vec<u8> = field.iter().copied().skip_while(|&b| b == b' ').take_while(|&b| b != 0 && b != b' ').collect();
    if text.is_empty() {
        return Some(0);
    }
    u64::from_str_radix(std::str::from_utf8(&text).ok()?, 8).ok()
}

fn text(field: &[u8]) -> String {
    let end = field.iter().position(|&b| b == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

/// The members, and what is wrong where the scan had to end early.
pub(crate) fn list(file: &File, len: u64) -> (Vec<RawMember>, Option<String>) {
    let mut members = Vec::new();
    let mut at = 0u64;
    let (mut long_name, mut long_size): (Option<String>, Option<u64>) = (None, None);
    while at + BLOCK <= len {
        let mut header = [0; 512];
        if let Err(error) = read_exact_at(file, &mut header, at) {
            return (members, Some(format!("cannot be read: {error}")));
        }
        if header[0] == 0 && header.iter().all(|&b| b == 0) {
            return (members, None);
        }
        if !is_tar(&header) {
            return (members, Some(format!("at byte {at} there is no header; what stands after it is not read")));
        }
        at += BLOCK;
        let kind = header[156];
        let Some(size) = number(&header[124..136]) else {
            return (members, Some(format!("the header before byte {at} has an impossible size")));
        };
        // PAX and GNU headers describe the member after them; its own size never applies to them.
        let special = matches!(kind, b'L' | b'K' | b'x' | b'g');
        let size = if special { size } else { long_size.take().unwrap_or(size) };
        let end = at.checked_add(size).filter(|&end| end <= len);
        let next = end.and_then(|end| end.checked_next_multiple_of(BLOCK));
        let (Some(end), Some(next)) = (end, next) else {
            return (members, Some("the archive is cut short; its last member is not used".to_owned()));
        };
        match kind {
            b'L' | b'x' if size > MAX_NAME => {
                return (members, Some(format!("a name of {size} bytes at byte {at}; the rest is not read")));
            }
            b'L' => long_name = read_up_to_at(file, at, size as usize).ok().map(|name| text(&name)),
            b'x' => {
                for (key, value) in pax(&read_up_to_at(file, at, size as usize).unwrap_or_default()) {
                    match key.as_str() {
                        "path" => long_name = Some(value),
                        "size" => long_size = value.parse().ok(),
                        _ => {}
                    }
                }
            }
            b'K' | b'g' => {}
            _ => {
                let name = long_name.take().unwrap_or_else(|| {
                    let (name, prefix) = (text(&header[..100]), text(&header[345..500]));
                    let ustar = &header[257..262] == b"ustar" && header[262] == 0;
                    if ustar && !prefix.is_empty() { format!("{prefix}/{name}") } else { name }
                });
                let kind = match kind {
                    b'0' | 0 | b'7' if name.ends_with('/') => RawKind::Directory,
                    b'0' | 0 | b'7' => RawKind::File,
                    b'5' => RawKind::Directory,
                    _ => RawKind::Special,
                };
                members.push(RawMember { name, len: end - at, place: Place::Stored { offset: at }, kind });
            }
        }
        at = next;
    }
    // Some writers leave out the two empty blocks at the end; a partial block is damage.
    (members, (at < len).then(|| "the archive is cut short in a header".to_owned()))
}

/// "27 path=a/b\n" records.
fn pax(mut data: &[u8]) -> Vec<(String, String)> {
    let mut out = Vec::new();
    while let Some(space) = data.iter().position(|&b| b == b' ') {
        let Some(len) = std::str::from_utf8(&data[..space]).ok().and_then(|n| n.parse::<usize>().ok()) else { break };
        let Some(record) = data.get(space + 1..len) else { break };
        let record = String::from_utf8_lossy(record.strip_suffix(b"\n").unwrap_or(record)).into_owned();
        if let Some((key, value)) = record.split_once('=') {
            out.push((key.to_owned(), value.to_owned()));
        }
        data = &data[len..];
    }
    out
}

/// The first bytes of a member.
pub(crate) fn head(file: &File, member: &RawMember, len: usize) -> Vec<u8> {
    let Place::Stored { offset } = member.place else { return Vec::new() };
    let len = usize::try_from(member.len).unwrap_or(usize::MAX).min(len);
    read_up_to_at(file, offset, len).unwrap_or_default()
}
