//! The law of the house, checked on the source text: who may name whom, each outside crate's one
//! door, nothing impure in the pure bands, files that say what they are for and stay short.
//!
//! Paths are judged, not words: comments and strings are taken away, `use` trees are spread out,
//! `self` and `super` are resolved. Each rule has a planted violation in `planted` that it must catch.

mod planted;
mod tokens;

use std::fs;
use std::path::Path;
use tokens::{Named, paths, tokens};

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
    ("rust_xlsxwriter", &["src/io/proof/workbook.rs"]),
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
    } else {
        length(text, false, &mut broken);
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
