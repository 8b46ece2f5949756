//! Speaks SIP, SDP and RTP. Knows no duty room; touches no clock, socket, file, thread or
//! environment, and no hash-map order: the same inputs give the same outputs.

pub mod gsm;
pub mod name;
pub mod now;
pub mod places;
pub mod random;
pub mod rtp;
pub mod sdp;
pub mod sip;
pub mod timed;
