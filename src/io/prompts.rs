//! The prompts' WAV files, built in.
