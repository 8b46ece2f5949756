//! WAV files; the only door to hound.
