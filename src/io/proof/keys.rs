//! Which key signed what: the chain of keys of a log, each signed for by the one before, as far as somebody's word for
//! one of them goes.

use super::key;
use crate::duty::proof::head::Note;
use crate::duty::proof::{PublicKey, RenewalNote};
use crate::io::store::Fault;

/// A key and the heads that are its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub key: PublicKey,
    pub first: u64,
    /// `None`: it is in force.
    pub last: Option<u64>,
    /// The renewal's note as it was written; `None` for the first key.
    pub note: Option<RenewalNote>,
    /// Who believes the key that was given believes this one.
    pub believed: bool,
}

/// The keys of a log, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    pub links: Vec<Link>,
}

/// Of a signed head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    Fits,
    Altered,
    /// By no key of this log that is believed.
    Foreign,
    /// By a key of this log that was not in force.
    OutOfTime,
}

impl Link {
    /// The key before it was lost, and nobody signed for this one.
    pub fn is_alone(&self) -> bool {
        self.note.as_ref().is_some_and(|note| note.renewal.lost)
    }
}

fn place(note: &RenewalNote) -> String {
    format!("key_renewal [{}]", note.renewal.number)
}

impl Keys {
    /// `given`: who is believed to begin with; `renewals`: as the log has them.
    pub fn of(given: &[PublicKey], renewals: &[RenewalNote]) -> (Self, Vec<Fault>) {
        let mut faults = vec![];
        let first = renewals.first().and_then(|note| note.renewal.from.clone());
        let unnamed = |key: &&PublicKey| renewals.iter().all(|it| it.renewal.to != **key);
        let firsts: Vec<PublicKey> = match first {
            Some(first) => vec![first],
            None => given.iter().filter(unnamed).cloned().collect(),
        };
        let link = |key| Link { key, first: 1, last: None, note: None, believed: false };
        let mut links: Vec<Link> = firsts.into_iter().map(link).collect();
        for (at, note) in renewals.iter().enumerate() {
            let renewal = &note.renewal;
            let before = links.last().map(|link| &link.key);
            let follows = renewal.number == at as u64 + 1
                && (renewal.from.is_none() || renewal.from.as_ref() == before)
                && before.is_none_or(|before| before.origin == renewal.to.origin);
            let by = |key: &PublicKey| key::is_among(key, &note.text, &note.signatures);
            if !follows || !by(&renewal.to) {
                faults.push(Fault::new(
                    place(note),
                    "换钥记录被改动，签名或顺序不符",
                    "was altered: its signature or its place does not fit",
                ));
                break;
            }
            if !renewal.lost && !renewal.from.as_ref().is_some_and(by) {
                let id = renewal.to.hex_id();
                faults.push(Fault::new(
                    place(note),
                    format!("新公钥 {id} 没有前一把密钥的签字，是外来的"),
                    format!("the key {id} is foreign: the one before did not sign for it"),
                ));
                break;
            }
            for link in links.iter_mut().filter(|link| link.last.is_none()) {
                link.last = Some(renewal.head);
            }
            links.push(Link {
                key: renewal.to.clone(),
                first: renewal.head + 1,
                last: None,
                note: Some(note.clone()),
                believed: false,
            });
        }
        let mut keys = Self { links };
        keys.believe(given);
        (keys, faults)
    }

    /// Whoever knows a key knows those before it, which it signed with its name, and those after it up to one that
    /// nobody signed for.
    fn believe(&mut self, given: &[PublicKey]) {
        let mut follows = false;
        for link in &mut self.links {
            follows = given.contains(&link.key) || follows && !link.is_alone();
            link.believed = follows;
        }
        let mut known = false;
        for link in self.links.iter_mut().rev() {
            known |= given.contains(&link.key);
            link.believed |= known;
        }
    }

    pub fn of_id(&self, id: [u8; 4]) -> Option<&Link> {
        self.links.iter().find(|link| link.key.id() == id)
    }

    pub fn judge(&self, note: &Note) -> Judged {
        let Some(link) = self.of_id(note.key_id).filter(|link| link.believed) else {
            return Judged::Foreign;
        };
        let number = note.head.number;
        let in_force = number >= link.first && link.last.is_none_or(|last| number <= last);
        match key::holds(&link.key, note) {
            false => Judged::Altered,
            true if in_force => Judged::Fits,
            true => Judged::OutOfTime,
        }
    }

    /// What is to be said of each, where there is more than one.
    ///
    /// # Errors
    /// The writer's.
    pub fn write(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.links.iter().all(|link| link.note.is_none()) {
            return Ok(());
        }
        for link in &self.links {
            let Link { key, first, last, .. } = link;
            let (to, until) = match last {
                Some(last) => (last.to_string(), format!("heads {first} to {last}")),
                None => (String::new(), format!("heads from {first} on")),
            };
            let (mark, zh, en) = match (&link.note, link.is_alone()) {
                (None, _) => ("·", "第一把", "the first"),
                (_, false) => ("·", "由前一把签字担保", "signed for by the one before"),
                (_, true) => (
                    "！",
                    "前一把遗失，除见证文件夹的存件外无人担保",
                    "the one before was lost: nobody vouches for it but the witness",
                ),
            };
            writeln!(out, "{mark} 签名 {first}–{to} · {until}: {key}\n    {zh} · {en}")?;
        }
        Ok(())
    }
}
