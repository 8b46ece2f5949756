//! What is to be rehearsed: the form's fields, each understood or named with what would do.

use crate::duty::escalation::Line;
use crate::duty::journal::Urgency;
use crate::duty::rehearsal::Phone;
use crate::duty::roster::{Role, Roster};
use crate::io::rehearsal::manner;
use crate::io::web::messages::policy::Messages;
use crate::io::web::messages::{fill, fill_two};
use chrono::NaiveTime;
use std::collections::BTreeMap;

/// In the order of the ladder of 特急.
pub const ROLES: [(Role, &str); 4] = [
    (Role::Leader, "leader"),
    (Role::Substitute, "substitute"),
    (Role::OfficeDirector, "office_director"),
    (Role::Head, "head"),
];
const LINES: [(Line, &str); 2] = [(Line::Mobile, "mobile"), (Line::Office, "office")];
const LONGEST: u64 = 60;
/// Characters of a wrong value that are said again.
const SAID_AGAIN: usize = 40;

/// One telephone of the roster, by its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telephone {
    /// Of the form, such as `leader_mobile`.
    pub field: String,
    pub role: Role,
    pub person: String,
    pub line: Line,
    pub number: String,
    pub phone: Phone,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub at: NaiveTime,
    pub urgency: Urgency,
    pub minutes: u64,
    pub telephones: Vec<Telephone>,
}

/// Why a field says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    At(String),
    Urgency(String),
    Minutes(String),
    Phone(String, String),
    NoSuchPhone(String),
    NoSuchVersion(String),
    Unknown(String),
    Unreadable,
}

impl Fault {
    pub fn no_such_version(given: &str) -> Self {
        Self::NoSuchVersion(said_again(given))
    }

    pub fn said(&self, t: &Messages) -> String {
        match self {
            Self::At(given) => fill(t.bad_at, given),
            Self::Urgency(given) => fill(t.bad_urgency, given),
            Self::Minutes(given) => fill(t.bad_minutes, given),
            Self::Phone(field, given) => fill_two(t.bad_phone, field, given),
            Self::NoSuchPhone(field) => fill(t.no_such_phone, field),
            Self::NoSuchVersion(given) => fill(t.no_such_version, given),
            Self::Unknown(field) => fill(t.unknown_field, field),
            Self::Unreadable => t.unreadable.to_owned(),
        }
    }
}

impl Asked {
    /// What is asked where nobody has chosen: the leader's mobile is off at three in the morning,
    /// nobody is in an office, everybody else answers.
    pub fn usual(roster: &Roster) -> Self {
        let mut telephones: Vec<Telephone> = vec![];
        for (role, code) in ROLES {
            let Some(person) = roster.holder(role) else { continue };
            for (line, of_line) in LINES {
                let number = match line {
                    Line::Mobile => &person.mobile,
                    Line::Office => &person.office,
                };
                let Some(number) = number.as_deref().filter(|number| !number.is_empty()) else {
                    continue;
                };
                let shared = telephones.iter_mut().find(|known| known.number == number);
                if let Some(known) = shared {
                    if known.person != person.name {
                        known.person = format!("{}、{}", known.person, person.name);
                    }
                    continue;
                }
                let phone = match (role, line) {
                    (Role::Leader, Line::Mobile) => Phone::Off,
                    (_, Line::Mobile) => Phone::Answers,
                    (_, Line::Office) => Phone::Silent,
                };
                let (person, number) = (person.name.clone(), number.to_owned());
                let field = format!("{code}_{of_line}");
                telephones.push(Telephone { field, role, person, line, number, phone });
            }
        }
        let at = usual_time();
        Self { at, urgency: Urgency::Critical, minutes: 15, telephones }
    }

    /// The time of the day alone, by which it is known who has a telephone then.
    pub fn at_of(given: &BTreeMap<String, String>) -> NaiveTime {
        given.get("at").and_then(|at| time_of_day(at)).unwrap_or_else(usual_time)
    }

    /// Over what is usual, the fields that are given; the first that cannot be understood.
    pub fn of(given: &BTreeMap<String, String>, roster: &Roster) -> (Self, Option<Fault>) {
        let mut asked = Self::usual(roster);
        let faults = given.iter().filter_map(|(field, value)| asked.take(field, value).err());
        let first = faults.collect::<Vec<_>>().into_iter().next();
        (asked, first)
    }

    fn take(&mut self, field: &str, value: &str) -> Result<(), Fault> {
        let said = || said_again(value);
        match field {
            "at" => {
                self.at = time_of_day(value).ok_or_else(|| Fault::At(said()))?;
            }
            "urgency" => {
                self.urgency = match value {
                    "urgent" => Urgency::Urgent,
                    "critical" => Urgency::Critical,
                    _ => return Err(Fault::Urgency(said())),
                };
            }
            "minutes" => {
                let minutes = value.parse().ok().filter(|minutes| (1..=LONGEST).contains(minutes));
                self.minutes = minutes.ok_or_else(|| Fault::Minutes(said()))?;
            }
            _ if !is_of_a_telephone(field) => return Err(Fault::Unknown(said_again(field))),
            _ => {
                let phone = manner(value).ok_or_else(|| Fault::Phone(field.to_owned(), said()))?;
                let telephone = self.telephones.iter_mut().find(|known| known.field == field);
                telephone.ok_or_else(|| Fault::NoSuchPhone(field.to_owned()))?.phone = phone;
            }
        }
        Ok(())
    }

    pub fn phones(&self) -> BTreeMap<String, Phone> {
        self.telephones.iter().map(|one| (one.number.clone(), one.phone)).collect()
    }
}

/// 凌晨 3 点
fn usual_time() -> NaiveTime {
    NaiveTime::MIN + chrono::TimeDelta::hours(3)
}

fn time_of_day(text: &str) -> Option<NaiveTime> {
    NaiveTime::parse_from_str(text, "%H:%M").ok()
}

fn is_of_a_telephone(field: &str) -> bool {
    let Some((role, line)) = field.rsplit_once('_') else { return false };
    ROLES.iter().any(|(_, code)| *code == role) && LINES.iter().any(|(_, code)| *code == line)
}

fn said_again(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(SAID_AGAIN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duty::roster::Person;

    fn roster() -> Roster {
        let leader = Person::new("李四", Role::Leader, Some("1001"), Some("2001"));
        let head = Person::new("钱七", Role::Head, Some("1001"), None);
        Roster { people: vec![leader, head] }
    }

    fn asked(given: &[(&str, &str)]) -> (Asked, Option<Fault>) {
        let given = given.iter().map(|(field, value)| ((*field).into(), (*value).into()));
        Asked::of(&given.collect(), &roster())
    }

    #[test]
    fn a_number_that_two_share_is_one_telephone() {
        let (asked, fault) = asked(&[]);
        assert_eq!(fault, None);
        let numbers: Vec<_> = asked.telephones.iter().map(|one| one.number.as_str()).collect();
        assert_eq!(numbers, ["1001", "2001"]);
        assert_eq!(asked.telephones[0].person, "李四、钱七");
        assert_eq!(asked.phones()["1001"], Phone::Off);
    }

    #[test]
    fn each_wrong_field_is_named_and_the_right_ones_stay() {
        let (right, fault) = asked(&[("at", "23:30"), ("leader_office", "busy")]);
        assert_eq!((fault, right.at.to_string().as_str()), (None, "23:30:00"));
        assert_eq!(right.phones()["2001"], Phone::Busy);
        for (field, value, fault) in [
            ("at", "25:00", Fault::At("25:00".into())),
            ("at", "", Fault::At(String::new())),
            ("urgency", "routine", Fault::Urgency("routine".into())),
            ("minutes", "61", Fault::Minutes("61".into())),
            ("minutes", "0", Fault::Minutes("0".into())),
            ("minutes", "-1", Fault::Minutes("-1".into())),
            ("leader_mobile", "asleep", Fault::Phone("leader_mobile".into(), "asleep".into())),
            ("head_office", "off", Fault::NoSuchPhone("head_office".into())),
            ("nobody_mobile", "off", Fault::Unknown("nobody_mobile".into())),
            ("x", "1", Fault::Unknown("x".into())),
        ] {
            assert_eq!(asked(&[(field, value)]).1, Some(fault), "{field}={value}");
        }
        let long = "\u{7}9".repeat(1000);
        assert_eq!(asked(&[("minutes", &long)]).1, Some(Fault::Minutes("9".repeat(SAID_AGAIN))));
    }
}
