//! What can go wrong as a whole. What goes wrong with a part of the input is a [`Reject`](osgp::reject::Reject).

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// An input that cannot be opened, found before any work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenError {
    /// Stable name: `input.unreadable` or `input.columns`.
    pub code: &'static str,
    /// The input as it was given.
    pub path: String,
    /// What is wrong with it and what to do.
    pub message: String,
}

impl OpenError {
    pub(crate) fn new(path: &Path, message: impl Into<String>) -> Self {
        Self { code: "input.unreadable", path: path.to_string_lossy().into_owned(), message: message.into() }
    }
    pub(crate) fn io(path: &Path, error: &io::Error) -> Self {
        Self::new(path, format!("cannot be opened: {}", plain(error)))
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

impl std::error::Error for OpenError {}

/// A run that failed as a whole; nothing was written.
#[derive(Debug)]
pub enum Error {
    /// An input cannot be opened.
    Open(OpenError),
    /// Two arguments contradict one another.
    Usage(String),
    /// A file cannot be written, or the spill file cannot be used.
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Arrow or Parquet could not write what we gave it: a bug of ours.
    Encode(String),
    /// Stopped by the caller.
    Interrupted,
    /// A worker panicked: a bug of ours.
    Panic(String),
    /// The caller asked to stop at the first reject (which is in the list of rejects).
    Rejected {
        /// Its stable name.
        code: &'static str,
        /// Its plain words.
        reason: String,
    },
}

impl Error {
    pub(crate) fn io(path: &Path, error: io::Error) -> Self {
        Self::Io { path: path.to_owned(), error }
    }
    pub(crate) fn panic(payload: &(dyn std::any::Any + Send)) -> Self {
        Self::Panic(panic_message(payload))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => error.fmt(f),
            Self::Usage(message) => f.write_str(message),
            Self::Io { path, error } => write!(f, "{}: {}", path.display(), plain(error)),
            Self::Encode(message) => write!(f, "a record batch could not be written (a bug of osgp-fast): {message}"),
            Self::Interrupted => f.write_str("interrupted"),
            Self::Panic(message) => write!(f, "a bug of osgp-fast, please report it: {message}"),
            Self::Rejected { code, reason } => write!(f, "{code}: {reason}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}

impl From<arrow_schema::ArrowError> for Error {
    fn from(error: arrow_schema::ArrowError) -> Self {
        Self::Encode(error.to_string())
    }
}

/// The system's words without Rust's "(os error 2)".
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

pub(crate) fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "panic without a message".to_owned(),
    }
}
