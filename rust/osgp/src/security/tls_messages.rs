//! TLS messages.
