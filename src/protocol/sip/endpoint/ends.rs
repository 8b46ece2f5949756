//! How sessions end (RFC 3261 §15, §13.3.1.4), and what is overdue in them.

use super::Endpoint;
use super::client::Purpose;
use super::legs::{Cancel, Leg, State};
use crate::protocol::now::Now;
use crate::protocol::sip::message::Method;
use crate::protocol::sip::{Ending, Event, LegId, Transmit};

/// Reason (RFC 3326) of a BYE that nobody wished for.
const UNREACHABLE: &str = "SIP;cause=408;text=\"peer does not answer\"";
const EXPIRED: &str = "SIP;cause=408;text=\"session timer expired\", Q.850;cause=102";

impl Endpoint {
    pub(super) fn end_session(&mut self, id: LegId, now: Now) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        match &leg.state {
            State::Established { confirmed: true } => {
                self.drop_offer(id, now);
                self.send_bye(id, None, now);
            }
            // §15: not before the ACK to our 2xx, or its end.
            State::Established { confirmed: false } => {
                self.drop_offer(id, now);
                if let Some(leg) = self.legs.get_mut(id) {
                    leg.state = State::Closing { owed: true };
                }
            }
            // The answer still waits for a PRACK.
            State::Ringing { server, .. } if leg.reliable.is_answered() => {
                let server = server.clone();
                self.reply(&server, 480, vec![], None, now);
                return self.forget_caller(id, Ending::OurBye, false, now);
            }
            State::Ringing { .. } | State::Calling { .. } | State::Closing { .. } => return,
        }
        self.report(Event::Ended { leg: id, ending: Ending::OurBye });
    }

    pub(super) fn send_bye(&mut self, id: LegId, reason: Option<&str>, now: Now) {
        self.leave_exchange(id, now);
        let Some(leg) = self.legs.get_mut(id) else { return };
        leg.state = State::Closing { owed: false };
        leg.unacked.clear();
        let Some(dialog) = &mut leg.dialog else { return };
        let mut bye = dialog.request(Method::Bye, &self.account);
        bye.headers.extend(reason.map(|reason| ("Reason".to_owned(), reason.into())));
        let trusted = dialog.ends_at_pbx(&self.account);
        self.start_client(bye, Purpose::Bye { leg: Some(id), trusted }, now);
    }

    /// The BYE has its answer, or none will come.
    pub(super) fn on_bye_over(&mut self, leg: Option<LegId>) {
        if let Some(leg) = leg {
            self.legs.remove(leg);
        }
    }

    pub(super) fn legs_timeout(&mut self, now: Now) {
        for id in self.legs.due(now.mono) {
            let Some(leg) = self.legs.get_mut(id) else { continue };
            if let State::Calling { cancel: Cancel::Sent { give_up }, .. } = leg.state
                && give_up <= now.mono
            {
                self.forget_call(id, now);
                continue;
            }
            if leg.unacked.iter().any(|unacked| unacked.give_up <= now.mono) {
                // §13.3.1.4: nobody acknowledges it.
                self.lose_session(id, Ending::Lost, now);
                continue;
            }
            for transmit in due_again(leg, now) {
                self.transmit(transmit);
            }
            self.silence_timeout(id, now);
            self.reliable_timeout(id, now);
            self.exchange_timeout(id, now);
            self.timer_timeout(id, now);
            self.referral_timeout(id, now);
        }
    }

    /// The peer is not there any more; it is told all the same.
    pub(super) fn lose_session(&mut self, id: LegId, ending: Ending, now: Now) {
        let reported = matches!(self.legs.state(id), Some(State::Closing { .. }));
        self.drop_offer(id, now);
        let reason = if ending == Ending::Expired { EXPIRED } else { UNREACHABLE };
        self.send_bye(id, Some(reason), now);
        if !reported {
            self.report(Event::Ended { leg: id, ending });
        }
    }

    /// §15.1.2: requests still pending are answered 487.
    pub(super) fn drop_offer(&mut self, id: LegId, now: Now) {
        let Some(offer) = self.legs.get_mut(id).and_then(|leg| leg.offer.take()) else { return };
        self.reply(&offer.server, 487, vec![], None, now);
    }
}

fn due_again(leg: &mut Leg, now: Now) -> Vec<Transmit> {
    leg.unacked.iter_mut().filter_map(|unacked| unacked.poll(now.mono)).collect()
}
