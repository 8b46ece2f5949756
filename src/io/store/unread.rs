//! Whose matters are neither over nor looked at. An exercise is none.

use super::Store;
use super::error::Result;
use rusqlite::Connection;
use std::collections::BTreeSet;

/// Costs as much as is not over.
const UNREAD: &str = "
  SELECT EXISTS (SELECT 1 FROM escalation e
    WHERE (e.state = 'open' OR (e.state = 'acknowledged' AND e.closed_ms IS NULL))
      AND e.read_ms IS NULL AND e.entry NOT IN (SELECT entry FROM exercise)
      AND (?2 OR EXISTS (SELECT 1 FROM attempt a WHERE a.escalation = e.id AND a.person = ?1)))";

impl Store {
    /// Who of these has a matter that nobody has looked at; `true` where every matter is his, as the duty leader's are:
    /// others have those that they were called about.
    pub async fn unread(&self, people: Vec<(String, bool)>) -> Result<BTreeSet<String>> {
        self.read(move |sql| unread(sql, people)).await
    }
}

fn unread(sql: &Connection, people: Vec<(String, bool)>) -> Result<BTreeSet<String>> {
    let mut asked = sql.prepare_cached(UNREAD)?;
    let mut found = BTreeSet::new();
    for (name, every) in people {
        if asked.query_row((&name, every), |row| row.get(0))? {
            found.insert(name);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duty::escalation::Policy;
    use crate::duty::journal::{AttemptResult, Fact, Urgency};
    use crate::duty::roster::Role;
    use crate::duty::switchboard::Input;
    use crate::io::store::tests::{at, entry, note, officer, roster, store};
    use crate::io::store::{Called, Try, wait};
    use crate::protocol::now::Now;

    fn names(store: &Store) -> Vec<String> {
        let people = roster().people;
        let leader = people[0].name.clone();
        let people = people.into_iter().map(|one| (one.name.clone(), one.name == leader));
        wait(store.unread(people.collect())).unwrap().into_iter().collect()
    }

    #[test]
    fn sig_mwi_a_matter_is_the_leaders_from_the_flag_until_it_is_over_and_others_once_they_were_called()
     {
        let store = store();
        let leader = roster().people[0].name.clone();
        let entry = entry(&store, 1, 0.0);
        assert!(names(&store).is_empty());
        wait(store.flag(&officer(), entry, Urgency::Urgent, at(0.0))).unwrap();
        assert_eq!(names(&store), [leader], "nobody was called yet");
        let mut now: Now = at(0.0);
        for second in 0..400 {
            let cycle = store.escalate(now, &Policy::default(), &roster()).unwrap();
            for input in cycle.inputs {
                let Input::Notify(call) = input else { continue };
                let (attempt, result) = (call.attempt, AttemptResult::NoAnswer);
                let ended = Fact::AttemptEnded { attempt, result, status: 408 };
                note(&store, f64::from(second) + 0.5, ended);
            }
            now = now + std::time::Duration::from_secs(1);
        }
        assert!(names(&store).len() > 1, "the next person was called: {:?}", names(&store));
        wait(store.withdraw(&officer(), entry, "误报", now)).unwrap();
        assert!(names(&store).is_empty());
        let plan = store.write_now(|tx| {
            let mut rows = tx.sql.prepare(&format!("EXPLAIN QUERY PLAN {UNREAD}"))?;
            let rows = rows.query_map(("L", true), |row| row.get::<_, String>(3))?;
            Ok(rows.collect::<std::result::Result<Vec<_>, _>>()?)
        });
        let plan = plan.unwrap().join("; ");
        assert!(plan.contains("escalation_unfinished"), "{plan}");
    }

    #[test]
    fn sig_mwi_a_drill_a_roll_call_and_a_number_light_no_lamp() {
        let store = store();
        let one = |number: &str| {
            let person = roster().people[0].name.clone();
            Try { person, role: Role::Leader, number: number.to_owned() }
        };
        assert!(wait(store.drill(&officer(), Urgency::Critical, at(0.0))).unwrap().is_some());
        let begun = wait(store.roll_call(Some(&officer()), "now", vec![one("")], at(0.0)));
        assert_eq!(begun.unwrap(), Called::Begun);
        assert!(wait(store.check_number(&officer(), one("3001"), at(0.0))).unwrap().is_some());
        let cycle = store.escalate(at(1.0), &Policy::default(), &roster()).unwrap();
        let called = cycle.inputs.iter().any(|input| matches!(input, Input::Notify(_)));
        assert!(called, "they go on");
        assert!(names(&store).is_empty());
    }
}
