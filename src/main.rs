//! Arguments.

fn main() {}
