//! One meter's table images in memory: what a live session decodes with, and what the tests compare the twins with.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::RecordBatch;
use osgp::image::{TableId, TableImage};
use osgp::records;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyDict, PyList};

use crate::bulk;

/// table, offset, data, read_at, whole, ped, session, input, position
type Image = (i32, i64, PyBackedBytes, Option<i64>, Option<bool>, Option<PyBackedBytes>, u32, String, Option<i64>);

/// Add what is here to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(decode_meter, module)?)
}

/// Decode the images of one meter: the rows as columns of Python objects, and the rejects.
#[pyfunction]
#[pyo3(signature = (label, images, kind, *, shape="long", delta=false, assume_defaults=false))]
fn decode_meter<'py>(
    py: Python<'py>,
    label: &str,
    images: Vec<Image>,
    kind: String,
    shape: &str,
    delta: bool,
    assume_defaults: bool,
) -> PyResult<(Bound<'py, PyList>, Bound<'py, PyList>)> {
    let job = bulk::job(py, &[kind], 1, shape, delta, assume_defaults)?;
    let (batches, rejects) = py.detach(|| {
        let images: Vec<TableImage<'_>> = images
            .iter()
            .map(|(table, offset, data, read_at, whole, ped, session, input, position)| TableImage {
                table: TableId(*table),
                offset: *offset,
                data: Cow::Borrowed(data),
                read_at: *read_at,
                whole: *whole,
                ped: ped.as_ref().map(|ped| Cow::Borrowed(&ped[..])),
                session: *session,
                input: Arc::from(input.as_str()),
                position: *position,
            })
            .collect();
        records::decode_meter(label, &images, &job.kinds, &job.options)
    });
    let rows = |batch: &RecordBatch| bulk::columns(py, batch, batch.num_rows());
    let batches = batches.iter().map(|(_, batch)| rows(batch)).collect::<PyResult<Vec<Bound<'_, PyDict>>>>()?;
    Ok((PyList::new(py, batches)?, bulk::rejects(py, rejects)?))
}
