//! RTP packets (RFC 3550 §5.1); the only door to rtp-rs.
