//! Keys pressed, each once (RFC 4733).
