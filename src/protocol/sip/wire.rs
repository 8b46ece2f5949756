//! Bytes to start line and headers and back.
