//! Images put aside until their meter's turn comes: in memory up to a limit, then in a file that has no name.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use osgp::image::{TableId, TableImage};

use crate::error::Error;
use crate::pread::read_exact_at;

/// Up to this many bytes stay in memory.
const IN_MEMORY: usize = 64 << 20;
/// With a file: bytes gathered for one write.
const WRITE: usize = 1 << 20;
/// Fixed part of a record.
const HEADER: usize = 4 + 8 + 8 + 1 + 4 + 4 + 8 + 4 + 4;

const HAS_TIME: u8 = 1;
const WHOLE_KNOWN: u8 = 2;
const WHOLE: u8 = 4;
const HAS_PED: u8 = 8;
const HAS_POSITION: u8 = 16;

/// Where consecutive images of one meter stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) at: u64,
    pub(crate) len: u64,
}

#[derive(Debug)]
pub(crate) struct Store {
    tmp: PathBuf,
    limit: usize,
    /// Everything while there is no file; with one, what is not written yet.
    buffer: Vec<u8>,
    file: Option<File>,
    written: u64,
    inputs: Vec<Arc<str>>,
}

impl Store {
    pub(crate) fn new(tmp: &Path) -> Self {
        Self::with_limit(tmp, IN_MEMORY)
    }

    pub(crate) fn with_limit(tmp: &Path, limit: usize) -> Self {
        Self { tmp: tmp.to_owned(), limit, buffer: Vec::new(), file: None, written: 0, inputs: Vec::new() }
    }

    pub(crate) fn push(&mut self, image: &TableImage<'_>) -> Result<Extent, Error> {
        if self.inputs.last().is_none_or(|last| *last != image.input) {
            self.inputs.push(image.input.clone());
        }
        let at = self.written + self.buffer.len() as u64;
        let ped: &[u8] = image.ped.as_deref().unwrap_or_default();
        let flag = |on: bool, bit: u8| if on { bit } else { 0 };
        let flags = flag(image.read_at.is_some(), HAS_TIME)
            | flag(image.whole.is_some(), WHOLE_KNOWN)
            | flag(image.whole == Some(true), WHOLE)
            | flag(image.ped.is_some(), HAS_PED)
            | flag(image.position.is_some(), HAS_POSITION);
        let too_long = |_| Error::Usage("an image of 4 GiB or more".to_owned());
        let out = &mut self.buffer;
        out.extend_from_slice(&image.table.0.to_le_bytes());
        out.extend_from_slice(&image.offset.to_le_bytes());
        out.extend_from_slice(&image.read_at.unwrap_or(0).to_le_bytes());
        out.push(flags);
        out.extend_from_slice(&image.session.to_le_bytes());
        out.extend_from_slice(&(self.inputs.len() as u32 - 1).to_le_bytes());
        out.extend_from_slice(&image.position.unwrap_or(0).to_le_bytes());
        out.extend_from_slice(&u32::try_from(ped.len()).map_err(too_long)?.to_le_bytes());
        out.extend_from_slice(&u32::try_from(image.data.len()).map_err(too_long)?.to_le_bytes());
        out.extend_from_slice(ped);
        out.extend_from_slice(&image.data);
        let len = (HEADER + ped.len() + image.data.len()) as u64;
        if self.buffer.len() >= if self.file.is_some() { WRITE } else { self.limit } {
            self.flush()?;
        }
        Ok(Extent { at, len })
    }

    fn flush(&mut self) -> Result<(), Error> {
        let failed = |error| Error::io(&self.tmp, error);
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile_in(&self.tmp).map_err(failed)?),
        };
        file.write_all(&self.buffer).map_err(failed)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        self.buffer.shrink_to(WRITE * 2);
        Ok(())
    }

    /// All is pushed: make it readable from several threads.
    pub(crate) fn seal(&mut self) -> Result<(), Error> {
        if self.file.is_some() { self.flush() } else { Ok(()) }
    }

    /// The bytes of some extents, one after another; borrowed where one extent in memory is all.
    pub(crate) fn load(&self, extents: &[Extent]) -> Result<Cow<'_, [u8]>, Error> {
        if let (None, [one]) = (&self.file, extents) {
            return Ok(Cow::Borrowed(&self.buffer[one.at as usize..(one.at + one.len) as usize]));
        }
        let total: u64 = extents.iter().map(|e| e.len).sum();
        let mut out = vec![0; total as usize];
        let mut done = 0;
        for extent in extents {
            let part = &mut out[done..done + extent.len as usize];
            match &self.file {
                Some(file) => read_exact_at(file, part, extent.at).map_err(|error| Error::io(&self.tmp, error))?,
                None => part.copy_from_slice(&self.buffer[extent.at as usize..][..extent.len as usize]),
            }
            done += extent.len as usize;
        }
        Ok(Cow::Owned(out))
    }

    /// Add the images in bytes that `load` gave.
    pub(crate) fn parse<'a>(&self, mut bytes: &'a [u8], images: &mut Vec<TableImage<'a>>) -> Result<(), Error> {
        let damaged = || Error::io(&self.tmp, io::Error::other("the spill file was changed while in use"));
        while !bytes.is_empty() {
            let (header, rest) = bytes.split_at_checked(HEADER).ok_or_else(damaged)?;
            let i64_at = |at: usize| header[at..at + 8].try_into().map_or(0, i64::from_le_bytes);
            let u32_at = |at: usize| header[at..at + 4].try_into().map_or(0, u32::from_le_bytes);
            let flags = header[20];
            let (ped, rest) = rest.split_at_checked(u32_at(37) as usize).ok_or_else(damaged)?;
            let (data, rest) = rest.split_at_checked(u32_at(41) as usize).ok_or_else(damaged)?;
            images.push(TableImage {
                table: TableId(u32_at(0) as i32),
                offset: i64_at(4),
                data: Cow::Borrowed(data),
                read_at: (flags & HAS_TIME != 0).then(|| i64_at(12)),
                whole: (flags & WHOLE_KNOWN != 0).then_some(flags & WHOLE != 0),
                ped: (flags & HAS_PED != 0).then_some(Cow::Borrowed(ped)),
                session: u32_at(21),
                input: self.inputs.get(u32_at(25) as usize).ok_or_else(damaged)?.clone(),
                position: (flags & HAS_POSITION != 0).then(|| i64_at(29)),
            });
            bytes = rest;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_from_memory_and_from_a_file() {
        for limit in [usize::MAX, 100, 1] {
            let mut store = Store::with_limit(&std::env::temp_dir(), limit);
            let image = |i: i32| TableImage {
                table: TableId(i),
                offset: i64::from(i) - 2,
                data: Cow::Owned(vec![i as u8; i as usize * 40]),
                read_at: (i % 2 == 0).then_some(-5),
                whole: [None, Some(false), Some(true)][i as usize % 3],
                ped: (i == 3).then_some(Cow::Borrowed(&b"abcdef"[..])),
                session: i as u32,
                input: format!("in{}", i / 2).into(),
                position: (i == 1).then_some(77),
            };
            let extents: Vec<Extent> = (0..5).map(|i| store.push(&image(i)).unwrap()).collect();
            store.seal().unwrap();
            for some in [&extents[..], &[extents[3], extents[0]], &[extents[2]]] {
                let bytes = store.load(some).unwrap();
                let mut images = Vec::new();
                store.parse(&bytes, &mut images).unwrap();
                let want: Vec<_> =
                    some.iter().map(|e| image(extents.iter().position(|x| x == e).unwrap() as i32)).collect();
                assert_eq!(images, want);
            }
        }
    }
}
