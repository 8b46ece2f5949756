//! Arguments.

#![warn(clippy::too_many_lines)]

fn main() {}
