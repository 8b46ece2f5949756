//! The log: SQLite behind one writer thread; the only door to rusqlite.
