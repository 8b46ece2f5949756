//! SIP requests and responses; the only door to rsip, whose methods and status codes are the vocabulary.
