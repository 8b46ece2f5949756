//! RTP sockets; turns the relay; feeds the tape's ring.
