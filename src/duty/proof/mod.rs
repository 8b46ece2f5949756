//! Proof of the log: what each row said is an item of one chain, the items are the leaves of one
//! tree (RFC 6962), and its root is signed with the time.
//!
//! Knows no database, file or key: rows come as values, signatures as bytes.

pub mod digests;
pub mod head;
pub mod item;
pub mod proven;
pub mod renewal;
pub mod tree;

pub use digests::Digests;
pub use head::{Head, PublicKey};
pub use item::{Item, Value};
pub use renewal::{Renewal, RenewalNote};
pub use tree::{Frontier, Path};

#[cfg(test)]
mod tests;
