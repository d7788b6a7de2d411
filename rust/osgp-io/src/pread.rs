//! Reading at a position without moving a shared cursor, so that workers can share one open file.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

/// Fill the buffer from `offset` on, or fail with `UnexpectedEof`.
pub(crate) fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match read_at(file, buffer, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                buffer = &mut buffer[n..];
                offset += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// At most `len` bytes from `offset` on. Memory grows with what is there, not with `len`.
pub(crate) fn read_up_to_at(file: &File, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    Section { file, at: offset, end: offset.saturating_add(len as u64) }.read_to_end(&mut out)?;
    Ok(out)
}

/// A part of a file as a reader of its own.
pub(crate) struct Section<F> {
    pub(crate) file: F,
    pub(crate) at: u64,
    pub(crate) end: u64,
}

impl<F: AsFile> Read for Section<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = usize::try_from(self.end - self.at.min(self.end)).unwrap_or(usize::MAX).min(buffer.len());
        let n = read_at(self.file.as_file(), &mut buffer[..n], self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

pub(crate) trait AsFile {
    fn as_file(&self) -> &File;
}

impl AsFile for &File {
    fn as_file(&self) -> &File {
        self
    }
}

impl AsFile for Arc<File> {
    fn as_file(&self) -> &File {
        self
    }
}
