//! A text that never reaches a log; and where the line's password comes from: a file, the environment, systemd's credentials, or, with
//! a warning, the configuration file itself.

use super::faults::say;
use super::reader::{Given, Reader, Section, text};
use super::{Environment, Purpose};
use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf, absolute};

/// A password, token or key. It is shown by nobody who prints what holds it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// For whoever signs or logs in with it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("******")
    }
}

const VARIABLE: &str = "DUTYLINE_LINE_PASSWORD";
/// Name of the credential in the unit's `LoadCredential=`.
const CREDENTIAL: &str = "line-password";

/// The password of `[line]`. Exactly one source may give it; where it is not `needed`, none is
/// well too.
pub fn password(
    reader: &Reader,
    line: &mut Section<'_>,
    env: &Environment,
    needed: bool,
) -> Option<String> {
    let in_file = line.get("password");
    let file_key = line.get("password_file");
    let inline = line.optional("password", text);
    let path = line.optional("password_file", text).map(PathBuf::from);
    let variable = env.get(VARIABLE).filter(|value| !value.is_empty());
    if reader.purpose() == Purpose::Administer {
        return Some(String::new());
    }

    let given = usize::from(in_file.is_some())
        + usize::from(file_key.is_some())
        + usize::from(variable.is_some());
    if given > 1 {
        let place = file_key.as_ref().or(in_file.as_ref()).map(|given| given.place.clone());
        let fault = say(
            format!("密码只能给一次：password、password_file、环境变量 {VARIABLE} 三者留一"),
            format!(
                "the password is given more than once: keep one of password, password_file and the variable {VARIABLE}"
            ),
        );
        reader.fault(place, line.field("password"), fault);
        return None;
    }
    if let Some(password) = variable {
        return Some(password.clone());
    }
    if let Some(given) = in_file {
        let warning = say(
            "密码直接写在文件里，备份和传阅时会泄露；建议改用 password_file",
            "the password stands in this file and travels with every copy of it; better use password_file",
        );
        reader.warn(Some(given.place), given.field, warning);
        return inline;
    }
    if let Some(given) = file_key {
        let path = path?;
        warn_if_open(reader, &path, &given);
        return read(&path)
            .map_err(|(zh, en)| {
                let shown = path.display();
                let fault = say(format!("{shown}：{zh}"), format!("{shown}: {en}"));
                reader.fault(Some(given.place), given.field, fault);
            })
            .ok();
    }
    let credential =
        env.get("CREDENTIALS_DIRECTORY").map(|folder| Path::new(folder).join(CREDENTIAL));
    if let Some(password) = credential.and_then(|path| read(&path).ok()) {
        return Some(password);
    }
    if !needed {
        return Some(String::new());
    }
    let fault = say(
        format!(
            "没有给密码。写 password_file = \"…\"，或设环境变量 {VARIABLE}，或用 systemd 的 LoadCredential={CREDENTIAL}:…"
        ),
        format!(
            "no password is given: write password_file = \"…\", set the variable {VARIABLE}, or use LoadCredential={CREDENTIAL}:… of systemd"
        ),
    );
    if reader.purpose() == Purpose::Check {
        let here = say(
            format!("这里{}；由 systemd 交给服务的，启动时才有", fault.zh),
            format!("here {}; one that systemd hands in is there when the daemon starts", fault.en),
        );
        reader.warn(Some(line.place()), line.field("password_file"), here);
        return Some(String::new());
    }
    reader.fault(Some(line.place()), line.field("password_file"), fault);
    None
}

/// Everybody on this host could read the password.
pub(super) fn warn_if_open(reader: &Reader, path: &Path, given: &Given<'_>) {
    let mode = fs::metadata(path).map_or(0, |file| file.permissions().mode());
    if reader.purpose() == Purpose::Check && mode & 0o004 != 0 {
        let shown = path.display();
        let warning = say(
            format!("{shown}：本机任何用户都能读到密码；请运行 chmod 600 {shown}"),
            format!("{shown}: everybody on this host can read the password: chmod 600 {shown}"),
        );
        reader.warn(Some(given.place.clone()), &given.field, warning);
    }
}

/// The first line of the file; what is wrong with it in both languages.
pub(super) fn read(path: &Path) -> Result<String, (String, String)> {
    let text = fs::read_to_string(path).map_err(|fault| {
        let place = absolute(path).ok().filter(|_| path.is_relative());
        let (zh, en) = place.map_or_else(Default::default, |place| {
            let place = place.display();
            (
                format!("（相对路径从当前目录算起：{place}）"),
                format!(" (a relative path begins at the working directory: {place})"),
            )
        });
        (
            format!("读不了（{fault}）{zh}。文件要存在，且运行用户可读"),
            format!(
                "cannot be read ({fault}){en}; it must be there and readable for the daemon's user"
            ),
        )
    })?;
    let password = text.lines().next().unwrap_or("").trim_end_matches('\r');
    if password.is_empty() {
        return Err((
            "第一行是空的，应为密码".into(),
            "its first line is empty; the password belongs there".into(),
        ));
    }
    Ok(password.into())
}
