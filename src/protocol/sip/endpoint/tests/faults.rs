//! A PBX that refuses, is silent or drops the line, at both of its addresses at once or at random.

use super::digest::{granted, header, reply_from};
use super::*;

pub const STANDBY: &str = "192.0.2.2:5060";

/// What the PBX does with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    Granted,
    Answered(u16, String),
    Silence,
    /// The connection is refused or torn.
    Torn,
}

pub fn answered(status: u16) -> Fate {
    Fate::Answered(status, String::new())
}

/// The line, and all that it did.
pub struct Night {
    pub line: Endpoint,
    pub now: Now,
    /// When each message went out, each REGISTER, and when each move was told.
    sent: Vec<Mono>,
    registers: Vec<Mono>,
    pub moves: Vec<Mono>,
    /// Everything else that was told.
    pub told: Vec<Event>,
}

impl Night {
    pub fn of(addresses: usize, transport: Transport, habits: Habits) -> Self {
        let at = |text| Peer { transport, addr: addr(text) };
        let peers = [PBX, STANDBY].into_iter().take(addresses).map(at).collect();
        let line = endpoint(Account { peers, habits, ..account(LINE, at(PBX)) });
        Self { line, now: start(), sent: vec![], registers: vec![], moves: vec![], told: vec![] }
    }

    /// Two addresses, a line that is wanted.
    pub fn of_two(transport: Transport, habits: Habits) -> Self {
        let mut night = Self::of(2, transport, habits);
        night.line.register(night.now);
        night
    }

    /// Lets time pass; `fate` decides on each request and where it went.
    pub fn pass(&mut self, time: Duration, mut fate: impl FnMut(&str, Peer, Mono) -> Fate) {
        let end = self.now + time;
        loop {
            self.talk(&mut fate);
            let due = self.line.poll_timeout().filter(|(at, _)| *at < end.mono);
            let Some((at, _)) = due else { break };
            self.now = self.now + at.since(self.now.mono);
            self.line.handle_timeout(self.now);
        }
        self.now = end;
    }

    fn talk(&mut self, fate: &mut impl FnMut(&str, Peer, Mono) -> Fate) {
        while let Some(sent) = self.line.poll_transmit() {
            let text = String::from_utf8(sent.bytes).unwrap();
            let (line, to, now) = (&mut self.line, sent.to, self.now);
            self.sent.push(now.mono);
            if text.starts_with("REGISTER ") {
                self.registers.push(now.mono);
            }
            match fate(&text, to, now.mono) {
                Fate::Granted => reply_from(line, to, &text, 200, &granted(60), now),
                Fate::Answered(status, more) => reply_from(line, to, &text, status, &more, now),
                Fate::Silence => {}
                Fate::Torn => line.handle_unreachable(to, "refused", now),
            }
            for event in std::iter::from_fn(|| self.line.poll_event()) {
                match event {
                    Event::Moved { .. } => self.moves.push(now.mono),
                    other => self.told.push(other),
                }
            }
            assert!(self.sent.len() < 50_000, "a storm: {} moves", self.moves.len());
        }
    }
}

/// The most of them in the last minute of each.
fn busiest(of: &[Mono]) -> usize {
    let mut first = 0;
    let within = of.iter().enumerate().map(|(at, time)| {
        first += of[first..].iter().take_while(|old| **old + MINUTE <= *time).count();
        at + 1 - first
    });
    within.max().unwrap_or(0)
}

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn sig_03_two_addresses_that_both_refuse_are_asked_at_the_pace_of_one() {
    let refused = answered(503);
    for (name, transport, register, options) in [
        ("503 to REGISTER", Transport::Udp, refused.clone(), Fate::Silence),
        ("503 to REGISTER alone", Transport::Udp, refused.clone(), answered(200)),
        ("503 to OPTIONS", Transport::Udp, Fate::Granted, refused.clone()),
        ("503 to both", Transport::Udp, refused.clone(), refused.clone()),
        ("silence", Transport::Udp, Fate::Silence, Fate::Silence),
        ("silence to REGISTER alone", Transport::Udp, Fate::Silence, answered(200)),
        ("TCP refused", Transport::Tcp, Fate::Torn, Fate::Torn),
        ("TLS torn at REGISTER", Transport::Tls, Fate::Torn, answered(200)),
        ("503 over TLS", Transport::Tls, refused.clone(), refused),
    ] {
        let mut night = Night::of_two(transport, Habits::default());
        let is = |text: &str| text.starts_with("REGISTER ");
        let fate = |text: &str| if is(text) { register.clone() } else { options.clone() };
        night.pass(10 * MINUTE, |text, _, _| fate(text));
        let most = (busiest(&night.registers), busiest(&night.moves));
        // Over UDP one that is not answered is repeated ten times.
        let repeated = if register == Fate::Silence { 11 } else { 1 };
        assert!(most.0 <= 30 * repeated && most.1 <= 30, "{name}: {most:?} in a minute");
        assert!(night.registers.len() >= 12, "{name}: {} REGISTERs", night.registers.len());
        let back = night.now.mono;
        let mut bound = None;
        night.pass(Duration::from_secs(40), |text, peer, now| match peer.addr == addr(STANDBY) {
            true if is(text) => {
                bound.get_or_insert(now.since(back));
                Fate::Granted
            }
            true => answered(200),
            false => fate(text),
        });
        // Timer F of the REGISTER that the other address leaves unanswered.
        let limit = Duration::from_secs(33);
        assert!(bound.is_some_and(|after| after <= limit), "{name}: back after {bound:?}");
    }
}

#[test]
fn sig_03_a_trunk_of_two_addresses_that_both_refuse_does_not_go_round_in_circles() {
    for fate in [answered(503), Fate::Silence] {
        let habits = Habits { trunk: true, ..Habits::default() };
        let mut night = Night::of_two(Transport::Udp, habits);
        night.pass(10 * MINUTE, |_, _, _| fate.clone());
        let moves = busiest(&night.moves);
        assert!(moves <= 30, "{fate:?}: {moves} moves");
    }
}

#[test]
fn sig_03_an_address_that_says_when_to_come_again_is_left_until_then() {
    let mut night = Night::of_two(Transport::Udp, Habits::default());
    let mut asked = [0, 0];
    let mut fate = |text: &str, peer: Peer, _: Mono| {
        if !text.starts_with("REGISTER ") {
            return answered(200);
        }
        let first = peer.addr == addr(PBX);
        asked[usize::from(!first)] += 1;
        let supper = if first { "Retry-After: 45 (at supper)\r\n" } else { "" };
        Fate::Answered(503, supper.to_owned())
    };
    night.pass(Duration::from_secs(44), &mut fate);
    night.pass(Duration::from_secs(40), &mut fate);
    let [first, second] = asked;
    assert!(first == 2 && second >= 4, "{asked:?}");
}

/// A registrar behind one or two addresses, on a bad night of faults drawn at random.
struct Registrar {
    dice: Random,
    /// Of a hundred REGISTERs so many each: 503, a torn connection, 423.
    faults: u64,
    /// Of a hundred messages, each way.
    lost: u64,
    /// It knows a nonce for so long.
    nonce: (u32, Mono),
    bound_until: Option<Mono>,
    grants: u32,
}

impl Registrar {
    fn new(faults: u64, lost: u64) -> Self {
        let dice = Random::from_seed([6; 32]);
        Self { dice, faults, lost, nonce: (0, Mono(0)), bound_until: None, grants: 0 }
    }

    fn fate(&mut self, text: &str, now: Mono) -> Fate {
        assert!(self.bound_until.is_none_or(|until| now < until), "the binding has lapsed");
        if self.dice.below(100) < self.lost {
            return Fate::Silence;
        }
        let fate = match text.starts_with("REGISTER ") {
            true => self.registers(text, now),
            false => answered(200),
        };
        let answer_lost = self.dice.below(100) < self.lost && fate != Fate::Torn;
        if answer_lost { Fate::Silence } else { fate }
    }

    fn registers(&mut self, text: &str, now: Mono) -> Fate {
        let drawn = self.dice.below(100);
        if drawn < self.faults {
            return answered(503);
        } else if drawn < 2 * self.faults {
            return Fate::Torn;
        } else if drawn < 3 * self.faults {
            return Fate::Answered(423, "Min-Expires: 90\r\n".to_owned());
        }
        if self.nonce.1 <= now {
            self.nonce = (self.nonce.0 + 1, now + self.dice.between(MINUTE, 10 * MINUTE));
        }
        let nonce = format!("nonce=\"n{}\"", self.nonce.0);
        if !text.contains(&nonce) {
            let stale = text.contains("\r\nAuthorization: ");
            let how = format!("WWW-Authenticate: Digest realm=\"pbx\", {nonce}, stale={stale}");
            return Fate::Answered(401, format!("{how}, qop=\"auth\"\r\n"));
        }
        assert!(header(text, "Authorization").contains("username=\"101\""));
        self.bound_until = Some(now + MINUTE);
        self.grants += 1;
        Fate::Granted
    }
}

#[test]
fn sig_06_a_thousand_hours_of_random_faults_and_the_binding_never_lapses() {
    for (addresses, transport, hours, (faults, lost), most) in [
        (1, Transport::Udp, 1_000, (1, 20), 40),
        (2, Transport::Udp, 40, (4, 20), 200),
        (2, Transport::Tcp, 40, (4, 0), 120),
    ] {
        let mut night = Night::of(addresses, transport, Habits::default());
        let mut registrar = Registrar::new(faults, lost);
        night.line.register(night.now);
        for _ in 0..hours {
            night.pass(60 * MINUTE, |text, _, now| registrar.fate(text, now));
            let busy = (busiest(&night.sent), busiest(&night.registers));
            assert!(busy.0 <= most && busy.1 <= 40, "{addresses} {transport:?}: {busy:?} a minute");
            (night.sent, night.registers, night.moves) = (vec![], vec![], vec![]);
            night.told.clear();
        }
        assert!(registrar.grants >= hours * 3600 / 30, "{} grants", registrar.grants);
        assert!(night.line.load().0 < 20, "{:?}", night.line.load());
    }
}
