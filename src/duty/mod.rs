//! Decides: what happens to a call, an entry, an escalation. Knows no socket, file, clock or
//! thread: the same inputs and the same `now` give the same answer.

pub mod call;
pub mod call_list;
pub mod channels;
pub mod checkpoint;
pub mod dial_plan;
pub mod entry;
pub mod escalation;
pub mod figures;
pub mod gaps;
pub mod heartbeat;
pub mod ids;
pub mod journal;
pub mod keeping;
pub mod ladder;
pub mod lamp;
pub mod line_plan;
pub mod notices;
pub mod numbers;
pub mod pin;
pub mod placed;
pub mod prompts;
pub mod proof;
pub mod rehearsal;
pub mod roll_call;
pub mod roster;
pub mod self_test;
pub mod switchboard;
pub mod words;
