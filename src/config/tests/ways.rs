//! The channels by which people are told: what is read of each kind, and what is refused.

use super::*;

/// The right text with channels, whose secrets are in a folder of their own.
fn with_channels(folder: &Path, sections: &str) -> Result<Loaded, Faults> {
    for (name, text) in [("s", "hush-hush\n"), ("two", "whsec_aaaa\nwhsec_bbbb\n"), ("empty", "\n")]
    {
        std::fs::write(folder.join(name), text).expect("written");
    }
    let sections = sections.replace("FOLDER", &folder.display().to_string());
    let more = "\"3001\"\noffice = \"3002\"\nsms = \"13900000000\"\n";
    let right = RIGHT.replace("\"3001\"\n", more);
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
[[channels]]
name = "话机"
kind = "sip_message"
roles = ["leader"]
to = ["3005"]
"#;

#[test]
fn esc_82_channels_of_every_kind_are_read_and_no_secret_is_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let loaded = with_channels(folder.path(), CHANNELS).unwrap_or_else(|faults| panic!("{faults}"));
    let channels = &loaded.config.channels;
    assert_eq!(channels.len(), 11);
    let channels::Way::SipMessage(to) = &channels[10].way else { panic!("{channels:?}") };
    assert_eq!(to.len(), 2);
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
    assert_eq!(fields("kind = \"sip_message\""), one("to"));
    assert_eq!(fields("kind = \"sip_message\"\nroles = [\"head\"]"), one("roles"));
    assert_eq!(fields("kind = \"sip_message\"\nto = [\"三号\"]").len(), 2, "no number, so nobody");
    let twice = with_channels(
        folder.path(),
        "[[channels]]\nname = \"x\"\nkind = \"wecom_bot\"\ntoken_file = \"FOLDER/s\"\n\
         [[channels]]\nname = \"x\"\nkind = \"wecom_bot\"\ntoken_file = \"FOLDER/s\"\n",
    );
    let twice = twice.expect_err("twice").list;
    assert_eq!(twice[0].field, "channels[1].name");
}

#[test]
fn sig_mwi_a_lamp_is_off_unless_it_is_wanted_and_needs_a_telephone_in_the_office() {
    let lamp = |text: &str| {
        let office = RIGHT.replace("\"3001\"\n", "\"3001\"\noffice = \"3002\"\n");
        load(&format!("{office}[lamp]\n{text}"))
    };
    assert!(lamp("").expect("right").config.lamp.is_empty());
    let loaded = lamp("roles = [\"leader\"]").expect("right");
    assert_eq!(loaded.config.lamp, [Role::Leader]);
    assert!(loaded.config.summary().contains("at the office telephone of leader"));
    let without = load(&format!("{RIGHT}[lamp]\nroles = [\"leader\"]")).expect_err("no office");
    assert_eq!(without.list[0].field, "lamp.roles");
    assert_eq!(lamp("roles = [\"head\"]").expect_err("nobody").list[0].field, "lamp.roles");
}

#[test]
fn what_is_sent_in_the_clear_is_warned_of() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "[[channels]]\nname = \"x\"\nkind = \"gotify\"\nurl = \"http://10.0.0.9\"\n\
                token_file = \"FOLDER/s\"\n";
    let warnings = with_channels(folder.path(), text).expect("right").warnings;
    assert!(warnings.list.iter().any(|one| one.field == "channels[0].url"), "{warnings}");
}

#[test]
fn esc_39_a_text_acknowledges_only_where_the_site_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let sms = |more: &str| {
        let section = "[[channels]]\nname = \"短信\"\nkind = \"sms\"\nurl = \"https://x/\"\n\
                       roles = [\"leader\"]\n";
        with_channels(folder.path(), &format!("{section}{more}"))
    };
    let way = |loaded: Loaded| match loaded.config.channels.into_iter().next().map(|one| one.way) {
        Some(channels::Way::Sms(way)) => way,
        other => panic!("{other:?}"),
    };
    let silent = way(sms("body = '{to} {text}'").expect("right"));
    assert_eq!(silent.replies, None, "not by default");
    let asking = "body = '{to} {no} {code}'\nreplies = true\nreply_secret_file = \"FOLDER/two\"\n\
                  reply_from = \"/mobile\"\n";
    let asking = way(sms(asking).expect("right")).replies.expect("it is answered to");
    assert_eq!((asking.from.as_str(), asking.text.as_str()), ("/mobile", "/text"));
    assert_eq!(asking.sent, None, "not every gateway says so");
    let dated = "body = '{to} {no} {code}'\nreplies = true\nreply_secret_file = \"FOLDER/two\"\n\
                 reply_sent = \"/at\"\n";
    let dated = way(sms(dated).expect("right")).replies.expect("it is answered to");
    assert_eq!(dated.sent.as_deref(), Some("/at"));
    assert_eq!(asking.secrets[1].expose(), "whsec_bbbb");
    for (keys, field) in [
        ("body = '{to} {no} {code}'", "replies"),
        ("body = '{to} {no}'\nreplies = true\nreply_secret_file = \"FOLDER/s\"", "replies"),
        ("body = '{to} {text}'\nreplies = true", "reply_secret_file"),
        ("body = '{to} {text}'\nreplies = \"yes\"", "replies"),
        (
            "body = '{to} {text}'\nreplies = true\nreply_secret_file = \"FOLDER/s\"\nreply_text = \"x\"",
            "reply_text",
        ),
        (
            "body = '{to} {text}'\nreplies = true\nreply_secret_file = \"FOLDER/s\"\nreply_sent = \"at\"",
            "reply_sent",
        ),
    ] {
        let faults = sms(keys).expect_err(keys).list;
        let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, [format!("channels[0].{field}")], "{keys}");
    }
    let modem = "[[channels]]\nname = \"短信猫\"\nkind = \"modem\"\ndevice = \"/dev/ttyUSB0\"\n\
                 to = [\"13900000000\", \"13800000000\"]\nreplies = true\n";
    let loaded = with_channels(folder.path(), modem).unwrap_or_else(|faults| panic!("{faults}"));
    let channels::Way::Modem(way) = &loaded.config.channels[0].way else { panic!("a modem") };
    assert!(way.replies);
    let warned: Vec<_> =
        loaded.warnings.list.iter().filter(|one| one.field == "channels[0].to").collect();
    assert_eq!(warned.len(), 1, "nobody's number");
    assert!(format!("{:?}", warned[0]).contains("13800000000"));
}

#[test]
fn rel_14_a_channel_may_be_for_alarms_too_or_alone_where_it_can_say_them() {
    use crate::config::channels::Alarms;
    let folder = tempfile::tempdir().unwrap();
    let sms = |body: &str, alarms: &str| {
        format!(
            "[[channels]]\nname = \"短信\"\nkind = \"sms\"\nurl = \"https://sms.example.cn\"\n\
             to = [\"13900000009\"]\nalarms = \"{alarms}\"\nbody = '{body}'\n"
        )
    };
    let (whole, template) = (r#"{"to":"{to}","text":"{text}"}"#, r#"{"to":"{to}","no":"{no}"}"#);
    for (text, wanted) in [("no", Alarms::No), ("too", Alarms::Too), ("only", Alarms::Only)] {
        let loaded = with_channels(folder.path(), &sms(whole, text)).unwrap();
        assert_eq!(loaded.config.channels[0].alarms, wanted);
    }
    let loaded = with_channels(folder.path(), &sms(template, "no")).unwrap();
    assert_eq!(loaded.config.channels[0].alarms, Alarms::No);
    let faults = with_channels(folder.path(), &sms(template, "only")).unwrap_err().to_string();
    assert!(faults.contains("{text}"), "{faults}");
    assert!(with_channels(folder.path(), &sms(whole, "maybe")).is_err());
}
