//! RTP ports lent out, one to each party.
