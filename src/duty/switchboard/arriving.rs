//! A new call: a caller who reaches the line.

use super::Switchboard;
use super::closing::Closing;
use crate::duty::call::Call;
use crate::duty::call::caller::Caller;
use crate::duty::call::incoming::Incoming;
use crate::duty::call::ring_plan::RETRY_AFTER;
use crate::duty::figures;
use crate::duty::ids::CallId;
use crate::duty::journal::{Arrival, Disposition, Fact};
use crate::protocol::now::Now;
use crate::protocol::rtp::{Channel, Party};
use crate::protocol::sip::{self, LegId};

impl Switchboard {
    /// The entry is born, whatever becomes of the call (I-1).
    pub(super) fn on_incoming(&mut self, leg: LegId, invite: sip::Incoming, now: Now) {
        if let Some(replaced) = invite.replaces {
            return self.on_replaces(leg, replaced, &invite, now);
        }
        if let Some(phone) = invite.phone.clone() {
            return self.on_phone_dials(leg, phone, &invite, now);
        }
        let id = CallId::new(now, &mut self.desk.random);
        let mut arrival = Arrival::of(id, &invite, &self.desk.plan.callers);
        if let Some(number) = self.desk.plan.number(invite.aor) {
            arrival.callee.clone_from(&number.number);
            arrival.called.clone_from(&number.name);
        }
        let in_service = invite.fault.is_none() && self.closing == Closing::No;
        if let Some(call) = in_service.then(|| self.test_of(&arrival, now)).flatten() {
            return self.on_test(leg, &invite, Arrival { call, ..arrival }, now);
        }
        let arrival = Box::new(arrival);
        let shown = arrival.shown();
        self.desk.follow(leg, id, "");
        self.desk.note(Fact::Arrived(arrival), now);
        if let Some(fault) = invite.fault {
            self.count_refused("malformed");
            let answer = (fault.status, None);
            return self.turn_away(id, leg, Disposition::Failed, answer, fault.why, now);
        }
        if self.closing != Closing::No {
            self.count_refused("stopping");
            let answer = (503, Some(RETRY_AFTER));
            let why = "the daemon is stopping".to_owned();
            return self.turn_away(id, leg, Disposition::Interrupted, answer, why, now);
        }
        let srtp = self.desk.plan.srtp.line;
        let offer = match invite
            .sdp
            .as_deref()
            .map(|sdp| self.desk.first_offer(id, srtp, sdp, now))
            .transpose()
        {
            Ok(offer) => offer,
            Err(fault) => {
                self.count_refused(match fault.place() {
                    Some(_) => "media_place",
                    None if fault.is_about_secrecy() => "not_secret",
                    None => "session_description",
                });
                let answer = (fault.status(), None);
                let why = fault.to_string();
                return self.turn_away(id, leg, Disposition::Failed, answer, why, now);
            }
        };
        let keep = self.desk.plan.reserved_channels;
        let Some((channel, officer_channel)) = self.lend_pair(id, keep, now) else {
            self.count_refused("no_channel");
            let answer = (503, Some(RETRY_AFTER));
            let why = "no free voice channel".to_owned();
            return self.turn_away(id, leg, Disposition::BusyMissed, answer, why, now);
        };
        let caller = Caller::new(leg, channel, offer, shown).of(invite.aor);
        let until = now.mono + self.desk.plan.entry_budget;
        self.desk.legs.insert(leg, id);
        self.checkpoint.calls.insert(id);
        let call = Incoming::new(id, caller, officer_channel, until, now.mono);
        self.calls.insert(id, Call::Incoming(Box::new(call)));
    }

    fn count_refused(&mut self, reason: &'static str) {
        figures::add(&mut self.figures.refused, reason, 1);
    }

    fn turn_away(
        &mut self,
        call: CallId,
        leg: LegId,
        disposition: Disposition,
        (status, retry_after): (u16, Option<u32>),
        why: String,
        now: Now,
    ) {
        self.desk.refuse(leg, status, retry_after, now);
        self.desk.note(Fact::Ended { call, disposition, by: None, status, why }, now);
    }

    /// At least `keep` stay free.
    pub(super) fn lend_pair(
        &mut self,
        call: CallId,
        keep: usize,
        now: Now,
    ) -> Option<(Channel, Channel)> {
        let channels = &mut self.desk.channels;
        let caller = channels.lend(call, Party::Caller, keep)?;
        let officer = channels.lend(call, Party::Officer, keep);
        if officer.is_none() {
            channels.give_back(caller, now.mono);
        }
        officer.map(|officer| (caller, officer))
    }
}
