//! Messages and packets that were made to break a parser: RFC 5118, malformed ones by rule, and the
//! corpora of the fuzz targets, replayed on the stable toolchain.

mod line;
mod malformed;
mod replay;
mod rfc5118;
mod targets;
