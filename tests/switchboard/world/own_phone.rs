//! A telephone that has registered with the switchboard itself.

use super::{BOARD, Peer, World, account, peer};
use dutyline::duty::switchboard::{Input, Switchboard};
use dutyline::protocol::random::Random;
use dutyline::protocol::sip::digest::Algorithm;
use dutyline::protocol::sip::endpoint::Endpoint;
use dutyline::protocol::sip::phones::{Network, Phone, Plan};
use dutyline::protocol::sip::{Account, AorId, Event, LegId, Outgoing};

pub(super) const PLACE: Peer = peer(7);
const PASSWORD: &str = "own";

pub struct OwnPhone {
    pub(super) sip: Endpoint,
    events: Vec<Event>,
}

impl World {
    /// One of the room, which has registered.
    pub fn with_own_phone(mut self, user: &str) -> Self {
        let (user, password) = (user.to_owned(), PASSWORD.to_owned());
        let (domain, realm) = (BOARD.addr.to_string(), "dutyline".to_owned());
        let name = format!("phone {user}");
        self.plan.registrar = Some(Plan {
            realm,
            networks: vec![Network { ip: PLACE.addr.ip(), bits: 32 }],
            algorithms: vec![Algorithm::Sha256],
            phones: vec![Phone { name, user: user.clone(), password: password.clone() }],
        });
        self.board = Switchboard::new(self.plan.clone(), Random::from_seed([96; 32]), self.now);
        let auth_user = user.clone();
        let account =
            Account { domain, user, auth_user, password, expires: 60, ..account(PLACE, BOARD) };
        let mut sip = Endpoint::new(account, Random::from_seed([95; 32]));
        sip.register(self.now);
        self.own = Some(OwnPhone { sip, events: vec![] });
        self.settle();
        let phone = self.own.as_ref().unwrap();
        assert!(phone.events.iter().any(|event| matches!(event, Event::Registered { .. })));
        self
    }

    /// It dials; what became of it.
    pub fn own_phone_dials(&mut self, number: &str, sdp: Vec<u8>) -> LegId {
        let outgoing = Outgoing {
            target: number.to_owned(),
            aor: AorId::default(),
            display: String::new(),
            from_user: None,
            sdp,
            headers: vec![],
        };
        let now = self.now;
        let leg = self.own.as_mut().unwrap().sip.invite(outgoing, now);
        self.settle();
        leg
    }

    /// The final answer to what it dialled: its status, and our description.
    pub fn own_phone_hears(&mut self, wanted: LegId) -> Option<(u16, Vec<u8>)> {
        let events = &self.own.as_ref().unwrap().events;
        events.iter().find_map(|event| match event {
            Event::Answered { leg, sdp } if *leg == wanted => {
                Some((200, sdp.clone().unwrap_or_default()))
            }
            Event::Refused { leg, status, .. } if *leg == wanted => Some((*status, vec![])),
            _ => None,
        })
    }

    pub fn own_phone_hangs_up(&mut self, leg: LegId) {
        let now = self.now;
        self.own.as_mut().unwrap().sip.bye(leg, now);
        self.settle();
    }

    /// False: it has nothing to say.
    pub(super) fn own_phone_speaks(&mut self) -> bool {
        let Some(phone) = &mut self.own else { return false };
        phone.events.extend(std::iter::from_fn(|| phone.sip.poll_event()));
        let Some(transmit) = phone.sip.poll_transmit() else { return false };
        let message = Input::Message { from: PLACE, bytes: transmit.bytes };
        self.board.handle(message, self.now);
        true
    }
}
