//! `[roll_call]`: when leaders are called to prove that they can be.

use super::faults::{Say, say};
use super::leaders::role;
use super::reader::{Reader, Section, any_text, list};
use crate::duty::roll_call::RollCallPlan;
use crate::duty::roster::Roster;
use chrono::NaiveTime;
use toml::de::DeValue;

pub fn plan(reader: &Reader, mut s: Section<'_>, roster: &Roster) -> RollCallPlan {
    let usual = RollCallPlan::default();
    let at = s.or("at", usual.at, list(time));
    let roles = s.or("roles", usual.roles, list(role));
    if let Some(given) = s.get("roles")
        && roles.iter().all(|role| roster.holder(*role).is_none())
    {
        let fault = say(
            "这些角色在 [[leaders]] 里都没有人",
            "none of these roles is held by anybody of [[leaders]]",
        );
        reader.fault(Some(given.place), given.field, fault);
    }
    s.close();
    RollCallPlan { at, roles }
}

fn time(value: &DeValue<'_>) -> Result<NaiveTime, Say> {
    NaiveTime::parse_from_str(&any_text(value)?, "%H:%M").map_err(|_| {
        say("要写成 \"08:30\" 这样的钟点", "a time of the day is wanted, such as \"08:30\"")
    })
}

#[cfg(test)]
mod tests {
    use crate::config::tests::RIGHT;
    use crate::config::{Config, Environment};
    use crate::duty::roster::Role;

    #[test]
    fn a_roll_call_has_times_and_people() {
        let read = |section: &str| {
            Config::parse("a.toml", &format!("{RIGHT}[roll_call]\n{section}"), &Environment::new())
        };
        let plan = read("").expect("right").config.roll_call;
        assert!(plan.at.is_empty() && plan.roles == [Role::Leader, Role::Substitute]);
        let plan = read("at = [\"08:30\"]\nroles = [\"leader\"]").expect("right").config.roll_call;
        assert_eq!((plan.at.len(), plan.roles.len()), (1, 1));
        let faulty = |section: &str| {
            let faults = read(section).expect_err("a fault");
            faults.list.into_iter().map(|fault| fault.field).collect::<Vec<_>>()
        };
        assert_eq!(faulty("at = [\"8.30\"]"), ["roll_call.at"]);
        assert_eq!(faulty("at = \"08:30\""), ["roll_call.at"]);
        assert_eq!(faulty("roles = [\"head\"]"), ["roll_call.roles"], "nobody holds it");
        assert_eq!(faulty("roles = []"), ["roll_call.roles"]);
        assert_eq!(faulty("often = 1"), ["roll_call.often"]);
    }
}
