//! Messages and packets that were made to break a parser: RFC 5118, malformed ones by rule, seeds of
//! our own, and the corpora of the fuzz targets, replayed on the stable toolchain.

mod classes;
mod line;
mod malformed;
mod memory;
mod oracle;
mod replay;
mod rfc5118;
mod seeds;
mod targets;
mod threats;
