//! TLS, yet to come.
