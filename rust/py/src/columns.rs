//! Columns made in Python, by the Python decoder: turned into record batches and streams of them.

use std::sync::{Arc, Mutex};

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Int32Builder, ListBuilder, PrimitiveBuilder, StringBuilder, StringDictionaryBuilder,
};
use arrow_array::types::{
    ArrowPrimitiveType, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{ArrayRef, RecordBatch, StructArray};
use arrow_schema::{ArrowError, DataType, Field, SchemaRef, TimeUnit};
use osgp::columns;
use osgp::records::{Kind, Options, Shape};
use pyo3::exceptions::{PyIOError, PyKeyError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::{PyCapsule, PyDict, PyIterator, PyTuple};
use pyo3_arrow::PyRecordBatch;
use pyo3_arrow::error::PyArrowResult;
use pyo3_arrow::ffi::{ArrayIterator, to_array_pycapsules, to_schema_pycapsule, to_stream_pycapsule};

/// Add what is here to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<ColumnsBatch>()?;
    module.add_class::<ColumnsStream>()?;
    module.add_function(wrap_pyfunction!(columns_batch, module)?)
}

/// The schema of a kind, or of `rejects`.
pub(crate) fn schema(kind: &str, shape: &str, delta: bool, plain: bool) -> PyResult<SchemaRef> {
    if kind == "rejects" {
        return Ok(columns::rejects_schema());
    }
    let kind = Kind::parse(kind).ok_or_else(|| PyValueError::new_err(format!("there is no kind {kind:?}")))?;
    let shape = match shape {
        "long" => Shape::Long,
        "wide" => Shape::Wide,
        other => return Err(PyValueError::new_err(format!("there is no shape {other:?}"))),
    };
    let schema = columns::schema(kind, &Options { shape, delta, ..Options::default() });
    Ok(if plain { columns::plain_schema(&schema) } else { schema })
}

#[pyfunction]
#[pyo3(signature = (kind, columns, *, shape="long", delta=false, plain=false))]
fn columns_batch(
    kind: &str,
    columns: &Bound<'_, PyDict>,
    shape: &str,
    delta: bool,
    plain: bool,
) -> PyResult<ColumnsBatch> {
    batch(&schema(kind, shape, delta, plain)?, columns).map(ColumnsBatch)
}

/// A record batch made from Python columns.
#[pyclass(module = "osgp_fast._core", frozen)]
struct ColumnsBatch(RecordBatch);

#[pymethods]
impl ColumnsBatch {
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyArrowResult<Bound<'py, PyTuple>> {
        let field = Field::new_struct("", self.0.schema_ref().fields().clone(), false);
        let array = StructArray::from(self.0.clone());
        to_array_pycapsules(py, Arc::new(field), &array, requested_schema)
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyArrowResult<Bound<'py, PyCapsule>> {
        to_schema_pycapsule(py, self.0.schema_ref().as_ref())
    }
}

/// A stream over an iterator of Python columns, or of batches that other parts of this module made.
#[pyclass(module = "osgp_fast._core", frozen)]
struct ColumnsStream {
    schema: SchemaRef,
    iterator: Mutex<Option<Py<PyIterator>>>,
}

#[pymethods]
impl ColumnsStream {
    #[new]
    #[pyo3(signature = (kind, columns, *, shape="long", delta=false, plain=false))]
    fn new(kind: &str, columns: &Bound<'_, PyAny>, shape: &str, delta: bool, plain: bool) -> PyResult<Self> {
        let iterator = columns.try_iter()?.unbind();
        Ok(Self { schema: schema(kind, shape, delta, plain)?, iterator: Mutex::new(Some(iterator)) })
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyArrowResult<Bound<'py, PyCapsule>> {
        let taken = self.iterator.lock().ok().and_then(|mut iterator| iterator.take());
        let iterator =
            taken.ok_or_else(|| PyIOError::new_err("this stream was consumed already; take the result again"))?;
        let field = Arc::new(Field::new_struct("", self.schema.fields().clone(), false));
        let reader = Reader { schema: self.schema.clone(), iterator };
        let arrays =
            ArrayIterator::new(reader.map(|batch| batch.map(|b| Arc::new(StructArray::from(b)) as ArrayRef)), field);
        to_stream_pycapsule(py, Box::new(arrays), requested_schema)
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyArrowResult<Bound<'py, PyCapsule>> {
        to_schema_pycapsule(py, self.schema.as_ref())
    }
}

struct Reader {
    schema: SchemaRef,
    iterator: Py<PyIterator>,
}

impl Iterator for Reader {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        Python::attach(|py| {
            let item = self.iterator.bind(py).clone().next()?;
            let made = item.and_then(|item| match item.cast::<PyDict>() {
                Ok(columns) => batch(&self.schema, columns),
                Err(_) => {
                    let batch = item.extract::<PyRecordBatch>()?.into_inner();
                    RecordBatch::try_new(self.schema.clone(), batch.columns().to_vec())
                        .map_err(|error| PyValueError::new_err(error.to_string()))
                }
            });
            Some(made.map_err(|error| ArrowError::ExternalError(Box::new(error))))
        })
    }
}

/// A record batch from a dict of sequences.
pub(crate) fn batch(schema: &SchemaRef, columns: &Bound<'_, PyDict>) -> PyResult<RecordBatch> {
    let mut arrays = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let values = columns
            .get_item(field.name())?
            .ok_or_else(|| PyKeyError::new_err(format!("no column {}", field.name())))?;
        arrays.push(array(field, &values)?);
    }
    // Lengths and nulls are checked here.
    RecordBatch::try_new(schema.clone(), arrays).map_err(|error| PyValueError::new_err(error.to_string()))
}

fn array(field: &Field, values: &Bound<'_, PyAny>) -> PyResult<ArrayRef> {
    Ok(match field.data_type() {
        DataType::Int8 => primitive::<Int8Type>(values)?,
        DataType::Int16 => primitive::<Int16Type>(values)?,
        DataType::Int32 => primitive::<Int32Type>(values)?,
        DataType::Int64 => primitive::<Int64Type>(values)?,
        DataType::Float64 => primitive::<Float64Type>(values)?,
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let mut builder = PrimitiveBuilder::<TimestampMicrosecondType>::new().with_timezone_opt(zone.clone());
            for value in values.try_iter()? {
                builder.append_option(value?.extract::<Option<i64>>()?);
            }
            Arc::new(builder.finish())
        }
        DataType::Boolean => {
            let mut builder = BooleanBuilder::new();
            for value in values.try_iter()? {
                builder.append_option(value?.extract::<Option<bool>>()?);
            }
            Arc::new(builder.finish())
        }
        DataType::Utf8 => {
            let mut builder = StringBuilder::new();
            for value in values.try_iter()? {
                builder.append_option(value?.extract::<Option<PyBackedStr>>()?);
            }
            Arc::new(builder.finish())
        }
        DataType::Binary => {
            let mut builder = BinaryBuilder::new();
            for value in values.try_iter()? {
                builder.append_option(value?.extract::<Option<PyBackedBytes>>()?);
            }
            Arc::new(builder.finish())
        }
        DataType::Dictionary(_, _) => {
            let mut builder = StringDictionaryBuilder::<Int32Type>::new();
            for value in values.try_iter()? {
                match value?.extract::<Option<PyBackedStr>>()? {
                    Some(text) => {
                        builder.append(&*text).map_err(|error| PyValueError::new_err(error.to_string()))?;
                    }
                    None => builder.append_null(),
                }
            }
            Arc::new(builder.finish())
        }
        DataType::List(item) if *item.data_type() == DataType::Int32 => {
            let mut builder = ListBuilder::new(Int32Builder::new()).with_field(item.clone());
            for value in values.try_iter()? {
                match value?.extract::<Option<Vec<i32>>>()? {
                    Some(list) => builder.append_value(list.into_iter().map(Some)),
                    None => builder.append_null(),
                }
            }
            Arc::new(builder.finish())
        }
        other => return Err(PyTypeError::new_err(format!("column {} is of type {other}", field.name()))),
    })
}

fn primitive<T>(values: &Bound<'_, PyAny>) -> PyResult<ArrayRef>
where
    T: ArrowPrimitiveType,
    T::Native: for<'a, 'py> FromPyObject<'a, 'py, Error = PyErr>,
{
    let mut builder = PrimitiveBuilder::<T>::with_capacity(values.len().unwrap_or(0));
    for value in values.try_iter()? {
        builder.append_option(value?.extract::<Option<T::Native>>()?);
    }
    Ok(Arc::new(builder.finish()))
}
