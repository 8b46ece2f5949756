//! Prometheus' side: a real scrape of the daemon after real calls, read as strictly as the text format is written.

use crate::calls::{Room, connect, talk};
use crate::daemon::Plan;
use crate::process::wait_until;
use crate::wave;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Name, labels as they stand, value.
pub type Samples = BTreeMap<(String, String), f64>;

pub fn get(port: u16, path: &str) -> Option<(String, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer in UTF-8");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    Some((head.to_ascii_lowercase(), body.to_owned()))
}

pub fn scrape(port: u16) -> Samples {
    let (head, body) = wait_until("the metrics", Duration::from_secs(10), || get(port, "/metrics"));
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    read(&body)
}

fn is_name(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(word) && !name.starts_with(|c: char| c.is_ascii_digit()) && !name.is_empty()
}

/// Every line, by the rules of the text format 0.0.4; panics at the first that breaks one.
fn read(text: &str) -> Samples {
    assert!(text.ends_with('\n'), "the last line is ended");
    let (mut kinds, mut helped) = (BTreeMap::new(), BTreeSet::new());
    let mut samples = Samples::new();
    let mut family = String::new();
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            assert!(is_name(name) && !help.is_empty() && helped.insert(name.to_owned()), "{line}");
            family = name.to_owned();
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(name, family, "help and type stand together");
            assert_eq!(kinds.insert(name.to_owned(), kind.to_owned()), None, "{line}");
        } else {
            let ((name, labels), value) = sample(line);
            let of_family = ["", "_bucket", "_sum", "_count"].map(|end| format!("{family}{end}"));
            let histogram = kinds[&family] == "histogram";
            let place = of_family.iter().position(|one| *one == name);
            assert!(place.is_some_and(|at| (at > 0) == histogram), "{line} below {family}");
            let counter = kinds[&family] == "counter";
            assert_eq!(counter, name.ends_with("_total"), "{line}");
            assert!(value.is_finite() && (!counter || value >= 0.0), "{line}");
            assert_eq!(samples.insert((name, labels), value), None, "twice: {line}");
        }
    }
    histograms(&kinds, &samples);
    samples
}

fn sample(line: &str) -> ((String, String), f64) {
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
    let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
    let (name, labels) = match series.split_once('{') {
        None => (series, ""),
        Some((name, labels)) => {
            (name, labels.strip_suffix('}').unwrap_or_else(|| panic!("{line}")))
        }
    };
    assert!(is_name(name), "{line}");
    for label in labels.split(',').filter(|_| !labels.is_empty()) {
        let (key, value) = label.split_once('=').unwrap_or_else(|| panic!("{line}"));
        let plain = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        // Every value is one of ours: nothing in it needs an escape.
        let known = |c: char| c.is_ascii_alphanumeric() || "_.+".contains(c);
        assert!(is_name(key) && plain.is_some_and(|value| value.chars().all(known)), "{line}");
    }
    ((name.to_owned(), labels.to_owned()), value)
}

/// Buckets are cumulative, ascending, and end at infinity with the count.
fn histograms(kinds: &BTreeMap<String, String>, samples: &Samples) {
    for (name, _) in kinds.iter().filter(|(_, kind)| *kind == "histogram") {
        let mut series: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
        for ((_, labels), value) in
            samples.iter().filter(|((n, _), _)| *n == format!("{name}_bucket"))
        {
            let (others, le) = labels.rsplit_once("le=").expect("a bound");
            let le = le.trim_matches('"').parse().expect("a number");
            series.entry(others.trim_end_matches(',').to_owned()).or_default().push((le, *value));
        }
        for (labels, mut buckets) in series {
            buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
            assert!(buckets.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{name}: {buckets:?}");
            let last = buckets.last().expect("one at least");
            let count = samples[&(format!("{name}_count"), labels.clone())];
            assert_eq!((last.0, last.1), (f64::INFINITY, count), "{name}");
            assert!(samples.contains_key(&(format!("{name}_sum"), labels)), "{name}");
        }
    }
}

#[test]
fn prometheus_reads_what_happened_on_the_line() {
    let Some(mut room) = Room::open() else { return };
    let port = room.ports.own(0);
    let metrics = format!("\n[metrics]\nlisten = \"127.0.0.1:{port}\"\n");
    let daemon = room.daemon(&Plan { media: &metrics, ..Plan::default() });
    let voice = wave::voice(41, 20);
    let mut caller = room.phone("caller", &voice);
    let mut officer = room.phone("2001", &voice);
    let value = |samples: &Samples, name: &str, labels: &str| {
        samples.get(&(name.to_owned(), labels.to_owned())).copied()
    };
    let before = scrape(port);
    assert_eq!(value(&before, "dutyline_line_registered", ""), Some(1.0));
    let answered = r#"direction="in",disposition="answered""#;
    assert_eq!(value(&before, "dutyline_calls_total", answered), None);

    connect(&mut caller, &mut officer);
    talk(7);
    let during = wait_until("the call", Duration::from_secs(5), || {
        let samples = scrape(port);
        let heard = ["good", "fair", "poor"].map(|grade| format!("grade=\"{grade}\""));
        let heard = heard.iter().filter_map(|of| value(&samples, "dutyline_voices_current", of));
        // How well is a matter of how busy the host is that the phones run on.
        let heard = heard.sum::<f64>() > 1.5;
        (heard && value(&samples, "dutyline_calls_current", "") == Some(1.0)).then_some(samples)
    });
    let invite = r#"direction="in",method="INVITE""#;
    assert_eq!(value(&during, "dutyline_sip_requests_total", invite), Some(1.0));
    officer.hangup();
    caller.closed();
    daemon.row_is("SELECT count(*) FROM quality", "2");

    let after = wait_until("the call's end", Duration::from_secs(5), || {
        let samples = scrape(port);
        let over = value(&samples, "dutyline_calls_total", answered) == Some(1.0);
        (over && value(&samples, "dutyline_calls_current", "") == Some(0.0)).then_some(samples)
    });
    let taken = r#"direction="out",method="INVITE",code="200""#;
    assert_eq!(value(&after, "dutyline_sip_responses_total", taken), Some(1.0));
    for histogram in ["invite_to_entry", "invite_to_ringing"] {
        let count = format!("dutyline_{histogram}_seconds_count");
        assert_eq!(value(&after, &count, ""), Some(1.0), "{histogram}");
    }
    for party in ["caller", "officer"] {
        let packets = |fate| {
            let labels = format!("party=\"{party}\",fate=\"{fate}\"");
            value(&after, "dutyline_rtp_packets_total", &labels)
        };
        assert!(packets("received").is_some_and(|count| count > 300.0), "{party}");
        assert_eq!((packets("lost"), packets("untaped")), (Some(0.0), Some(0.0)), "{party}");
        let judged = format!("party=\"{party}\"");
        assert_eq!(value(&after, "dutyline_rtp_mos_count", &judged), Some(1.0), "{party}");
    }
    assert!(value(&after, "process_resident_memory_bytes", "").is_some_and(|bytes| bytes > 5e6));
    assert!(value(&after, "dutyline_recordings_free_bytes", "").is_some_and(|bytes| bytes > 0.0));
    let (head, _) = get(port, "/").expect("an answer");
    assert!(head.starts_with("http/1.1 404"), "nothing else is served there: {head}");
}

#[test]
fn the_reader_is_strict() {
    let good = "# HELP a_total x\n# TYPE a_total counter\na_total{b=\"c\"} 1\n";
    assert_eq!(read(good).len(), 1);
    for (from, to) in [
        ("a_total{", "b_total{"),
        ("} 1", "} x"),
        ("=\"c\"", "=c"),
        ("=\"c\"", "=\"c\\\"\""),
        (" counter", " number"),
        ("# TYPE a_total counter\n", ""),
        ("1\n", "1\na_total{b=\"c\"} 2\n"),
        ("1\n", "1"),
        ("{b", "{1b"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert!(std::panic::catch_unwind(|| read(&bad)).is_err(), "{bad}");
    }
}
