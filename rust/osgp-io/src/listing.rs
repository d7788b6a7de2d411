//! What directories and archives have in common: meters that are directories of table files.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use osgp::image::{MAX_TABLE, TableId};
use osgp::reject::{MAX_DATA, Reject};

use crate::error::plain;
use crate::names::{Class, classify, hidden};
use crate::{pread, zip};

/// How many bytes of something unknown a reject shows.
pub(crate) const HEAD: usize = 64;
/// An archive that expands to more than this, and to more than [`BOMB_RATIO`] times its size, is a bomb. Deflate cannot
/// exceed 1032 honestly.
const BOMB_BYTES: u64 = 1 << 30;
const BOMB_RATIO: u64 = 1200;

/// Whether this much output of that much input is more than anybody means.
pub(crate) fn is_bomb(output: u64, input: u64) -> bool {
    output > BOMB_BYTES && output > input.saturating_mul(BOMB_RATIO)
}

/// A directory or archive, read as far as its names.
#[derive(Debug)]
pub(crate) struct Listing {
    /// As given on the command line; the names of members in an archive start with it.
    pub(crate) input: Arc<str>,
    pub(crate) backing: Backing,
    pub(crate) dirs: Vec<MeterDir>,
}

#[derive(Clone, Debug)]
pub(crate) enum Backing {
    Files,
    Archive(Arc<File>),
}

/// A directory that holds table files: one read session of the meter that it is named after.
#[derive(Debug)]
pub(crate) struct MeterDir {
    pub(crate) label: Arc<str>,
    /// In an archive: the path in it.
    pub(crate) path: PathBuf,
    pub(crate) members: Vec<Member>,
}

#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: Box<OsStr>,
    pub(crate) table: TableId,
    pub(crate) len: u64,
    pub(crate) place: Place,
}

/// Where a member's bytes are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    File,
    Stored { offset: u64 },
    Zip { header: u64, compressed: u64, crc: u32, method: u16 },
    Encrypted,
}

/// What is found beside the tables while listing.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) rejects: Vec<Reject>,
    pub(crate) notes: u64,
    /// Anything with the name of a table, even if it cannot be read.
    pub(crate) tables: bool,
}

impl Listing {
    pub(crate) fn name(&self, dir: &MeterDir, member: &Member) -> Arc<str> {
        let path = dir.path.join(&*member.name);
        match self.backing {
            Backing::Files => path.to_string_lossy().into(),
            Backing::Archive(_) => format!("{}/{}", self.input, path.to_string_lossy()).into(),
        }
    }

    /// The bytes of a member, or the reject that says why not.
    pub(crate) fn read(&self, dir: &MeterDir, member: &Member) -> Result<Vec<u8>, Box<Reject>> {
        let wrong = |code, reason: String, data: &[u8]| {
            let reject = Reject::new(code, reason)
                .meter(&dir.label)
                .table(member.table)
                .item(member.table.to_string())
                .input(&self.name(dir, member))
                .offset(0)
                .data(data);
            Box::new(reject)
        };
        if matches!(member.place, Place::Encrypted) {
            let reason = "the member is encrypted; unpack the archive and decode the folder";
            return Err(wrong("archive.encrypted", reason.to_owned(), &[]));
        }
        if member.len == 0 {
            let (code, reason) = empty();
            return Err(wrong(code, reason.to_owned(), &[]));
        }
        if member.len > MAX_TABLE as u64 {
            let (code, reason) = too_large(member.len);
            let head = match (&self.backing, member.place) {
                (Backing::Files, _) => File::open(dir.path.join(&*member.name))
                    .and_then(|file| pread::read_up_to_at(&file, 0, MAX_DATA))
                    .unwrap_or_default(),
                (Backing::Archive(file), Place::Stored { offset }) => {
                    pread::read_up_to_at(file, offset, MAX_DATA).unwrap_or_default()
                }
                (Backing::Archive(file), place) => zip::head(file, place, MAX_DATA),
            };
            let mut reject = wrong(code, reason, &head);
            reject.length = length(member.len);
            return Err(reject);
        }
        match (&self.backing, member.place) {
            (Backing::Archive(file), Place::Stored { offset }) => {
                let mut data = vec![0; usize::try_from(member.len).unwrap_or(0)];
                pread::read_exact_at(file, &mut data, offset).map_err(|error| {
                    wrong("archive.damaged", format!("the archive is cut short: {}", plain(&error)), &[])
                })?;
                Ok(data)
            }
            (Backing::Archive(file), place) => {
                zip::read(file, place, member.len).map_err(|(reason, data)| wrong("archive.damaged", reason, &data))
            }
            (Backing::Files, _) => {
                let path = dir.path.join(&*member.name);
                read_file(&path, member.len).map_err(|error| {
                    wrong("input.unreadable", format!("cannot be read: {}; check its permissions", plain(&error)), &[])
                })
            }
        }
    }
}

fn read_file(path: &Path, len: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let mut data = vec![0; usize::try_from(len).unwrap_or(0).min(MAX_TABLE)];
    // One read of the length known from the listing; a file that changed since is read to its end, within reason.
    let mut have = 0;
    while have < data.len() {
        match file.read(&mut data[have..]) {
            Ok(0) => break,
            Ok(n) => have += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    data.truncate(have);
    Ok(data)
}

pub(crate) fn too_large(len: u64) -> (&'static str, String) {
    (
        "input.too_large",
        format!(
            "{len} bytes are more than a table can hold ({MAX_TABLE}); only the first 64 KiB are kept; is this a table?"
        ),
    )
}

pub(crate) fn empty() -> (&'static str, &'static str) {
    ("input.empty", "the file is empty; read the table again, or delete the file")
}

/// For a file in a dump.
pub(crate) fn not_recognised(name: &str) -> (&'static str, &'static str) {
    let reason = if name.to_ascii_lowercase().ends_with(".bin") {
        "the name says no table: tables are BTnn.bin, ETnn.bin or BTnn.pending.bin; rename or remove the file"
    } else {
        "not recognised: neither a table (BTnn.bin, ETnn.bin) nor a note; remove the file, or decode it on its own"
    };
    ("input.not_recognised", reason)
}

/// What an archive's directory says about one member.
#[derive(Debug)]
pub(crate) struct RawMember {
    pub(crate) name: String,
    pub(crate) len: u64,
    pub(crate) place: Place,
    pub(crate) kind: RawKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RawKind {
    File,
    Directory,
    Encrypted,
    /// A link, a device, a sparse file.
    Special,
}

/// Sort an archive's members into meters. `stem` labels tables that lie in no directory.
pub(crate) fn arrange(
    input: &Arc<str>,
    stem: &str,
    archive_len: u64,
    members: Vec<RawMember>,
    head: &dyn Fn(&RawMember, usize) -> Vec<u8>,
    found: &mut Found,
) -> Vec<MeterDir> {
    let member_input = |name: &str| -> Arc<str> { format!("{input}/{name}").into() };
    // The last one of a name is what every tool would have left on the disk.
    let mut by_name: HashMap<Vec<String>, usize> = HashMap::with_capacity(members.len().min(1 << 20));
    for (i, member) in members.iter().enumerate() {
        if member.kind == RawKind::Directory {
            continue;
        }
        let Some(parts) = safe_parts(&member.name) else {
            found.rejects.push(
                Reject::new(
                    "archive.unsafe_name",
                    "the name is absolute or leads out of the archive; it is not used; pack the archive again",
                )
                .item(&member.name)
                .input(input)
                .length(length(member.len)),
            );
            continue;
        };
        let name = parts.join("/");
        if let Some(earlier) = by_name.insert(parts, i) {
            found.rejects.push(
                Reject::new(
                    "archive.duplicate_name",
                    "the archive holds this name more than once; the last one is used; this is an earlier one",
                )
                .item(&name)
                .input(input)
                .length(length(members[earlier].len)),
            );
        }
    }
    let mut sorted: Vec<(Vec<String>, usize)> = by_name.into_iter().collect();
    // Component by component, as the walk of a directory does.
    sorted.sort();

    let mut dirs: Vec<MeterDir> = Vec::new();
    let mut dir_of: HashMap<Vec<String>, usize> = HashMap::new();
    let mut expanded = 0u64;
    for (mut parts, i) in sorted {
        let member = &members[i];
        let name = parts.join("/");
        let Some(last) = parts.pop() else { continue };
        let class = if parts.iter().any(|p| hidden(p)) { Class::Note } else { classify(&last) };
        let mut wrong = |code, reason: String, data: Vec<u8>| {
            let reject = Reject::new(code, reason).item(&*last).input(&member_input(&name)).data(&data);
            found.rejects.push(if code == "input.not_a_file" {
                reject
            } else {
                reject.offset(0).length(length(member.len))
            });
        };
        if class == Class::Note {
            found.notes += 1;
            continue;
        }
        if member.kind == RawKind::Special {
            wrong(
                "input.not_a_file",
                "a link or a special file in an archive; it is not followed; store the file itself".into(),
                Vec::new(),
            );
            continue;
        }
        let Class::Table(table) = class else {
            let (code, reason) = not_recognised(&last);
            wrong(code, reason.into(), head(member, HEAD));
            continue;
        };
        found.tables = true;
        let readable = member.kind == RawKind::File && member.len <= MAX_TABLE as u64;
        expanded = expanded.saturating_add(if readable { member.len } else { 0 });
        if is_bomb(expanded, archive_len) {
            let reason = bomb_reason(expanded, archive_len);
            found
                .rejects
                .push(Reject::new("archive.bomb", reason).item(&name).input(input).length(length(archive_len)));
            break;
        }
        let dir = *dir_of.entry(parts).or_insert_with_key(|parts| {
            dirs.push(MeterDir {
                label: parts.last().map_or(stem, |p| p).into(),
                path: parts.iter().collect(),
                members: Vec::new(),
            });
            dirs.len() - 1
        });
        dirs[dir].members.push(Member {
            name: Box::from(OsStr::new(&last)),
            table,
            len: member.len,
            place: if member.kind == RawKind::Encrypted { Place::Encrypted } else { member.place },
        });
    }
    dirs
}

pub(crate) fn bomb_reason(output: u64, input: u64) -> String {
    format!("{input} bytes expand to {output} or more: a bomb; the rest of the archive is not read")
}

pub(crate) fn length(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// The components of a member's name, or nothing where it leads out of the archive.
fn safe_parts(name: &str) -> Option<Vec<String>> {
    if name.contains('\0') {
        return None;
    }
    let name = name.replace('\\', "/");
    let drive = name.as_bytes().get(1) == Some(&b':') && name.as_bytes()[0].is_ascii_alphabetic();
    if name.starts_with('/') || drive {
        return None;
    }
    let mut parts = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => return None,
            part => parts.push(part.to_owned()),
        }
    }
    (!parts.is_empty()).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_out() {
        for name in ["../x", "/x", "a/../../x", "C:/x", "\\x", "..\\x", "a\0b", "", "."] {
            assert_eq!(safe_parts(name), None, "{name:?}");
        }
        assert_eq!(safe_parts("./a//b\\c").unwrap(), ["a", "b", "c"]);
    }
}
