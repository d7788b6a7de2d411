//! Files of table images: Parquet, Arrow IPC files and streams.

use std::fs::File;
use std::io::{BufReader, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use crate::error::panic_message;
use crate::images::{Columns, NO_COLUMNS};
use crate::precheck;

/// About this many bytes of images are read at a time.
const BATCH_BYTES: u64 = 8 << 20;
const MAX_BATCH_ROWS: u64 = 8192;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Parquet,
    IpcFile,
    IpcStream,
}

/// A file of table images whose metadata could be read.
#[derive(Debug)]
pub(crate) struct ColumnsFile {
    pub(crate) path: PathBuf,
    pub(crate) input: Arc<str>,
    pub(crate) size: u64,
    format: Format,
}

pub(crate) type Batches = Box<dyn Iterator<Item = Result<RecordBatch, String>> + Send>;

impl ColumnsFile {
    pub(crate) fn open(path: &Path, format: Format, size: u64) -> Result<Self, (&'static str, String)> {
        let file = Self { path: path.to_owned(), input: path.to_string_lossy().into(), size, format };
        match file.read(false) {
            Ok(_) => Ok(file),
            Err(message) if message.starts_with(NO_COLUMNS) => Err(("input.columns", message)),
            Err(message) => Err(("input.unreadable", message)),
        }
    }

    /// A reader of the columns that we use (or of `meter` alone), and where they stand in its batches.
    ///
    /// The readers behind it are well kept, but not written for hostile files: a panic in one is an error of the file.
    pub(crate) fn read(&self, meter_only: bool) -> Result<(Batches, SchemaRef), String> {
        let (batches, schema) = catch_unwind(AssertUnwindSafe(|| self.reader(meter_only)))
            .unwrap_or_else(|panic| Err(format!("broken: {}", panic_message(&*panic))))?;
        Ok((Box::new(Guarded(Some(batches))), schema))
    }

    fn reader(&self, meter_only: bool) -> Result<(Batches, SchemaRef), String> {
        let broken = |error: &dyn std::fmt::Display| format!("cannot be read, it is cut short or broken: {error}");
        let mut file = File::open(&self.path).map_err(|error| broken(&error))?;
        let choose = |schema: &Schema| -> Result<Vec<usize>, String> {
            let columns = Columns::find(schema)?;
            Ok(if meter_only { vec![columns.meter] } else { columns.used() })
        };
        if self.format == Format::Parquet {
            return self.parquet(file, &choose);
        }
        if self.format == Format::IpcFile {
            precheck::ipc_file(&file, self.size).map_err(|error| broken(&error))?;
        } else {
            precheck::ipc_stream(&file, self.size).map_err(|error| broken(&error))?;
        }
        let ipc_file = self.format == Format::IpcFile;
        let whole: Arc<Schema> = if ipc_file {
            FileReader::try_new(BufReader::new(&file), None).map_err(|error| broken(&error))?.schema()
        } else {
            StreamReader::try_new(BufReader::new(&file), None).map_err(|error| broken(&error))?.schema()
        };
        let chosen = choose(&whole)?;
        // What the readers themselves call their schema is not always that of their batches.
        let schema = Arc::new(whole.project(&chosen).map_err(|error| broken(&error))?);
        let chosen = Some(chosen);
        file.rewind().map_err(|error| broken(&error))?;
        let file = BufReader::with_capacity(1 << 16, file);
        if ipc_file {
            let reader = FileReader::try_new(file, chosen).map_err(|error| broken(&error))?;
            Ok((Box::new(reader.map(move |batch| batch.map_err(|error| error.to_string()))), schema))
        } else {
            let reader = StreamReader::try_new(file, chosen).map_err(|error| broken(&error))?;
            Ok((Box::new(reader.map(move |batch| batch.map_err(|error| error.to_string()))), schema))
        }
    }

    fn parquet(
        &self,
        file: File,
        choose: &dyn Fn(&Schema) -> Result<Vec<usize>, String>,
    ) -> Result<(Batches, SchemaRef), String> {
        let broken = |error: &dyn std::fmt::Display| format!("cannot be read, it is cut short or broken: {error}");
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(|error| broken(&error))?;
        let chosen = choose(metadata.schema())?;
        // Views: the bytes stay in their pages, and a dictionary page is not spelled out row by row.
        let views: Vec<Field> = metadata.schema().fields().iter().map(|f| as_view(f)).collect();
        let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(views)));
        let metadata = match ArrowReaderMetadata::try_new(metadata.metadata().clone(), options) {
            Ok(viewed) => viewed,
            // Some type that has no view: read it as it is.
            Err(_) => metadata,
        };
        let parquet = metadata.metadata().clone();
        let mask = ProjectionMask::roots(parquet.file_metadata().schema_descr(), chosen);
        let (mut bytes, mut rows) = (0u64, 0u64);
        for group in parquet.row_groups() {
            rows = rows.saturating_add(group.num_rows().max(0) as u64);
            for (i, column) in group.columns().iter().enumerate() {
                if mask.leaf_included(i) {
                    precheck::parquet_chunk(&file, self.size, column).map_err(|error| broken(&error))?;
                    bytes = bytes.saturating_add(column.uncompressed_size().max(0) as u64);
                }
            }
        }
        let row = (bytes / rows.max(1)).max(1);
        let batch_rows = (BATCH_BYTES / row).clamp(1, MAX_BATCH_ROWS);
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
            .with_projection(mask)
            .with_batch_size(batch_rows as usize)
            .build()
            .map_err(|error| broken(&error))?;
        let schema = reader.schema();
        Ok((Box::new(reader.map(|batch| batch.map_err(|error| error.to_string()))), schema))
    }
}

fn as_view(field: &Field) -> Field {
    let plain = match field.data_type() {
        DataType::Dictionary(_, value) => value,
        other => other,
    };
    let view = match plain {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        _ => return field.clone(),
    };
    field.clone().with_data_type(view)
}

/// Ends at the first error or panic.
struct Guarded(Option<Batches>);

impl Iterator for Guarded {
    type Item = Result<RecordBatch, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let inner = self.0.as_mut()?;
        let item =
            catch_unwind(AssertUnwindSafe(|| inner.next())).unwrap_or_else(|panic| Some(Err(panic_message(&*panic))));
        if !matches!(item, Some(Ok(_))) {
            self.0 = None;
        }
        item
    }
}
