//! Touches the world: clocks, sockets, files, the database, the page. Carries out; decides nothing.

pub mod call_lines;
pub mod channels;
pub mod checkpoint;
pub mod clock;
pub mod disk;
pub mod escalator;
pub mod gaps;
pub mod ladder;
pub mod life;
pub mod line;
pub mod logbook;
pub mod long_calls;
pub mod media;
pub mod metrics;
pub mod prompts;
pub mod proof;
pub mod rehearsal;
pub mod resolver;
pub mod status;
pub mod store;
pub mod streams;
pub mod tape;
pub mod terminal;
pub mod tls;
pub mod wav_file;
pub mod web;
