//! Keys that one presses on his telephone, on their way to the others', whichever way each of them takes; and what the
//! officer's mean to us.

use super::Bridge;
use crate::duty::call::desk::Desk;
use crate::duty::call::keys::{Keys, Via};
use crate::duty::call::leg::Leg;
use crate::duty::ids::EntryId;
use crate::duty::journal::{Fact, Urgency};
use crate::protocol::now::{Deadline, Mono, Now, earlier};
use crate::protocol::rtp::{Command, Party};

const PARTIES: [Party; 3] = [Party::Caller, Party::Officer, Party::Leader];

impl Bridge {
    /// The officer's `*9` means something to us.
    pub fn handle_key(&mut self, party: Party, key: char, via: Via, desk: &mut Desk, now: Now) {
        let Some((keys, end)) = self.presses(party) else { return };
        if !keys.is_new(key, via, now.mono) {
            return;
        }
        let in_voice = end.hears_keys();
        if via == Via::Info && in_voice {
            keys.wait(key, now.mono);
        }
        for to in self.others(party) {
            match (to.hears_keys(), via) {
                (false, Via::Rtp | Via::Info) => desk.sip.press(to.id, key, now),
                (true, Via::Info) if !in_voice => say(to, key, desk),
                // The voice carries it, or will.
                (true, Via::Rtp | Via::Info) => {}
            }
        }
        if party == Party::Officer
            && !self.stranger
            && self.star_nine.completed_by(key, now.mono)
            && !std::mem::replace(&mut self.flagged, true)
        {
            let entry = EntryId::from(self.call);
            let phone = self.phone.clone();
            desk.note(Fact::Flagged { entry, urgency: Urgency::Urgent, phone }, now);
        }
    }

    /// Telephones that agree on keys in the voice, and send INFO instead.
    pub(super) fn pass_on_late(&mut self, desk: &mut Desk, now: Now) {
        for party in PARTIES {
            while let Some(key) = self.late_key(party, now.mono) {
                for to in self.others(party).filter(|to| to.hears_keys()) {
                    say(to, key, desk);
                }
            }
        }
    }

    pub(super) fn key_deadline(&self) -> Option<Deadline> {
        let guest = self.guest.as_ref().and_then(|guest| guest.keys.deadline());
        earlier(guest, earlier(self.keys.deadline(), self.caller_keys.deadline()))
    }

    fn late_key(&mut self, party: Party, now: Mono) -> Option<char> {
        self.presses(party)?.0.poll_alone(now)
    }

    /// Whose keys these are. A leader in the officer's place has his.
    fn presses(&mut self, party: Party) -> Option<(&mut Keys, &Leg)> {
        match party {
            Party::Officer => Some((&mut self.keys, &self.officer)),
            Party::Caller => Some((&mut self.caller_keys, &self.caller)),
            Party::Leader if self.led => Some((&mut self.keys, &self.officer)),
            Party::Leader => self.guest.as_mut().map(|guest| (&mut guest.keys, &guest.leg)),
            Party::Prompt => None,
        }
    }

    fn others(&self, party: Party) -> impl Iterator<Item = &Leg> {
        let of_officer = party == Party::Officer || self.led && party == Party::Leader;
        let caller = (party != Party::Caller).then_some(&self.caller);
        let officer = (!of_officer && !self.alone).then_some(&self.officer);
        let guest = self.guest.as_ref().filter(|_| of_officer || party == Party::Caller);
        [caller, officer, guest.map(|guest| &guest.leg)].into_iter().flatten()
    }
}

fn say(to: &Leg, key: char, desk: &mut Desk) {
    desk.media(Command::Press { channel: to.channel, key });
}
