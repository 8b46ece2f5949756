//! The duty room in virtual time, scenario by scenario: one file per capability.

mod answering;
mod conference;
mod exercises;
mod fax;
mod identity;
mod keeping;
mod ladder;
mod leader;
mod line;
mod media;
mod numbers;
mod outgoing;
mod partition;
mod recording;
mod registrar;
mod replies;
mod room;
mod simulation;
mod slips;
mod steps;
mod survival;
mod trunk;
mod urgent;
mod versions;
mod waiting;
