//! Every fault is named at its line, all of them at once; what is right gets through whole.

mod copies;
mod leaders;
mod line;
mod numbers;
mod sense;
mod ways;

use super::*;
use crate::duty::escalation::Policy;
use crate::duty::journal::Urgency;
use crate::duty::line_plan::Begins;
use crate::protocol::sdp;
use crate::protocol::sip::digest::Algorithm;

pub const RIGHT: &str = r#"
[line]
number = "63001234"
room = "值班室"
pbx = "192.168.10.1:5060"
user = "1001"
password = "secret"
listen = "0.0.0.0:5060"
advertise = "192.168.10.20"

[[phones]]
name = "值班台话机"
target = "2001"

[[leaders]]
name = "李四"
role = "leader"
mobile = "3001"
"#;

fn load(text: &str) -> Result<Loaded, Faults> {
    Config::parse("a.toml", text, &Environment::new())
}

/// The fields at fault, in order, of the right text with `from` replaced by `to`.
fn faulty(from: &str, to: &str) -> Vec<String> {
    assert!(RIGHT.contains(from), "{from}");
    let faults = load(&RIGHT.replacen(from, to, 1)).expect_err("a fault");
    faults.list.into_iter().map(|fault| fault.field).collect()
}

#[test]
fn the_least_that_is_needed_is_enough() {
    let Loaded { config, set_aside, warnings } = load(RIGHT).expect("right");
    assert!(set_aside.is_empty());
    assert_eq!(config.line.domain, "192.168.10.1");
    assert_eq!(config.line.auth_user, "1001");
    assert_eq!((config.line.expires, config.line.session_expires), (90, 1800));
    assert_eq!(config.line.transport, Transport::Udp);
    assert_eq!(config.phones[0].ring, Duration::from_secs(20));
    assert_eq!(config.media.first_port, 16384);
    assert_eq!(config.storage.entry_budget, Duration::from_millis(150));
    assert_eq!(config.storage.ballast, 64 << 20);
    assert_eq!(config.line.finish, Duration::ZERO);
    assert_eq!(config.web.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.roster.people[0].mobile.as_deref(), Some("3001"));
    let warned: Vec<_> = warnings.list.iter().map(|warning| warning.field.as_str()).collect();
    assert_eq!(warned, ["line.password"]);
}

#[test]
fn the_password_is_never_shown() {
    let config = load(RIGHT).expect("right").config;
    assert!(!format!("{config:?}").contains("secret"));
}

#[test]
fn the_example_that_is_handed_out_is_right() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("config/dutyline.toml")).expect("the example");
    let loaded = Config::parse("config/dutyline.toml", &text, &Environment::new());
    let loaded = loaded.unwrap_or_else(|faults| panic!("{faults}"));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    assert_eq!(loaded.config.phones.len(), 2);
}

/// Each default that the example shows behind a `#` is the default.
#[test]
fn the_examples_comments_tell_the_truth() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("config/dutyline.toml")).expect("the example");
    let shown: String = text
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(key) if key.split(" = ").next().is_some_and(is_key) && key.contains(" = ") => key,
            _ => line,
        })
        .filter(|line| !line.starts_with("realm"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let shown = shown.replace("name = \"替班领导\"\n", "");
    let shown = shown.replace("role = \"substitute\"\nmobile = \"913900000000\"\n", "");
    let plain = Config::parse("plain", &text, &Environment::new()).expect("right").config;
    let shown = Config::parse("shown", &shown, &Environment::new());
    let shown = shown.unwrap_or_else(|faults| panic!("{faults}")).config;
    assert_eq!(format!("{plain:?}"), format!("{shown:?}"));
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

#[test]
fn all_faults_are_named_at_once() {
    let text = r#"
[line]
nummer = "63001234"
room = ""
pbx = "pbx_local:5060"
transport = "sctp"
user = 1001
expires = 5
session_expires = 89
listen = "0.0.0.0:70000"

[media]
channels = "many"

[[phones]]
name = "x"
target = "20 01"

[[leaders]]
name = "李四"
role = "boss"

[surplus]
"#;
    let faults = load(text).expect_err("faults");
    let fields: Vec<_> = faults.list.iter().map(|fault| fault.field.as_str()).collect();
    let expected = [
        "line.number",
        "line.password_file",
        "line.nummer",
        "line.room",
        "line.pbx",
        "line.transport",
        "line.user",
        "line.expires",
        "line.session_expires",
        "line.listen",
        "media.channels",
        "phones[0].target",
        "leaders[0].mobile",
        "leaders[0].role",
        "surplus",
    ];
    let mut sorted = fields.clone();
    sorted.sort_unstable();
    let mut wanted = expected.to_vec();
    wanted.push("line.advertise");
    wanted.sort_unstable();
    assert_eq!(sorted, wanted, "{faults}");
}

#[test]
fn a_fault_shows_line_caret_and_remedy() {
    let faults = load(&RIGHT.replace("192.168.10.1:5060", "pbx local")).expect_err("a fault");
    let shown = faults.to_string();
    let expected = "\
a.toml:5:7: line.pbx
  |
5 | pbx = \"pbx local\"
  |       ^^^^^^^^^^^
";
    assert!(shown.starts_with(expected), "{shown}");
    assert!(shown.contains("192.168.10.1:5060"), "{shown}");
    let slip = load(&RIGHT.replace("user =", "usr =")).expect_err("a fault").to_string();
    assert!(slip.contains("did you mean user?"), "{slip}");
    assert!(slip.contains("missing; write for example: user = \"1001\""), "{slip}");
}

#[test]
fn addresses_and_ports() {
    assert_eq!(faulty("192.168.10.1:5060", "192.168.10.1:0"), ["line.pbx"]);
    assert_eq!(faulty("192.168.10.1:5060", "192.168.10.1"), ["line.pbx"]);
    assert_eq!(faulty("0.0.0.0:5060", "0.0.0.0:65536"), ["line.listen"]);
    assert_eq!(faulty("advertise = \"192.168.10.20\"", ""), ["line.advertise"]);
    assert_eq!(faulty("192.168.10.20", "0.0.0.0"), ["line.advertise"]);
    let media = |keys: &str| faulty("[[phones]]", &format!("[media]\n{keys}\n[[phones]]"));
    assert_eq!(media("first_port = 65000\nchannels = 300"), ["media.first_port"]);
    assert_eq!(media("first_port = 65535"), ["media.first_port"]);
    assert_eq!(media("first_port = 5051"), ["media.first_port", "media.first_port"]);
    assert_eq!(media("first_port = 5000"), ["media.first_port"]);
    assert_eq!(media("channels = 5"), ["media.reserved"]);
    assert_eq!(media("channels = 2"), ["media.reserved"]);
    assert_eq!(media("channels = 2\nreserved = 256"), ["media.reserved"]);
    assert_eq!(media("listen = \"eth0\""), ["media.listen"]);
    let web = |keys: &str| faulty("[[phones]]", &format!("[web]\n{keys}\n[[phones]]"));
    assert_eq!(web("listen = \"127.0.0.1:5060\""), ["web.listen"]);
}

#[test]
fn phones_and_leaders_there_must_be() {
    assert_eq!(
        faulty("[[phones]]", "[[contacts]]\nnumbers = []"),
        ["contacts[0].target", "phones"]
    );
    assert_eq!(faulty("\"leader\"", "\"head\""), ["leaders"]);
    assert_eq!(faulty("mobile = \"3001\"", ""), ["leaders[0].mobile"]);
    let twice =
        RIGHT.to_string() + "[[leaders]]\nname = \"王五\"\nrole = \"leader\"\noffice = \"1\"\n";
    assert_eq!(load(&twice).expect_err("a fault").list[0].field, "leaders[1].role");
}

#[test]
fn the_secret_comes_from_one_place() {
    let inline = "password = \"secret\"";
    assert_eq!(faulty(inline, ""), ["line.password_file"]);
    assert_eq!(faulty(inline, "password = \"a\"\npassword_file = \"b\""), ["line.password"]);
    assert_eq!(faulty(inline, "password_file = \"no/such/file\""), ["line.password_file"]);

    let env = Environment::from([("DUTYLINE_LINE_PASSWORD".to_string(), "of the env".to_string())]);
    let without = RIGHT.replace(inline, "");
    let loaded = Config::parse("a.toml", &without, &env).expect("right");
    assert_eq!(loaded.config.line.password, "of the env");
    assert!(Config::parse("a.toml", RIGHT, &env).is_err(), "given twice");

    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("line-password"), "of systemd\n").expect("written");
    let shown = folder.path().display().to_string();
    let env = Environment::from([("CREDENTIALS_DIRECTORY".to_string(), shown.clone())]);
    let loaded = Config::parse("a.toml", &without, &env).expect("right");
    assert_eq!(loaded.config.line.password, "of systemd");

    let file = format!("password_file = \"{shown}/line-password\"");
    let loaded = load(&RIGHT.replace(inline, &file)).expect("right");
    assert_eq!(loaded.config.line.password, "of systemd");
    assert!(loaded.warnings.is_empty());
    std::fs::write(folder.path().join("line-password"), "\n").expect("written");
    assert_eq!(faulty(inline, &file), ["line.password_file"]);
}

#[test]
fn what_is_not_toml_is_said_with_its_line() {
    let faults = load("[line]\nnumber = 63 001\n[web\nlisten = \"x\"\n").expect_err("faults");
    let shown = faults.to_string();
    assert!(shown.contains("a.toml:2:"), "{shown}");
    assert!(shown.contains("a.toml:3:"), "{shown}");
    assert!(shown.contains("TOML"), "{shown}");
}

#[test]
fn a_value_in_the_place_of_a_section_is_one_fault() {
    let faults = load("line = 5\nphones = 5\n").expect_err("faults");
    let fields: Vec<_> = faults.list.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(fields, ["line", "phones", "leaders"], "{faults}");
}

#[test]
fn a_file_that_is_not_there_is_said_with_its_name() {
    let faults = Config::load(Path::new("no/such.toml"), &Environment::new()).expect_err("a fault");
    assert!(faults.to_string().contains("no/such.toml: --config"), "{faults}");
}

#[test]
fn the_summary_masks_the_password() {
    let summary = load(RIGHT).expect("right").config.summary();
    assert!(!summary.contains("secret"), "{summary}");
    for shown in
        ["63001234", "192.168.10.1:5060 udp, 1001@192.168.10.1", "2001 值班台话机", "李四 3001"]
    {
        assert!(summary.contains(shown), "{shown} in {summary}");
    }
}

#[test]
fn a_ladder_of_ones_own_takes_the_place_of_the_default() {
    let own = r#"
[escalation]
ring_seconds = 25
[[escalation.urgent]]
role = "leader"
lasts_seconds = 100
repeat_seconds = 10
calls = [{ line = "mobile" }, { after_seconds = 50, line = "office", ring_seconds = 30 }]
"#;
    let policy = load(&(RIGHT.to_string() + own)).expect("right").config.policy.first.figures;
    assert_eq!(policy.critical, Policy::default().critical);
    let [tier] = &policy.urgent.tiers[..] else { panic!("{policy:?}") };
    assert_eq!(tier.lasts, Duration::from_secs(100));
    assert_eq!(tier.calls[0].ring, Duration::from_secs(25));
    assert_eq!(tier.calls[1].after, Duration::from_secs(50));
    let faulty = |from: &str, to: &str| {
        let text = RIGHT.to_string() + &own.replacen(from, to, 1);
        let Loaded { config, set_aside, .. } = load(&text).expect("the rest is right");
        assert!(config.policy.first.is_unreadable());
        set_aside.list.into_iter().map(|fault| fault.field).collect::<Vec<_>>()
    };
    assert_eq!(faulty("after_seconds = 50", "after_seconds = 100"), ["escalation.urgent[0].calls"]);
    assert_eq!(faulty("\"leader\"", "\"head\""), ["escalation.urgent"]);
    assert_eq!(faulty("\"office\"", "\"fax\""), ["escalation.urgent[0].calls[1].line"]);
    assert_eq!(faulty("ring_seconds = 25", "ring_seconds = 2"), ["escalation.ring_seconds"]);
}

#[test]
fn callers_are_known_by_the_rules_of_the_site() {
    let loaded = load(RIGHT).expect("right");
    assert_eq!(loaded.config.callers, CallerRules::default());
    let site = RIGHT.to_string()
        + "[callers]\narea_code = \"010\"\noutside_prefixes = [\"9\"]\n\
           emergency_priority = \"critical\"\n[[callers.units]]\nname = \"燃气\"\n\
           prefixes = [\"6300-5\"]\n[[contacts]]\nname = \"王\"\n\
           numbers = [\"9-6300 5678\", \"+86 138 0013 8000\", \"8001\", \"110\"]\n";
    let callers = load(&site).expect("right").config.callers;
    assert_eq!(callers.numbering.local_digits, [8], "a town with an area code of 3 digits");
    assert_eq!(callers.numbering.read("9-6300 5678").plain, "01063005678");
    assert_eq!(callers.emergency, Some(Urgency::Critical));
    assert_eq!(callers.units[0].prefixes, ["63005"]);
}

#[test]
fn a_contact_that_no_caller_can_match_is_named_with_its_remedy() {
    for (number, zh) in [("1380013800", "11 位手机号"), ("张三", "分机号"), ("*9", "短号")]
    {
        let text =
            format!("{RIGHT}[[contacts]]\nname = \"王\"\nnumbers = [\"110\", \"{number}\"]\n");
        let faults = load(&text).expect_err("a fault");
        assert_eq!(faults.list[0].field, "contacts[0].numbers");
        let shown = faults.to_string();
        assert!(shown.contains(number) && shown.contains(zh), "{shown}");
        let line = text.lines().position(|line| line.contains(number)).expect("there") + 1;
        assert!(shown.contains(&line.to_string()), "line {line}: {shown}");
    }
    for wrong in [
        "area_code = \"10\"",
        "area_code = \"21\"",
        "outside_prefixes = [\"+\"]",
        "extension_digits = [0]",
        "emergency_priority = \"yes\"",
        "units = [{ name = \"x\", prefixes = [\"1\"] }]",
    ] {
        let faults = load(&format!("{RIGHT}[callers]\n{wrong}\n")).expect_err("a fault");
        assert!(faults.list[0].field.starts_with("callers."), "{faults}");
    }
}

#[test]
fn metrics_are_served_only_where_an_address_is_given() {
    let with = |listen: &str| load(&format!("{RIGHT}\n[metrics]\nlisten = \"{listen}\"\n"));
    assert_eq!(load(RIGHT).expect("right").config.metrics, None);
    let local = with("127.0.0.1:9464").expect("right");
    let listen = "127.0.0.1:9464".parse().expect("an address");
    assert_eq!(local.config.metrics, Some(Measured { listen }));
    assert!(local.config.summary().contains("http://127.0.0.1:9464/metrics"));
    let warned = |loaded: Loaded| -> Vec<String> {
        loaded.warnings.list.into_iter().map(|warning| warning.field).collect()
    };
    assert_eq!(warned(local), ["line.password"]);
    assert_eq!(warned(with("0.0.0.0:9464").expect("works")), ["line.password", "metrics.listen"]);
    for taken in ["127.0.0.1:8080", "0.0.0.0:5060", "127.0.0.1:0", "nowhere"] {
        let faults = with(taken).expect_err("a fault");
        assert_eq!(faults.list[0].field, "metrics.listen", "{taken}");
    }
}

#[test]
fn heads_of_the_log_go_to_the_folder_that_is_given() {
    let with = |keys: &str| load(&format!("{RIGHT}\n[witness]\n{keys}\n"));
    let usual = load(RIGHT).expect("right").config.witness;
    assert_eq!(usual, Witness { folder: None, webhook: None, every: Duration::from_secs(600) });
    let given = with("folder = \"/mnt/witness\"\nevery_minutes = 5").expect("right").config;
    let folder = Some(PathBuf::from("/mnt/witness"));
    assert_eq!(given.witness, Witness { folder, webhook: None, every: Duration::from_secs(300) });
    assert!(given.summary().contains("/mnt/witness"));
    let secret = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(secret.path(), "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD\n").expect("written");
    let file = format!("secret_file = \"{}\"", secret.path().display());
    let hook = "[witness.webhook]\nurl = \"https://audit.example.cn/heads\"";
    let hook = with(&format!("{hook}\n{file}\nallow = [\"10.0.0.0/8\"]")).expect("right").config;
    assert!(hook.summary().contains("https://audit.example.cn/heads"));
    let hook = hook.witness.webhook.expect("one");
    assert_eq!((hook.hook.secrets.len(), hook.allow.len()), (1, 1));
    for (keys, field) in [
        ("[witness.webhook]\nurl = \"https://a.cn\"", "witness.webhook.secret_file"),
        ("every_minutes = 0", "witness.every_minutes"),
        ("folder = \"\"", "witness.folder"),
        ("foldr = \"/x\"", "witness.foldr"),
    ] {
        assert_eq!(with(keys).expect_err("a fault").list[0].field, field);
    }
}

#[test]
fn rec_d14_terms_are_a_month_at_least_and_for_ever_unless_given() {
    let with = |keys: &str| load(&format!("{RIGHT}\n[keeping]\n{keys}\n"));
    assert_eq!(load(RIGHT).expect("right").config.keeping, Rules::default());
    let given = with("ordinary_days = 180\nself_test_days = 1").expect("right").config.keeping;
    assert_eq!(given.ordinary.map(|time| time.num_days()), Some(180));
    assert_eq!((given.urgent, given.self_test.map(|time| time.num_days())), (None, Some(1)));
    assert_eq!(load(RIGHT).expect("right").config.flac, None);
    let flac = with("flac_days = 7").expect("right").config.flac;
    assert_eq!(flac.map(|time| time.num_days()), Some(7));
    for (keys, field) in [
        ("ordinary_days = 29", "keeping.ordinary_days"),
        ("urgent_days = -1", "keeping.urgent_days"),
        ("flac_days = 36501", "keeping.flac_days"),
        ("days = 100", "keeping.days"),
    ] {
        assert_eq!(with(keys).expect_err("a fault").list[0].field, field);
    }
}
