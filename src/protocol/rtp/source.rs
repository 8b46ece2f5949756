//! Prompts as RTP, 20 ms at a time.
