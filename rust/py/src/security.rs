//! `osgp::security` for Python: conversions and error mapping, no logic.

use std::collections::HashMap;

use osgp::security::key::KeyLength;
use osgp::security::messages::{self, Exchange, Problem};
use osgp::security::tls::{self, Event, Misuse};
use osgp::security::tls_messages::{self, TooLong};
use osgp::security::{Key, digest, legacy_rc4};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

pub(crate) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(osgp_digest, m)?)?;
    m.add_function(wrap_pyfunction!(verify_digest, m)?)?;
    m.add_function(wrap_pyfunction!(rc4, m)?)?;
    m.add_function(wrap_pyfunction!(mep_refusal, m)?)?;
    m.add_function(wrap_pyfunction!(tls_message, m)?)?;
    m.add_function(wrap_pyfunction!(tls_parse_request, m)?)?;
    m.add_class::<MepExchange>()?;
    m.add_class::<TlsClient>()?;
    m.add_class::<TlsServer>()?;
    m.add_class::<TlsOpener>()
}

/// An error of the package: its class, its stable code, what happened, what to do.
fn error(py: Python<'_>, class: &str, code: &str, message: impl ToString, hint: impl ToString) -> PyErr {
    let make = || {
        let class = py.import("osgp_fast.errors")?.getattr(class)?;
        Ok(PyErr::from_value(class.call1((code, message.to_string(), hint.to_string()))?))
    };
    make().unwrap_or_else(|error: PyErr| error)
}

fn key(py: Python<'_>, bytes: &[u8]) -> PyResult<Key> {
    Key::new(bytes).map_err(|problem| error(py, "SecurityError", KeyLength::CODE, problem, ""))
}

pub(crate) fn keys(py: Python<'_>, all: &[Bound<'_, PyBytes>]) -> PyResult<Vec<Key>> {
    all.iter().map(|bytes| key(py, bytes.as_bytes())).collect()
}

fn message_error(py: Python<'_>, problem: Problem) -> PyErr {
    let class = if problem.local() { "LocalProtocolError" } else { "SecurityError" };
    error(py, class, problem.code(), problem, problem.hint())
}

fn misuse(py: Python<'_>, misuse: Misuse) -> PyErr {
    error(py, "LocalProtocolError", misuse.code(), misuse, misuse.hint())
}

fn random(py: Python<'_>, bytes: &[u8]) -> PyResult<[u8; 32]> {
    bytes.try_into().map_err(|_| {
        let message = format!("{} random bytes; 32 are needed", bytes.len());
        error(py, "LocalProtocolError", "tls.random", message, "take fresh ones from os.urandom for every session")
    })
}

/// The OSGP digest of a message, or of a response to a request.
#[pyfunction]
#[pyo3(signature = (key, message, *, request=b"".as_slice()))]
fn osgp_digest<'py>(py: Python<'py>, key: &[u8], message: &[u8], request: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(py, &digest::digest(&self::key(py, key)?, request, message)))
}

/// Whether a digest is the one of the message.
#[pyfunction]
#[pyo3(signature = (key, message, given, *, request=b"".as_slice()))]
fn verify_digest(py: Python<'_>, key: &[u8], message: &[u8], given: &[u8], request: &[u8]) -> PyResult<bool> {
    Ok(digest::verify(&self::key(py, key)?, request, message, given))
}

/// RC4 with a key of its own.
#[pyfunction]
fn rc4<'py>(py: Python<'py>, key: &[u8], data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let mut cipher = legacy_rc4::Rc4::new(key).ok_or_else(|| PyValueError::new_err("a key of 1 to 256 bytes"))?;
    PyBytes::new_with(py, data.len(), |out| {
        out.copy_from_slice(data);
        cipher.apply(out);
        Ok(())
    })
}

/// What a meter says to a request that none of its keys signs.
#[pyfunction]
fn mep_refusal(py: Python<'_>) -> Bound<'_, PyBytes> {
    PyBytes::new(py, &messages::refusal())
}

/// TLS records in a MEP message.
#[pyfunction]
fn tls_message<'py>(py: Python<'py>, code: u8, records: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let message = tls_messages::message(code, records);
    let bytes = message.map_err(|e| error(py, "LocalProtocolError", TooLong::CODE, e, e.hint()))?;
    Ok(PyBytes::new(py, &bytes))
}

/// Code and records of a request, or None.
#[pyfunction]
fn tls_parse_request<'py>(py: Python<'py>, body: &[u8]) -> Option<(u8, Bound<'py, PyBytes>)> {
    tls_messages::parse_request(body).map(|(request, records)| (request as u8, PyBytes::new(py, records)))
}

/// One request and what may be said to it.
#[pyclass(frozen, module = "osgp_fast._core")]
struct MepExchange(Exchange);

#[pymethods]
impl MepExchange {
    #[staticmethod]
    #[pyo3(signature = (key, body, sequence, *, encrypt=false))]
    fn request(py: Python<'_>, key: &[u8], body: &[u8], sequence: u32, encrypt: bool) -> PyResult<Self> {
        let made = Exchange::request(&self::key(py, key)?, body, sequence, encrypt);
        Ok(Self(made.map_err(|problem| message_error(py, problem))?))
    }

    #[staticmethod]
    fn open(py: Python<'_>, keys: Vec<Bound<'_, PyBytes>>, body: &[u8]) -> PyResult<Self> {
        let keys = self::keys(py, &keys)?;
        Ok(Self(Exchange::open(&keys, body).map_err(|problem| message_error(py, problem))?))
    }

    #[getter]
    fn message<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.message())
    }

    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.body())
    }

    #[getter]
    fn sequence(&self) -> u32 {
        self.0.sequence()
    }

    #[getter]
    fn encrypted(&self) -> bool {
        self.0.encrypted()
    }

    #[getter]
    fn which(&self) -> usize {
        self.0.which()
    }

    fn respond<'py>(&self, py: Python<'py>, body: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let message = self.0.respond(body).map_err(|problem| message_error(py, problem))?;
        Ok(PyBytes::new(py, &message))
    }

    fn read<'py>(&self, py: Python<'py>, body: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        let answer = self.0.read(body).map_err(|problem| message_error(py, problem))?;
        let class = py.import("osgp_fast.security.messages")?.getattr("Answer")?;
        class.call1((answer.code, PyBytes::new(py, &answer.data), answer.authentic))
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.0)
    }
}

/// Events as the Python package has them.
fn events<'py>(py: Python<'py>, all: Vec<Event>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let classes = py.import("osgp_fast.security.tls.events")?;
    let told = |event| match event {
        Event::Established { identity, which } => {
            classes.getattr("Established")?.call1((PyBytes::new(py, &identity), which))
        }
        Event::Data(data) => classes.getattr("Data")?.call1((PyBytes::new(py, &data),)),
        Event::Closed => classes.getattr("Closed")?.call0(),
        Event::Failed(problem) => {
            let fields = (problem.code(), problem.to_string(), problem.hint(), problem.alert());
            classes.getattr("Failed")?.call1(fields)
        }
    };
    all.into_iter().map(told).collect()
}

type Fed<'py> = (Bound<'py, PyBytes>, Vec<Bound<'py, PyAny>>);

/// The side that asks: the MEP device.
#[pyclass(module = "osgp_fast._core")]
struct TlsClient(tls::Client);

#[pymethods]
impl TlsClient {
    #[new]
    fn new(py: Python<'_>, identity: &[u8], key: &[u8], random: &[u8]) -> PyResult<Self> {
        let (random, key) = (self::random(py, random)?, self::key(py, key)?);
        Ok(Self(tls::Client::new(identity, &key, random).map_err(|wrong| misuse(py, wrong))?))
    }

    #[getter]
    fn status(&self) -> &'static str {
        self.0.status().name()
    }

    fn start<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.start())
    }

    fn feed<'py>(&mut self, py: Python<'py>, data: &[u8]) -> PyResult<Fed<'py>> {
        let (sent, found) = py.detach(|| self.0.feed(data));
        Ok((PyBytes::new(py, &sent), events(py, found)?))
    }

    fn send<'py>(&mut self, py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let sent = self.0.send(data).map_err(|wrong| misuse(py, wrong))?;
        Ok(PyBytes::new(py, &sent))
    }

    fn close<'py>(&mut self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.close())
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.0)
    }
}

/// The side that answers: the meter.
#[pyclass(module = "osgp_fast._core")]
struct TlsServer(tls::Server);

#[pymethods]
impl TlsServer {
    #[new]
    #[pyo3(signature = (keys, random, *, session_id=b"".as_slice()))]
    fn new(py: Python<'_>, keys: HashMap<u8, Bound<'_, PyBytes>>, random: &[u8], session_id: &[u8]) -> PyResult<Self> {
        let random = self::random(py, random)?;
        let keys: PyResult<_> = keys.into_iter().map(|(id, bytes)| Ok((id, key(py, bytes.as_bytes())?))).collect();
        Ok(Self(tls::Server::new(keys?, random, session_id).map_err(|wrong| misuse(py, wrong))?))
    }

    #[getter]
    fn status(&self) -> &'static str {
        self.0.status().name()
    }

    fn feed<'py>(&mut self, py: Python<'py>, data: &[u8]) -> PyResult<Fed<'py>> {
        let (sent, found) = py.detach(|| self.0.feed(data));
        Ok((PyBytes::new(py, &sent), events(py, found)?))
    }

    fn send<'py>(&mut self, py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let sent = self.0.send(data).map_err(|wrong| misuse(py, wrong))?;
        Ok(PyBytes::new(py, &sent))
    }

    fn close<'py>(&mut self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.close())
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.0)
    }
}

/// Reads recorded sessions.
#[pyclass(module = "osgp_fast._core")]
struct TlsOpener(tls::Opener);

#[pymethods]
impl TlsOpener {
    #[new]
    fn new(py: Python<'_>, keys: Vec<Bound<'_, PyBytes>>) -> PyResult<Self> {
        Ok(Self(tls::Opener::new(self::keys(py, &keys)?)))
    }

    fn client<'py>(&mut self, py: Python<'py>, data: &[u8]) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let found = py.detach(|| self.0.client(data));
        events(py, found)
    }

    fn server<'py>(&mut self, py: Python<'py>, data: &[u8]) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let found = py.detach(|| self.0.server(data));
        events(py, found)
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.0)
    }
}
