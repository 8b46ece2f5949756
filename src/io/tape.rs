//! Append-only capture of every packet; sealing, recovery.
