//! Proof that leaves the house: the key, the heads that are sent away, what is handed out, and how
//! all of it is checked.

pub mod key;
pub mod verify;
pub mod witness;

pub use crate::duty::proof::PublicKey;

#[cfg(test)]
mod tests;
