//! Places taped packets on the recording's time line.
