//! Callers dial, phones ring, and each hears what becomes of its call.

use super::{PBX, World};
use dutyline::protocol::rtp::Codec;
use dutyline::protocol::sdp::{self, Direction, Local};
use dutyline::protocol::sip::{AorId, Event, LegId, Outgoing};

impl World {
    pub fn sdp(&mut self, codecs: &[(Codec, u8)], direction: Direction) -> Vec<u8> {
        self.next_port += 2;
        let local = Local::plain(PBX.addr.ip(), self.next_port, 5);
        sdp::offer(&local, codecs, Some(101), direction)
    }

    pub fn dial(&mut self, number: &str) -> LegId {
        let sdp = self.sdp(&sdp::CODECS, Direction::SendRecv);
        self.dial_with(number, sdp)
    }

    pub fn dial_with(&mut self, number: &str, sdp: Vec<u8>) -> LegId {
        let outgoing = Outgoing {
            target: "8000".to_owned(),
            aor: AorId::default(),
            display: String::new(),
            from_user: Some(number.to_owned()),
            sdp,
            headers: vec![],
        };
        let leg = self.pbx.invite(outgoing, self.now);
        self.settle();
        leg
    }

    /// The newest call to this number that has come in at the peer, which rings there; takes its event.
    pub fn rung(&mut self, user: &str) -> Option<(LegId, Vec<u8>)> {
        let (leg, sdp) = self.called(user)?;
        self.pbx.ring(leg, None, self.now);
        self.settle();
        Some((leg, sdp))
    }

    /// As [`World::rung`], but that nothing rings yet.
    pub fn called(&mut self, user: &str) -> Option<(LegId, Vec<u8>)> {
        let found = self.events.iter().position(
            |event| matches!(event, Event::Incoming { invite, .. } if invite.request_user == user),
        )?;
        match self.events.remove(found) {
            Some(Event::Incoming { leg, invite }) => Some((leg, invite.sdp.unwrap())),
            other => panic!("{other:?}"),
        }
    }

    pub fn pick_up(&mut self, leg: LegId) {
        let sdp = self.sdp(&[(Codec::Pcma, 8)], Direction::SendRecv);
        self.pbx.answer(leg, sdp, self.now);
        self.settle();
    }

    pub fn refuse(&mut self, leg: LegId, status: u16) {
        self.pbx.refuse(leg, status, None, self.now);
        self.settle();
    }

    pub fn hang_up(&mut self, leg: LegId) {
        self.pbx.bye(leg, self.now);
        self.settle();
    }

    pub fn cancel(&mut self, leg: LegId) {
        self.pbx.cancel(leg, self.now);
        self.settle();
    }

    /// Takes the events about this leg.
    pub fn heard_of(&mut self, wanted: LegId) -> Vec<Event> {
        let (mine, others): (Vec<_>, Vec<_>) =
            self.events.drain(..).partition(|event| leg_of(event) == Some(wanted));
        self.events = others.into();
        mine
    }

    pub fn refused_with(&mut self, leg: LegId) -> Option<u16> {
        self.heard_of(leg).iter().find_map(|event| match event {
            Event::Refused { status, .. } => Some(*status),
            _ => None,
        })
    }

    pub fn is_answered(&mut self, leg: LegId) -> bool {
        self.heard_of(leg).iter().any(|event| matches!(event, Event::Answered { .. }))
    }

    pub fn ended(&mut self, leg: LegId) -> bool {
        self.heard_of(leg).iter().any(|event| matches!(event, Event::Ended { .. }))
    }
}

fn leg_of(event: &Event) -> Option<LegId> {
    match event {
        Event::Incoming { leg, .. }
        | Event::Cancelled { leg, .. }
        | Event::Confirmed { leg, .. }
        | Event::Progress { leg, .. }
        | Event::Answered { leg, .. }
        | Event::Refused { leg, .. }
        | Event::Offer { leg, .. }
        | Event::OfferRefused { leg, .. }
        | Event::Answer { leg, .. }
        | Event::Info { leg, .. }
        | Event::Refer { leg, .. }
        | Event::Ended { leg, .. }
        | Event::Forged { leg, .. } => Some(*leg),
        Event::Registered { .. }
        | Event::RegistrationFailed { .. }
        | Event::Unregistered
        | Event::Moved { .. }
        | Event::NotMoved { .. }
        | Event::TurnedAway(_)
        | Event::Intruded(_)
        | Event::SlipEnded { .. }
        | Event::Dropped { .. } => None,
    }
}
