//! A small PBX, a caller and phones inside the process, on the same code path.

pub mod pbx;
pub mod phone;
