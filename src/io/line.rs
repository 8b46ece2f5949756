//! SIP sockets; turns the switchboard.
