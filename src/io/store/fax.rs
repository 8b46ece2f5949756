//! A fax machine that calls the duty line: its entry is classed 传真, unless somebody has classed it already.

use super::audit::{self, Actor};
use super::error::Result;
use super::revisions::{self, Change, RevisionKind};
use super::text::{Id, instant, ms};
use super::{calls, entries};
use crate::duty::entry::{Category, Field};
use crate::duty::ids::{CallId, EntryId};
use crate::io::status::Live;
use crate::protocol::now::Now;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};

/// The rule by which an entry is classed by what is heard (ITU-T T.30).
const RULE: &str = "T.30";

/// The tone of a fax machine was heard of the caller.
pub(super) fn heard(sql: &Connection, call: CallId, now: Now) -> Result<Option<Live>> {
    let first = sql
        .prepare_cached("UPDATE call SET fax_ms = ?2 WHERE id = ?1 AND fax_ms IS NULL")?
        .execute(params![Id(call), ms(now.wall)])?;
    let entry = EntryId::from(call);
    let form = entries::form(sql, entry)?.filter(|_| first > 0);
    if form.is_some_and(|form| form.get(Field::Category).is_empty()) {
        let (field, fax) = (Field::Category.name(), Category::Fax.name());
        sql.prepare_cached("UPDATE entry SET category = ?2 WHERE id = ?1")?
            .execute(params![Id(entry), fax])?;
        let (actor, change) = (Actor::system(RULE), Change::new(field, "", fax));
        revisions::append(sql, entry, RevisionKind::System, &actor, now, &[change], "")?;
        audit::append(sql, now, &actor, "entry.edit", &entry.to_string(), field)?;
    }
    calls::changed(sql, call)
}

pub(super) fn when(sql: &Connection, call: CallId) -> Result<Option<DateTime<Utc>>> {
    let found = sql
        .prepare_cached("SELECT fax_ms FROM call WHERE id = ?1")?
        .query_row([Id(call)], |row| instant(row, 0))
        .optional()?;
    Ok(found.flatten())
}

#[cfg(test)]
mod tests {
    use crate::duty::entry::{Category, Field};
    use crate::duty::journal::Fact;
    use crate::io::store::tests::{arrival, at, call, note, officer, one, store};
    use crate::io::store::wait;

    #[test]
    fn sig_39_an_entry_is_classed_once_and_nobodys_class_is_overwritten() {
        let store = store();
        note(&store, 0.0, arrival(1, "101"));
        let heard = || Fact::FaxHeard { call: call(1) };
        let told = note(&store, 4.0, heard());
        assert_eq!(told.live.len(), 1, "the officer's page is told");
        let view = || wait(store.entry(call(1).into())).unwrap().unwrap();
        assert_eq!(view().form.category(), Some(Category::Fax));
        assert_eq!(view().fax, Some(at(4.0).wall));
        let revisions = view().revisions.len();
        note(&store, 4.0, heard());
        assert_eq!(view().revisions.len(), revisions);
        let who = officer();
        let save =
            store.save_field(&who, call(1).into(), Field::Category, "fax", "inquiry", at(9.0));
        wait(save).unwrap();
        note(&store, 10.0, heard());
        assert_eq!(view().form.category(), Some(Category::Inquiry), "the officer knows better");
        assert_eq!(one::<i64>(&store, "SELECT count(*) FROM call WHERE fax_ms IS NOT NULL"), 1);
        wait(store.verify_audit()).unwrap();
        wait(store.verify_entry(call(1).into())).unwrap();
    }
}
