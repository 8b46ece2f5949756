//! Proof that leaves the house: the key, the heads that are sent away, what is handed out, and how
//! all of it is checked.

pub mod bundle;
mod crc;
pub mod handed;
pub mod key;
pub mod keys;
pub mod lock;
pub mod order;
pub mod renewal;
pub mod settling;
pub mod signer;
pub mod tables;
pub mod verify;
pub mod witness;
mod workbook;
pub mod zip;

pub use crate::duty::proof::PublicKey;

#[cfg(test)]
mod tests;
