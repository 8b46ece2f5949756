//! The signed heads: each by the key that was in force, none missing, and what was sent away says the same.

use super::{Check, Fault, Mark, signed};
use crate::duty::proof::RenewalNote;
use crate::duty::proof::head::Note;
use crate::io::proof::keys::{Judged, Keys};
use crate::io::proof::witness::Copies;
use crate::io::store::error::Result;
use crate::io::store::{chain, keys};
use std::collections::BTreeMap;

impl Check<'_> {
    /// Which keys there were, and that no renewal of one was taken out.
    pub(super) fn keys(&mut self, copies: &Copies) -> Result<()> {
        let mut renewals = vec![];
        for (at, note) in keys::notes(self.sql)?.iter().enumerate() {
            match RenewalNote::parse(note) {
                Some(note) if note.renewal.to.origin == self.found.origin => renewals.push(note),
                _ => {
                    let place = format!("key_renewal [{}]", at + 1);
                    self.fault(Fault::new(place, "换钥记录被改动", "was altered"));
                    break;
                }
            }
        }
        let (found, faults) = Keys::of(self.given, &renewals);
        self.found.keys = found;
        faults.into_iter().for_each(|fault| self.fault(fault));
        let own = |note: &&RenewalNote| note.renewal.to.origin == self.found.origin;
        let missing: BTreeMap<_, _> = copies
            .renewals
            .iter()
            .filter(own)
            .filter(|copy| renewals.iter().all(|here| here.text != copy.text))
            .map(|copy| (copy.text.clone(), copy.renewal.number))
            .collect();
        for number in missing.into_values() {
            self.fault(Fault::new(
                format!("copy of key renewal {number}"),
                "数据库中没有这次换钥：被删除，或恢复过旧库",
                "is not in the database: it was taken out, or an old copy was restored",
            ));
        }
        Ok(())
    }

    /// The heads in the log; each is a root that the tree must have had.
    pub(super) fn heads(&mut self) -> Result<Vec<Mark>> {
        let mut marks = vec![];
        let rows = signed::rows(self.sql)?;
        self.found.heads = rows.len() as u64;
        self.found.newest = rows.last().map_or(0, |row| row.number);
        let (mut expected, mut before): (u64, Option<Note>) = (1, None);
        let mut foreign = BTreeMap::<[u8; 4], (u64, u64)>::new();
        for row in rows {
            let place = format!("head {}", row.number);
            if row.number != expected {
                self.fault(Fault::new(
                    format!("head {expected}"),
                    "签名记录缺号，被删除",
                    "is missing: it was taken out",
                ));
            }
            expected = row.number + 1;
            let note = Note::parse(&row.note).filter(|note| {
                let head = &note.head;
                (head.number, head.size, head.at) == (row.number, row.size, row.at)
                    && head.origin == self.found.origin
            });
            let judged = note.as_ref().map_or(Judged::Altered, |note| self.found.keys.judge(note));
            let Some(note) = note.filter(|_| judged == Judged::Fits) else {
                match (judged, Note::parse(&row.note)) {
                    (Judged::Foreign, Some(note)) => {
                        foreign.entry(note.key_id).or_insert((row.number, 0)).1 = row.number;
                    }
                    _ => self.fault(unfit(place, judged)),
                }
                continue;
            };
            if let Some(before) = &before {
                self.order(before, &note, &place)?;
            }
            marks.push(Mark { size: row.size, root: note.head.root, place });
            before = Some(note);
        }
        for (id, (first, last)) in foreign {
            self.fault(by_nobody(id, first, last));
        }
        Ok(marks)
    }

    /// Later heads are not smaller, and not earlier unless the clock is known to have been set back.
    fn order(&mut self, before: &Note, note: &Note, place: &str) -> Result<()> {
        if note.head.size < before.head.size {
            self.fault(Fault::new(
                place,
                "比前一个签名的条目还少",
                "has fewer items than the one before",
            ));
        }
        if note.head.at >= before.head.at {
            return Ok(());
        }
        let known = self
            .sql
            .prepare(
                "SELECT 1 FROM outage WHERE kind = 'clock' AND from_ms > to_ms AND to_ms <= ?1",
            )?
            .exists([note.head.at.timestamp_millis()])?;
        if !known {
            self.fault(Fault::new(
                place,
                "签名时间早于前一个，而没有时钟被拨回的记录",
                "is earlier than the one before, and no row says that the clock was set back",
            ));
        }
        Ok(())
    }

    /// What was sent away says the same as what is here.
    pub(super) fn copies(&mut self, copies: &[Note], marks: &mut Vec<Mark>) -> Result<()> {
        let here: BTreeMap<u64, String> =
            signed::rows(self.sql)?.into_iter().map(|row| (row.number, row.note)).collect();
        let items = chain::last(self.sql)?.map_or(0, |(seq, _)| seq + 1);
        for copy in copies {
            let head = &copy.head;
            let place = format!("copy of head {} ({} items, {})", head.number, head.size, head.at);
            if head.origin != self.found.origin {
                self.fault(Fault::new(
                    place,
                    format!("是另一个日志 {} 的签名：数据库被换掉或重新开始过", head.origin),
                    format!("is of another log, {}: the database was replaced", head.origin),
                ));
                continue;
            }
            match self.found.keys.judge(copy) {
                Judged::Fits => {}
                judged @ (Judged::Altered | Judged::OutOfTime) => {
                    self.fault(unfit(place, judged));
                    continue;
                }
                Judged::Foreign => {
                    self.fault(Fault::new(
                        place,
                        "签名不符，副本被改动，或出自外来的密钥",
                        "was altered or signed by a foreign key",
                    ));
                    continue;
                }
            }
            let same = here.get(&head.number).and_then(|note| Note::parse(note));
            if same.as_ref().is_none_or(|here| here.text != copy.text) {
                let (zh, en) = match head.size > items {
                    true => (
                        format!(
                            "数据库只有 {items} 条，比当时已签名的少：末尾被删，或恢复成了旧库"
                        ),
                        format!(
                            "the database has {items} items only: its end was cut off, or an old copy was restored"
                        ),
                    ),
                    false => (
                        "数据库中没有这个签名：被删除，或恢复过旧库".to_owned(),
                        "is not in the database: it was taken out, or an old copy was restored"
                            .to_owned(),
                    ),
                };
                self.fault(Fault::new(place.clone(), zh, en));
            }
            if head.size <= items {
                marks.push(Mark { size: head.size, root: head.root, place });
            }
        }
        Ok(())
    }
}

fn unfit(place: String, judged: Judged) -> Fault {
    match judged {
        Judged::OutOfTime => Fault::new(
            place,
            "签名用的密钥当时不在用",
            "was signed by a key that was not in force then",
        ),
        Judged::Fits | Judged::Altered | Judged::Foreign => {
            Fault::new(place, "签名记录被改动，签名不符", "was altered: its signature does not fit")
        }
    }
}

fn by_nobody(id: [u8; 4], first: u64, last: u64) -> Fault {
    let id = id.map(|byte| format!("{byte:02x}")).concat();
    Fault::new(
        format!("head {first}"),
        format!(
            "第 {first}–{last} 号签名用的密钥 {id} 是外来的：所信的公钥没有为它签字（前一把遗失后换的，须另行取得公钥，用 --key 一并给出）"
        ),
        format!(
            "to {last}: signed by the foreign key {id}, for which no key that is believed has signed; of one made after a loss, give the public half too, with --key"
        ),
    )
}
