//! `[[numbers]]`: duty numbers beside the line's own, at the same PBX.

use super::answering::{self, Read};
use super::faults::say;
use super::reader::{Reader, Section, text};
use super::values::dialled;
use super::{Line, Purpose, secret};
use crate::duty::line_plan::{Begins, DutyNumber, Phone, Ring};
use crate::protocol::sip::Aor;
use std::fmt;
use std::path::PathBuf;

/// More than these are no duty room any more.
const MOST: usize = 32;

/// A duty number with the extension at the PBX that it rings.
#[derive(Clone, PartialEq, Eq)]
pub struct OtherNumber {
    pub aor: Aor,
    pub plan: DutyNumber,
    /// What the self-test dials; none for its extension.
    pub test_dial: Option<String>,
}

impl fmt::Debug for OtherNumber {
    /// The password never reaches a log.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = &self.aor.user;
        out.debug_struct("OtherNumber").field("user", user).field("plan", &self.plan).finish()
    }
}

/// `line` is where they are; what is said nowhere else is as `[answering]` has it.
pub fn numbers(
    reader: &Reader,
    root: &mut Section<'_>,
    line: Option<&Line>,
    read: &Read,
) -> Vec<OtherNumber> {
    let mut all: Vec<OtherNumber> = vec![];
    for (at, mut s) in root.each("numbers").into_iter().enumerate() {
        let place = s.place();
        if at == MOST {
            let fault = say(
                format!("最多 {MOST} 个；请删去多余的"),
                format!("at most {MOST} of them: remove the rest"),
            );
            reader.fault(Some(place), s.field("number"), fault);
            break;
        }
        let Some(one) = number(reader, &mut s, line, read) else {
            s.close();
            continue;
        };
        for (key, taken) in [
            ("user", is_taken(&one.aor.user, &all, line, |aor| &aor.user, |line| &line.user)),
            (
                "number",
                is_taken(&one.aor.number, &all, line, |aor| &aor.number, |line| &line.number),
            ),
        ] {
            if taken {
                let place = s.get(key).map_or(place.clone(), |given| given.place);
                let fault = say(
                    "[line] 或另一节 [[numbers]] 已经用了它，每个值班号码要有自己的分机",
                    "[line] or another section of [[numbers]] has it already: each duty number has an extension of its own",
                );
                reader.fault(Some(place), s.field(key), fault);
            }
        }
        s.close();
        all.push(one);
    }
    all
}

fn is_taken(
    value: &str,
    all: &[OtherNumber],
    line: Option<&Line>,
    of: impl Fn(&Aor) -> &String,
    of_line: impl Fn(&Line) -> &String,
) -> bool {
    all.iter().any(|other| of(&other.aor) == value)
        || line.is_some_and(|line| of_line(line) == value)
}

fn number(
    reader: &Reader,
    s: &mut Section<'_>,
    line: Option<&Line>,
    read: &Read,
) -> Option<OtherNumber> {
    let number = s.required("number", "\"63005678\"", dialled);
    let name = s.required("name", "\"举报专线\"", text);
    let user = s.required("user", "\"1002\"", dialled);
    let auth_user = s.optional("auth_user", text);
    let registers = line.is_none_or(|line| line.expires > 0);
    let password = password(reader, s, registers);
    let test_dial = s.optional("self_test_dial", dialled);
    let terms = read.terms.read(s);
    let answering = terms.plan(read.answering.silence, read.answering.long_call);
    let rings = match answering::named(s) {
        Some(named) => answering::places(reader, named, &read.phones),
        None => (0..read.phones.len()).collect(),
    };
    // A time of a phone's own goes before the number's plan.
    let own_time = |phone: &Phone| phone.begins != read.terms.begins;
    let ring = |place: usize| {
        let phone = read.phones.get(place)?;
        let begins: Begins = if own_time(phone) { phone.begins } else { terms.begins };
        Some(Ring { place, begins })
    };
    let rings = rings.into_iter().filter_map(ring).collect();
    let (number, user) = (number?, user?);
    let auth_user = auth_user.unwrap_or_else(|| user.clone());
    let aor = Aor { user, number: number.clone(), auth_user, password: password? };
    let plan = DutyNumber { number, name: name?, rings, answering };
    Some(OtherNumber { aor, plan, test_dial })
}

/// A trunk needs none.
fn password(reader: &Reader, s: &mut Section<'_>, needed: bool) -> Option<String> {
    let path = s.optional("password_file", text).map(PathBuf::from);
    let place = s.get("password_file").map_or(s.place(), |given| given.place);
    if reader.purpose() == Purpose::Administer {
        return Some(String::new());
    }
    if let (Some(path), Some(given)) = (&path, s.get("password_file")) {
        secret::warn_if_open(reader, path, &given);
    }
    let fault = match path.as_ref().map(|path| secret::read(path)) {
        Some(Ok(password)) => return Some(password),
        None if !needed => return Some(String::new()),
        Some(Err((zh, en))) => {
            let shown = path.unwrap_or_default().display().to_string();
            say(format!("{shown}：{zh}"), format!("{shown}: {en}"))
        }
        None => say(
            "这个号码的分机要密码：写 password_file = \"number-2-password\"，文件第一行是密码",
            "the extension of this number needs its password: password_file = \"number-2-password\", whose first line it is",
        ),
    };
    reader.fault(Some(place), s.field("password_file"), fault);
    None
}
