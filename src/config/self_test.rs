//! `[self_test]`: the second extension by which the daemon calls its own line.

use super::faults::say;
use super::reader::{Reader, Section, number, text};
use super::secret;
use super::values::dialled;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How the daemon calls itself to prove that calls are recorded.
#[derive(Clone, PartialEq, Eq)]
pub struct SelfTest {
    pub user: String,
    pub auth_user: String,
    pub password: String,
    /// The number under which its call arrives.
    pub shown_as: String,
    /// What is dialled; none for the line's own extension.
    pub dial: Option<String>,
    /// None: at somebody's wish alone.
    pub every: Option<Duration>,
}

/// `None` where the section is not there, or names no extension.
pub fn plan(reader: &Reader, root: &mut Section<'_>) -> Option<SelfTest> {
    root.get("self_test")?;
    let mut s = root.section("self_test");
    if s.is_void() {
        return None;
    }
    let user = s.optional("user", dialled);
    let auth_user = s.optional("auth_user", text);
    let path = s.optional("password_file", text).map(PathBuf::from);
    let shown_as = s.optional("shown_as", dialled);
    let dial = s.optional("dial", dialled);
    let minutes = s.or("every_minutes", 0, number(0..=10_080));
    let place = s.get("password_file").map_or(s.place(), |given| given.place);
    let field = s.field("password_file");
    s.close();
    let user = user?;
    let password = match path.as_ref().map(|path| secret::read(path)) {
        Some(Ok(password)) => password,
        Some(Err((zh, en))) => {
            let shown = path.unwrap_or_default().display().to_string();
            let fault = say(format!("{shown}：{zh}"), format!("{shown}: {en}"));
            reader.fault(Some(place), field, fault);
            return None;
        }
        None => {
            let fault = say(
                "自检分机要密码：写 password_file = \"self-test-password\"，文件第一行是密码",
                "the test extension needs its password: password_file = \"self-test-password\", whose first line it is",
            );
            reader.fault(Some(place), field, fault);
            return None;
        }
    };
    Some(SelfTest {
        auth_user: auth_user.unwrap_or_else(|| user.clone()),
        shown_as: shown_as.unwrap_or_else(|| user.clone()),
        password,
        user,
        dial,
        every: (minutes > 0).then(|| Duration::from_secs(60 * minutes)),
    })
}

impl fmt::Debug for SelfTest {
    /// The password never reaches a log.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SelfTest")
            .field("user", &self.user)
            .field("shown_as", &self.shown_as)
            .field("dial", &self.dial)
            .field("every", &self.every)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::RIGHT;
    use crate::config::{Config, Environment};
    use std::time::Duration;

    fn faulty(section: &str) -> Vec<String> {
        let text = format!("{RIGHT}[self_test]\n{section}");
        let faults = Config::parse("a.toml", &text, &Environment::new()).expect_err("a fault");
        faults.list.into_iter().map(|fault| fault.field).collect()
    }

    #[test]
    fn rec_q4_an_extension_has_its_password_and_its_number() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("test-password");
        std::fs::write(&file, "geheim\n").unwrap();
        let read = |section: &str| {
            let text = format!("{RIGHT}[self_test]\n{section}");
            Config::parse("a.toml", &text, &Environment::new()).expect("right").config
        };
        assert_eq!(read("").self_test, None);
        let file = file.display();
        let config = read(&format!("user = \"1009\"\npassword_file = \"{file}\""));
        let test = config.self_test.as_ref().unwrap();
        assert_eq!((test.shown_as.as_str(), test.auth_user.as_str()), ("1009", "1009"));
        assert_eq!((test.password.as_str(), test.every), ("geheim", None));
        assert!(!format!("{config:?}{}", config.summary()).contains("geheim"));
        let section = format!(
            "user = \"1009\"\npassword_file = \"{file}\"\nshown_as = \"63001009\"\ndial = \"63001234\"\nevery_minutes = 30"
        );
        let test = read(&section).self_test.unwrap();
        assert_eq!(test.shown_as, "63001009");
        assert_eq!(test.every, Some(Duration::from_secs(1800)));
    }

    #[test]
    fn rec_q4_what_is_wrong_with_the_extension_is_named_at_its_line() {
        assert_eq!(faulty("user = \"1009\""), ["self_test.password_file"]);
        let missing = "user = \"1009\"\npassword_file = \"/no/such/file\"";
        assert_eq!(faulty(missing), ["self_test.password_file"]);
        assert_eq!(faulty("user = \"10 09\""), ["self_test.user"]);
        assert_eq!(faulty("every_minutes = 99999"), ["self_test.every_minutes"]);
        assert_eq!(faulty("often = 1"), ["self_test.often"]);
    }
}
