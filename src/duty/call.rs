//! One call on the duty line, or to a leader: its legs and its states.
