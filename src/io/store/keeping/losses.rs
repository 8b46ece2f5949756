//! 第二份作废: the second copies are on a place that will not come back. Two people say so; none of them counts any more, and
//! each is made anew. No file is touched.

use super::twofold::{SAYINGS, Sayings, Twofold, sayings};
use super::{Agreed, Word};
use crate::io::store::audit::{self, Actor};
use crate::io::store::error::Result;
use crate::io::store::text::ms;
use crate::io::store::{Store, Who};
use crate::protocol::now::Now;
use rusqlite::params;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LossRow {
    pub said: Word,
    /// Files that had been counted.
    pub copies: u64,
    pub agreed: Option<Word>,
    pub refused: Option<Word>,
}

const LOSS: Twofold = Twofold { said: "copies_loss", link: "loss", refused: "copies.keep" };

impl Store {
    /// The first of the two. `None`: there is no copy, somebody has said so already, or there is no reason.
    pub async fn lose_copies(&self, who: &Who, reason: &str, now: Now) -> Result<Option<i64>> {
        let (person, actor, reason) = (who.id, Actor::from(who), reason.trim().to_owned());
        let counted = "SELECT count(*) FROM counted_copy";
        let copies: i64 =
            self.read(|sql| Ok(sql.query_row(counted, [], |row| row.get(0))?)).await?;
        if reason.is_empty() || copies == 0 {
            return Ok(None);
        }
        self.write(move |tx| {
            let said = tx.sql.execute(
                "INSERT INTO copies_loss (copies, reason, person, at_ms) SELECT ?1, ?2, ?3, ?4
                 WHERE NOT EXISTS (SELECT 1 FROM copies_loss l
                   WHERE l.id NOT IN (SELECT loss FROM copies_loss_agreement)
                     AND l.id NOT IN (SELECT loss FROM copies_loss_refusal))",
                params![copies, reason, person.0, ms(now.wall)],
            )?;
            if said == 0 {
                return Ok(None);
            }
            let loss = tx.sql.last_insert_rowid();
            let detail = format!("{copies} · {reason}");
            audit::append(tx.sql, now, &actor, "copies.lose", &loss.to_string(), &detail)?;
            Ok(Some(loss))
        })
        .await
    }

    /// The second, who must be another one.
    pub async fn agree_to_loss(&self, who: &Who, loss: i64, now: Now) -> Result<Agreed> {
        let (person, actor) = (who.id, Actor::from(who));
        let agreed = self.write(move |tx| {
            let may = LOSS.second(tx.sql, loss, person)?;
            if may != Agreed::Agreed {
                return Ok(may);
            }
            tx.sql.execute(
                "INSERT INTO copies_loss_agreement (loss, person, at_ms) VALUES (?1, ?2, ?3)",
                params![loss, person.0, ms(now.wall)],
            )?;
            audit::append(tx.sql, now, &actor, "copies.lost", &loss.to_string(), "")?;
            Ok(Agreed::Agreed)
        });
        // What is given up may go without them.
        agreed.await.inspect(|_| self.inner.gives_up.notify_one())
    }

    /// Says no, or takes it back. False: it does not wait, or there is no reason.
    pub async fn refuse_loss(&self, who: &Who, loss: i64, reason: &str, now: Now) -> Result<bool> {
        LOSS.refuse(self, who, (loss, reason), now).await
    }

    /// The newest, and one that waits; the newest first.
    pub async fn losses(&self, most: u32) -> Result<Vec<LossRow>> {
        self.read(move |sql| {
            let mut rows = sql.prepare_cached(&LOSS.newest("d.copies"))?;
            let rows = rows.query_map([most], |row| {
                let Sayings { said, agreed, refused } = sayings(row)?;
                let copies = row.get::<_, i64>(SAYINGS)?.unsigned_abs();
                Ok(LossRow { said, copies, agreed, refused })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}
