//! Calls of ours over the duty line (呼出): each has an entry of its own, and counts for the day.

use super::audit::{self, Actor};
use super::contacts;
use super::error::{Result, StoreError};
use super::numbers::{self, Kind};
use super::revisions::{self, Change, RevisionKind};
use super::text::{Id, mono, ms, name};
use super::{Applied, PersonId, Store, callbacks, calls};
use crate::duty::dial_plan::day_began;
use crate::duty::entry::Field;
use crate::duty::ids::{CallId, EntryId};
use crate::duty::journal::Fact;
use crate::duty::placed::{Asker, Placed};
use crate::duty::switchboard::Input;
use crate::io::status::Live;
use crate::protocol::now::Now;
use rusqlite::{Connection, OptionalExtension, params};

impl From<&Asker> for Actor {
    fn from(asker: &Asker) -> Self {
        Self {
            person: asker.person.map(PersonId),
            name: asker.name.clone(),
            terminal: asker.terminal.clone(),
        }
    }
}

/// What a fact of calling out says becomes rows.
pub(super) fn apply(sql: &Connection, fact: &Fact, now: Now) -> Result<Applied> {
    match fact {
        Fact::Placed(placed) => {
            write(sql, placed, now)?;
            let entries = [Some(placed.call.into()), placed.about];
            let live = entries.into_iter().flatten().map(|entry| Live::Entry { entry });
            let input = Some(Input::Stored { call: placed.call });
            Ok(Applied { input, live: live.collect(), escalate: false })
        }
        Fact::NotPlaced { call, asker, number, why } => {
            let actor = Actor::from(asker);
            audit::append_once(sql, now, &actor, "call.refuse", number, &name(why))?;
            Ok(Applied::tell(Some(Live::NotPlaced { call: *call, why: *why })))
        }
        Fact::GivenUp { call, asker } => {
            let number: Option<String> = sql
                .prepare_cached("SELECT caller FROM call WHERE id = ?1")?
                .query_row([Id(*call)], |row| row.get(0))
                .optional()?;
            let (object, number) = (call.to_string(), number.unwrap_or_default());
            audit::append_once(sql, now, &asker.into(), "call.hang_up", &object, &number)?;
            Ok(Applied::default())
        }
        Fact::Dialled { call, number } => {
            dialled(sql, *call, number, now)?;
            Ok(Applied::default())
        }
        _ => Err(StoreError::Bug("this fact is another one's".to_owned())),
    }
}

fn write(sql: &Connection, placed: &Placed, now: Now) -> Result<()> {
    let entry = EntryId::from(placed.call);
    let known =
        sql.prepare_cached("SELECT 1 FROM call WHERE id = ?1")?.exists([Id(placed.call)])?;
    if known {
        return Ok(());
    }
    let contact = contacts::find(sql, &placed.number)?;
    let (unit, called, duty) = match &contact {
        Some(c) => (c.unit.as_str(), c.name.as_str(), c.duty.as_str()),
        None => (placed.unit.as_str(), "", ""),
    };
    let other = [unit, called, duty, &placed.number];
    calls::enter(sql, placed.call, ("call_out", now, now), other)?;
    sql.prepare_cached(
        "INSERT INTO call (id, number, entry, direction, state, source, callee, caller,
           caller_plain, vouched, town, contact, contact_unit, contact_name, contact_duty, asked_by,
           asked_person, about, arrived_ms, arrived_mono)
         VALUES (?1, ?2, ?1, 'out', 'ringing', ?3, ?4, ?5, ?5, 1, ?6, ?7, ?8, ?9, ?10, ?11, ?12,
           (SELECT id FROM entry WHERE id = ?13), ?14, ?15)",
    )?
    .execute(params![
        Id(placed.call),
        numbers::next(sql, Kind::Call, now.wall)?,
        placed.asker.terminal,
        placed.dialled,
        placed.number,
        placed.town,
        contact.as_ref().map(|contact| contact.id),
        unit,
        called,
        duty,
        placed.asker.name,
        placed.asker.person,
        placed.about.map(Id),
        ms(now.wall),
        mono(now),
    ])?;
    let known = [
        (Field::CallerUnit, unit),
        (Field::CallerName, called),
        (Field::CallerDuty, duty),
        (Field::CallerPhone, placed.number.as_str()),
    ];
    let known = known.iter().filter(|(_, text)| !text.is_empty());
    let changes: Vec<Change> =
        known.map(|(field, text)| Change::new(field.name(), "", *text)).collect();
    let actor = Actor::from(&placed.asker);
    revisions::append(sql, entry, RevisionKind::System, &actor, now, &changes, "")?;
    audit::append(sql, now, &actor, "call.place", &placed.call.to_string(), &placed.number)
}

fn dialled(sql: &Connection, call: CallId, number: &str, now: Now) -> Result<()> {
    sql.prepare_cached(
        "INSERT OR IGNORE INTO dialled (call, number, at_ms, at_mono) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![Id(call), number, ms(now.wall), mono(now)])?;
    Ok(())
}

/// A caller who was to be called back is spoken to: that is settled by whoever called him. The
/// entry that it was about.
pub(super) fn reached(sql: &Connection, call: CallId, now: Now) -> Result<Option<EntryId>> {
    let found = sql
        .prepare_cached(
            "SELECT about, asked_by, asked_person, source FROM call
             WHERE id = ?1 AND direction = 'out' AND about IS NOT NULL",
        )?
        .query_row([Id(call)], |row| {
            let person: Option<i64> = row.get(2)?;
            let actor =
                Actor { person: person.map(PersonId), name: row.get(1)?, terminal: row.get(3)? };
            Ok((row.get::<_, Id<EntryId>>(0)?.0, actor))
        })
        .optional()?;
    let Some((about, actor)) = found else { return Ok(None) };
    callbacks::settle(sql, &actor, about, None, now)?;
    Ok(Some(about))
}

impl Store {
    /// Calls that were made for somebody today, and count.
    pub async fn dialled_today(&self, now: Now) -> Result<u32> {
        let since = ms(day_began(now.wall));
        self.read(move |sql| {
            Ok(sql
                .prepare_cached("SELECT count(*) FROM dialled WHERE at_ms >= ?1")?
                .query_row([since], |row| row.get(0))?)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duty::journal::{Disposition, Joining};
    use crate::duty::placed::Refusal;
    use crate::io::store::tests::{arrival, at, call, note, one, store};
    use crate::io::store::{CallbackState, wait};

    fn asker() -> Asker {
        let (name, terminal) = ("王值班".to_owned(), "127.0.0.1".to_owned());
        Asker { name, person: Some(1), terminal }
    }

    fn to(n: u8, number: &str, about: Option<EntryId>) -> Fact {
        Fact::Placed(Box::new(Placed {
            call: call(n),
            asker: asker(),
            phone: "值班台话机".to_owned(),
            number: number.to_owned(),
            dialled: format!("9{number}"),
            unit: String::new(),
            town: String::new(),
            about,
        }))
    }

    fn ended(n: u8, disposition: Disposition) -> Fact {
        let (by, why) = (None, String::new());
        Fact::Ended { call: call(n), disposition, by, status: 200, why }
    }

    #[test]
    fn sig_24_a_call_of_ours_is_an_entry_once_and_whoever_asked_is_named() {
        let store = store();
        for _ in 0..2 {
            note(&store, 0.0, to(1, "13800138000", None));
        }
        let row = wait(store.entry_row(call(1).into())).unwrap().unwrap();
        let placed = row.call.unwrap();
        assert_eq!((placed.caller.as_str(), placed.placed), ("13800138000", true));
        assert_eq!(placed.asked_by, "王值班");
        assert_eq!(one::<i64>(&store, "SELECT count(*) FROM entry WHERE source = 'call_out'"), 1);
        assert_eq!(one::<i64>(&store, "SELECT count(*) FROM audit WHERE action = 'call.place'"), 1);
        assert_eq!(wait(store.verify_entry(call(1).into())).unwrap(), 1);
        note(&store, 9.0, ended(1, Disposition::Missed));
        assert_eq!(one::<i64>(&store, "SELECT count(*) FROM callback"), 0, "nobody called us");
    }

    #[test]
    fn sig_24_calling_back_settles_the_callback_when_somebody_answers() {
        let store = store();
        note(&store, 0.0, arrival(1, "13800138000"));
        note(&store, 9.0, ended(1, Disposition::Missed));
        let about = Some(EntryId::from(call(1)));
        let state =
            |store: &Store| wait(store.entry_row(call(1).into())).unwrap().unwrap().callback;
        note(&store, 60.0, to(2, "13800138000", about));
        note(&store, 90.0, ended(2, Disposition::BusyMissed));
        assert_eq!(state(&store), Some(CallbackState::Open));
        note(&store, 120.0, to(3, "13800138000", about));
        let (phone, how) = (|| "13800138000".to_owned(), Joining::Out);
        note(&store, 125.0, Fact::Joining { call: call(3), phone: phone(), how });
        note(&store, 130.0, Fact::Answered { call: call(3), phone: phone() });
        assert_eq!(state(&store), Some(CallbackState::CalledBack));
        let view = wait(store.entry(call(1).into())).unwrap().unwrap();
        assert_eq!(view.callback.unwrap().settled_by.as_deref(), Some("王值班"));
        assert_eq!(view.placed.len(), 2, "both stand with the entry that they are about");
    }

    #[test]
    fn sig_24_the_log_counts_the_day_and_keeps_what_was_refused() {
        let store = store();
        for n in [1, 1, 2] {
            let number = "913800138000".to_owned();
            note(&store, f64::from(n), Fact::Dialled { call: call(n), number });
        }
        assert_eq!(wait(store.dialled_today(at(3.0))).unwrap(), 2);
        let number = "913900000003".to_owned();
        note(&store, 2.5, Fact::Dialled { call: call(1), number });
        assert_eq!(wait(store.dialled_today(at(3.0))).unwrap(), 3, "handed on in the same call");
        assert_eq!(wait(store.dialled_today(at(3.0 * 3600.0))).unwrap(), 0, "after midnight");
        let number = "0044123".to_owned();
        let refused =
            Fact::NotPlaced { call: call(3), asker: asker(), number, why: Refusal::NotNamed };
        note(&store, 4.0, to(4, "13800138000", None));
        for _ in 0..2 {
            note(&store, 4.5, Fact::GivenUp { call: call(4), asker: asker() });
        }
        let rows = "SELECT count(*) FROM audit WHERE action = 'call.hang_up' AND person = 1
                    AND detail = '13800138000'";
        assert_eq!(one::<i64>(&store, rows), 1, "who hung up on his page");
        for _ in 0..2 {
            let told = note(&store, 5.0, refused.clone());
            assert!(matches!(told.live[..], [Live::NotPlaced { .. }]), "{told:?}");
        }
        let rows = "SELECT count(*) FROM audit WHERE action = 'call.refuse' AND object = '0044123'
                    AND detail = 'not_named' AND person = 1";
        assert_eq!(one::<i64>(&store, rows), 1);
    }
}
