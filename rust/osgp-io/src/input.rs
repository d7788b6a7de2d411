//! Inputs, told apart by their content and opened as far as needed to know that they can be read.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use osgp::reject::{MAX_DATA, Reject};
use osgp::scan::Wrap;
use osgp::security::Key;

use crate::columns_file::{ColumnsFile, Format};
use crate::error::{Error, OpenError, plain};
use crate::images::ImageBatch;
use crate::listing::{self, Backing, Found, HEAD, Listing, Member, MeterDir, Place, length};
use crate::names::{Class, classify};
use crate::pread::{Section, read_up_to_at};
use crate::zone::Zone;
use crate::{csv_dump, dir, tar, zip};

/// A capture is scanned as one; two days of a text log at 9600 baud are half of this.
pub(crate) const MAX_CAPTURE: u64 = 1 << 30;

/// How inputs are to be read.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// The label of the one meter that the input holds.
    pub meter: Option<String>,
    /// The zone of naive time stamps in text logs.
    pub zone: Zone,
    /// Byte stuffing around a capture's packets.
    pub wrap: Wrap,
    /// Keys of the MEP port, for captures of it.
    pub keys: Vec<Key>,
    /// Where scattered inputs and compressed archives are unpacked.
    pub tmp: PathBuf,
    /// What cannot be opened becomes a reject.
    pub skip_unreadable: bool,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            meter: None,
            zone: Zone::default(),
            wrap: Wrap::None,
            keys: Vec::new(),
            tmp: std::env::temp_dir(),
            skip_unreadable: false,
        }
    }
}

/// Inputs that could be opened.
#[derive(Debug)]
pub struct Inputs {
    pub(crate) items: Vec<Input>,
    pub(crate) found: Found,
    pub(crate) options: OpenOptions,
}

#[derive(Debug)]
pub(crate) enum Input {
    Listing(Listing),
    Columns(ColumnsFile),
    Memory(Vec<Arc<ImageBatch>>),
    Csv { path: PathBuf, stem: String },
    Capture { path: PathBuf, stem: String, size: u64 },
}

/// Open all inputs, before any work is done.
pub fn open_all(paths: &[PathBuf], options: OpenOptions, stop: &AtomicBool) -> Result<Inputs, Error> {
    let mut inputs = Inputs { items: Vec::new(), found: Found::default(), options };
    for path in paths {
        let before = (inputs.found.rejects.len(), inputs.found.notes);
        match inputs.open(path, stop) {
            Ok(Some(item)) => inputs.items.push(item),
            Ok(None) => {}
            Err(Error::Open(error)) if inputs.options.skip_unreadable => {
                inputs.found.rejects.truncate(before.0);
                inputs.found.notes = before.1;
                let input: Arc<str> = error.path.as_str().into();
                let item = path.file_name().unwrap_or_default().to_string_lossy();
                inputs.found.rejects.push(Reject::new("input.unreadable", error.message).item(&*item).input(&input));
            }
            Err(error) => return Err(error),
        }
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
    }
    Ok(inputs)
}

/// The file's name without its suffixes: the label of what has no other.
pub(crate) fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let lower = name.to_ascii_lowercase();
    for suffix in [".tar.gz", ".tar.zst"] {
        if lower.ends_with(suffix) && lower.len() > suffix.len() {
            return name[..name.len() - suffix.len()].to_owned();
        }
    }
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

impl Inputs {
    fn open(&mut self, path: &Path, stop: &AtomicBool) -> Result<Option<Input>, Error> {
        let meta = fs::metadata(path).map_err(|error| OpenError::io(path, &error))?;
        let before = std::mem::take(&mut self.found.tables);
        if meta.is_dir() {
            let listing = dir::list(path, &mut self.found, stop)?;
            return Ok(Some(self.dump(path, listing, before)?));
        }
        if !meta.is_file() {
            let message = "a pipe, socket or device, not a file; to read from a meter's port use `osgp-fast read`";
            return Err(OpenError::new(path, message).into());
        }
        let size = meta.len();
        let file = File::open(path).map_err(|error| OpenError::io(path, &error))?;
        let head = read_up_to_at(&file, 0, 4096).map_err(|error| OpenError::io(path, &error))?;
        let input: Arc<str> = path.to_string_lossy().into();
        let stem = stem(path);
        if head.is_empty() {
            let (code, _) = listing::empty();
            let reason = "the file is empty";
            self.found.rejects.push(self.about(path, Reject::new(code, reason)));
            return Ok(None);
        }
        let columns = |format| match ColumnsFile::open(path, format, size) {
            Ok(file) => Ok(Some(Input::Columns(file))),
            Err((code, message)) => Err(Error::Open(OpenError { code, ..OpenError::new(path, message) })),
        };
        if head.starts_with(b"PAR1") {
            return columns(Format::Parquet);
        }
        if head.starts_with(b"PARE") {
            return Err(OpenError::new(path, "an encrypted Parquet file; decrypt it first").into());
        }
        if head.starts_with(b"ARROW1") {
            return columns(Format::IpcFile);
        }
        if is_ipc_stream(&head) {
            return columns(Format::IpcStream);
        }
        if zip::is_zip(&head) {
            let members = zip::list(&file, size).map_err(|message| OpenError::new(path, message))?;
            let peek = |member: &listing::RawMember, len| zip::head(&file, member.place, len);
            let dirs = listing::arrange(&input, &stem, size, members, &peek, &mut self.found);
            let listing = Listing { input, backing: Backing::Archive(Arc::new(file)), dirs };
            return Ok(Some(self.dump(path, listing, before)?));
        }
        if tar::is_tar(&head) {
            let listing = self.tar(input, &stem, file, size, size);
            return Ok(Some(self.dump(path, listing, before)?));
        }
        if let Some(packed) = Packed::detect(&head) {
            if packed.starts_with_tar(&file, size) {
                let unpacked = self.unpack(path, &packed, file, size, stop)?;
                let unpacked_size = unpacked.metadata().map_err(|error| Error::io(&self.options.tmp, error))?.len();
                let listing = self.tar(input, &stem, unpacked, unpacked_size, size);
                return Ok(Some(self.dump(path, listing, before)?));
            }
            let reject = not_recognised(&head[..head.len().min(HEAD)], size);
            self.found.rejects.push(self.about(path, reject));
            return Ok(None);
        }
        let name = path.file_name().unwrap_or_default();
        if csv_dump::is_csv(&head) {
            return Ok(Some(Input::Csv { path: path.to_owned(), stem }));
        }
        if let Class::Table(table) = classify(&name.to_string_lossy()) {
            let member = Member { name: name.into(), table, len: size, place: Place::File };
            let label = std::path::absolute(path).ok().and_then(|p| p.parent().map(dir::own_name));
            let dir = MeterDir {
                label: label.unwrap_or_default().into(),
                path: path.parent().unwrap_or(Path::new("")).to_owned(),
                members: vec![member],
            };
            return Ok(Some(Input::Listing(Listing { input, backing: Backing::Files, dirs: vec![dir] })));
        }
        if size > MAX_CAPTURE {
            let reason = format!("{size} bytes are too many for a capture; split it between two sessions");
            let reject =
                Reject::new("input.too_large", reason).data(&read_up_to_at(&file, 0, MAX_DATA).unwrap_or_default());
            self.found.rejects.push(self.about(path, reject.length(length(size))));
            return Ok(None);
        }
        Ok(Some(Input::Capture { path: path.to_owned(), stem, size }))
    }

    /// A reject about an explicit input.
    fn about(&self, path: &Path, reject: Reject) -> Reject {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        reject.item(&*name).input(&path.to_string_lossy().into())
    }

    /// A directory or archive must hold tables.
    fn dump(&mut self, path: &Path, listing: Listing, before: bool) -> Result<Input, Error> {
        let tables = std::mem::replace(&mut self.found.tables, before);
        if !tables {
            let message = "there is no table in it; a dump holds files like METER/BT64.bin and METER/ET21.bin";
            return Err(OpenError::new(path, message).into());
        }
        Ok(Input::Listing(listing))
    }

    fn tar(&mut self, input: Arc<str>, stem: &str, file: File, size: u64, archive_size: u64) -> Listing {
        let (members, damage) = tar::list(&file, size);
        if let Some(reason) = damage {
            self.damaged(&input, &reason);
        }
        let peek = |member: &listing::RawMember, len| tar::head(&file, member, len);
        let dirs = listing::arrange(&input, stem, archive_size, members, &peek, &mut self.found);
        Listing { input, backing: Backing::Archive(Arc::new(file)), dirs }
    }

    fn damaged(&mut self, input: &Arc<str>, reason: &str) {
        let reason = format!("the archive is damaged: {reason}; copy it again");
        self.found.rejects.push(Reject::new("archive.damaged", reason).input(input));
    }

    /// Unpack a compressed archive into a file without a name, since members are read side by side.
    fn unpack(
        &mut self,
        path: &Path,
        packed: &Packed,
        file: File,
        size: u64,
        stop: &AtomicBool,
    ) -> Result<File, Error> {
        let input: Arc<str> = path.to_string_lossy().into();
        let failed = |error| Error::io(&self.options.tmp, error);
        let mut out = tempfile::tempfile_in(&self.options.tmp).map_err(failed)?;
        let mut reader = packed
            .reader(Section { file: Arc::new(file), at: 0, end: size })
            .map_err(|error| OpenError::io(path, &error))?;
        let mut buffer = vec![0; 1 << 18];
        let mut total = 0u64;
        loop {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => {
                    out.write_all(&buffer[..n]).map_err(|error| Error::io(&self.options.tmp, error))?;
                    total += n as u64;
                    if listing::is_bomb(total, size) {
                        let reason = listing::bomb_reason(total, size);
                        self.found.rejects.push(Reject::new("archive.bomb", reason).input(&input).length(length(size)));
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    // What came before it is good: it has been checked, or it is all there is.
                    self.damaged(&input, &plain(&error));
                    break;
                }
            }
        }
        Ok(out)
    }
}

/// For an input of unknown content.
pub(crate) fn not_recognised(head: &[u8], size: u64) -> Reject {
    let reason = "not recognised: no dump, archive, table images, capture or termineter CSV; see 'osgp-fast decode --help' \
                  for what can be read";
    Reject::new("input.not_recognised", reason).offset(0).data(head).length(length(size))
}

/// `FF FF FF FF`, then the length of a schema message.
fn is_ipc_stream(head: &[u8]) -> bool {
    let Some(start) = head.get(..8) else { return false };
    let len = i32::from_le_bytes([start[4], start[5], start[6], start[7]]);
    start[..4] == [0xFF; 4] && (16..1 << 24).contains(&len) && len % 8 == 0
}

/// How an archive is compressed.
enum Packed {
    Gzip,
    Zstd,
}

impl Packed {
    fn detect(head: &[u8]) -> Option<Self> {
        match head {
            [0x1F, 0x8B, 8, ..] => Some(Self::Gzip),
            [0x28, 0xB5, 0x2F, 0xFD, ..] => Some(Self::Zstd),
            _ => None,
        }
    }

    fn reader<R: Read + Send + 'static>(&self, inner: R) -> io::Result<Box<dyn Read>> {
        Ok(match self {
            Self::Gzip => Box::new(flate2::read::MultiGzDecoder::new(io::BufReader::with_capacity(1 << 16, inner))),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::new(inner)?;
                // A window that a decoder must hold in memory: 128 MiB is what the tool allows by default.
                decoder.window_log_max(27)?;
                Box::new(decoder)
            }
        })
    }

    fn starts_with_tar(&self, file: &File, size: u64) -> bool {
        let Ok(file) = file.try_clone() else { return false };
        let mut block = Vec::new();
        self.reader(Section { file: Arc::new(file), at: 0, end: size })
            .and_then(|reader| reader.take(512).read_to_end(&mut block))
            .is_ok_and(|_| tar::is_tar(&block))
    }
}
