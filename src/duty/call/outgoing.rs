//! A call of ours over the duty line (呼出): the officer's phone is rung first, then the number.
//!
//! Or he has dialled it himself, on a phone that has registered with us: he waits already.
//!
//! ```text
//!  Entering ──stored, or 150 ms──► Desk ──the officer's 200──► Dialling ──200──► Talking ──► Over
//!                                   │ refused, rung too long      │ refused, rung too long
//!   the officer gives up, on phone or page; shutdown: from anywhere ───────────────────────► Over
//! ```
//! In it whom we call is the caller of every other call: he is on the left of the recording.

mod talking;

use super::LegEvent;
use super::bridge::Bridge;
use super::caller::Caller;
use super::calling::{Calling, Number, RingsThere, Speaks};
use super::desk::Desk;
use super::leg::Leg;
use super::ring_plan::NotTaken;
use super::transfer;
use crate::duty::ids::CallId;
use crate::duty::journal::{Disposition, Fact, Joining, Stretch};
use crate::duty::line_plan::Phone;
use crate::duty::placed::{Asker, Placed};
use crate::duty::prompts::RINGBACK;
use crate::protocol::now::{Deadline, Mono, Now};
use crate::protocol::rtp::{Channel, Command, Party};
use crate::protocol::sdp::{self, Direction, Session};
use crate::protocol::sip::{Ending, LegId};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Longer than any network lets a phone ring; the officer who waits may give up before.
const RING: Duration = Duration::from_secs(120);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outgoing {
    id: CallId,
    /// As the log names the far end, and as it is dialled.
    number: String,
    dialled: String,
    /// What the officer's phone shows of it.
    shown: String,
    phone: Phone,
    /// Lent to the far end, and to the officer, from the beginning.
    far_channel: Channel,
    officer_channel: Channel,
    taped: bool,
    state: State,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum State {
    /// Until the entry is committed.
    Entering {
        until: Mono,
        /// Who has dialled on his phone.
        officer: Option<Box<Caller>>,
    },
    /// The officer's phone rings.
    Desk(Calling),
    /// He waits for the far end.
    Dialling {
        officer: Box<Caller>,
        far: Calling,
        hears: Hears,
    },
    Talking(Box<Bridge>),
    Over,
}

/// What the officer hears while he waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Hears {
    Nothing,
    /// That it rings, from us.
    Ringback,
    /// The far end itself (early media).
    Early,
}

/// How it ends.
struct End<'a> {
    disposition: Disposition,
    by: Option<Party>,
    status: u16,
    why: &'a str,
}

impl Outgoing {
    /// A call whose `Placed` has been noted.
    pub fn new(
        placed: &Placed,
        phone: Phone,
        shown: String,
        (far_channel, officer_channel): (Channel, Channel),
        officer: Option<Caller>,
        until: Mono,
    ) -> Self {
        let officer = officer.map(Box::new);
        Self {
            id: placed.call,
            number: placed.number.clone(),
            dialled: placed.dialled.clone(),
            shown,
            phone,
            far_channel,
            officer_channel,
            taped: false,
            state: State::Entering { until, officer },
        }
    }

    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    pub fn is_taped(&self) -> bool {
        self.taped
    }

    pub fn handle_stored(&mut self, desk: &mut Desk, now: Now) {
        if matches!(self.state, State::Entering { .. }) {
            self.begin(desk, now);
        }
    }

    pub fn handle_leg(&mut self, leg: LegId, event: LegEvent, desk: &mut Desk, now: Now) {
        match self.state {
            State::Desk(_) => self.at_desk(leg, event, desk, now),
            State::Dialling { .. } => self.dialling(leg, event, desk, now),
            State::Talking(_) => self.talking(leg, event, desk, now),
            State::Entering { .. } => match event {
                LegEvent::Cancelled { .. } => self.end(&GAVE_UP, desk, now),
                event => not_now(leg, &event, desk, now),
            },
            State::Over => {}
        }
    }

    pub fn handle_timeout(&mut self, desk: &mut Desk, now: Now) {
        match &self.state {
            State::Entering { until, .. } if *until <= now.mono => self.begin(desk, now),
            State::Desk(calling) if calling.is_due(now.mono) => {
                desk.sip.cancel(calling.leg, now);
                self.desk_refuses(408, desk, now);
            }
            State::Dialling { far, .. } if far.is_due(now.mono) => {
                desk.sip.cancel(far.leg, now);
                self.far_refuses(408, desk, now);
            }
            State::Talking(_) => self.talking_timeout(desk, now),
            State::Entering { .. } | State::Desk(_) | State::Dialling { .. } | State::Over => {}
        }
    }

    pub fn deadline(&self, desk: &Desk) -> Option<Deadline> {
        match &self.state {
            State::Entering { until, .. } => Some((*until, "entry not committed in time")),
            State::Desk(calling) | State::Dialling { far: calling, .. } => Some(calling.deadline()),
            State::Talking(bridge) => bridge.deadline(desk),
            State::Over => None,
        }
    }

    /// The officer does not want it any more, and says so on his page.
    pub fn give_up(&mut self, asker: Asker, desk: &mut Desk, now: Now) {
        let by = Some(Party::Officer);
        let end = match &self.state {
            State::Over => return,
            State::Talking(_) => {
                let why = "the officer hung up on his page";
                End { disposition: Disposition::Answered, by, status: 200, why }
            }
            State::Entering { .. } | State::Desk(_) | State::Dialling { .. } => GAVE_UP,
        };
        desk.note(Fact::GivenUp { call: self.id, asker }, now);
        self.hang_up(503, desk, now);
        self.end(&end, desk, now);
    }

    pub fn interrupt(&mut self, desk: &mut Desk, now: Now) {
        self.interrupted("the daemon stopped", desk, now);
    }

    fn interrupted(&mut self, why: &str, desk: &mut Desk, now: Now) {
        let status = match &self.state {
            State::Over => return,
            State::Talking(_) => 200,
            State::Entering { .. } | State::Desk(_) | State::Dialling { .. } => 503,
        };
        self.hang_up(503, desk, now);
        let disposition = Disposition::Interrupted;
        self.end(&End { disposition, by: None, status, why }, desk, now);
    }

    /// Whoever talks goes on. What the phones have said meanwhile of one that was being dialled is
    /// not known: it ends, and the officer dials again.
    pub fn take_up(&mut self, desk: &mut Desk, now: Now) {
        match &mut self.state {
            State::Talking(bridge) => bridge.take_up(desk, now),
            State::Entering { .. } | State::Desk(_) | State::Dialling { .. } => {
                self.interrupted("the daemon was restarted while it was dialled", desk, now);
            }
            State::Over => {}
        }
    }

    /// His phone is rung, or it waits already.
    fn begin(&mut self, desk: &mut Desk, now: Now) {
        let State::Entering { officer, .. } = &mut self.state else { return };
        let Some(officer) = officer.take() else { return self.ring_desk(desk, now) };
        let (call, phone) = (self.id, self.phone.name.clone());
        desk.note(Fact::Rung { call, phone: phone.clone() }, now);
        desk.note(Fact::Joined { call, phone }, now);
        self.dial(*officer, desk, now);
    }

    fn ring_desk(&mut self, desk: &mut Desk, now: Now) {
        let number = Number {
            target: &self.phone.target,
            display: &self.shown,
            ring: self.phone.ring,
            srtp: self.phone.srtp.unwrap_or(desk.plan.srtp.line),
            speaks: Speaks::Codec(None),
            headers: vec![],
        };
        let calling = Calling::dial(self.id, self.officer_channel, &number, desk, now);
        desk.note(Fact::Rung { call: self.id, phone: self.phone.name.clone() }, now);
        self.state = State::Desk(calling);
    }

    fn at_desk(&mut self, leg: LegId, event: LegEvent, desk: &mut Desk, now: Now) {
        let State::Desk(calling) = &mut self.state else { return };
        match event {
            LegEvent::Progress { status, sdp } => {
                calling.handle_progress(status, sdp, now);
            }
            LegEvent::Answered { sdp } => self.picked_up(sdp.as_deref(), desk, now),
            LegEvent::Refused { status } => self.desk_refuses(status, desk, now),
            LegEvent::Ended(_) => self.desk_refuses(503, desk, now),
            LegEvent::Offer { sdp } => {
                calling.handle_offer(sdp.as_deref(), Session::spoken, desk, now);
            }
            event => not_now(leg, &event, desk, now),
        }
    }

    fn picked_up(&mut self, sdp: Option<&[u8]>, desk: &mut Desk, now: Now) {
        let State::Desk(calling) = &self.state else { return };
        let session = calling.answered(sdp, desk, now);
        let spoken = session.and_then(|session| session.spoken().map(|stream| (session, stream)));
        let Some((session, stream)) = spoken else {
            desk.sip.bye(calling.leg, now);
            return self.desk_refuses(488, desk, now);
        };
        let (call, channel, local) = (self.id, calling.channel, calling.local());
        let said = sdp::answer(&local, &session, &stream, Direction::SendRecv);
        let leg = Leg::new(calling.leg, channel, local, Some(stream), said);
        let leg = Leg { theirs: session.direction, ..leg };
        desk.note(Fact::Joined { call, phone: self.phone.name.clone() }, now);
        desk.open(call, Party::Officer, channel, stream);
        self.begin_tape(desk, now);
        self.dial(Caller::picked_up(leg, session), desk, now);
    }

    /// From the moment on when the officer may hear something.
    fn begin_tape(&mut self, desk: &mut Desk, now: Now) {
        if !std::mem::replace(&mut self.taped, true) {
            desk.note(Fact::Began { call: self.id, stretch: Stretch::Early }, now);
        }
    }

    fn dial(&mut self, officer: Caller, desk: &mut Desk, now: Now) {
        let speaks = match &officer.offer {
            Some(offer) if officer.codec().is_none() => Speaks::Offer(offer),
            _ => Speaks::Codec(officer.codec()),
        };
        let display = desk.plan.account.display.clone();
        let number = Number {
            target: &self.dialled,
            display: &display,
            ring: RING,
            srtp: transfer::policy_of(&self.dialled, desk),
            speaks,
            headers: vec![],
        };
        let far = Calling::dial(self.id, self.far_channel, &number, desk, now);
        let (call, phone, how) = (self.id, self.number.clone(), Joining::Out);
        desk.note(Fact::Joining { call, phone, how }, now);
        let hears = Hears::Nothing;
        self.state = State::Dialling { officer: Box::new(officer), far, hears };
    }

    fn dialling(&mut self, leg: LegId, event: LegEvent, desk: &mut Desk, now: Now) {
        let State::Dialling { officer, far, .. } = &mut self.state else { return };
        let (is_far, is_officer) = (leg == far.leg, leg == officer.leg);
        match event {
            LegEvent::Progress { status, sdp } if is_far => {
                if let Some(rings) = far.handle_progress(status, sdp, now) {
                    self.rings_there(&rings, desk, now);
                }
            }
            LegEvent::Answered { sdp } if is_far => self.far_answers(sdp.as_deref(), desk, now),
            LegEvent::Refused { status } if is_far => self.far_refuses(status, desk, now),
            LegEvent::Ended(_) if is_far => self.far_refuses(503, desk, now),
            LegEvent::Cancelled { .. } | LegEvent::Ended(Ending::Bye) if is_officer => {
                desk.sip.cancel(far.leg, now);
                self.end(&GAVE_UP, desk, now);
            }
            LegEvent::Ended(_) if is_officer => {
                desk.sip.cancel(far.leg, now);
                let why = "the officer's side no longer answers";
                let disposition = Disposition::Interrupted;
                self.end(&End { disposition, by: None, status: 487, why }, desk, now);
            }
            LegEvent::Offer { sdp } if is_far => {
                let fits = |session: &Session| officer.stream_for(session);
                far.handle_offer(sdp.as_deref(), fits, desk, now);
            }
            LegEvent::Offer { sdp } if is_officer => officer.renegotiate(sdp.as_deref(), desk, now),
            LegEvent::Answer { sdp } if is_officer => officer.take_answer(self.id, &sdp, desk, now),
            event => not_now(leg, &event, desk, now),
        }
    }

    /// The officer hears the network, or us where it lets him hear nothing.
    fn rings_there(&mut self, rings: &RingsThere, desk: &mut Desk, now: Now) {
        let call = self.id;
        let State::Dialling { officer, far, hears } = &mut self.state else { return };
        if let Some(session) = &rings.early
            && officer.hears_early(call, session, desk, now)
            && let Some(stream) = officer.stream_for(session)
        {
            officer.silence(desk);
            desk.open(call, Party::Caller, far.channel, stream);
            desk.media(Command::Join { a: far.channel, b: officer.channel });
            *hears = Hears::Early;
            return self.begin_tape(desk, now);
        }
        if !officer.is_answered() {
            desk.sip.ring(officer.leg, None, now);
        } else if *hears == Hears::Nothing {
            *hears = Hears::Ringback;
            officer.play(RINGBACK, true, desk);
        }
    }

    fn far_answers(&mut self, sdp: Option<&[u8]>, desk: &mut Desk, now: Now) {
        let State::Dialling { officer, far, .. } = &mut self.state else { return };
        let session = far.answered(sdp, desk, now);
        let session = session.filter(|session| officer.stream_for(session).is_some());
        let legs = session.and_then(|session| {
            let officer = officer.settle(Some(&session), desk).clone();
            let far = transfer::leg(far.leg, far.channel, far.local(), &session, &officer)?;
            Some((far, officer))
        });
        let Some(legs) = legs else {
            desk.sip.bye(far.leg, now);
            return self.far_refuses(488, desk, now);
        };
        let (call, phone) = (self.id, self.number.clone());
        desk.note(Fact::Answered { call, phone }, now);
        officer.silence(desk);
        officer.answer(desk, now);
        self.taped = true;
        let (phone, shown) = (self.phone.name.clone(), self.number.clone());
        let bridge = Bridge::reached(call, legs, phone, shown, desk, now);
        self.state = State::Talking(Box::new(bridge));
    }

    fn desk_refuses(&mut self, status: u16, desk: &mut Desk, now: Now) {
        let phone = self.phone.name.clone();
        desk.note(Fact::NotTaken { call: self.id, phone, status }, now);
        let (disposition, why) = (Disposition::Failed, "the officer's phone was not picked up");
        self.end(&End { disposition, by: None, status, why }, desk, now);
    }

    fn far_refuses(&mut self, status: u16, desk: &mut Desk, now: Now) {
        let State::Dialling { officer, far, .. } = &self.state else { return };
        let (disposition, why) = match NotTaken::from_status(status, far.rang()) {
            NotTaken::NoAnswer => (Disposition::Missed, "nobody answered"),
            NotTaken::Busy => (Disposition::BusyMissed, "the called party is busy"),
            NotTaken::Declined => (Disposition::Declined, "the called party declined"),
            NotTaken::NoCodec => (Disposition::Failed, "no codec in common"),
            NotTaken::Absent | NotTaken::Unreachable => {
                (Disposition::Failed, "the number could not be reached")
            }
        };
        let_go(officer, status, desk, now);
        let phone = self.number.clone();
        desk.note(Fact::NotTaken { call: self.id, phone, status }, now);
        self.end(&End { disposition, by: None, status, why }, desk, now);
    }

    /// Whoever has been called, or has called, is let go; `status` for a phone that waits.
    fn hang_up(&mut self, status: u16, desk: &mut Desk, now: Now) {
        match &mut self.state {
            State::Desk(calling) => desk.sip.cancel(calling.leg, now),
            State::Dialling { officer, far, .. } => {
                desk.sip.cancel(far.leg, now);
                let_go(officer, status, desk, now);
            }
            State::Talking(bridge) => bridge.hang_up(desk, now),
            State::Entering { officer: Some(officer), .. } => let_go(officer, status, desk, now),
            State::Entering { officer: None, .. } | State::Over => {}
        }
    }

    fn end(&mut self, end: &End<'_>, desk: &mut Desk, now: Now) {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Talking(bridge) => bridge.close(desk, now),
            State::Entering { .. } | State::Desk(_) | State::Dialling { .. } => {
                desk.close(self.officer_channel, now);
            }
            State::Over => return,
        }
        desk.close_of(self.id, self.far_channel, now);
        if self.taped {
            desk.media(Command::Finish { call: self.id.0 });
        }
        desk.freed = true;
        let End { disposition, by, status, why } = *end;
        let why = why.to_owned();
        desk.note(Fact::Ended { call: self.id, disposition, by, status, why }, now);
    }
}

const GAVE_UP: End<'static> = End {
    disposition: Disposition::Abandoned,
    by: Some(Party::Officer),
    status: 487,
    why: "the officer gave up",
};

/// The officer who waited for the far end, which does not come.
fn let_go(officer: &Caller, status: u16, desk: &mut Desk, now: Now) {
    if officer.is_answered() {
        desk.sip.bye(officer.leg, now);
    } else {
        desk.refuse(officer.leg, status, None, now);
    }
}

/// What a leg wants before the two talk that can wait or must be refused.
fn not_now(leg: LegId, event: &LegEvent, desk: &mut Desk, now: Now) {
    match event {
        LegEvent::Offer { .. } => desk.sip.refuse_offer(leg, 500, now),
        LegEvent::Refer { .. } => desk.sip.refuse_refer(leg, 603, now),
        LegEvent::Cancelled { .. }
        | LegEvent::Progress { .. }
        | LegEvent::Answered { .. }
        | LegEvent::Refused { .. }
        | LegEvent::Answer { .. }
        | LegEvent::OfferRefused { .. }
        | LegEvent::Key(_)
        | LegEvent::Ended(_) => {}
    }
}
