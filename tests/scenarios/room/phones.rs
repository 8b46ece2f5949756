//! The telephones of the room and what is noticed of them.

use super::people::{self, DOMAIN, EXTENSIONS, PASSWORD, PHONE_RTP_PORT, SIP_PORT};
use dutyline::demo::phone::{Able, Event, Manner, Phone, Plan};
use dutyline::protocol::now::Mono;
use dutyline::protocol::random::Random;
use dutyline::protocol::sip::{Account, Habits, Peer, Transport};
use std::net::{IpAddr, SocketAddr};

/// One telephone, its place on the network, and its story.
pub struct Post {
    pub number: String,
    pub host: IpAddr,
    plan: Plan,
    pub phone: Phone,
    pub story: Vec<(Mono, Event)>,
    /// Rings that no scenario asked about yet.
    pub unexpected: Vec<Mono>,
    /// A key was pressed in this conversation.
    pub pressed: bool,
}

impl Post {
    /// A phone at the PBX.
    pub fn extension(number: &str, random: Random) -> Self {
        let (_, octet) = EXTENSIONS.iter().find(|(known, _)| *known == number).expect("a number");
        let host = people::extension_host(*octet);
        Self::new(number, number, host, 60, Manner::Rings, random)
    }

    /// Somebody outside; `line` is his place among the callers, from 1.
    pub fn caller(number: &str, display: &str, line: u8, random: Random) -> Self {
        Self::new(number, display, people::caller_host(line), 0, Manner::Rings, random)
    }

    /// A phone that registers with the daemon itself; `line` is its place among those, from 1.
    pub fn at_the_daemon(user: &str, line: u8, random: Random) -> Self {
        let host = IpAddr::from([10, 1, 2, line]);
        let mut post =
            Self::new(user, user, host, 60, Manner::Rings, Random::from_seed([line; 32]));
        post.plan.account.pbx = Peer { transport: Transport::Udp, addr: people::daemon() };
        post.plan.account.domain = people::DAEMON_HOST.to_string();
        post.phone = Phone::new(post.plan.clone(), random);
        post
    }

    /// Somebody outside whose calls come by this address of the PBX.
    pub fn by(mut self, pbx: SocketAddr, random: Random) -> Self {
        self.plan.account.pbx = Peer { transport: Transport::Udp, addr: pbx };
        self.phone = Phone::new(self.plan.clone(), random);
        self
    }

    fn new(
        number: &str,
        display: &str,
        host: IpAddr,
        expires: u32,
        manner: Manner,
        random: Random,
    ) -> Self {
        let account = Account {
            local: SocketAddr::new(host, SIP_PORT),
            pbx: Peer { transport: Transport::Udp, addr: people::pbx() },
            peers: vec![],
            habits: Habits::default(),
            domain: DOMAIN.to_owned(),
            user: number.to_owned(),
            display: display.to_owned(),
            auth_user: number.to_owned(),
            password: PASSWORD.to_owned(),
            realm: None,
            expires,
            others: vec![],
            session_expires: 1800,
            also_trusted: vec![],
            agent: "phone".to_owned(),
        };
        let rtp = SocketAddr::new(host, PHONE_RTP_PORT);
        let able = Able::default();
        let plan = Plan { account, rtp, manner, able, keeps_talking: false };
        let phone = Phone::new(plan.clone(), random);
        Self {
            number: number.to_owned(),
            host,
            plan,
            phone,
            story: vec![],
            unexpected: vec![],
            pressed: false,
        }
    }

    pub fn rings(&self) -> usize {
        self.story.iter().filter(|(_, event)| matches!(event, Event::Rings { .. })).count()
    }

    pub fn first_ring(&self) -> Option<Mono> {
        let is_ring = |(_, event): &&(Mono, Event)| matches!(event, Event::Rings { .. });
        self.story.iter().find(is_ring).map(|(at, _)| *at)
    }

    pub fn last(&self) -> Option<&Event> {
        self.story.last().map(|(_, event)| event)
    }
}
