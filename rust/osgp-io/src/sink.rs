//! The files of a run: written beside their places and renamed at the end, rejects last, so that a run leaves all of its
//! files or none.
//!
//! Most of the work of writing is encoding, so the workers do it: a [`FileShaper`] turns the batches of a unit into finished
//! Parquet columns or text, and [`Files`] only puts them one after another.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_ipc::writer::FileWriter;
use arrow_schema::{DataType, SchemaRef};
use osgp::columns;
use osgp::records::{Kind, Options};
use osgp::reject::Reject;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, ArrowWriterOptions, compute_leaves,
};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use tempfile::TempPath;

use crate::engine::{Out, Shaper};
use crate::error::Error;
use crate::render::{self, Text};

/// Rows of a row group, about.
const GROUP_ROWS: usize = 1 << 20;
/// A worker encodes what is more than this; less is gathered with that of other units.
const ENCODE_BYTES: usize = 8 << 20;
/// Gathered batches that make a row group even if they are few rows.
const GROUP_BYTES: usize = 48 << 20;
/// Rejects that are gathered for a batch.
const REJECTS: usize = 4096;
const REJECT_BYTES: usize = 4 << 20;

/// The formats of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// Parquet: zstd level 1, plain strings.
    Parquet,
    /// Arrow IPC file: plain strings.
    Arrow,
    /// CSV with a header row.
    Csv,
    /// A JSON object per line.
    JsonLines,
}

impl FileFormat {
    /// The format of that name, which is also the suffix of its files.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Parquet, Self::Arrow, Self::Csv, Self::JsonLines].into_iter().find(|f| f.suffix() == name)
    }
    /// Name and suffix.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
            Self::Csv => "csv",
            Self::JsonLines => "jsonl",
        }
    }
    fn text(self) -> Option<Text> {
        match self {
            Self::Csv => Some(Text::Csv),
            Self::JsonLines => Some(Text::JsonLines),
            _ => None,
        }
    }
}

/// Which files are to be written.
#[derive(Clone, Debug)]
pub struct Output {
    /// A directory, or the file of the one kind.
    pub path: PathBuf,
    /// Whether it is a directory (made if missing).
    pub directory: bool,
    /// The format of all files.
    pub format: FileFormat,
    /// Begin a new file after about so many bytes.
    pub split: Option<u64>,
}

impl Output {
    /// Rows that are written at once: fewer where files are to be small. A row takes some 8 bytes in Parquet, some 100 as
    /// text.
    fn group_rows(&self) -> usize {
        let row = if self.format == FileFormat::Parquet { 16 } else { 400 };
        match self.split {
            Some(bytes) => usize::try_from(bytes / row).unwrap_or(GROUP_ROWS).clamp(256, GROUP_ROWS),
            None => GROUP_ROWS,
        }
    }
}

/// Parts of a batch of at most so many rows.
fn slices(batch: &RecordBatch, rows: usize) -> impl Iterator<Item = RecordBatch> + '_ {
    (0..batch.num_rows()).step_by(rows).map(move |at| batch.slice(at, rows.min(batch.num_rows() - at)))
}

fn encode(error: ParquetError) -> Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(io) => Error::io(Path::new("output"), *io),
            Err(other) => Error::Encode(other.to_string()),
        },
        other => Error::Encode(other.to_string()),
    }
}

/// The columns of a batch as files have them, by position.
fn plain(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, Error> {
    let columns = plain_columns(batch, schema, false)?;
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
}

fn plain_columns(batch: &RecordBatch, schema: &SchemaRef, keep_dictionaries: bool) -> Result<Vec<ArrayRef>, Error> {
    if batch.num_columns() != schema.fields().len() {
        return Err(Error::Usage(format!(
            "a batch has {} columns, the kind has {}",
            batch.num_columns(),
            schema.fields().len()
        )));
    }
    let dictionary =
        |t: &DataType| matches!(t, DataType::Dictionary(k, v) if **k == DataType::Int32 && **v == DataType::Utf8);
    let fit = |(column, field): (&ArrayRef, &Arc<arrow_schema::Field>)| {
        let same = column.data_type() == field.data_type()
            || (keep_dictionaries && *field.data_type() == DataType::Utf8 && dictionary(column.data_type()));
        if same { Ok(column.clone()) } else { arrow_cast::cast(column, field.data_type()) }
    };
    Ok(batch.columns().iter().zip(schema.fields()).map(fit).collect::<Result<_, _>>()?)
}

/// Columns whose values hardly repeat, or are so small and regular that zstd is quicker than a look-up of each in a
/// dictionary, and makes as little of them.
const PLAIN: [&str; 10] =
    ["value", "delta", "data_set", "interval_s", "channel", "source", "multiplier", "status", "flags", "read_at"];
/// Columns that count: their differences are small.
const COUNTING: [&str; 4] = ["block", "interval", "interval_end", "sequence"];

fn properties() -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).unwrap_or_default()))
        .set_created_by(concat!("osgp-fast ", env!("CARGO_PKG_VERSION")).to_owned())
        // Bound to rows by ourselves: a group is what one worker makes.
        .set_max_row_group_row_count(None);
    let wide = (0..columns::MAX_CHANNELS).flat_map(|channel| [format!("value_{channel}"), format!("status_{channel}")]);
    for name in PLAIN.into_iter().map(str::to_owned).chain(wide) {
        builder = builder.set_column_dictionary_enabled(name.into(), false);
    }
    for name in COUNTING {
        builder = builder
            .set_column_dictionary_enabled(name.into(), false)
            .set_column_encoding(name.into(), Encoding::DELTA_BINARY_PACKED);
    }
    builder.build()
}

/// Encodes batches of one kind into the columns of a row group.
struct GroupEncoder {
    schema: SchemaRef,
    factory: ArrowRowGroupWriterFactory,
    writers: Vec<ArrowColumnWriter>,
    rows: usize,
}

impl GroupEncoder {
    fn new(schema: &SchemaRef) -> Result<Self, Error> {
        let (_, factory) = parquet_writer(io::sink(), schema)?;
        Ok(Self { schema: schema.clone(), factory, writers: Vec::new(), rows: 0 })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        if self.writers.is_empty() {
            // The index of the row group only matters for encryption.
            self.writers = self.factory.create_column_writers(0).map_err(encode)?;
        }
        let columns = plain_columns(batch, &self.schema, true)?;
        let mut writers = self.writers.iter_mut();
        for (field, column) in self.schema.fields().iter().zip(&columns) {
            for leaf in compute_leaves(field, column).map_err(encode)? {
                if let Some(writer) = writers.next() {
                    writer.write(&leaf).map_err(encode)?;
                }
            }
        }
        self.rows += batch.num_rows();
        Ok(())
    }

    fn finish(&mut self) -> Result<Vec<ArrowColumnChunk>, Error> {
        self.rows = 0;
        self.writers.drain(..).map(|writer| writer.close().map_err(encode)).collect()
    }
}

fn parquet_writer<W: Write + Send>(
    out: W,
    schema: &SchemaRef,
) -> Result<(SerializedFileWriter<W>, ArrowRowGroupWriterFactory), Error> {
    let options = ArrowWriterOptions::new().with_properties(properties());
    let writer = ArrowWriter::try_new_with_options(out, schema.clone(), options).map_err(encode)?;
    writer.into_serialized_writer().map_err(encode)
}

/// A finished part of a file. The number is that of the kind.
pub(crate) enum Piece {
    Group(usize, Vec<ArrowColumnChunk>),
    Batch(usize, RecordBatch),
    Text(usize, Vec<u8>),
}

/// What a worker does for the files of a run.
pub(crate) struct FileShaper {
    kinds: Vec<Kind>,
    format: FileFormat,
    group_rows: usize,
    states: Vec<ShaperState>,
}

struct ShaperState {
    schema: SchemaRef,
    encoder: Option<GroupEncoder>,
    gathered: Vec<RecordBatch>,
    bytes: usize,
}

impl FileShaper {
    pub(crate) fn new(kinds: &[Kind], options: &Options, output: &Output) -> Self {
        let state = |kind: &Kind| ShaperState {
            schema: columns::plain_schema(&columns::schema(*kind, options)),
            encoder: None,
            gathered: Vec::new(),
            bytes: 0,
        };
        Self {
            kinds: kinds.to_vec(),
            format: output.format,
            group_rows: output.group_rows(),
            states: kinds.iter().map(state).collect(),
        }
    }
}

fn chunk_bytes(chunks: &[ArrowColumnChunk]) -> usize {
    chunks.iter().map(|chunk| usize::try_from(chunk.close().bytes_written).unwrap_or(0)).sum()
}

impl Shaper for FileShaper {
    type Piece = Piece;

    fn batch(&mut self, kind: Kind, batch: RecordBatch, out: &mut Out<'_, Piece>) -> Result<(), Error> {
        let Some(number) = self.kinds.iter().position(|k| *k == kind) else { return Ok(()) };
        if batch.num_rows() > self.group_rows {
            return slices(&batch, self.group_rows).try_for_each(|part| self.batch(kind, part, out));
        }
        let state = &mut self.states[number];
        if let Some(text) = self.format.text() {
            let mut bytes = Vec::with_capacity(batch.num_rows() * 96);
            render::rows(text, &batch, &mut bytes)?;
            let weight = bytes.len();
            return out(Piece::Text(number, bytes), weight);
        }
        if self.format == FileFormat::Arrow {
            let batch = plain(&batch, &state.schema)?;
            let weight = batch.get_array_memory_size();
            return out(Piece::Batch(number, batch), weight);
        }
        let encoding = state.encoder.as_ref().is_some_and(|encoder| encoder.rows > 0);
        if !encoding {
            state.bytes += batch.get_array_memory_size();
            state.gathered.push(batch);
            if state.bytes < ENCODE_BYTES {
                return Ok(());
            }
        } else {
            state.gathered.push(batch);
        }
        let encoder = match &mut state.encoder {
            Some(encoder) => encoder,
            none => none.insert(GroupEncoder::new(&state.schema)?),
        };
        state.bytes = 0;
        for batch in state.gathered.drain(..) {
            encoder.write(&batch)?;
        }
        if encoder.rows >= self.group_rows {
            let chunks = encoder.finish()?;
            let weight = chunk_bytes(&chunks);
            out(Piece::Group(number, chunks), weight)?;
        }
        Ok(())
    }

    fn unit_end(&mut self, out: &mut Out<'_, Piece>) -> Result<(), Error> {
        for (number, state) in self.states.iter_mut().enumerate() {
            state.bytes = 0;
            for batch in state.gathered.drain(..) {
                let weight = batch.get_array_memory_size();
                out(Piece::Batch(number, batch), weight)?;
            }
            if let Some(encoder) = state.encoder.as_mut().filter(|encoder| encoder.rows > 0) {
                let chunks = encoder.finish()?;
                let weight = chunk_bytes(&chunks);
                out(Piece::Group(number, chunks), weight)?;
            }
        }
        Ok(())
    }
}

/// The file, or files, of one kind.
struct Target {
    name: &'static str,
    schema: SchemaRef,
    /// Path without number and suffix.
    base: PathBuf,
    suffix: String,
    split: Option<u64>,
    written: Vec<(TempPath, PathBuf)>,
    open: Option<Writer>,
}

enum Writer {
    Parquet {
        file: SerializedFileWriter<File>,
        encoder: GroupEncoder,
        gathered: Vec<RecordBatch>,
        rows: usize,
        bytes: usize,
    },
    Arrow(FileWriter<Counted<BufWriter<File>>>),
    Text(Counted<BufWriter<File>>, Text),
}

/// Counts what goes through.
struct Counted<W> {
    inner: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buffer)?;
        self.bytes += n as u64;
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The files of a run, not yet in their places. Dropped unfinished, it leaves nothing.
pub struct Files {
    format: FileFormat,
    group_rows: usize,
    targets: Vec<Target>,
    rejects: Vec<Reject>,
    reject_bytes: usize,
    /// A directory that we made, to be removed if nothing comes of it.
    made: Option<PathBuf>,
}

impl Files {
    /// Open the files of these kinds and of the rejects.
    pub fn create(output: &Output, kinds: &[Kind], options: &Options) -> Result<Self, Error> {
        if !output.directory && kinds.len() != 1 {
            return Err(Error::Usage(format!(
                "{} is one file, but there are {} kinds",
                output.path.display(),
                kinds.len()
            )));
        }
        let mut made = None;
        if output.directory && !output.path.is_dir() {
            fs::create_dir_all(&output.path).map_err(|error| Error::io(&output.path, error))?;
            made = Some(output.path.clone());
        }
        let suffix = if output.directory {
            format!(".{}", output.format.suffix())
        } else {
            output.path.extension().map_or(String::new(), |suffix| format!(".{}", suffix.to_string_lossy()))
        };
        let stem = output.path.with_extension("");
        let target = |name: &'static str, schema: SchemaRef| {
            let base = match (output.directory, name) {
                (true, name) => output.path.join(name),
                (false, "rejects") => {
                    let mut name = stem.file_name().unwrap_or_default().to_owned();
                    name.push(".rejects");
                    stem.with_file_name(name)
                }
                (false, _) => stem.clone(),
            };
            let split = if name == "rejects" { None } else { output.split };
            Target { name, schema, base, suffix: suffix.clone(), split, written: Vec::new(), open: None }
        };
        let mut targets: Vec<Target> = kinds
            .iter()
            .map(|kind| target(kind.name(), columns::plain_schema(&columns::schema(*kind, options))))
            .collect();
        targets.push(target("rejects", columns::plain_schema(&columns::rejects_schema())));
        let group_rows = output.group_rows();
        let mut files = Self { format: output.format, group_rows, targets, rejects: Vec::new(), reject_bytes: 0, made };
        // A place that cannot be written is better told now than after hours of work.
        for target in &mut files.targets {
            target.open(output.format)?;
        }
        Ok(files)
    }

    /// Append batches to a kind by name (or `rejects`); columns are taken by position.
    pub fn write(&mut self, name: &str, batch: &RecordBatch) -> Result<(), Error> {
        let Some(number) = self.targets.iter().position(|target| target.name == name) else {
            return Err(Error::Usage(format!("there is no file for {name}")));
        };
        if name == "rejects" {
            self.flush_rejects()?;
        }
        self.targets[number].batch(self.format, batch, self.group_rows)
    }

    /// Append a piece that a worker made.
    pub(crate) fn piece(&mut self, piece: Piece) -> Result<(), Error> {
        let (format, group_rows) = (self.format, self.group_rows);
        match piece {
            Piece::Batch(number, batch) => self.targets[number].batch(format, &batch, group_rows),
            Piece::Group(number, chunks) => self.targets[number].group(format, chunks),
            Piece::Text(number, bytes) => self.targets[number].text(format, &bytes),
        }
    }

    /// Append rejects.
    pub(crate) fn rejects(&mut self, rejects: Vec<Reject>) -> Result<(), Error> {
        self.reject_bytes += rejects.iter().map(|r| r.data.len() + r.reason.len()).sum::<usize>();
        self.rejects.extend(rejects);
        if self.rejects.len() >= REJECTS || self.reject_bytes >= REJECT_BYTES { self.flush_rejects() } else { Ok(()) }
    }

    fn flush_rejects(&mut self) -> Result<(), Error> {
        if self.rejects.is_empty() {
            return Ok(());
        }
        let batch = columns::rejects_batch(&std::mem::take(&mut self.rejects));
        self.reject_bytes = 0;
        let (format, group_rows) = (self.format, self.group_rows);
        self.targets.last_mut().map_or(Ok(()), |target| target.batch(format, &batch, group_rows))
    }

    /// Close all files and move them to their places, rejects last; returns their paths.
    pub fn finish(mut self) -> Result<Vec<PathBuf>, Error> {
        self.flush_rejects()?;
        for target in &mut self.targets {
            if target.written.is_empty() {
                target.open(self.format)?;
            }
            target.close()?;
        }
        let mut paths = Vec::new();
        for target in &mut self.targets {
            for (temporary, path) in target.written.drain(..) {
                temporary.persist(&path).map_err(|failed| Error::io(&path, failed.error))?;
                paths.push(path);
            }
        }
        self.made = None;
        Ok(paths)
    }
}

/// Write table images to one file, beside its place and renamed at the end. `batch` has the columns of
/// [`columns::images_schema`].
pub fn write_images(path: &Path, format: FileFormat, batch: &RecordBatch) -> Result<(), Error> {
    let mut target = Target {
        name: "images",
        schema: columns::images_schema(),
        base: path.with_extension(""),
        suffix: path.extension().map_or(String::new(), |suffix| format!(".{}", suffix.to_string_lossy())),
        split: None,
        written: Vec::new(),
        open: None,
    };
    target.open(format)?;
    target.batch(format, batch, GROUP_ROWS)?;
    target.close()?;
    for (temporary, path) in target.written.drain(..) {
        temporary.persist(&path).map_err(|failed| Error::io(&path, failed.error))?;
    }
    Ok(())
}

impl Drop for Files {
    fn drop(&mut self) {
        self.targets.clear();
        if let Some(made) = &self.made {
            // Only if it is empty; anything else in it is not ours.
            let _ = fs::remove_dir(made);
        }
    }
}

impl Target {
    fn open(&mut self, format: FileFormat) -> Result<&mut Writer, Error> {
        if self.open.is_none() {
            let number = self.split.map_or(String::new(), |_| format!("-{:04}", self.written.len() + 1));
            let mut name = self.base.file_name().unwrap_or_default().to_owned();
            name.push(format!("{number}{}", self.suffix));
            let path = self.base.with_file_name(&name);
            if path.is_dir() {
                let error = io::Error::new(io::ErrorKind::AlreadyExists, "a directory is in the way");
                return Err(Error::io(&path, error));
            }
            let mut prefix = std::ffi::OsString::from(".");
            prefix.push(&name);
            let mut builder = tempfile::Builder::new();
            builder.prefix(&prefix).suffix(".part");
            #[cfg(unix)]
            {
                // As any program makes a file; the default is for secrets.
                use std::os::unix::fs::PermissionsExt;
                builder.permissions(fs::Permissions::from_mode(0o666));
            }
            let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let (file, temporary) = builder.tempfile_in(dir).map_err(|error| Error::io(&path, error))?.into_parts();
            self.written.push((temporary, path));
            self.open = Some(match format.text() {
                Some(text) => {
                    let mut out = Counted { inner: BufWriter::with_capacity(1 << 18, file), bytes: 0 };
                    out.write_all(&render::header(text, &self.schema)).map_err(|error| self.failed(error))?;
                    Writer::Text(out, text)
                }
                None if format == FileFormat::Arrow => {
                    let out = Counted { inner: BufWriter::with_capacity(1 << 18, file), bytes: 0 };
                    Writer::Arrow(FileWriter::try_new(out, &self.schema)?)
                }
                None => {
                    let (file, factory) = parquet_writer(file, &self.schema)?;
                    let encoder = GroupEncoder { schema: self.schema.clone(), factory, writers: Vec::new(), rows: 0 };
                    Writer::Parquet { file, encoder, gathered: Vec::new(), rows: 0, bytes: 0 }
                }
            });
        }
        self.open.as_mut().ok_or_else(|| Error::Encode("no file is open".to_owned()))
    }

    fn failed(&self, error: io::Error) -> Error {
        let path = self.written.last().map_or(self.base.as_path(), |(_, path)| path);
        Error::io(path, error)
    }

    fn batch(&mut self, format: FileFormat, batch: &RecordBatch, group_rows: usize) -> Result<(), Error> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        if batch.num_rows() > group_rows {
            return slices(batch, group_rows).try_for_each(|part| self.batch(format, &part, group_rows));
        }
        let schema = self.schema.clone();
        match self.open(format)? {
            Writer::Text(_, text) => {
                let mut bytes = Vec::new();
                render::rows(*text, &plain(batch, &schema)?, &mut bytes)?;
                return self.text(format, &bytes);
            }
            Writer::Arrow(writer) => writer.write(&plain(batch, &schema)?)?,
            Writer::Parquet { gathered, rows, bytes, .. } => {
                *rows += batch.num_rows();
                *bytes += batch.get_array_memory_size();
                gathered.push(batch.clone());
                if *rows >= group_rows || *bytes >= GROUP_BYTES {
                    self.flush_group()?;
                }
            }
        }
        self.split_if_full()
    }

    fn text(&mut self, format: FileFormat, bytes: &[u8]) -> Result<(), Error> {
        if let Writer::Text(out, _) = self.open(format)? {
            let written = out.write_all(bytes);
            written.map_err(|error| self.failed(error))?;
        }
        self.split_if_full()
    }

    fn group(&mut self, format: FileFormat, chunks: Vec<ArrowColumnChunk>) -> Result<(), Error> {
        self.open(format)?;
        // Rows that came before stand before.
        self.flush_group()?;
        self.append(chunks)?;
        self.split_if_full()
    }

    fn flush_group(&mut self) -> Result<(), Error> {
        let Some(Writer::Parquet { encoder, gathered, rows, bytes, .. }) = &mut self.open else { return Ok(()) };
        if gathered.is_empty() {
            return Ok(());
        }
        (*rows, *bytes) = (0, 0);
        for batch in gathered.drain(..) {
            encoder.write(&batch)?;
        }
        let chunks = encoder.finish()?;
        self.append(chunks)
    }

    fn append(&mut self, chunks: Vec<ArrowColumnChunk>) -> Result<(), Error> {
        let Some(Writer::Parquet { file, .. }) = &mut self.open else { return Ok(()) };
        let write = || {
            let mut group = file.next_row_group()?;
            for chunk in chunks {
                chunk.append_to_row_group(&mut group)?;
            }
            group.close().map(|_| ())
        };
        let written = write();
        written.map_err(|error| match encode(error) {
            Error::Io { error, .. } => self.failed(error),
            other => other,
        })
    }

    fn split_if_full(&mut self) -> Result<(), Error> {
        let Some(limit) = self.split else { return Ok(()) };
        let bytes = match &self.open {
            None => 0,
            Some(Writer::Parquet { file, .. }) => file.bytes_written() as u64,
            Some(Writer::Arrow(writer)) => writer.get_ref().bytes,
            Some(Writer::Text(out, _)) => out.bytes,
        };
        if bytes >= limit { self.close() } else { Ok(()) }
    }

    fn close(&mut self) -> Result<(), Error> {
        self.flush_group()?;
        match self.open.take() {
            None => Ok(()),
            Some(Writer::Parquet { mut file, .. }) => file.finish().map(|_| ()).map_err(|error| match encode(error) {
                Error::Io { error, .. } => self.failed(error),
                other => other,
            }),
            Some(Writer::Arrow(mut writer)) => {
                writer.finish()?;
                writer.get_mut().flush().map_err(|error| self.failed(error))
            }
            Some(Writer::Text(mut out, _)) => out.flush().map_err(|error| self.failed(error)),
        }
    }
}
