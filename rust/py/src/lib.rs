//! `osgp_fast._core`: conversions and error mapping for Python, no logic.

mod columns;

use pyo3::prelude::*;

#[pymodule]
fn _core(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add("__version__", env!("CARGO_PKG_VERSION"))?;
    columns::register(m)
}
