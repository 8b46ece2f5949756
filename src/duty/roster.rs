//! Who is on duty, who leads, who stands in.

use super::pin::Pin;
use serde::{Deserialize, Serialize};

/// In which capacity somebody is called (C-10, C-11, C-21).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// 带班领导
    Leader,
    /// 同级替班领导
    Substitute,
    /// 办公室主任
    OfficeDirector,
    /// 中心主要领导
    Head,
    /// 值班员: the duty desk itself, told of what leaders have said.
    Officer,
}

impl Role {
    /// The rank that goes with it where none is given; 1 is the highest.
    pub fn rank(self) -> u8 {
        match self {
            Role::Head => 1,
            Role::Leader | Role::Substitute => 2,
            Role::OfficeDirector => 3,
            Role::Officer => 4,
        }
    }
}

/// A person who can be called in an urgent matter; the numbers are dialled through the PBX.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    pub name: String,
    pub role: Role,
    /// 职级; 1 is the highest.
    pub rank: u8,
    /// 手机
    pub mobile: Option<String>,
    /// 短信: as the carriers write it, with no prefix of the PBX
    #[serde(default)]
    pub sms: Option<String>,
    /// 办公电话
    pub office: Option<String>,
    /// What he hears of a matter on the telephone follows this number. Never written down.
    #[serde(skip)]
    pub pin: Option<Pin>,
    /// He holds the role in the place of somebody.
    #[serde(default)]
    pub stands_in: Option<StandsIn>,
}

/// The record of a substitution (替班).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandsIn {
    pub record: i64,
    pub absent: String,
}

impl Person {
    /// Of the rank that goes with the role, without a PIN.
    pub fn new(name: &str, role: Role, mobile: Option<&str>, office: Option<&str>) -> Self {
        let (mobile, office) = (mobile.map(str::to_owned), office.map(str::to_owned));
        let name = name.to_owned();
        Self {
            name,
            role,
            rank: role.rank(),
            mobile,
            sms: None,
            office,
            pin: None,
            stands_in: None,
        }
    }
}

/// Who holds each role now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster {
    pub people: Vec<Person>,
}

impl Roster {
    pub fn holder(&self, role: Role) -> Option<&Person> {
        self.people.iter().find(|person| person.role == role)
    }

    pub fn named(&self, name: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.name == name)
    }

    /// The first of the roles that this person holds, as the ladder has them.
    pub fn role_of(&self, name: &str) -> Option<Role> {
        let held = self.people.iter().filter(|person| person.name == name);
        held.map(|person| person.role).min()
    }

    /// As it is in force: `on_duty` hold their roles in the place of whoever has them in the list,
    /// and each of `stand_ins` every role of the person that he stands in for. Whoever is not in the
    /// list cannot be called, and changes nothing.
    pub fn in_force(&self, on_duty: &[(Role, String)], stand_ins: &[(String, StandsIn)]) -> Self {
        let mut people = self.people.clone();
        for (role, name) in on_duty {
            let Some(person) = self.named(name) else { continue };
            people.retain(|other| other.role != *role);
            people.push(Person { role: *role, ..person.clone() });
        }
        for (name, stands_in) in stand_ins {
            let Some(person) = self.named(name) else { continue };
            for held in people.iter_mut().filter(|held| held.name == stands_in.absent) {
                let stands_in = Some(stands_in.clone());
                *held = Person { role: held.role, stands_in, ..person.clone() };
            }
        }
        Self { people }
    }

    /// Who may take the place of the duty leader: the substitute of the same rank or a higher one.
    pub fn may_stand_in(&self) -> Option<&Person> {
        let leader = self.holder(Role::Leader)?;
        let substitute = self.holder(Role::Substitute)?;
        let fits = substitute.rank <= leader.rank && substitute.name != leader.name;
        fits.then_some(substitute)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> Roster {
        let person = |name: &str, role| Person::new(name, role, Some(name), None);
        Roster {
            people: vec![
                person("张", Role::Leader),
                person("李", Role::Substitute),
                person("周", Role::Head),
            ],
        }
    }

    fn stands_in(name: &str, absent: &str) -> (String, StandsIn) {
        (name.to_owned(), StandsIn { record: 7, absent: absent.to_owned() })
    }

    fn holds(roster: &Roster, role: Role) -> &str {
        roster.holder(role).map_or("", |person| person.name.as_str())
    }

    #[test]
    fn esc_72_whoever_stands_in_holds_the_role_and_says_for_whom() {
        let roster = list().in_force(&[], &[stands_in("李", "张")]);
        let leader = roster.holder(Role::Leader).unwrap();
        assert_eq!(leader.name, "李");
        assert_eq!(leader.stands_in.as_ref().map(|record| record.record), Some(7));
        assert!(roster.named("张").is_none(), "nobody calls him any more");
        assert_eq!(holds(&roster, Role::Substitute), "李");
    }

    #[test]
    fn esc_68_who_is_on_duty_comes_before_the_list() {
        let on_duty = [(Role::Leader, "周".to_owned()), (Role::Substitute, "谁".to_owned())];
        let roster = list().in_force(&on_duty, &[]);
        assert_eq!(holds(&roster, Role::Leader), "周");
        assert_eq!(holds(&roster, Role::Substitute), "李", "a stranger cannot be called");
        assert_eq!(holds(&roster, Role::Head), "周");
        let roster = list().in_force(&on_duty, &[stands_in("李", "周"), stands_in("谁", "张")]);
        assert_eq!(holds(&roster, Role::Leader), "李");
        assert_eq!(holds(&roster, Role::Head), "李");
    }

    #[test]
    fn esc_73_only_the_same_rank_or_a_higher_one_may_stand_in() {
        let mut list = list();
        assert_eq!(list.may_stand_in().map(|person| person.name.as_str()), Some("李"));
        list.people[1].rank = 3;
        assert_eq!(list.may_stand_in(), None);
        list.people[1].rank = 1;
        assert!(list.may_stand_in().is_some());
        list.people.remove(1);
        assert_eq!(list.may_stand_in(), None);
    }
}
