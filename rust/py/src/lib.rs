//! `osgp_fast._core`: conversions and error mapping for Python, no logic.

mod bulk;
mod columns;
mod meter;
mod security;
mod tables;
mod wire;

use pyo3::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[pymodule]
fn _core(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add("__version__", env!("CARGO_PKG_VERSION"))?;
    bulk::register(m)?;
    columns::register(m)?;
    meter::register(m)?;
    security::register(m)?;
    tables::register(m)?;
    wire::register(m)
}
