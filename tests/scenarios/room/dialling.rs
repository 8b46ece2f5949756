//! The officer calls somebody: what he clicks on his page, and what comes of it.

use super::people::DESK;
use super::{Room, seconds};
use dutyline::duty::ids::{CallId, EntryId};
use dutyline::duty::journal::Fact;
use dutyline::duty::placed::{Asker, DialOrder, Refusal};
use dutyline::duty::switchboard::Input;
use dutyline::io::store::EntryRow;

impl Room {
    /// He clicks a number on his page, perhaps in an entry. Nothing is said of what comes of it.
    pub fn officer_asks_for(&mut self, number: &str, about: Option<EntryId>) -> EntryId {
        let call = CallId::new(self.now(), &mut self.fork_random());
        let who = self.officer();
        let order = DialOrder {
            call,
            asker: Asker { name: who.name, person: Some(who.id.0), terminal: who.terminal },
            number: number.to_owned(),
            name: "赵主任".to_owned(),
            phone: "值班台话机".to_owned(),
            about,
        };
        self.order(|daemon, now| daemon.tell(Input::Dial(order), now));
        call.into()
    }

    /// As above, and it is in the log before his phone rings.
    pub fn officer_dials(&mut self, number: &str) -> EntryId {
        let entry = self.officer_asks_for(number, None);
        self.rings(DESK, seconds(2));
        assert!(self.row(entry).is_some(), "the entry is there before a phone rings");
        entry
    }

    /// He picks up his phone, and that of the number rings.
    pub fn officer_waits_for(&mut self, number: &str) {
        self.picks_up(DESK);
        self.rings(number, seconds(2));
    }

    /// He ends a call of his on the page.
    pub fn officer_gives_up(&mut self, entry: EntryId) {
        let (call, who) = (CallId(entry.0), self.officer());
        let asker = Asker { name: who.name, person: Some(who.id.0), terminal: who.terminal };
        self.order(|daemon, now| daemon.tell(Input::GiveUp { call, asker }, now));
    }

    pub fn row(&self, entry: EntryId) -> Option<EntryRow> {
        self.all_rows().into_iter().find(|row| row.id == entry)
    }

    /// Why a call was not made, as the log was told.
    pub fn refusal(&self, entry: EntryId) -> Option<Refusal> {
        self.facts().find_map(|noted| match &noted.fact {
            Fact::NotPlaced { call, why, .. } if call.0 == entry.0 => Some(*why),
            _ => None,
        })
    }
}
