//! The real daemon on loopback against Kamailio, baresip and hand-written peers, and its page in a
//! real browser. Each test has its own ports and its own temporary folder.
//!
//! A peer that is not installed skips its tests with a printed reason; with
//! `DUTYLINE_REQUIRE_PEERS=1`, as `tests/all` sets it, it fails them.

mod alignment;
mod answering;
mod bad_disk;
mod bad_wire;
mod baresip;
mod browser;
mod cage;
mod calls;
mod changes;
mod clocks;
mod codecs;
mod conference;
mod crowd;
mod daemon;
mod dialogs;
mod disk_full;
mod dns;
mod exercises;
mod fail_open;
mod fax;
mod flood;
mod fragments;
mod frozen;
mod handing;
mod handover;
mod harness;
mod heartbeat;
mod hostile;
mod human;
mod identity;
mod idle;
mod kamailio;
mod keeping;
mod keys;
mod kills;
mod leader;
mod limits;
mod log_at_start;
mod log_lost;
mod long_run;
mod metrics;
mod notices;
mod numbers;
mod object_store;
mod officer;
mod outcomes;
mod outgoing;
mod overhear;
mod page;
mod player_page;
mod ports;
mod power;
mod preload;
mod process;
mod reconcile;
mod recorder;
mod recording_page;
mod registrar;
mod registration;
mod replies;
mod rtpengine;
mod rude;
mod search_page;
mod secrecy;
mod self_test;
mod shift;
mod sipp;
mod slips;
mod sound;
mod speech;
#[expect(dead_code, reason = "some of its troubles are for the units")]
#[path = "../../src/io/copies/bucket/tests/server.rs"]
mod store_of_objects;
mod streams;
mod supervision;
mod survival;
mod tls;
mod trunk;
mod twin;
mod unanswered;
mod unreachable;
mod urgent;
mod versions;
mod voice_page;
mod wave;
mod way;
mod wire;

/// Whether all of these programs are there; panics for a missing one where peers are required.
pub fn have(programs: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&path).collect();
    folders.extend(["/usr/sbin", "/sbin"].map(Into::into));
    let missing: Vec<_> = programs
        .iter()
        .filter(|program| !folders.iter().any(|folder| folder.join(program).exists()))
        .collect();
    let required = std::env::var("DUTYLINE_REQUIRE_PEERS").is_ok_and(|value| value == "1");
    assert!(missing.is_empty() || !required, "missing: {missing:?}; tests/all installs them");
    if !missing.is_empty() {
        println!("skipped: {missing:?} not installed; tests/all installs them");
    }
    missing.is_empty()
}
