//! What breaks the law, planted, and what does not.

use crate::{LONGEST_FILE, faults};

/// Each line breaks one rule; the second text is part of the complaint.
#[test]
fn planted_violations_are_caught() {
    let call = "src/duty/call.rs";
    let wire = "src/protocol/sip/wire.rs";
    let line = "src/io/line.rs";
    let planted: &[(&str, &str, &str)] = &[
        (wire, "use crate::duty::call::Call;", "protocol knows nothing above it"),
        (wire, "fn f() { crate::io::clock::now(); }", "protocol knows nothing above it"),
        (wire, "use crate::{protocol::now::Now, duty::ids};", "protocol knows nothing above it"),
        ("src/duty/mod.rs", "use super::io::clock;", "duty decides"),
        (call, "use super::super::io::clock;", "duty decides"),
        (call, "use super::super::protocol::now::Now;", "paths and state stay in sight"),
        (call, "use crate::config::Config;", "it would touch the world"),
        (wire, "use crate::config::Line;", "the only door is src/io"),
        ("src/config.rs", "use crate::io::store::Store;", "settings know no workers"),
        (line, "use crate::daemon::run;", "io is started by the daemon"),
        (call, "use std::{collections::BTreeMap, fs};", "it would touch the world"),
        (call, "fn f() { std::thread::spawn(|| ()); }", "it would touch the world"),
        (call, "use std::net::{IpAddr, UdpSocket};", "it would touch the world"),
        (wire, "fn f() { println!(\"x\"); }", "it would touch the world"),
        (wire, "use tokio::sync::mpsc;", "it would touch the world"),
        (wire, "fn f() { rand::random::<u8>(); }", "it would touch the world"),
        (wire, "use std::time::{Duration, Instant};", "time is an argument"),
        (wire, "use chrono::Utc; fn f() { Utc::now(); }", "time is an argument"),
        (call, "use chrono::Local;", "time is an argument"),
        (call, "use std::collections::HashMap as Map;", "the same inputs"),
        (call, "static X: std::sync::Mutex<u8> = todo!();", "a machine owns its state"),
        (call, "fn f() { unsafe { g() } }", "a machine owns its state"),
        (call, "static mut X: u8 = 0;", "static mut"),
        (call, "use rsip::Method;", "the only door is src/protocol/sip/message.rs"),
        (call, "extern crate rsip as r;", "extern crate"),
        ("src/protocol/sip/message.rs", "pub use rsip;", "a door lets through what it names"),
        ("src/protocol/sip/message.rs", "pub(crate) use rsip::{Uri, *};", "what it names"),
        (line, "fn f() { rusqlite::Connection::open_in_memory(); }", "door is src/io/store"),
        (line, "use hound::WavReader;", "the only door is src/io/wav_file.rs"),
        (line, "use object_store::path::Path;", "the only door is src/io/copies/bucket/"),
        ("src/protocol/rtp/relay.rs", "use rtp_rs::RtpReader;", "src/protocol/rtp/packet.rs"),
        ("src/io/web/mod.rs", "fn f() { chrono::Utc::now(); }", "the only door is src/io/clock.rs"),
        ("src/io/store/mod.rs", "fn f() { getrandom::fill(&mut x); }", "src/io/clock.rs"),
        (line, "use crate as c;", "roots keep their names"),
        (line, "use std::{self as s};\nuse std as t;", "roots keep their names"),
        (line, "use crate::*;", "say what is taken"),
        (line, "#[path = \"../duty/call.rs\"] mod x;", "#[path]"),
        (line, "include!(\"x.rs\");", "paths and state stay in sight"),
        (line, "mod tests { }", "outside #[cfg(test)]"),
        (line, "#[cfg(test)]\nmod tests { }\nfn late() {}", "as the last thing in the file"),
        (line, "#[cfg(test)]\nfn helper() {}\nfn f() {}", "as the last thing in the file"),
        (line, "#[cfg(test)]\nmod tests { }\n#[cfg(test)]\nmod more { }", "the last thing"),
        (line, "#[allow(clippy::too_many_lines)]\nfn f() {}", "switches off a lint"),
        (call, "#![expect(clippy::disallowed_types)]", "switches off a lint"),
    ];
    for (name, code, complaint) in planted {
        let found = faults(name, &format!("//! Planted.\n{code}\n"));
        assert!(
            found.iter().any(|fault| fault.contains(complaint)),
            "not caught in {name}: {code}\nfound: {found:?}"
        );
    }
    assert!(faults(call, "fn f() {}\n")[0].contains("first `//!` line"));
    assert!(faults("tests/x/main.rs", "fn f() {}\n")[0].contains("first `//!` line"));
    let long = format!("//! Long.\n{}", "\n".repeat(LONGEST_FILE));
    for name in [call, "src/duty/call/tests.rs", "tests/x/main.rs"] {
        assert!(faults(name, &long)[0].contains("split it by noun"));
    }
}

#[test]
fn what_is_lawful_is_left_alone() {
    let lawful: &[(&str, &str)] = &[
        ("src/duty/call.rs", "enum Where { Local, Instantly }\nfn f(x: Where) { Where::Local; }"),
        ("src/duty/call.rs", "// std::fs and tokio::spawn\n/* crate::io /* nested */ */ fn f() {}"),
        ("src/duty/call.rs", "const X: &str = \"crate::io\"; const Y: &str = r#\"std::fs \"\"#;"),
        ("src/duty/call.rs", "fn f<'a>(x: &'a str) -> char { '\\'' }\nuse super::ids::EntryId;"),
        ("src/duty/call.rs", "use crate::protocol::random::Random; fn f(random: &mut Random) {}"),
        ("src/duty/call.rs", "fn f() {}\n#[cfg(test)]\nmod tests { use std::fs; use crate::io; }"),
        ("src/duty/call.rs", "fn f() {}\n#[cfg(test)]\npub mod tests { use std::fs; }"),
        ("src/duty/call/tests.rs", "use std::collections::HashMap;"),
        ("src/protocol/sip/message.rs", "pub use rsip::Method;"),
        ("src/io/store/entries.rs", "use rusqlite::Transaction; use crate::duty::ids;"),
        ("src/io/clock.rs", "fn f() { chrono::Utc::now(); getrandom::fill(&mut x); }"),
        ("src/io/line.rs", "use crate::config::Config; use std::sync::Mutex;"),
        ("src/main.rs", "use dutyline::config::Config; use clap::Parser;"),
    ];
    for (name, code) in lawful {
        assert_eq!(faults(name, &format!("//! Lawful.\n{code}\n")), Vec::<String>::new(), "{code}");
    }
    let tail = format!("//! Tests.\n#[cfg(test)]\nmod tests {{{}}}", "\n".repeat(LONGEST_FILE));
    assert_eq!(faults("src/duty/call.rs", &tail), Vec::<String>::new());
}
