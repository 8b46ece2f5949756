//! `[heartbeat]`: who watches the daemon, or, in a witness's own file, whom it calls.

use super::Secret;
use super::faults::say;
use super::reader::{Reader, Section, address, list, number, text};
use super::secret;
use super::values::dialled;
use crate::duty::heartbeat::VigilPlan;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use toml::de::DeValue;

/// A shorter secret can be guessed.
const SHORTEST: usize = 16;

/// Which of the two this file is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heartbeat {
    /// The daemon, and where its witness listens.
    Watched { witness: SocketAddr, secret: Secret },
    /// A witness.
    Watches { listen: SocketAddr, secret: Secret, plan: VigilPlan },
}

impl Heartbeat {
    pub fn watches(&self) -> bool {
        matches!(self, Self::Watches { .. })
    }
}

/// Whether the file is a witness's: it has neither officers' phones nor leaders.
pub fn is_of_witness(root: &mut Section<'_>) -> bool {
    match root.get("heartbeat").map(|given| given.value) {
        Some(DeValue::Table(table)) => {
            ["listen", "desk"].iter().any(|key| table.contains_key(*key))
        }
        _ => false,
    }
}

/// `None` where the section is not there, or says nothing.
pub fn heartbeat(reader: &Reader, root: &mut Section<'_>) -> Option<Heartbeat> {
    root.get("heartbeat")?;
    let mut s = root.section("heartbeat");
    if s.is_void() {
        return None;
    }
    let witness = s.optional("witness", address);
    let listen = s.optional("listen", address);
    let path = s.optional("secret_file", text).map(PathBuf::from);
    let desk = s.optional("desk", list(dialled));
    let silence = s.or("silence_seconds", 55, number(20..=600));
    let ring = s.or("ring_seconds", 40, number(10..=120));
    let at = s.get("secret_file").map_or(s.place(), |given| given.place);
    let (secret_field, desk_field) = (s.field("secret_file"), s.field("desk"));
    let (place, listen_field) = (s.place(), s.field("listen"));
    s.close();
    if witness.is_none() && listen.is_none() && desk.is_none() {
        return None;
    }
    if witness.is_some() && (listen.is_some() || desk.is_some()) {
        let fault = say(
            "witness 写在值班程序的设置里，listen 和 desk 写在看守主机自己的设置里，不能写在同一个文件",
            "witness belongs into the daemon's file, listen and desk into that of the witness: not into one",
        );
        reader.fault(Some(place), listen_field, fault);
        return None;
    }
    let secret = shared(reader, path, (at, secret_field));
    if let Some(witness) = witness {
        return Some(Heartbeat::Watched { witness, secret: secret? });
    }
    let desk = desk.filter(|desk| !desk.is_empty());
    if listen.is_none() || desk.is_none() {
        let fault = say(
            "看守要写 listen（收心跳的地址和端口）和 desk（打给谁），如 listen = \"192.168.10.30:5099\"，desk = [\"2001\"]",
            "a witness needs listen (where beats come in) and desk (whom it calls), such as listen = \"192.168.10.30:5099\" and desk = [\"2001\"]",
        );
        reader.fault(Some(place), if desk.is_none() { desk_field } else { listen_field }, fault);
        return None;
    }
    let plan = VigilPlan {
        desk: desk?,
        silence: Duration::from_secs(silence),
        ring: Duration::from_secs(ring),
    };
    Some(Heartbeat::Watches { listen: listen?, secret: secret?, plan })
}

/// The same line on both hosts.
fn shared(
    reader: &Reader,
    path: Option<PathBuf>,
    (place, field): (std::ops::Range<usize>, String),
) -> Option<Secret> {
    let Some(path) = path else {
        let fault = say(
            "缺少这一项：写 secret_file = \"heartbeat-secret\"，两台主机的文件第一行相同，16 个字符以上",
            "missing: secret_file = \"heartbeat-secret\", whose first line is the same on both hosts, 16 characters or more",
        );
        reader.fault(Some(place), field, fault);
        return None;
    };
    let long_enough = |secret: String| match secret.chars().count() >= SHORTEST {
        true => Ok(secret),
        false => Err((
            format!("第一行太短，要 {SHORTEST} 个字符以上，如 openssl rand -hex 32 生成的一行"),
            format!(
                "its first line is too short: {SHORTEST} characters or more, such as of `openssl rand -hex 32`"
            ),
        )),
    };
    match secret::read(&path).and_then(long_enough) {
        Ok(secret) => Some(Secret::new(secret)),
        Err((zh, en)) => {
            let shown = path.display();
            let fault = say(format!("{shown}：{zh}"), format!("{shown}: {en}"));
            reader.fault(Some(place), field, fault);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Environment};
    use std::path::Path;

    const LINE: &str = "
[line]
number = \"1008\"
room = \"值班室看守\"
pbx = \"192.168.10.1:5060\"
user = \"1008\"
password = \"secret\"
listen = \"192.168.10.30:5060\"
";
    const DUTY: &str = "
[[phones]]
name = \"值班台话机\"
target = \"2001\"
[[leaders]]
name = \"李四\"
role = \"leader\"
mobile = \"3001\"
";

    fn secret(folder: &Path, text: &str) -> String {
        let file = folder.join("heartbeat-secret");
        std::fs::write(&file, format!("{text}\n")).unwrap();
        format!("secret_file = \"{}\"", file.display())
    }

    fn faulty(text: &str) -> Vec<String> {
        let faults = Config::parse("a.toml", text, &Environment::new()).expect_err("a fault");
        faults.list.into_iter().map(|fault| fault.field).collect()
    }

    #[test]
    fn esc_84_the_file_of_a_witness_has_no_leaders_and_the_daemons_has() {
        let folder = tempfile::tempdir().unwrap();
        let key = secret(folder.path(), "0123456789abcdef");
        let read =
            |text: &str| Config::parse("a.toml", text, &Environment::new()).expect("right").config;
        let watches = format!(
            "{LINE}[heartbeat]\nlisten = \"192.168.10.30:5099\"\ndesk = [\"2001\", \"2002\"]\n{key}"
        );
        let config = read(&watches);
        let Some(Heartbeat::Watches { plan, listen, .. }) = &config.heartbeat else {
            panic!("{:?}", config.heartbeat);
        };
        assert_eq!((plan.desk.len(), plan.silence.as_secs(), listen.port()), (2, 55, 5099));
        assert_eq!(config.answering.message, None, "nobody leaves a message there");
        assert!(!format!("{config:?}{}", config.summary()).contains("0123456789abcdef"));
        let watched = format!("{LINE}{DUTY}[heartbeat]\nwitness = \"192.168.10.30:5099\"\n{key}");
        let config = read(&watched);
        assert!(matches!(config.heartbeat, Some(Heartbeat::Watched { .. })));
        assert_eq!(read(&format!("{LINE}{DUTY}[heartbeat]\n")).heartbeat, None);
    }

    #[test]
    fn esc_84_what_is_wrong_is_named_at_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let key = secret(folder.path(), "0123456789abcdef");
        let of = |section: &str| faulty(&format!("{LINE}{DUTY}[heartbeat]\n{section}"));
        assert_eq!(of("witness = \"192.168.10.30:5099\""), ["heartbeat.secret_file"]);
        assert_eq!(of("witness = \"192.168.10.30\""), ["heartbeat.witness"]);
        let both = format!("witness = \"1.2.3.4:5\"\ndesk = [\"2001\"]\n{key}");
        assert!(of(&both).contains(&"heartbeat.listen".to_owned()));
        let deaf = format!("desk = [\"2001\"]\n{key}");
        assert_eq!(faulty(&format!("{LINE}[heartbeat]\n{deaf}")), ["heartbeat.listen"]);
        let mute = format!("listen = \"1.2.3.4:5\"\ndesk = []\n{key}");
        assert_eq!(faulty(&format!("{LINE}[heartbeat]\n{mute}")), ["heartbeat.desk"]);
        let short = secret(folder.path(), "short");
        let short = of(&format!("witness = \"1.2.3.4:5\"\n{short}"));
        assert_eq!(short, ["heartbeat.secret_file"]);
        assert_eq!(faulty(LINE), ["phones", "leaders"], "without it, both are needed");
    }
}
