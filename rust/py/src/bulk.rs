//! Bulk work for Python: files in, files or batches out. The GIL is released while anything is read, decoded or written.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchReader, StructArray};
use arrow_schema::{DataType, Field, SchemaRef};
use osgp::image::TableImage;
use osgp::records::{Kind, Options, Shape};
use osgp::reject::Reject;
use osgp::scan::Wrap;
use osgp_io::{Control, Error, FileFormat, Files, Inputs, Job, OpenOptions, Output, Stream, Tally, Watch, Zone};
use pyo3::exceptions::{PyIOError, PyKeyboardInterrupt, PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyDict, PyList, PyTuple};
use pyo3_arrow::error::PyArrowResult;
use pyo3_arrow::ffi::{ArrayIterator, to_array_pycapsules, to_schema_pycapsule, to_stream_pycapsule};
use pyo3_arrow::input::AnyRecordBatch;

use crate::columns::{batch as columns_batch, schema as schema_of};

/// How often a waiting call looks for Ctrl-C and tells its progress.
const LOOK: Duration = Duration::from_millis(100);
/// Rejects that `summarize` gives.
const FIRST_REJECTS: usize = 1000;

/// Add what is here to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<BatchStream>()?;
    module.add_class::<Batch>()?;
    module.add_class::<ImageReader>()?;
    module.add_class::<FileSink>()?;
    module.add_function(wrap_pyfunction!(decode_files, module)?)?;
    module.add_function(wrap_pyfunction!(summarize, module)?)?;
    module.add_function(wrap_pyfunction!(open_stream, module)?)?;
    module.add_function(wrap_pyfunction!(decode_images, module)?)?;
    module.add_function(wrap_pyfunction!(read_images, module)?)?;
    module.add_function(wrap_pyfunction!(write_images, module)?)?;
    module.add_function(wrap_pyfunction!(stream_schema, module)?)
}

// ---- errors

fn python_error(py: Python<'_>, class: &str, code: &str, message: String, path: Option<&str>) -> PyErr {
    let make = || -> PyResult<PyErr> {
        let class = py.import("osgp_fast.errors")?.getattr(class)?;
        let fields = PyDict::new(py);
        if let Some(path) = path {
            fields.set_item("path", path)?;
        }
        Ok(PyErr::from_value(class.call((code, message), Some(&fields))?))
    };
    make().unwrap_or_else(|error| error)
}

fn usage(py: Python<'_>, code: &str, message: impl Into<String>) -> PyErr {
    python_error(py, "UsageError", code, message.into(), None)
}

/// Our errors as Python exceptions: the one place.
fn raise(py: Python<'_>, error: Error) -> PyErr {
    match error {
        Error::Open(open) => python_error(py, "InputError", open.code, open.to_string(), Some(&open.path)),
        Error::Usage(message) => usage(py, "usage.arguments", message),
        Error::Io { path, error } => match error.raw_os_error() {
            // With a number Python chooses the class (FileNotFoundError, PermissionError, ...) by itself.
            Some(number) => {
                let text = error.to_string();
                let text = text.split(" (os error").next().unwrap_or_default().to_owned();
                PyOSError::new_err((number, text, path.to_string_lossy().into_owned()))
            }
            None => PyOSError::new_err(format!("{}: {error}", path.display())),
        },
        Error::Interrupted => PyKeyboardInterrupt::new_err(()),
        Error::Rejected { code, reason } => python_error(py, "DecodeError", code, reason, None),
        Error::Encode(_) | Error::Panic(_) => PyRuntimeError::new_err(error.to_string()),
    }
}

// ---- arguments

pub(crate) fn job(
    py: Python<'_>,
    kinds: &[String],
    jobs: usize,
    shape: &str,
    delta: bool,
    assume_defaults: bool,
) -> PyResult<Job> {
    let kind =
        |name: &String| Kind::parse(name).ok_or_else(|| usage(py, "usage.kind", format!("there is no kind {name:?}")));
    let kinds = kinds.iter().map(kind).collect::<PyResult<Vec<Kind>>>()?;
    let shape = match shape {
        "long" => Shape::Long,
        "wide" => Shape::Wide,
        other => {
            return Err(usage(py, "usage.shape", format!("there is no shape {other:?}; shapes are long and wide")));
        }
    };
    Ok(Job { kinds, options: Options { shape, delta, assume_defaults }, jobs: jobs.clamp(1, 256) })
}

fn open_options(
    py: Python<'_>,
    meter: Option<String>,
    tz: Option<&str>,
    wrap: Option<&str>,
    keys: Option<Vec<Bound<'_, PyBytes>>>,
    tmp: Option<PathBuf>,
    skip_unreadable: bool,
) -> PyResult<OpenOptions> {
    let zone = tz.map_or_else(|| Ok(Zone::default()), Zone::parse).map_err(|message| usage(py, "usage.tz", message))?;
    let wrap = match wrap {
        None => Wrap::None,
        Some(name) => Wrap::parse(name).ok_or_else(|| {
            usage(py, "usage.wrap", format!("there is no wrapping {name:?}; wrappings are ppp and slip"))
        })?,
    };
    let tmp = tmp.unwrap_or_else(std::env::temp_dir);
    let keys = crate::security::keys(py, &keys.unwrap_or_default())?;
    Ok(OpenOptions { meter, zone, wrap, keys, tmp, skip_unreadable })
}

fn output(py: Python<'_>, path: PathBuf, directory: bool, format: &str, split: Option<u64>) -> PyResult<Output> {
    let format = FileFormat::parse(format).ok_or_else(|| {
        usage(py, "usage.format", format!("there is no format {format:?}; there are parquet, arrow, csv, jsonl"))
    })?;
    Ok(Output { path, directory, format, split: split.filter(|&bytes| bytes > 0) })
}

// ---- running with an eye on Ctrl-C

/// Run `work` in a thread of its own while this one tells the progress and looks for Ctrl-C.
fn watched<T: Send + 'static>(
    py: Python<'_>,
    control: &Arc<Control>,
    progress: Option<&Bound<'_, PyAny>>,
    work: impl FnOnce(&Control) -> Result<T, Error> + Send + 'static,
) -> PyResult<T> {
    let (sender, receiver) = channel();
    let theirs = control.clone();
    let thread = std::thread::Builder::new()
        .name("osgp-bulk".to_owned())
        .spawn(move || {
            // The receiver is there until this has come.
            let _ = sender.send(work(&theirs));
        })
        .map_err(|error| PyRuntimeError::new_err(format!("a thread cannot be started: {error}")))?;
    // The receiver may not be shared, but here it only moves in and out of the part without the GIL.
    let receiver = Mutex::new(receiver);
    let wait = || receiver.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(LOOK);
    let mut stopped: Option<PyErr> = None;
    let result = loop {
        match py.detach(wait) {
            Ok(result) => break result,
            Err(RecvTimeoutError::Disconnected) => {
                break Err(Error::Panic("a thread of osgp-fast died; its message is on the terminal".to_owned()));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        if stopped.is_some() {
            continue;
        }
        let told = || {
            py.check_signals()?;
            progress.map_or(Ok(()), |call| call.call1(control.progress()).map(|_| ()))
        };
        if let Err(error) = told() {
            control.stop();
            stopped = Some(error);
        }
    };
    let _ = py.detach(|| thread.join());
    match (stopped, result) {
        // Done before it noticed: what was asked for has happened, but the caller wanted to be interrupted.
        (Some(error), _) => Err(error),
        (None, Ok(value)) => {
            if let Some(call) = progress {
                call.call1(control.progress())?;
            }
            Ok(value)
        }
        (None, Err(error)) => Err(raise(py, error)),
    }
}

fn open(inputs: &[PathBuf], options: OpenOptions, stop: &AtomicBool) -> Result<Inputs, Error> {
    osgp_io::open_all(inputs, options, stop)
}

// ---- files and summaries

fn summary<'py>(py: Python<'py>, tally: Tally, files: &[PathBuf]) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("rows", tally.rows)?;
    out.set_item("meters", tally.meters)?;
    out.set_item("bytes_read", tally.bytes)?;
    out.set_item("time_spans", tally.spans)?;
    let channels: Vec<_> = tally
        .channels
        .into_iter()
        .map(|((set, channel, source, quantity, unit), rows)| (set, channel, source, quantity, unit, rows))
        .collect();
    out.set_item("channels", channels)?;
    out.set_item("rejects", tally.rejects)?;
    let skipped = PyDict::new(py);
    skipped.set_item("notes", tally.notes)?;
    skipped.set_item("tables_without_decoder", tally.tables_without_decoder)?;
    skipped.set_item("noise_bytes", tally.noise_bytes)?;
    skipped.set_item("repeated_packets", tally.repeated_packets)?;
    skipped.set_item("mep_messages", tally.mep_messages)?;
    out.set_item("skipped", skipped)?;
    out.set_item("assumed", tally.assumed)?;
    let files: Vec<_> = files.iter().map(|path| path.to_string_lossy().into_owned()).collect();
    out.set_item("files", files)?;
    Ok(out)
}

#[pyfunction]
#[pyo3(signature = (
    inputs, kinds, out, directory, format, *, split=None, jobs=1, shape="long", delta=false, assume_defaults=false,
    meter=None, tz=None, wrap=None, keys=None, tmp=None, skip_unreadable=false, progress=None
))]
#[allow(clippy::too_many_arguments)]
fn decode_files<'py>(
    py: Python<'py>,
    inputs: Vec<PathBuf>,
    kinds: Vec<String>,
    out: PathBuf,
    directory: bool,
    format: &str,
    split: Option<u64>,
    jobs: usize,
    shape: &str,
    delta: bool,
    assume_defaults: bool,
    meter: Option<String>,
    tz: Option<&str>,
    wrap: Option<&str>,
    keys: Option<Vec<Bound<'_, PyBytes>>>,
    tmp: Option<PathBuf>,
    skip_unreadable: bool,
    progress: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let job = job(py, &kinds, jobs, shape, delta, assume_defaults)?;
    let options = open_options(py, meter, tz, wrap, keys, tmp, skip_unreadable)?;
    let output = output(py, out, directory, format, split)?;
    let control = Arc::new(Control::default());
    let (tally, files) = watched(py, &control, progress.as_ref(), move |control| {
        let inputs = open(&inputs, options, control.flag())?;
        osgp_io::decode_to_files(inputs, &job, &output, control)
    })?;
    summary(py, tally, &files)
}

#[pyfunction]
#[pyo3(signature = (
    inputs, kinds, *, first=5, jobs=1, shape="long", delta=false, assume_defaults=false, meter=None, tz=None, wrap=None,
    keys=None, tmp=None, skip_unreadable=false, progress=None
))]
#[allow(clippy::too_many_arguments)]
fn summarize<'py>(
    py: Python<'py>,
    inputs: Vec<PathBuf>,
    kinds: Vec<String>,
    first: usize,
    jobs: usize,
    shape: &str,
    delta: bool,
    assume_defaults: bool,
    meter: Option<String>,
    tz: Option<&str>,
    wrap: Option<&str>,
    keys: Option<Vec<Bound<'_, PyBytes>>>,
    tmp: Option<PathBuf>,
    skip_unreadable: bool,
    progress: Option<Bound<'py, PyAny>>,
) -> PyResult<(Bound<'py, PyDict>, Bound<'py, PyDict>, Bound<'py, PyList>)> {
    let job = job(py, &kinds, jobs, shape, delta, assume_defaults)?;
    let options = open_options(py, meter, tz, wrap, keys, tmp, skip_unreadable)?;
    let control = Arc::new(Control::default());
    let (tally, heads, found) = watched(py, &control, progress.as_ref(), move |control| {
        let inputs = open(&inputs, options, control.flag())?;
        osgp_io::summarize(inputs, &job, first, FIRST_REJECTS, control)
    })?;
    let rows = PyDict::new(py);
    for (kind, batch) in heads {
        rows.set_item(kind.name(), columns(py, &batch, batch.num_rows())?)?;
    }
    Ok((summary(py, tally, &[])?, rows, rejects(py, found)?))
}

/// Rejects as tuples of their fields.
pub(crate) fn rejects<'py>(py: Python<'py>, rejects: Vec<Reject>) -> PyResult<Bound<'py, PyList>> {
    let rows = rejects.into_iter().map(|r| {
        (
            r.meter,
            r.table.map(|table| table.0),
            r.item,
            r.code,
            r.reason,
            r.input.to_string(),
            r.offset,
            r.length,
            PyBytes::new(py, &r.data),
            r.read_at,
        )
    });
    PyList::new(py, rows.map(|row| row.into_pyobject(py)).collect::<PyResult<Vec<_>>>()?)
}

// ---- batches

/// The first rows of a batch as Python objects.
pub(crate) fn columns<'py>(py: Python<'py>, batch: &RecordBatch, limit: usize) -> PyResult<Bound<'py, PyDict>> {
    let rows = limit.min(batch.num_rows());
    let out = PyDict::new(py);
    for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        out.set_item(field.name(), values(py, array, rows)?)?;
    }
    Ok(out)
}

fn values<'py>(py: Python<'py>, array: &ArrayRef, rows: usize) -> PyResult<Bound<'py, PyList>> {
    macro_rules! numbers {
        ($t:ty) => {
            PyList::new(py, array.as_primitive::<$t>().iter().take(rows))
        };
    }
    match array.data_type() {
        DataType::Int8 => numbers!(Int8Type),
        DataType::Int16 => numbers!(Int16Type),
        DataType::Int32 => numbers!(Int32Type),
        DataType::Int64 => numbers!(Int64Type),
        DataType::Float64 => numbers!(Float64Type),
        DataType::Timestamp(_, _) => numbers!(TimestampMicrosecondType),
        DataType::Boolean => PyList::new(py, array.as_boolean().iter().take(rows)),
        DataType::Utf8 => PyList::new(py, array.as_string::<i32>().iter().take(rows)),
        DataType::Binary => {
            PyList::new(py, array.as_binary::<i32>().iter().take(rows).map(|v| v.map(|v| PyBytes::new(py, v))))
        }
        DataType::Dictionary(_, _) => {
            // One Python string per word, not per row.
            let array = array.as_dictionary::<Int32Type>();
            let words = values(py, array.values(), array.values().len())?;
            let word = |key: Option<i32>| match key {
                Some(key) => words.get_item(usize::try_from(key)?).map(Some),
                None => Ok(None),
            };
            let items: Vec<_> = array.keys().iter().take(rows).map(word).collect::<PyResult<_>>()?;
            PyList::new(py, items)
        }
        DataType::List(_) => {
            let array = array.as_list::<i32>();
            let lists: Vec<_> = array
                .iter()
                .take(rows)
                .map(|list| list.map(|list| values(py, &list, list.len())).transpose())
                .collect::<PyResult<_>>()?;
            PyList::new(py, lists)
        }
        other => Err(PyValueError::new_err(format!("a column of type {other}"))),
    }
}

/// A record batch.
#[pyclass(module = "osgp_fast._core", frozen)]
struct Batch(RecordBatch);

#[pymethods]
impl Batch {
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyArrowResult<Bound<'py, PyTuple>> {
        let field = Field::new_struct("", self.0.schema_ref().fields().clone(), false);
        to_array_pycapsules(py, Arc::new(field), &StructArray::from(self.0.clone()), requested_schema)
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyArrowResult<Bound<'py, PyCapsule>> {
        to_schema_pycapsule(py, self.0.schema_ref().as_ref())
    }

    #[getter]
    fn num_rows(&self) -> usize {
        self.0.num_rows()
    }

    #[pyo3(signature = (limit=None))]
    fn columns<'py>(&self, py: Python<'py>, limit: Option<usize>) -> PyResult<Bound<'py, PyDict>> {
        columns(py, &self.0, limit.unwrap_or(usize::MAX))
    }
}

// ---- streams

/// A running pass.
#[pyclass(module = "osgp_fast._core", frozen)]
struct BatchStream {
    stream: Mutex<Option<Stream>>,
    watch: Watch,
    schema: SchemaRef,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[pyfunction]
#[pyo3(signature = (
    inputs, kind, *, jobs=1, shape="long", delta=false, assume_defaults=false, meter=None, tz=None, wrap=None, keys=None, tmp=None,
    skip_unreadable=false, fail_on_reject=false, plain=false
))]
#[allow(clippy::too_many_arguments)]
fn open_stream(
    py: Python<'_>,
    inputs: Vec<PathBuf>,
    kind: String,
    jobs: usize,
    shape: &str,
    delta: bool,
    assume_defaults: bool,
    meter: Option<String>,
    tz: Option<&str>,
    wrap: Option<&str>,
    keys: Option<Vec<Bound<'_, PyBytes>>>,
    tmp: Option<PathBuf>,
    skip_unreadable: bool,
    fail_on_reject: bool,
    plain: bool,
) -> PyResult<BatchStream> {
    let job = job(py, &[kind], jobs, shape, delta, assume_defaults)?;
    let options = open_options(py, meter, tz, wrap, keys, tmp, skip_unreadable)?;
    let control = Arc::new(Control::default());
    let stream = watched(py, &control, None, move |control| {
        Stream::start(open(&inputs, options, control.flag())?, job, plain, fail_on_reject)
    })?;
    Ok(BatchStream::new(stream))
}

#[pyfunction]
#[pyo3(signature = (
    images, kind, *, jobs=1, shape="long", delta=false, assume_defaults=false, fail_on_reject=false, plain=true
))]
#[allow(clippy::too_many_arguments)]
fn decode_images(
    py: Python<'_>,
    images: AnyRecordBatch,
    kind: String,
    jobs: usize,
    shape: &str,
    delta: bool,
    assume_defaults: bool,
    fail_on_reject: bool,
    plain: bool,
) -> PyResult<BatchStream> {
    let job = job(py, &[kind], jobs, shape, delta, assume_defaults)?;
    let reader = images.into_reader()?;
    // The reader may be one of Python's, which takes the GIL by itself where it needs it.
    let started = py.detach(move || {
        let schema = reader.schema();
        Stream::start(osgp_io::images_in_memory(&schema, reader)?, job, plain, fail_on_reject)
    });
    started.map(BatchStream::new).map_err(|error| raise(py, error))
}

#[pyfunction]
#[pyo3(signature = (kind, *, shape="long", delta=false, plain=false))]
fn stream_schema(kind: &str, shape: &str, delta: bool, plain: bool) -> PyResult<pyo3_arrow::PySchema> {
    schema_of(kind, shape, delta, plain).map(pyo3_arrow::PySchema::new)
}

impl BatchStream {
    fn new(stream: Stream) -> Self {
        Self { watch: stream.watch(), schema: stream.schema(), stream: Mutex::new(Some(stream)) }
    }
}

#[pymethods]
impl BatchStream {
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyArrowResult<Bound<'py, PyCapsule>> {
        let stream = lock(&self.stream)
            .take()
            .ok_or_else(|| PyIOError::new_err("this stream was consumed already; take the result again"))?;
        let field = Arc::new(Field::new_struct("", self.schema.fields().clone(), false));
        let arrays = stream.map(|batch| batch.map(|batch| Arc::new(StructArray::from(batch)) as ArrayRef));
        to_stream_pycapsule(py, Box::new(ArrayIterator::new(arrays, field)), requested_schema)
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyArrowResult<Bound<'py, PyCapsule>> {
        to_schema_pycapsule(py, self.schema.as_ref())
    }

    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Batch>> {
        loop {
            let item = py.detach(|| match lock(&self.stream).as_mut() {
                Some(stream) => stream.next_within(LOOK),
                None => Some(None),
            });
            match item {
                Some(Some(Ok(batch))) => return Ok(Some(Batch(batch))),
                Some(Some(Err(error))) => return Err(raise(py, error)),
                Some(None) => return Ok(None),
                None => py.check_signals().inspect_err(|_| self.watch.stop())?,
            }
        }
    }

    fn take_rejects<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        rejects(py, self.watch.take_rejects())
    }

    fn summary<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        summary(py, self.watch.tally(), &[])
    }

    fn close(&self, py: Python<'_>) {
        self.watch.stop();
        let stream = lock(&self.stream).take();
        // Waits for the threads.
        py.detach(|| drop(stream));
    }
}

// ---- the readers alone

/// Iterates over meters and their images.
#[pyclass(module = "osgp_fast._core", frozen)]
struct ImageReader(Mutex<osgp_io::ImageReader>);

/// A table image that Python can have: table, offset, data, read_at, whole, ped, session, input, position.
struct Owned {
    table: i32,
    offset: i64,
    data: Vec<u8>,
    read_at: Option<i64>,
    whole: Option<bool>,
    ped: Option<Vec<u8>>,
    session: u32,
    input: Arc<str>,
    position: Option<i64>,
}

impl Owned {
    fn new(image: &TableImage<'_>) -> Self {
        Self {
            table: image.table.0,
            offset: image.offset,
            data: image.data.to_vec(),
            read_at: image.read_at,
            whole: image.whole,
            ped: image.ped.as_deref().map(<[u8]>::to_vec),
            session: image.session,
            input: image.input.clone(),
            position: image.position,
        }
    }

    fn tuple<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let ped = self.ped.as_deref().map(|ped| PyBytes::new(py, ped));
        let data = PyBytes::new(py, &self.data);
        let (input, position) = (&*self.input, self.position);
        (self.table, self.offset, data, self.read_at, self.whole, ped, self.session, input, position).into_pyobject(py)
    }
}

#[pyfunction]
#[pyo3(signature = (inputs, *, meter=None, tz=None, wrap=None, keys=None, tmp=None, skip_unreadable=false))]
#[allow(clippy::too_many_arguments)]
fn read_images(
    py: Python<'_>,
    inputs: Vec<PathBuf>,
    meter: Option<String>,
    tz: Option<&str>,
    wrap: Option<&str>,
    keys: Option<Vec<Bound<'_, PyBytes>>>,
    tmp: Option<PathBuf>,
    skip_unreadable: bool,
) -> PyResult<ImageReader> {
    let options = open_options(py, meter, tz, wrap, keys, tmp, skip_unreadable)?;
    let control = Arc::new(Control::default());
    let reader = watched(py, &control, None, move |control| {
        let inputs = open(&inputs, options, control.flag())?;
        osgp_io::ImageReader::new(inputs, control.flag())
    })?;
    Ok(ImageReader(Mutex::new(reader)))
}

#[pymethods]
impl ImageReader {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<(String, Bound<'py, PyList>)>> {
        let next = py.detach(|| {
            lock(&self.0)
                .next_meter(|label, images| (label.to_owned(), images.iter().map(Owned::new).collect::<Vec<_>>()))
        });
        match next.map_err(|error| raise(py, error))? {
            None => Ok(None),
            Some((label, images)) => {
                let tuples = images.iter().map(|image| image.tuple(py)).collect::<PyResult<Vec<_>>>()?;
                Ok(Some((label, PyList::new(py, tuples)?)))
            }
        }
    }

    fn take_rejects<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        rejects(py, lock(&self.0).take_rejects())
    }

    #[getter]
    fn bytes_done(&self) -> u64 {
        lock(&self.0).bytes().0
    }
    #[getter]
    fn bytes_total(&self) -> u64 {
        lock(&self.0).bytes().1
    }
    #[getter]
    fn notes_skipped(&self) -> u64 {
        lock(&self.0).skipped().0
    }
    #[getter]
    fn noise_bytes(&self) -> u64 {
        lock(&self.0).skipped().1
    }
    #[getter]
    fn repeated_packets(&self) -> u64 {
        lock(&self.0).skipped().2
    }
}

// ---- the writers alone

/// Files that are written beside their places until they are finished.
#[pyclass(module = "osgp_fast._core", frozen)]
struct FileSink(Mutex<Option<Files>>);

fn closed() -> PyErr {
    PyValueError::new_err("this sink is finished or aborted")
}

#[pymethods]
impl FileSink {
    #[new]
    #[pyo3(signature = (out, directory, format, kinds, *, split=None, shape="long", delta=false))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        out: PathBuf,
        directory: bool,
        format: &str,
        kinds: Vec<String>,
        split: Option<u64>,
        shape: &str,
        delta: bool,
    ) -> PyResult<Self> {
        let job = job(py, &kinds, 1, shape, delta, false)?;
        let output = output(py, out, directory, format, split)?;
        let files = Files::create(&output, &job.kinds, &job.options).map_err(|error| raise(py, error))?;
        Ok(Self(Mutex::new(Some(files))))
    }

    fn write(&self, py: Python<'_>, kind: &str, batch: AnyRecordBatch) -> PyResult<()> {
        let reader = batch.into_reader()?;
        // Batches are taken one by one, so that the sink is not held while a reader of Python's waits for the GIL.
        for batch in reader {
            let batch = batch.map_err(|error| PyIOError::new_err(error.to_string()))?;
            let written = py.detach(|| lock(&self.0).as_mut().map(|files| files.write(kind, &batch)));
            written.ok_or_else(closed)?.map_err(|error| raise(py, error))?;
        }
        Ok(())
    }

    fn finish(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let files = lock(&self.0).take().ok_or_else(closed)?;
        let paths = py.detach(|| files.finish()).map_err(|error| raise(py, error))?;
        Ok(paths.iter().map(|path: &PathBuf| Path::to_string_lossy(path).into_owned()).collect())
    }

    fn abort(&self) {
        drop(lock(&self.0).take());
    }
}

#[pyfunction]
fn write_images(py: Python<'_>, path: PathBuf, format: &str, columns: &Bound<'_, PyDict>) -> PyResult<()> {
    let output = output(py, path, false, format, None)?;
    let batch = columns_batch(&osgp::columns::images_schema(), columns)?;
    py.detach(|| osgp_io::write_images(&output.path, output.format, &batch)).map_err(|error| raise(py, error))
}
