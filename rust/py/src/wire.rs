//! `osgp::wire` and `osgp::scan` for the tests that compare the twins, and for live reading.

use std::sync::Arc;

use osgp::scan::{self, ScanOptions, Wrap};
use osgp::text_log;
use osgp::wire::{c1218, crc, mep, ppp, slip};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

pub(crate) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(crc16, m)?)?;
    m.add_function(wrap_pyfunction!(scan_packets, m)?)?;
    m.add_function(wrap_pyfunction!(parse_packets, m)?)?;
    m.add_function(wrap_pyfunction!(encode_packet, m)?)?;
    m.add_function(wrap_pyfunction!(ppp_encode, m)?)?;
    m.add_function(wrap_pyfunction!(ppp_decode, m)?)?;
    m.add_function(wrap_pyfunction!(slip_encode, m)?)?;
    m.add_function(wrap_pyfunction!(slip_decode, m)?)?;
    m.add_function(wrap_pyfunction!(mep_scan, m)?)?;
    m.add_function(wrap_pyfunction!(mask_secrets, m)?)?;
    m.add_function(wrap_pyfunction!(masked_head, m)?)?;
    m.add_function(wrap_pyfunction!(read_log, m)?)?;
    m.add_function(wrap_pyfunction!(scan_capture, m)?)
}

/// The CRC-16/IBM-SDLC of some bytes.
#[pyfunction]
fn crc16(py: Python<'_>, data: &[u8]) -> u16 {
    py.detach(|| crc::crc16(data))
}

/// The packets of a capture: a dict of column name -> little-endian bytes, as `array.array` takes them.
#[pyfunction]
fn scan_packets<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyDict>> {
    let packets = py.detach(|| c1218::scan_packets(data));
    let wide = |column: &[u64]| PyBytes::new(py, &column.iter().flat_map(|n| n.to_ne_bytes()).collect::<Vec<_>>());
    let columns = PyDict::new(py);
    columns.set_item("position", wide(&packets.position))?;
    columns.set_item("identity", PyBytes::new(py, &packets.identity))?;
    columns.set_item("control", PyBytes::new(py, &packets.control))?;
    columns.set_item("sequence", PyBytes::new(py, &packets.sequence))?;
    columns.set_item("data_offset", wide(&packets.data_offset))?;
    let lengths: Vec<u8> = packets.data_len.iter().flat_map(|n| n.to_ne_bytes()).collect();
    columns.set_item("data_len", PyBytes::new(py, &lengths))?;
    Ok(columns)
}

/// The events of the incremental parser over `chunks`: (kind, position, bytes).
#[pyfunction]
fn parse_packets<'py>(py: Python<'py>, chunks: Vec<Vec<u8>>) -> Vec<(&'static str, u64, Bound<'py, PyBytes>)> {
    let mut parser = c1218::PacketParser::new();
    let mut events: Vec<_> = chunks.iter().flat_map(|chunk| parser.feed(chunk)).collect();
    events.extend(parser.finish());
    let told = |event| match event {
        c1218::Event::Packet(at, packet) => ("packet", at, PyBytes::new(py, &packet.data)),
        c1218::Event::Ack(at) => ("ack", at, PyBytes::new(py, b"")),
        c1218::Event::Nak(at) => ("nak", at, PyBytes::new(py, b"")),
        c1218::Event::Noise(at, bytes) => ("noise", at, PyBytes::new(py, &bytes)),
    };
    events.into_iter().map(told).collect()
}

/// The bytes of one packet.
#[pyfunction]
fn encode_packet<'py>(
    py: Python<'py>,
    identity: u8,
    control: u8,
    sequence: u8,
    data: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    let mut out = Vec::new();
    c1218::emit(&mut out, identity, c1218::Control(control), sequence, data)
        .map_err(|error| PyValueError::new_err(error.to_string()))?;
    Ok(PyBytes::new(py, &out))
}

/// One RFC 1662 frame.
#[pyfunction]
fn ppp_encode<'py>(py: Python<'py>, payload: &[u8]) -> Bound<'py, PyBytes> {
    let mut out = Vec::new();
    ppp::encode(&mut out, payload);
    PyBytes::new(py, &out)
}

/// The frames of a stuffed stream: (position, problem or None, bytes).
#[pyfunction]
fn ppp_decode<'py>(py: Python<'py>, data: &[u8]) -> Vec<(u64, Option<&'static str>, Bound<'py, PyBytes>)> {
    let events = py.detach(|| {
        let mut decoder = ppp::Decoder::new();
        let mut events = decoder.feed(data);
        events.extend(decoder.finish());
        events
    });
    let told = |event| match event {
        ppp::Event::Frame(at, payload) => (at, None, PyBytes::new(py, &payload)),
        ppp::Event::Error(at, problem, bytes) => (at, Some(problem.name()), PyBytes::new(py, &bytes)),
    };
    events.into_iter().map(told).collect()
}

/// One RFC 1055 frame.
#[pyfunction]
fn slip_encode<'py>(py: Python<'py>, payload: &[u8]) -> Bound<'py, PyBytes> {
    let mut out = Vec::new();
    slip::encode(&mut out, payload);
    PyBytes::new(py, &out)
}

/// The frames of a stuffed stream: (position, payload, or None for an escape that does not exist).
#[pyfunction]
fn slip_decode<'py>(py: Python<'py>, data: &[u8]) -> Vec<(u64, Option<Bound<'py, PyBytes>>)> {
    let events = py.detach(|| {
        let mut decoder = slip::Decoder::new();
        let mut events = decoder.feed(data);
        events.extend(decoder.finish());
        events
    });
    let told = |event| match event {
        slip::Event::Frame(at, payload) => (at, Some(PyBytes::new(py, &payload))),
        slip::Event::BadEscape(at) => (at, None),
    };
    events.into_iter().map(told).collect()
}

/// Start and end of what looks like MEP messages.
#[pyfunction]
fn mep_scan(py: Python<'_>, data: &[u8]) -> Vec<(usize, usize)> {
    py.detach(|| mep::find(data).into_iter().map(|range| (range.start, range.end)).collect())
}

/// Bytes with what may be a password masked.
#[pyfunction]
fn mask_secrets<'py>(py: Python<'py>, data: &[u8]) -> Bound<'py, PyBytes> {
    let mut bytes = data.to_vec();
    c1218::mask_secrets(&mut bytes);
    PyBytes::new(py, &bytes)
}

/// The first bytes of a file that was not recognised, passwords masked.
#[pyfunction]
fn masked_head<'py>(py: Python<'py>, data: &[u8], size: usize) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &py.detach(|| scan::masked_head(data, size)))
}

/// Position in the stream and in the file, microseconds, whether these are UTC.
type LogChunk = (u64, u64, Option<i64>, Option<bool>);

/// The three streams of a text log, and which of their bytes came from which line.
#[pyfunction]
fn read_log<'py>(py: Python<'py>, data: &[u8]) -> Vec<(Bound<'py, PyBytes>, Vec<LogChunk>)> {
    let log = py.detach(|| text_log::parse(data));
    let told = |chunk: &text_log::Chunk| {
        let (micros, utc) = match chunk.time {
            Some(text_log::Stamp::Utc(micros)) => (Some(micros), Some(true)),
            Some(text_log::Stamp::Local(micros)) => (Some(micros), Some(false)),
            None => (None, None),
        };
        (chunk.at, chunk.file, micros, utc)
    };
    log.streams
        .iter()
        .map(|stream| (PyBytes::new(py, &stream.bytes), stream.chunks.iter().map(told).collect()))
        .collect()
}

type Image<'py> =
    (i32, i64, Bound<'py, PyBytes>, Option<i64>, Option<bool>, Option<Bound<'py, PyBytes>>, u32, String, Option<i64>);
type Row<'py> = (
    Option<String>,
    Option<i32>,
    String,
    &'static str,
    String,
    String,
    Option<i64>,
    i64,
    Bound<'py, PyBytes>,
    Option<i64>,
);

/// A capture: sessions as (label, images), rejects, and what was only counted, by name. None if it is no capture.
///
/// `tz_offset` is added to a time stamp without a zone to make it UTC, in microseconds.
#[pyfunction]
#[pyo3(signature = (data, stem, input, meter=None, wrap=None, tz_offset=0, keys=None))]
#[allow(clippy::too_many_arguments)]
fn scan_capture<'py>(
    py: Python<'py>,
    data: &[u8],
    stem: &str,
    input: &str,
    meter: Option<&str>,
    wrap: Option<&str>,
    tz_offset: i64,
    keys: Option<Vec<Bound<'py, PyBytes>>>,
) -> PyResult<Option<Bound<'py, PyDict>>> {
    let wrap = match wrap {
        None => Wrap::None,
        Some(name) => Wrap::parse(name).ok_or_else(|| PyValueError::new_err("wrap is ppp, slip or none"))?,
    };
    let keys = crate::security::keys(py, &keys.unwrap_or_default())?;
    let scanned = py.detach(|| {
        let to_utc = |local: i64| local.saturating_add(tz_offset);
        scan::scan(
            data,
            &ScanOptions { input: Arc::from(input), stem, meter, wrap, keys: &keys, local_to_utc: &to_utc },
        )
    });
    let Ok(capture) = scanned else { return Ok(None) };
    let bytes = |bytes: &[u8]| PyBytes::new(py, bytes);
    let sessions: Vec<(String, Vec<Image<'py>>)> = capture
        .sessions
        .iter()
        .map(|session| {
            let images = session.images.iter().map(|image| {
                (
                    image.table.0,
                    image.offset,
                    bytes(&image.data),
                    image.read_at,
                    image.whole,
                    image.ped.as_deref().map(bytes),
                    image.session,
                    image.input.to_string(),
                    image.position,
                )
            });
            (session.label.clone(), images.collect())
        })
        .collect();
    let rejects: Vec<Row<'py>> = capture
        .rejects
        .iter()
        .map(|reject| {
            (
                reject.meter.clone(),
                reject.table.map(|table| table.0),
                reject.item.clone(),
                reject.code,
                reject.reason.clone(),
                reject.input.to_string(),
                reject.offset,
                reject.length,
                bytes(&reject.data),
                reject.read_at,
            )
        })
        .collect();
    let result = PyDict::new(py);
    result.set_item("sessions", sessions)?;
    result.set_item("rejects", rejects)?;
    for (name, count) in [
        ("packets", capture.packets),
        ("repeated", capture.repeated),
        ("noise_bytes", capture.noise_bytes),
        ("acks", capture.acks),
        ("naks", capture.naks),
        ("mep_messages", capture.mep_messages),
        ("mep_opened", capture.mep_opened),
    ] {
        result.set_item(name, count)?;
    }
    Ok(Some(result))
}
