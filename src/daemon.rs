//! Starts and stops the parts, in order.
