//! The binding of our line at the registrar (RFC 3261 §10).
