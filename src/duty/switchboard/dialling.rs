//! The room calls out: whether it may, and the call that begins then.

use super::Switchboard;
use super::closing::Closing;
use crate::duty::call::Call;
use crate::duty::call::caller::Caller;
use crate::duty::call::outgoing::Outgoing;
use crate::duty::call::transfer;
use crate::duty::dial_plan;
use crate::duty::ids::CallId;
use crate::duty::journal::Fact;
use crate::duty::line_plan::{Begins, Phone};
use crate::duty::numbers::{self, Kind};
use crate::duty::placed::{Asker, DialOrder, Placed, Refusal};
use crate::protocol::now::Now;
use crate::protocol::sdp::Session;
use crate::protocol::sip::{self, LegId};
use std::time::Duration;

/// The officer's phone shows one short line.
const SHOWN_CHARS: usize = 48;

impl Switchboard {
    /// The entry is born, or the wish is refused and that is noted.
    pub(super) fn on_dial(&mut self, order: DialOrder, now: Now) {
        if self.calls.contains_key(&order.call) {
            return;
        }
        let phone = self.desk.plan.phones.iter().find(|phone| phone.name == order.phone).cloned();
        let begun = phone.ok_or(Refusal::NoPhone);
        let begun = begun.and_then(|phone| self.begin_dialling(&order, phone, None, now));
        if let Err(why) = begun {
            self.not_placed(order, why, now);
        }
    }

    /// A phone that has registered with us dials a number.
    pub(super) fn on_phone_dials(
        &mut self,
        leg: LegId,
        phone: String,
        invite: &sip::Incoming,
        now: Now,
    ) {
        let call = CallId::new(now, &mut self.desk.random);
        if let Some(fault) = &invite.fault {
            return self.desk.refuse(leg, fault.status, None, now);
        }
        let user = invite.claims.from().user;
        let srtp = transfer::policy_of(&user, &self.desk);
        let offer = invite.sdp.as_deref().map(|sdp| self.desk.first_offer(call, srtp, sdp, now));
        // A phone that leaves the offer to us gives nothing to dial with; none is sold.
        let offer = match offer {
            Some(Ok(offer)) => offer,
            Some(Err(fault)) => return self.desk.refuse(leg, fault.status(), None, now),
            None => return self.desk.refuse(leg, 488, None, now),
        };
        let terminal = invite.source.addr.to_string();
        let order = DialOrder {
            call,
            asker: Asker { name: phone.clone(), person: None, terminal },
            number: invite.request_user.clone(),
            name: String::new(),
            phone: phone.clone(),
            about: None,
        };
        let (begins, srtp) = (Begins::InTurn, Some(srtp));
        let phone = Phone { name: phone, target: user, ring: Duration::ZERO, begins, srtp };
        match self.begin_dialling(&order, phone, Some((leg, offer)), now) {
            Ok(()) => {
                self.desk.follow(leg, call, &order.phone);
                self.desk.legs.insert(leg, call);
            }
            Err(why) => {
                self.not_placed(order, why, now);
                self.desk.refuse(leg, why.status(), None, now);
            }
        }
    }

    fn not_placed(&mut self, order: DialOrder, why: Refusal, now: Now) {
        let DialOrder { call, asker, number, .. } = order;
        let number = number.chars().filter(|c| !c.is_control());
        let number = number.take(dial_plan::NUMBER_MAX).collect();
        self.desk.note(Fact::NotPlaced { call, asker, number, why }, now);
    }

    fn begin_dialling(
        &mut self,
        order: &DialOrder,
        phone: Phone,
        waits: Option<(LegId, Session)>,
        now: Now,
    ) -> Result<(), Refusal> {
        if self.closing != Closing::No {
            return Err(Refusal::Stopping);
        }
        let placed = self.placed(order, &phone)?;
        // The channels before the count: what cannot begin does not count.
        let ways = [placed.dialled.as_str(), placed.number.as_str()];
        let reserved = self.desk.plan.reserved_channels;
        let keep = if dial_plan::is_emergency(&ways) { 0 } else { reserved };
        let channels = self.lend_pair(order.call, keep, now).ok_or(Refusal::NoChannel)?;
        if let Err(denial) = self.desk.permits(order.call, &ways, now) {
            self.desk.close(channels.0, now);
            self.desk.close(channels.1, now);
            return Err(denial.into());
        }
        let shown = shown(&placed, &order.name);
        let until = now.mono + self.desk.plan.entry_budget;
        let officer = waits.map(|(leg, offer)| Caller::dials(leg, channels.1, offer, phone.srtp));
        let call = Outgoing::new(&placed, phone, shown, channels, officer, until);
        let id = placed.call;
        self.desk.note(Fact::Placed(Box::new(placed)), now);
        self.checkpoint.calls.insert(id);
        self.calls.insert(id, Call::Outgoing(Box::new(call)));
        Ok(())
    }

    /// The number as the site's rules read it.
    fn placed(&self, order: &DialOrder, phone: &Phone) -> Result<Placed, Refusal> {
        let plan = &self.desk.plan;
        let number = plan.callers.numbering.read(&order.number);
        if number.kind == Kind::None {
            return Err(Refusal::NoNumber);
        }
        let dialled = plan.callers.numbering.to_dial(&number.plain);
        if plan.is_ours(&dialled) || dialled == dial_plan::user(&phone.target) {
            return Err(Refusal::Ourselves);
        }
        Ok(Placed {
            call: order.call,
            asker: order.asker.clone(),
            phone: phone.name.clone(),
            unit: plan.callers.unit(&number.plain).to_owned(),
            town: numbers::region(&number.plain).unwrap_or_default().to_owned(),
            number: number.plain,
            dialled,
            about: order.about,
        })
    }
}

/// The number that is dialled next, and whose it is.
fn shown(placed: &Placed, name: &str) -> String {
    let both = format!("{} {}", placed.number, if name.is_empty() { &placed.unit } else { name });
    let harmless = |c: &char| !c.is_control() && !matches!(c, '"' | '\\' | '<' | '>');
    both.trim().chars().filter(harmless).take(SHOWN_CHARS).collect()
}
