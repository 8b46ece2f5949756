//! Every fault is named at its line, all of them at once; what is right gets through whole.

use super::*;
use crate::duty::journal::Urgency;
use crate::duty::line_plan::Begins;
use crate::protocol::sdp;
use crate::protocol::sip::digest::Algorithm;

const RIGHT: &str = r#"
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
    let Loaded { config, warnings } = load(RIGHT).expect("right");
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
fn sig_20_each_leg_has_its_own_policy_of_encryption() {
    let config = load(RIGHT).expect("right").config;
    assert_eq!(config.media.srtp, crate::duty::line_plan::SrtpPlan::default());
    assert_eq!(config.phones[0].srtp, None);
    let text = RIGHT.replace("target = \"2001\"", "target = \"2001\"\nsrtp = \"require\"");
    let text = format!("{text}\n[media]\nsrtp = \"offer\"\n");
    let config = load(&text).expect("right").config;
    assert_eq!(
        config.media.srtp,
        crate::duty::line_plan::SrtpPlan { line: sdp::Policy::Offer, leaders: sdp::Policy::Offer }
    );
    assert_eq!(config.phones[0].srtp, Some(sdp::Policy::Require));
    let warned = |text: &str| {
        let warnings = load(text).expect("right").warnings.list;
        warnings.iter().any(|warning| warning.field == "line.transport")
    };
    assert!(warned(&text), "the keys can be read on the way");
    assert!(!warned(RIGHT));
    let tls = format!("transport = \"tls\"\ntls_pins = [\"{}\"]", "ab".repeat(32));
    assert!(!warned(&text.replace("user = \"1001\"", &format!("user = \"1001\"\n{tls}"))));
    let wrong = format!("{RIGHT}\n[media]\nsrtp = \"yes\"\nsrtp_leaders = 1\n");
    let faults = load(&wrong).expect_err("faults");
    let fields: Vec<_> = faults.list.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(fields, ["media.srtp", "media.srtp_leaders"]);
    assert!(faults.to_string().contains("require"), "{faults}");
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
    let policy = load(&(RIGHT.to_string() + own)).expect("right").config.policy;
    assert_eq!(policy.critical, Policy::default().critical);
    let [tier] = &policy.urgent.tiers[..] else { panic!("{policy:?}") };
    assert_eq!(tier.lasts, Duration::from_secs(100));
    assert_eq!(tier.calls[0].ring, Duration::from_secs(25));
    assert_eq!(tier.calls[1].after, Duration::from_secs(50));
    let faulty = |from: &str, to: &str| {
        let text = RIGHT.to_string() + &own.replacen(from, to, 1);
        let faults = load(&text).expect_err("a fault");
        faults.list.into_iter().map(|fault| fault.field).collect::<Vec<_>>()
    };
    assert_eq!(faulty("after_seconds = 50", "after_seconds = 100"), ["escalation.urgent[0].calls"]);
    assert_eq!(faulty("\"leader\"", "\"head\""), ["escalation.urgent"]);
    assert_eq!(faulty("\"office\"", "\"fax\""), ["escalation.urgent[0].calls[1].line"]);
    assert_eq!(faulty("ring_seconds = 25", "ring_seconds = 2"), ["escalation.ring_seconds"]);
}

#[test]
fn sig_04_the_pbx_may_have_several_addresses() {
    let two = "[\"192.168.10.1:5060\", \"192.168.10.2:5062\"]";
    let line = load(&RIGHT.replace("\"192.168.10.1:5060\"", two)).expect("right").config.line;
    assert_eq!(line.pbx.len(), 2);
    assert_eq!(line.domain, "192.168.10.1");
    let bad = |list: &str| faulty("\"192.168.10.1:5060\"", list);
    assert_eq!(bad("[]"), ["line.pbx"]);
    assert_eq!(bad("[\"192.168.10.1:5060\", \"192.168.10.1:5060\"]"), ["line.pbx"]);
    assert_eq!(bad("[\"192.168.10.1:5060\", \"192.168.10.2\"]"), ["line.pbx"]);
    assert_eq!(bad(&format!("[{}]", "\"192.168.10.1:5060\", ".repeat(9))), ["line.pbx"]);
}

#[test]
fn sig_38_a_static_trunk_needs_no_password() {
    let trunk = "register = false\nnumbers = \"tel\"\nlarge_requests = \"udp\"";
    let line = load(&RIGHT.replace("password = \"secret\"", trunk)).expect("right").config.line;
    assert_eq!((line.expires, line.habits.trunk), (0, true));
    assert_eq!(line.habits.numbers, crate::protocol::sip::Numbers::Tel);
    assert!(line.habits.large_by_udp && line.password.is_empty());
    let keys = |keys: &str| faulty("user = \"1001\"", &format!("user = \"1001\"\n{keys}"));
    assert_eq!(keys("register = \"no\""), ["line.register"]);
    assert_eq!(keys("numbers = \"pots\""), ["line.numbers"]);
    assert_eq!(keys("large_requests = \"sctp\""), ["line.large_requests"]);
    assert_eq!(keys("keepalive_seconds = 9000"), ["line.keepalive_seconds"]);
    assert_eq!(keys("calls_per_second = 5"), ["line.calls_per_second"]);
}

#[test]
fn sig_37_a_trunk_may_not_tell_of_an_answer() {
    let supervised = |text: &str| load(text).expect("right").config.line.answer_supervision;
    assert!(supervised(RIGHT));
    let keys = |key: &str| RIGHT.replace("user = \"1001\"", &format!("user = \"1001\"\n{key}"));
    assert!(!supervised(&keys("answer_supervision = false")));
    let faults = load(&keys("answer_supervision = \"no\"")).expect_err("a fault").list;
    assert_eq!(faults[0].field, "line.answer_supervision");
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
fn phones_ring_in_order_at_once_or_after_their_time() {
    let begins = |text: &str| {
        let config = load(text).expect("right").config;
        config.phones.iter().map(|phone| phone.begins).collect::<Vec<_>>()
    };
    let after = |seconds| Begins::After(Duration::from_secs(seconds));
    assert_eq!(begins(RIGHT)[0], Begins::InTurn);
    let second = "[[phones]]\nname = \"备用\"\ntarget = \"2002\"\nafter_seconds = 8\n";
    let two = RIGHT.to_string() + "\n" + second;
    assert_eq!(begins(&two), [Begins::InTurn, after(8)]);
    let together = two.clone() + "[answering]\nring_plan = \"together\"\n";
    assert_eq!(begins(&together), [after(0), after(8)]);
    let field = |text: &str| {
        let faults = load(text).expect_err("a fault");
        faults.list.into_iter().map(|fault| fault.field).collect::<Vec<_>>()
    };
    assert_eq!(field(&two.replace("= 8", "= 999")), ["phones[1].after_seconds"]);
    assert_eq!(field(&together.replace("together", "all")), ["answering.ring_plan"]);
}

#[test]
fn what_becomes_of_callers_is_configured_and_has_defaults() {
    let answering = load(RIGHT).expect("right").config.answering;
    assert_eq!(answering.queue, None, "占线未接");
    assert_eq!(answering.message.map(|message| message.after), Some(Duration::from_secs(30)));
    assert_eq!(answering.silence.both, Some(Duration::from_secs(60)));
    let own = "\n[answering]\nwhen_busy = \"queue\"\nqueue_places = 3\nqueue_seconds = 90\n\
               message_after_seconds = 0\nsilence_seconds = 0\nlong_call_hours = 2\n";
    let answering = load(&(RIGHT.to_string() + own)).expect("right").config.answering;
    let queue = answering.queue.expect("a queue");
    assert_eq!((queue.places, queue.longest), (3, Duration::from_secs(90)));
    assert_eq!((answering.message, answering.silence.both), (None, None));
    assert_eq!(answering.long_call, Duration::from_secs(7200));
    let faulty = own.replace("= 90", "= 1").replace("\"queue\"", "\"wait\"");
    let faults = load(&(RIGHT.to_string() + &faulty)).expect_err("faults");
    let fields: Vec<_> = faults.list.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(fields, ["answering.when_busy", "answering.queue_seconds"], "{faults}");
}

#[test]
fn sig_30_whom_a_call_may_be_handed_to_is_named() {
    let dial = load(RIGHT).expect("right").config.dial;
    assert!(dial.allow.is_empty() && dial.names("2001"), "{dial:?}");
    let own = RIGHT.to_string() + "\n[dial]\nallow = [\"2xxx\", \"63xxxxxx\"]\nper_day = 5\n";
    let dial = load(&own).expect("right").config.dial;
    assert!(dial.names("2999") && dial.names("63001234") && !dial.names("0044123456"));
    assert_eq!(dial.per_day, 5);
    let faults = load(&own.replace("2xxx", "2.*").replace("= 5", "= -1")).expect_err("faults");
    let fields: Vec<_> = faults.list.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(fields, ["dial.allow", "dial.per_day"], "{faults}");
}

#[test]
fn sig_24_whoever_is_in_the_directory_may_be_called_as_written_and_as_dialled() {
    let own = RIGHT.to_string()
        + "\n[callers]\narea_code = \"010\"\noutside_prefixes = [\"9\"]\n[[contacts]]\n\
           name = \"某主任\"\nnumbers = [\"139 0000 0007\", \"010-63005679\"]\n";
    let dial = load(&own).expect("right").config.dial;
    for named in ["13900000007", "913900000007", "01063005679", "963005679"] {
        assert!(dial.names(named), "{named} in {dial:?}");
    }
    assert!(!dial.names("13900000008"));
}

#[test]
fn sig_24_phones_of_our_own_are_off_unless_they_are_named_with_network_and_password() {
    assert!(load(RIGHT).expect("right").config.registrar.is_none());
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let (long, short) = (file("long", "五个 words: käse\n"), file("short", "1234\n"));
    let phone = |user: &str, file: &str| {
        format!(
            "[[registrar.phones]]\nname = \"移动\"\nuser = \"{user}\"\npassword_file = \"{file}\"\n"
        )
    };
    let section = "\n[registrar]\nnetworks = [\"192.168.10.0/24\", \"::1\"]\n";
    let own =
        format!("{RIGHT}{section}algorithms = [\"md5\", \"sha-256\"]\n{}", phone("801", &long));
    let plan = load(&own).expect("right").config.registrar.expect("phones");
    assert_eq!(plan.algorithms, [Algorithm::Sha256, Algorithm::Md5], "the strongest first");
    assert_eq!(plan.phones[0].password, "五个 words: käse");
    assert!(!format!("{plan:?}").contains("käse"), "the password is not shown");
    assert_eq!((plan.networks[0].bits, plan.networks[1].bits), (24, 128));
    let faulty = [
        section.replace("/24", "/33"),
        "algorithms = [\"sha-1\"]\n".to_owned(),
        phone("801", &long),
        phone("801", &long),
        phone("8 1", &short),
        phone("803", "/nowhere/at/all"),
    ];
    let faults = load(&(RIGHT.to_string() + &faulty.concat())).expect_err("faults");
    let fields: Vec<_> = faults.list.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "registrar.networks",
            "registrar.algorithms",
            "registrar.phones[1].user",
            "registrar.phones[2].user",
            "registrar.phones[2].password_file",
            "registrar.phones[3].password_file",
        ],
        "{faults}"
    );
    let nobody = load(&(RIGHT.to_string() + section)).expect_err("no phone");
    assert_eq!(nobody.list[0].field, "registrar.phones", "{nobody}");
    let open = load(&own.replace("192.168.10.0/24", "0.0.0.0/0")).expect("right, with a warning");
    assert!(open.warnings.list.iter().any(|fault| fault.field == "registrar.networks"));
}

#[test]
fn a_phone_whose_turn_never_comes_is_warned_of() {
    let late = "\n[[phones]]\nname = \"备用\"\ntarget = \"2002\"\n[answering]\n\
                message_after_seconds = 20\n";
    let loaded = load(&(RIGHT.to_string() + late)).expect("right");
    let fields: Vec<_> = loaded.warnings.list.iter().map(|fault| fault.field.as_str()).collect();
    assert!(fields.contains(&"phones[1].ring_seconds"), "{}", loaded.warnings);
}

#[test]
fn a_greeting_must_be_a_wav_that_can_be_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("greeting.wav");
    let text = format!("{RIGHT}\n[answering]\ngreeting = \"{}\"\n", path.display());
    let fields = |text: &str| {
        let faults = load(text).expect_err("a fault");
        faults.list.into_iter().map(|fault| fault.field).collect::<Vec<_>>()
    };
    assert_eq!(fields(&text), ["answering.greeting"], "not there");
    std::fs::write(&path, b"RIFF nonsense").expect("written");
    assert_eq!(fields(&text), ["answering.greeting"]);
    std::fs::write(&path, include_bytes!("../io/prompts/greeting.wav")).expect("written");
    assert_eq!(load(&text).expect("right").config.greeting, Some(path));
}

#[test]
fn rel_22_the_pbx_may_have_a_name() {
    let pbx = |text: &str| {
        let line = load(&RIGHT.replace("192.168.10.1:5060", text)).expect("right").config.line;
        (line.pbx[0].clone(), line.domain)
    };
    let named = |name: &str, port| PbxAddress::Named { name: name.into(), port };
    assert_eq!(pbx("PBX.duty.cn"), (named("pbx.duty.cn", None), "pbx.duty.cn".into()));
    assert_eq!(pbx("pbx:5070"), (named("pbx", Some(5070)), "pbx".into()));
    let bad = |text: &str| faulty("192.168.10.1:5060", text);
    for text in ["pbx..cn", "pbx:99999", "pbx:0", "-:", "10.1.2", "a b.cn", "sip:pbx.cn"] {
        assert_eq!(bad(text), ["line.pbx"], "{text}");
    }
    let dns = |list: &str| faulty("user =", &format!("dns = {list}\nuser ="));
    assert_eq!(dns("[\"10.0.0.1\"]"), ["line.dns"]);
}

#[test]
fn sig_20_tls_needs_something_to_check_the_certificate_with() {
    let folder = tempfile::tempdir().expect("a folder");
    let ca = folder.path().join("ca.pem");
    let pem = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
    std::fs::write(&ca, pem).expect("written");
    let ca = format!("tls_ca = \"{}\"\n", ca.display());
    let pins = format!("tls_pins = [\"{}\"]\n", "AB:".repeat(31) + "cd");
    let with = |keys: &str| RIGHT.replace("user =", &format!("{keys}user ="));
    let tls = |keys: &str| load(&with(&format!("transport = \"tls\"\n{keys}")));
    let checked = |keys: &str| tls(keys).expect("right").config.line.tls.expect("TLS");
    assert_eq!(checked(&ca).name, "192.168.10.1");
    let named = checked(&format!("{ca}tls_name = \"pbx.cn\"\nsips = true\n"));
    assert_eq!((named.name.as_str(), named.named), ("pbx.cn", true));
    let [pin] = &checked(&pins).pins[..] else { panic!("one pin") };
    assert_eq!((pin[0], pin[30], pin[31]), (0xab, 0xab, 0xcd));
    let fields = |loaded: Result<Loaded, Faults>| -> Vec<String> {
        loaded.expect_err("a fault").list.into_iter().map(|fault| fault.field).collect()
    };
    assert_eq!(fields(tls("")), ["line.tls_ca"]);
    assert_eq!(fields(tls(&format!("{ca}{pins}"))), ["line.tls_ca"]);
    assert_eq!(fields(tls("tls_ca = \"no/such\"\n")), ["line.tls_ca"]);
    assert_eq!(fields(tls("tls_pins = [\"abcd\"]\n")), ["line.tls_pins"]);
    assert_eq!(fields(load(&with(&ca))), ["line.tls_ca"], "without TLS it means nothing");
    assert_eq!(fields(load(&with("sips = true\n"))), ["line.sips"]);
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
    assert_eq!(usual, Witness { folder: None, every: Duration::from_secs(600) });
    let given = with("folder = \"/mnt/witness\"\nevery_minutes = 5").expect("right").config;
    let folder = Some(PathBuf::from("/mnt/witness"));
    assert_eq!(given.witness, Witness { folder, every: Duration::from_secs(300) });
    assert!(given.summary().contains("/mnt/witness"));
    for (keys, field) in [
        ("every_minutes = 0", "witness.every_minutes"),
        ("folder = \"\"", "witness.folder"),
        ("foldr = \"/x\"", "witness.foldr"),
    ] {
        assert_eq!(with(keys).expect_err("a fault").list[0].field, field);
    }
}

/// The right text with channels, whose secrets are in a folder of their own.
fn with_channels(folder: &Path, sections: &str) -> Result<Loaded, Faults> {
    for (name, text) in [("s", "hush-hush\n"), ("two", "whsec_aaaa\nwhsec_bbbb\n"), ("empty", "\n")]
    {
        std::fs::write(folder.join(name), text).expect("written");
    }
    let sections = sections.replace("FOLDER", &folder.display().to_string());
    let right = RIGHT.replace("\"3001\"\n", "\"3001\"\nsms = \"13900000000\"\n");
    load(&format!("{right}{sections}"))
}

/// One of each kind.
const CHANNELS: &str = r#"
[[channels]]
name = "业务平台"
kind = "webhook"
url = "https://oa.example.cn/duty"
secret_file = "FOLDER/two"
[[channels]]
name = "值班群"
kind = "dingtalk_bot"
token_file = "FOLDER/s"
secret_file = "FOLDER/s"
least = "critical"
repeat_minutes = 0
[[channels]]
name = "飞书"
kind = "feishu_bot"
token_file = "FOLDER/s"
[[channels]]
name = "企微群"
kind = "wecom_bot"
token_file = "FOLDER/s"
mention = ["13800000000"]
[[channels]]
name = "企微"
kind = "wecom_app"
corp_id = "ww1"
agent_id = 1000002
secret_file = "FOLDER/s"
to = ["zhangsan"]
[[channels]]
name = "ntfy"
kind = "ntfy"
url = "http://127.0.0.1:2586"
topic = "zhiban"
allow = ["127.0.0.1"]
[[channels]]
name = "gotify"
kind = "gotify"
url = "https://gotify.example.cn/"
token_file = "FOLDER/s"
[[channels]]
name = "邮件"
kind = "mail"
server = "smtp.example.cn"
user = "zhiban@example.cn"
password_file = "FOLDER/s"
from = "zhiban@example.cn"
to = ["leader@example.cn"]
[[channels]]
name = "短信"
kind = "sms"
url = "https://sms.example.cn/send"
headers = ["Authorization: APPCODE {secret}"]
body = '{"phone":"{to}","no":"{no}"}'
secret_file = "FOLDER/s"
roles = ["leader"]
success_field = "/Code"
success_value = "OK"
[[channels]]
name = "短信猫"
kind = "modem"
device = "/dev/ttyUSB0"
roles = ["leader"]
"#;

#[test]
fn esc_82_channels_of_every_kind_are_read_and_no_secret_is_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let loaded = with_channels(folder.path(), CHANNELS).unwrap_or_else(|faults| panic!("{faults}"));
    let channels = &loaded.config.channels;
    assert_eq!(channels.len(), 10);
    assert_eq!(channels[9].plan.repeat, Some(Duration::from_secs(3600)));
    let repeats: Vec<_> = channels.iter().map(|one| one.plan.repeat.map(|r| r.as_secs())).collect();
    assert_eq!(repeats[..3], [Some(600), None, Some(600)]);
    assert_eq!(channels[1].plan.least, Urgency::Critical);
    let channels::Way::Webhook(hook) = &channels[0].way else { panic!("{channels:?}") };
    assert_eq!((hook.secrets.len(), hook.secrets[1].expose()), (2, "whsec_bbbb"));
    let shown = format!("{:?}{}{}", loaded.config, loaded.config.summary(), loaded.warnings);
    assert!(!shown.contains("hush-hush") && !shown.contains("whsec_"), "esc_87");
    let warned: Vec<_> = loaded.warnings.list.iter().map(|one| one.field.as_str()).collect();
    assert_eq!(warned, ["line.password"], "plain HTTP on this host is no fault");
}

#[test]
fn a_channel_that_cannot_work_is_refused_with_its_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    let fields = |section: &str| -> Vec<String> {
        let faults =
            with_channels(folder.path(), &format!("[[channels]]\nname = \"x\"\n{section}"));
        faults.expect_err(section).list.into_iter().map(|fault| fault.field).collect()
    };
    let one = |key: &str| vec![format!("channels[0].{key}")];
    assert_eq!(fields("kind = \"pager\""), one("kind"));
    let hook = "kind = \"webhook\"\nsecret_file = \"FOLDER/s\"\n";
    for url in [
        "oa.example.cn",
        "ftp://x/",
        "https://u:p@x/",
        "https:///x",
        "https://x/#a",
        "https://值班/",
    ] {
        assert_eq!(fields(&format!("{hook}url = \"{url}\"")), one("url"), "{url}");
    }
    assert_eq!(fields(&format!("{hook}url = \"https://x/\"\nallow = [\"x\"]")), one("allow"));
    let url = "kind = \"webhook\"\nurl = \"https://x/\"\n";
    assert_eq!(fields(url), one("secret_file"));
    assert_eq!(fields(&format!("{url}secret_file = \"FOLDER/none\"")), one("secret_file"));
    assert_eq!(fields(&format!("{url}secret_file = \"FOLDER/empty\"")), one("secret_file"));
    assert_eq!(fields("kind = \"wecom_bot\"\ntoken_fil = \"FOLDER/s\"").len(), 2);
    let mail = "kind = \"mail\"\nserver = \"smtp.x.cn\"\nfrom = \"a@x.cn\"\nto = [\"b@x.cn\"]\n";
    assert_eq!(fields(&format!("{mail}user = \"a\"")), one("user"));
    assert_eq!(fields(&mail.replace("b@x.cn", "b")), one("to"));
    let clear = "user = \"a\"\npassword_file = \"FOLDER/s\"\nsecurity = \"none\"";
    assert_eq!(fields(&format!("{mail}{clear}")), one("security"), "no password in the clear");
    let sms = "kind = \"sms\"\nurl = \"https://x/\"\n";
    let body = "body = '{to} {no}'\n";
    assert_eq!(fields(&format!("{sms}{body}")), one("to"));
    assert_eq!(fields(&format!("{sms}{body}roles = [\"head\"]")), one("roles"), "nobody holds it");
    assert_eq!(
        fields(&format!("{sms}body = '{{to}} {{name}} {{no}}'\nto = [\"13800000000\"]")),
        one("body")
    );
    assert_eq!(fields(&format!("{sms}body = 'x'\nto = [\"13800000000\"]")), one("body"));
    for number in ["913800000000", "3001", "sip:a@x", "23800000000", "+86138x"] {
        assert_eq!(
            fields(&format!("{sms}{body}roles = [\"leader\"]\nto = [\"{number}\"]")),
            one("to"),
            "{number}"
        );
    }
    let bot = "kind = \"wecom_bot\"\ntoken_file = \"FOLDER/s\"\n";
    assert_eq!(fields(&format!("{bot}url = \"https://x/?key=a\"")), one("url"));
    assert_eq!(fields("kind = \"modem\"\ndevice = \"/dev/ttyUSB0\""), one("to"));
    let twice = with_channels(
        folder.path(),
        "[[channels]]\nname = \"x\"\nkind = \"wecom_bot\"\ntoken_file = \"FOLDER/s\"\n\
         [[channels]]\nname = \"x\"\nkind = \"wecom_bot\"\ntoken_file = \"FOLDER/s\"\n",
    );
    let twice = twice.expect_err("twice").list;
    assert_eq!(twice[0].field, "channels[1].name");
}

#[test]
fn what_is_sent_in_the_clear_is_warned_of() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "[[channels]]\nname = \"x\"\nkind = \"gotify\"\nurl = \"http://10.0.0.9\"\n\
                token_file = \"FOLDER/s\"\n";
    let warnings = with_channels(folder.path(), text).expect("right").warnings;
    assert!(warnings.list.iter().any(|one| one.field == "channels[0].url"), "{warnings}");
}
