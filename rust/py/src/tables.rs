//! Any table to a tree of Python objects.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use osgp::catalog::{Catalog, TableIx};
use osgp::codec::{Decoded, Plan, Value};
use osgp::image::{PENDING, TableId};
use osgp::layout::{TableSet, needs};
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

/// Plans that are kept; when they are that many, all go.
const MAX_PLANS: usize = 256;
/// A table with more leaves is laid out anew each time, as is one whose dimensions take more bytes.
const MAX_LEAVES: usize = 2000;
const MAX_KEY: usize = 8192;

/// Add what is here to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(decode_table, module)?)
}

type Answer<'py> = (Bound<'py, PyDict>, u64, Bound<'py, PyBytes>, Option<(&'static str, u64)>, Option<&'static str>);

/// The values of one table, laid out by other tables of the same meter.
#[pyfunction]
#[pyo3(signature = (number, data, tables, /))]
fn decode_table<'py>(
    py: Python<'py>,
    number: i32,
    data: &Bound<'py, PyBytes>,
    tables: &Bound<'py, PyDict>,
) -> PyResult<Answer<'py>> {
    let catalog = Catalog::get();
    let id = TableId(number & !PENDING);
    let ix = catalog.number(id).ok_or_else(|| PyKeyError::new_err(format!("table {id} is not in the catalogue")))?;
    let mut others = Vec::new();
    for &other in &needs(ix).tables {
        if let Some(found) = tables.get_item(catalog.table(other).number.0)? {
            others.push((other, found.cast_into::<PyBytes>()?));
        }
    }
    let data = data.as_bytes();
    let others: Vec<(TableIx, &[u8])> = others.iter().map(|(other, bytes)| (*other, bytes.as_bytes())).collect();
    let plan = plan(ix, data, &others);
    let Decoded { values, end, rest, short, missing } = plan.decode(data);
    let tree = PyDict::new(py);
    if let Value::Map(rows) = values {
        fill(py, &tree, rows)?;
    }
    let missing = missing.map(|table| catalog.table(table).id.as_str());
    Ok((tree, end, PyBytes::new(py, rest), short, missing))
}

/// The plan of a table, made once for the same dimensions.
fn plan(ix: TableIx, data: &[u8], others: &[(TableIx, &[u8])]) -> Arc<Plan> {
    static PLANS: Mutex<Option<HashMap<Vec<u8>, Arc<Plan>>>> = Mutex::new(None);
    let kept = || PLANS.lock().unwrap_or_else(PoisonError::into_inner);
    let key = key(ix, data, others);
    if let Some(key) = &key
        && let Some(plan) = kept().as_ref().and_then(|plans| plans.get(key))
    {
        return plan.clone();
    }
    let mut set = TableSet::default();
    for (other, bytes) in others {
        set.insert(*other, bytes);
    }
    set.insert(ix, data);
    let layout = set.layout(ix).unwrap_or_default();
    let plan = Arc::new(Plan::new(&layout, ix));
    if let Some(key) = key
        && layout.leaves.len() <= MAX_LEAVES
    {
        let mut plans = kept();
        let plans = plans.get_or_insert_default();
        if plans.len() >= MAX_PLANS {
            plans.clear();
        }
        plans.insert(key, plan.clone());
    }
    plan
}

/// Everything that the layout depends on; `None` where that is the table's own bytes, or too much.
fn key(ix: TableIx, data: &[u8], others: &[(TableIx, &[u8])]) -> Option<Vec<u8>> {
    let size = others.iter().fold(10, |size, (_, bytes)| size + 10 + bytes.len());
    if needs(ix).own || size > MAX_KEY {
        return None;
    }
    let mut key = Vec::with_capacity(size);
    key.extend(ix.0.to_le_bytes());
    key.extend((data.len() as u64).to_le_bytes());
    for (other, bytes) in others {
        key.extend(other.0.to_le_bytes());
        key.extend((bytes.len() as u64).to_le_bytes());
        key.extend(*bytes);
    }
    Some(key)
}

// ---- values to Python objects

fn fill<'py>(py: Python<'py>, out: &Bound<'py, PyDict>, rows: Vec<(&'static str, Value)>) -> PyResult<()> {
    for (name, value) in rows {
        out.set_item(PyString::intern(py, name), object(py, value)?)?;
    }
    Ok(())
}

fn object(py: Python<'_>, value: Value) -> PyResult<Bound<'_, PyAny>> {
    Ok(match value {
        Value::Int(number) => number.into_pyobject(py)?.into_any(),
        Value::Wide(bytes) => {
            py.get_type::<pyo3::types::PyInt>().call_method1("from_bytes", (PyBytes::new(py, &bytes), "little"))?
        }
        Value::Bool(flag) => flag.into_pyobject(py)?.to_owned().into_any(),
        Value::Text(text) => PyString::new(py, &text).into_any(),
        Value::Bytes(bytes) => PyBytes::new(py, &bytes).into_any(),
        Value::Bits(bits) => PyList::new(py, bits)?.into_any(),
        Value::Date { year, month, day } => class(py, &DATE, "date")?.call1((year, month, day))?,
        Value::Time { hour, minute, second } => class(py, &TIME, "time")?.call1((hour, minute, second))?,
        Value::DateTime { year, month, day, hour, minute, second, utc } => {
            let zone = if utc { Some(class(py, &UTC, "UTC")?) } else { None };
            class(py, &DATE_TIME, "datetime")?.call1((year, month, day, hour, minute, second, 0, zone))?
        }
        Value::Null => py.None().into_bound(py),
        Value::Map(rows) => {
            let out = PyDict::new(py);
            fill(py, &out, rows)?;
            out.into_any()
        }
        Value::List(elements) => {
            let elements = elements.into_iter().map(|element| object(py, element)).collect::<PyResult<Vec<_>>>()?;
            PyList::new(py, elements)?.into_any()
        }
    })
}

static DATE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static TIME: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static DATE_TIME: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static UTC: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// A name of the module `datetime`, looked up once.
fn class<'py>(py: Python<'py>, slot: &'static PyOnceLock<Py<PyAny>>, name: &str) -> PyResult<&'py Bound<'py, PyAny>> {
    Ok(slot.get_or_try_init(py, || PyResult::Ok(py.import("datetime")?.getattr(name)?.unbind()))?.bind(py))
}
