//! The law of the house, checked on the source text: who may name whom, each outside crate's one
//! door, nothing impure in the pure bands, files that say what they are for and stay short.
//!
//! Paths are judged, not words: comments and strings are taken away, `use` trees are spread out,
//! `self` and `super` are resolved. Each rule has a planted violation below that it must catch.

use std::fs;
use std::path::Path;

const PURE: &[&str] = &["src/protocol", "src/duty"];
const LONGEST_FILE: usize = 500;

/// Where, what may not be named there, and why. A path is broken by naming these segments in a row.
const FORBIDDEN: &[(&[&str], &[&str], &str)] = &[
    (
        &["src/protocol"],
        &["crate::duty", "crate::io", "crate::daemon", "crate::demo"],
        "protocol knows nothing above it",
    ),
    (&["src/duty"], &["crate::io", "crate::daemon", "crate::demo"], "duty decides, io carries out"),
    (&["src/config"], &["crate::io", "crate::daemon", "crate::demo"], "settings know no workers"),
    (
        &["src/io"],
        &["crate::daemon", "crate::demo"],
        "io is started by the daemon, not the reverse",
    ),
    (
        PURE,
        &[
            "crate::config",
            "std::fs",
            "std::thread",
            "std::process",
            "std::env",
            "std::os",
            "std::io::stdin",
            "std::io::stdout",
            "std::io::stderr",
            "UdpSocket",
            "TcpStream",
            "TcpListener",
            "UnixStream",
            "ToSocketAddrs",
            "println",
            "eprintln",
            "print",
            "eprint",
            "dbg",
        ],
        "it would touch the world",
    ),
    (
        PURE,
        &["Instant", "SystemTime", "Utc::now", "Local::now", "chrono::Local", "clock_gettime"],
        "time is an argument",
    ),
    (
        PURE,
        &["HashMap", "HashSet", "RandomState", "DefaultHasher", "Uuid::new_v4", "Uuid::now_v7"],
        "the same inputs must give the same outputs",
    ),
    (
        PURE,
        &[
            "Mutex",
            "RwLock",
            "Condvar",
            "thread_local",
            "AtomicBool",
            "AtomicUsize",
            "AtomicU64",
            "unsafe",
        ],
        "a machine owns its state",
    ),
    (&["src"], &["super::super", "lazy_static", "include"], "paths and state stay in sight"),
];

/// Outside crates that the pure bands may not name at all.
const WORLDLY: &[&str] = &[
    "tokio",
    "mio",
    "libc",
    "socket2",
    "rand",
    "getrandom",
    "axum",
    "tower",
    "clap",
    "sd_notify",
    "rtrb",
    "tracing_subscriber",
    "tokio_util",
    "tokio_stream",
    "tokio_rustls",
    "hickory_resolver",
    "prometheus_client",
    "reqwest",
    "object_store",
    "lettre",
];

/// Each of these is named below one place only: an outside crate by its first segment, anything
/// else by its segments in a row.
const DOORS: &[(&str, &[&str])] = &[
    ("rmp_serde", &["src/io/checkpoint.rs"]),
    ("memchr", &["src/protocol/sip/lines.rs"]),
    ("rsip", &["src/protocol/sip/message.rs", "src/protocol/sip/message/"]),
    ("rtp_rs", &["src/protocol/rtp/packet.rs"]),
    ("aes", &["src/protocol/rtp/srtp/cipher.rs"]),
    ("hmac", &["src/protocol/rtp/srtp/cipher.rs", "src/io/channels/signing.rs"]),
    ("sha1", &["src/protocol/rtp/srtp/cipher.rs"]),
    ("opus", &["src/protocol/rtp/libopus.rs"]),
    ("sdp_types", &["src/protocol/sdp.rs", "src/protocol/sdp/"]),
    ("rand_chacha", &["src/protocol/random.rs"]),
    ("hound", &["src/io/wav_file.rs"]),
    ("flac_codec", &["src/io/flac/codec.rs"]),
    ("hickory_resolver", &["src/io/resolver.rs"]),
    ("prometheus_client", &["src/io/metrics/sheet.rs"]),
    ("ring::signature", &["src/io/proof/key.rs"]),
    ("sm3::Sm3", &["src/duty/proof/digests.rs"]),
    ("tokio_rustls", &["src/io/tls.rs"]),
    ("rustls_native_certs", &["src/io/tls.rs"]),
    ("reqwest", &["src/io/channels/http.rs"]),
    ("object_store", &["src/io/copies/bucket/"]),
    ("lettre", &["src/io/channels/mail.rs"]),
    ("rusqlite", &["src/io/store/", "src/io/store.rs"]),
    ("getrandom", &["src/io/clock.rs"]),
    ("toml", &["src/config.rs", "src/config/"]),
    ("Utc::now", &["src/io/clock.rs"]),
    ("Local::now", &["src/io/clock.rs"]),
    ("SystemTime::now", &["src/io/clock.rs"]),
    ("clock_gettime", &["src/io/clock.rs"]),
    (
        "crate::config",
        &["src/io", "src/daemon", "src/demo", "src/main.rs", "src/config.rs", "src/config/"],
    ),
];

#[test]
fn the_house_keeps_its_law() {
    let mut files = vec![];
    for folder in ["src", "tests", "benches"] {
        source_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), folder, &mut files);
    }
    assert!(files.iter().any(|(name, _)| name == "src/lib.rs"), "the sources were not found");
    let broken: Vec<String> = files.iter().flat_map(|(name, text)| faults(name, text)).collect();
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

/// What clippy keeps is switched on where it counts.
#[test]
fn the_lints_are_on() {
    let read = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        fs::read_to_string(&path).unwrap_or_else(|fault| panic!("{name}: {fault}"))
    };
    let lib = read("src/lib.rs");
    for band in ["protocol", "duty"] {
        let on = format!(
            "#[deny(clippy::disallowed_methods, clippy::disallowed_types)]\npub mod {band};"
        );
        assert!(lib.contains(&on), "src/lib.rs: {band} without its lints");
    }
    for root in ["src/lib.rs", "src/main.rs"] {
        assert!(
            read(root).contains("#![warn(clippy::too_many_lines)]"),
            "{root}: length unwatched"
        );
    }
    assert!(read("clippy.toml").contains("too-many-lines-threshold = 70"));
}

fn faults(name: &str, text: &str) -> Vec<String> {
    let mut broken = vec![];
    if !text.starts_with("//!") {
        broken.push("say what it is for in a first `//!` line".to_string());
    }
    let all_tests = name.ends_with("/tests.rs") || name.contains("/tests/");
    if name.starts_with("src/") && !all_tests {
        let tokens = tokens(text);
        let code = production(&tokens, &mut broken);
        length(text, code.len() < tokens.len(), &mut broken);
        switches(name, code, &mut broken);
        for path in paths(name, code) {
            judge(name, &path, &mut broken);
        }
    }
    broken.into_iter().map(|fault| format!("{name}: {fault}")).collect()
}

/// Every rule about who names whom.
fn judge(name: &str, path: &Named, broken: &mut Vec<String>) {
    let shown = path.segments.join("::");
    for (places, words, why) in FORBIDDEN {
        let here = places.iter().any(|place| name.starts_with(place));
        if here && words.iter().any(|word| path.holds(word)) {
            broken.push(format!("names `{shown}`; {why}"));
        }
    }
    let first = path.segments[0].as_str();
    let last = path.segments.last().map_or("", String::as_str);
    if PURE.iter().any(|band| name.starts_with(band)) && WORLDLY.contains(&first) {
        broken.push(format!("names `{shown}`; it would touch the world"));
    }
    for (thing, doors) in DOORS {
        let is_crate = !thing.contains("::");
        let named = if is_crate { first == *thing } else { path.holds(thing) };
        if !named {
            continue;
        }
        if !doors.iter().any(|door| name.starts_with(door)) {
            broken.push(format!("names `{shown}`; the only door is {}", doors[0]));
        } else if is_crate && path.reexport && (path.segments.len() == 1 || last == "*") {
            broken.push(format!("re-exports `{shown}`; a door lets through what it names"));
        }
    }
    if path.segments.len() == 2 && last == "*" && ["crate", "std"].contains(&first) {
        broken.push(format!("names `{shown}`; say what is taken"));
    }
    if path.renamed && path.segments.len() == 1 && ["crate", "std", "core"].contains(&first) {
        broken.push(format!("renames `{shown}`; roots keep their names"));
    }
}

/// What would hide code from the law or from clippy.
fn switches(name: &str, code: &[String], broken: &mut Vec<String>) {
    let hidden: [(&[&str], &str); 4] = [
        (&["#", "[", "path", "="], "moves a file with #[path]; `ls src` is the diagram"),
        (&["extern", "crate"], "names a crate by `extern crate`"),
        (&["static", "mut"], "keeps state in a `static mut`"),
        (&["mod", "tests"], "keeps tests outside #[cfg(test)]"),
    ];
    for (words, fault) in hidden {
        if code.windows(words.len()).any(|window| window == words) {
            broken.push(fault.to_string());
        }
    }
    let pure = PURE.iter().any(|band| name.starts_with(band));
    for (at, word) in code.iter().enumerate() {
        let off = ["allow", "expect"].contains(&word.as_str()) && at > 0 && code[at - 1] == "[";
        if !off {
            continue;
        }
        let lints = &code[at..code.len().min(at + 12)];
        let has = |lint: &str| lints.iter().any(|word| word == lint);
        if has("too_many_lines") || pure && (has("disallowed_methods") || has("disallowed_types")) {
            broken.push("switches off a lint that keeps the law".to_string());
        }
    }
}

fn length(text: &str, has_tests: bool, broken: &mut Vec<String>) {
    let tests = if has_tests { text.find("#[cfg(test)]") } else { None };
    let lines = text[..tests.unwrap_or(text.len())].lines().count();
    if lines > LONGEST_FILE {
        broken.push(format!("{lines} lines are more than {LONGEST_FILE}; split it by noun"));
    }
}

/// The tokens before the test module, which must be the last thing in the file.
fn production<'a>(tokens: &'a [String], broken: &mut Vec<String>) -> &'a [String] {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let Some(start) = tokens.windows(MARK.len()).position(|window| window == MARK) else {
        return tokens;
    };
    let tests = &tokens[start + MARK.len()..];
    let tests = tests.strip_prefix(&["pub".to_string()]).unwrap_or(tests);
    let ends = match tests {
        [module, name, semicolon, rest @ ..]
            if module == "mod" && name == "tests" && semicolon == ";" =>
        {
            rest.is_empty()
        }
        [module, name, ..] if module == "mod" && name == "tests" => block_is_last(&tests[2..]),
        _ => false,
    };
    if !ends {
        broken.push("one `#[cfg(test)] mod tests`, as the last thing in the file".to_string());
        return tokens;
    }
    &tokens[..start]
}

fn block_is_last(tokens: &[String]) -> bool {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1 == tokens.len();
        }
    }
    false
}

/// A path as it stands in the code, resolved to start at `crate` where it is relative.
struct Named {
    segments: Vec<String>,
    reexport: bool,
    renamed: bool,
}

impl Named {
    /// Whether the segments of `word` stand in the path in a row.
    fn holds(&self, word: &str) -> bool {
        let word: Vec<&str> = word.split("::").collect();
        self.segments.windows(word.len()).any(|window| window == word)
    }
}

fn paths(name: &str, code: &[String]) -> Vec<Named> {
    let home = module_path(name);
    let mut found = vec![];
    let mut at = 0;
    while at < code.len() {
        let continues = at > 0 && code[at - 1] == "::";
        if continues || !is_name(&code[at]) {
            at += 1;
            continue;
        }
        let public =
            at > 1 && code[at - 1] == "use" && [")", "pub"].contains(&code[at - 2].as_str());
        let mut trees = vec![];
        at = path_tree(code, at, &[], &mut trees);
        for (segments, renamed) in trees {
            let twice_up = segments.starts_with(&["super".into(), "super".into()]);
            let reexport = public;
            if twice_up {
                found.push(Named { segments: segments.clone(), reexport, renamed });
            }
            found.push(Named { segments: resolve(&home, segments), reexport, renamed });
        }
    }
    found
}

/// Reads one path or `use` tree from `at`; returns where it ends.
fn path_tree(
    code: &[String],
    mut at: usize,
    before: &[String],
    found: &mut Vec<(Vec<String>, bool)>,
) -> usize {
    let token = |at: usize| code.get(at).map_or("", String::as_str);
    let mut path = before.to_vec();
    loop {
        path.push(code[at].clone());
        at += 1;
        if token(at) != "::" {
            break;
        }
        at += 1;
        if token(at) == "{" {
            at += 1;
            while at < code.len() && token(at) != "}" {
                if is_name(token(at)) || token(at) == "*" {
                    at = path_tree(code, at, &path, found);
                } else {
                    at += 1;
                }
            }
            return at + 1;
        }
        if !is_name(token(at)) && token(at) != "*" {
            break;
        }
    }
    found.push((path, token(at) == "as"));
    at
}

/// `src/duty/call.rs` is `crate::duty::call`, and so is `src/duty/call/mod.rs`.
fn module_path(name: &str) -> Vec<String> {
    let inside = name.trim_start_matches("src/").trim_end_matches(".rs");
    let parts = inside.split('/').filter(|part| !["mod", "lib", "main"].contains(part));
    std::iter::once("crate").chain(parts).map(String::from).collect()
}

fn resolve(home: &[String], segments: Vec<String>) -> Vec<String> {
    let mut base = home.to_vec();
    match segments[0].as_str() {
        "self" => {}
        "super" => {
            base.pop();
        }
        "dutyline" => base.truncate(1),
        _ => return segments,
    }
    let mut rest = segments[1..].iter().peekable();
    while rest.next_if(|segment| *segment == "super").is_some() {
        base.pop();
    }
    base.extend(rest.cloned());
    if base.is_empty() { segments } else { base }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Names and signs; comments are left out, and strings, characters and lifetimes are `""`.
fn tokens(text: &str) -> Vec<String> {
    let mut found = vec![];
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if first.is_whitespace() {
            rest = &rest[first.len_utf8()..];
            continue;
        } else if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
            continue;
        } else if rest.starts_with("/*") {
            rest = &rest[block_comment(rest)..];
            continue;
        } else if let Some(length) = literal(rest) {
            found.push("\"\"".to_string());
            rest = &rest[length..];
            continue;
        } else if first.is_alphanumeric() || first == '_' {
            rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        found.push(rest[..length].to_string());
        rest = &rest[length..];
    }
    found
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of the string, character or lifetime that `text` starts with.
fn literal(text: &str) -> Option<usize> {
    let body = text.trim_start_matches(['b', 'c']);
    let prefix = text.len() - body.len();
    if prefix > 1 {
        return None;
    }
    if let Some(raw) = body.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let inside = &raw[hashes + 1..];
            let closed = inside.find(&end).map_or(inside.len(), |at| at + end.len());
            return Some(prefix + 1 + hashes + 1 + closed);
        }
        return None;
    }
    if body.starts_with('"') {
        return Some(prefix + quoted(body, '"'));
    }
    if !body.starts_with('\'') {
        return None;
    }
    let mut inside = body[1..].chars();
    let (one, two) = (inside.next()?, inside.next());
    if one == '\\' || two == Some('\'') {
        return Some(prefix + quoted(body, '\''));
    }
    let lifetime = body[1..].find(|c: char| !c.is_alphanumeric() && c != '_');
    (prefix == 0).then(|| 1 + lifetime.unwrap_or(body.len() - 1))
}

fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == quote && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

fn source_files(folder: &Path, name: &str, files: &mut Vec<(String, String)>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("a folder entry").path();
        let last = path.file_name().expect("a name").to_string_lossy().into_owned();
        let name = format!("{name}/{last}");
        if path.is_dir() {
            source_files(&path, &name, files);
        } else if name.ends_with(".rs") {
            files.push((name, fs::read_to_string(&path).expect("source text")));
        }
    }
}

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
    assert!(faults(call, &long)[0].contains("split it by noun"));
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
