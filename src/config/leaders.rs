//! `[[leaders]]`: who is called in an urgent matter.

use super::faults::{Say, say};
use super::reader::{Reader, Section, number, text};
use super::secret;
use super::values::{dialled, one_of};
use crate::duty::pin::Pin;
use crate::duty::roster::{Person, Role, Roster};
use std::path::PathBuf;
use toml::de::DeValue;

/// `[[leaders]]`; `alone`: there may be none.
pub fn roster(reader: &Reader, root: &mut Section<'_>, alone: bool) -> Roster {
    let mut people: Vec<Person> = vec![];
    let mut all_read = true;
    for mut s in root.each("leaders") {
        let place = s.place();
        let field = s.field("mobile");
        let name = s.required("name", "\"李四\"", text);
        let role = s.required("role", "\"leader\"", role);
        let mobile = s.optional("mobile", dialled);
        let sms = s.optional("sms", super::channels::sms_number);
        let office = s.optional("office", dialled);
        let rank = s.optional("rank", number(1..=9)).and_then(|rank| u8::try_from(rank).ok());
        let pin = pin(reader, &mut s);
        if s.get("mobile").is_none() && s.get("office").is_none() {
            let fault = say(
                "没有可拨的号码：写 mobile 或 office",
                "no number can be dialled: write mobile or office",
            );
            reader.fault(Some(place), field, fault);
        }
        if let (Some(given), Some(role)) = (s.get("role"), role)
            && people.iter().any(|person| person.role == role)
        {
            let fault = say(
                "这个角色已有人；一个角色只能有一人",
                "this role is taken already; one person holds it",
            );
            reader.fault(Some(given.place), given.field, fault);
        }
        s.close();
        match (name, role) {
            (Some(name), Some(role)) => {
                let rank = rank.unwrap_or(role.rank());
                let stands_in = None;
                people.push(Person { name, role, rank, mobile, sms, office, pin, stands_in });
            }
            _ => all_read = false,
        }
    }
    if !alone && all_read && !people.iter().any(|person| person.role == Role::Leader) {
        let fault = say(
            "没有带班领导，紧急事项无人可报。加一节：[[leaders]]，写 name、role = \"leader\"、mobile",
            "there is no duty leader to tell of an urgent matter: add a section [[leaders]] with name, role = \"leader\" and mobile",
        );
        reader.fault(None, "leaders", fault);
    }
    Roster { people }
}

/// From a file of its own.
fn pin(reader: &Reader, s: &mut Section<'_>) -> Option<Pin> {
    let path = PathBuf::from(s.optional("pin_file", text)?);
    let read = secret::read(&path).and_then(|digits| {
        Pin::new(&digits).ok_or_else(|| {
            (
                "第一行应为 4 至 12 位数字".to_owned(),
                "its first line must be 4 to 12 digits".to_owned(),
            )
        })
    });
    let fault = |(zh, en): (String, String)| {
        let shown = path.display();
        let fault = say(format!("{shown}：{zh}"), format!("{shown}: {en}"));
        let place = s.get("pin_file").map_or(s.place(), |given| given.place);
        reader.fault(Some(place), s.field("pin_file"), fault);
    };
    read.map_err(fault).ok()
}

pub fn role(value: &DeValue<'_>) -> Result<Role, Say> {
    one_of(
        value,
        &[
            ("leader", Role::Leader),
            ("substitute", Role::Substitute),
            ("office_director", Role::OfficeDirector),
            ("head", Role::Head),
        ],
    )
}
