//! The line, its phones and what becomes of calls: what is read, what has a default, what is refused.

use super::*;
use crate::duty::prompts::{GREETING, URGENT};

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
fn esc_13_keys_in_the_voice_count_only_where_the_site_says_so() {
    let counts = |text: &str| load(text).expect("right").config.line.keys_in_voice;
    assert!(!counts(RIGHT));
    let with = |key: &str| RIGHT.replace("user = \"1001\"", &format!("user = \"1001\"\n{key}"));
    assert!(counts(&with("keys_in_voice = true")));
    let summary = load(&with("keys_in_voice = true")).expect("right").config.summary();
    assert!(summary.contains("tones in the voice"), "{summary}");
    let echoed = "answer_supervision = false\nkeys_in_voice = true";
    let faults = load(&with(echoed)).expect_err("the gateway's own digits").list;
    assert_eq!((faults.len(), faults[0].field.as_str()), (1, "line.keys_in_voice"));
    let faults = load(&with("keys_in_voice = 1")).expect_err("a fault").list;
    assert_eq!(faults[0].field, "line.keys_in_voice");
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
    std::fs::write(&path, include_bytes!("../../io/prompts/greeting.wav")).expect("written");
    assert_eq!(load(&text).expect("right").config.prompts, [(GREETING, path)]);
}

#[test]
fn the_voice_of_the_site_must_be_one_that_can_be_heard_and_is_no_tone() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!("{RIGHT}\n[prompts]\nfolder = \"{}\"\n", folder.path().display());
    let put = |name: &str, samples: &[i16]| {
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let mut wav = include_bytes!("../../io/prompts/urgent.wav")[..44].to_vec();
        // A pipe does not know how much will come.
        wav[40..44].copy_from_slice(&[0xff; 4]);
        std::fs::write(folder.path().join(name), [wav, bytes].concat()).expect("written");
    };
    let said = include_bytes!("../../io/prompts/drill.wav")[44..].chunks_exact(2);
    let said: Vec<i16> = said.map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    let why = || {
        let faults = load(&text).expect_err("a fault");
        assert!(faults.list.iter().all(|fault| fault.field == "prompts.folder"), "{faults}");
        faults.to_string()
    };
    let tone = |hertz: &[f64], seconds: usize| -> Vec<i16> {
        let phase =
            |n: usize, hertz: f64| (n as f64 / 8000.0 * hertz * std::f64::consts::TAU).sin();
        let at = |n| hertz.iter().map(|one| phase(n, *one) * 6000.0).sum::<f64>() as i16;
        (0..8000 * seconds).map(at).collect()
    };

    put("urgent.wav", &said);
    put("hallo.wav", &said);
    let loaded = load(&text).expect("right");
    assert_eq!(loaded.config.prompts, [(URGENT, folder.path().join("urgent.wav"))]);
    let warned = loaded.warnings.to_string();
    assert!(warned.contains("hallo.wav") && warned.contains("urgent_live"), "{warned}");

    put("urgent.wav", &[3; 8000]);
    assert!(why().contains("urgent.wav") && why().contains("几乎没有声音"), "{}", why());
    put("urgent.wav", &[]);
    assert!(why().contains("几乎没有声音"), "{}", why());
    put("urgent.wav", &said.repeat(80));
    assert!(why().contains("60"), "{}", why());
    put("urgent.wav", &[&said[..], &tone(&[697.0, 1209.0], 1)].concat());
    assert!(why().contains("DTMF 1"), "{}", why());
    put(
        "urgent.wav",
        &[&tone(&[450.0], 1), &vec![0; 32_000], &tone(&[450.0], 1), &said[..]].concat(),
    );
    assert!(why().contains("Ringing"), "{}", why());
    std::fs::write(folder.path().join("urgent.wav"), b"RIFF....WAVE").expect("written");
    assert!(why().contains("sox"), "{}", why());
    std::fs::remove_dir_all(folder.path()).expect("removed");
    assert!(why().contains("读不出文件夹"), "{}", why());
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
fn rel_t6_voice_may_be_everywhere_unless_the_site_names_its_places() {
    let media = |text: &str| load(&format!("{RIGHT}\n[media]\n{text}"));
    let somewhere = "203.0.113.9".parse().expect("an address");
    assert!(media("").expect("right").config.media.places.permits(somewhere));
    let loaded = media("places = [\"192.168.10.0/24\", \"10.1.2.3\"]").expect("right");
    let places = loaded.config.media.places;
    assert!(!places.permits(somewhere) && places.permits("10.1.2.3".parse().expect("one")));
    assert!(loaded.warnings.list.iter().all(|one| one.field != "media.places"));
    let elsewhere = media("places = [\"10.1.2.3\"]").expect("right").warnings;
    assert!(elsewhere.list.iter().any(|one| one.field == "media.places"), "{elsewhere}");
    for wrong in ["[\"10.1.2.3/33\"]", "[\"pbx\"]", "\"10.1.2.3\""] {
        let faults = media(&format!("places = {wrong}")).expect_err(wrong);
        assert_eq!(faults.list[0].field, "media.places", "{wrong}");
    }
    let many: Vec<_> = (0..9).map(|n| format!("\"10.0.{n}.0/24\"")).collect();
    let faults = media(&format!("places = [{}]", many.join(", "))).expect_err("too many");
    assert_eq!(faults.list[0].field, "media.places");
}
