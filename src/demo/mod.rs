//! A small PBX, a caller and telephones inside the process, over real loopback SIP and RTP, so
//! that the daemon can be seen at work without anything else.

pub mod pbx;
pub mod phone;
pub mod socket;
