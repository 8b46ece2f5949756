//! Where a party speaks from: the address and port that it named; or, once for each offer and answer, another port of
//! that address or a gateway of the site, while nothing is heard from the one it named (reliability.md T11). A telephone behind a NAT, or one that
//! does not send from where it listens, would be heard by nobody without. Hears nothing of what is said.

use super::Secrecy;
use crate::protocol::now::Mono;
use crate::protocol::places::Places;
use std::net::SocketAddr;
use std::time::Duration;

/// A port is taken up when its voice has lasted so long, …
const TRIAL: Duration = Duration::from_millis(200);
/// … in so many packets at least.
const PACKETS: u16 = 5;
/// What comes from where the party was is on its way for so long.
const ON_ITS_WAY: Duration = Duration::from_secs(2);
/// So many packets of a party's kind from elsewhere are told: a second of voice, and no straggler's.
const TELLING: u16 = 50;

#[derive(Debug, Clone, Copy)]
pub struct Latch {
    /// By the party's description.
    named: SocketAddr,
    /// Where it was by the description before, and until when what still comes from there was on its way.
    before: Option<(SocketAddr, Mono)>,
    /// Who spoke last in the call that had the port before, and from where: no party of this one (recording.md T8).
    stale: Option<(SocketAddr, u32)>,
    /// It was heard since the last offer and answer: from there and nowhere else.
    settled: bool,
    trial: Option<Trial>,
    strays: u16,
    news: Option<Elsewhere>,
    /// Gateways of the site.
    places: Places,
}

#[derive(Debug, Clone, Copy)]
struct Trial {
    from: SocketAddr,
    ssrc: u32,
    packets: u16,
    since: Mono,
    last: Mono,
}

/// Voice came from another place than the party named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elsewhere {
    pub from: SocketAddr,
    /// It is the party's from now on; else nobody hears it.
    pub taken: bool,
}

impl Latch {
    pub fn new(named: SocketAddr) -> Self {
        let (before, stale, trial, news) = (None, None, None, None);
        let places = Places::default();
        Self { named, before, stale, settled: false, trial, strays: 0, news, places }
    }

    /// The port had another party before, who may speak on.
    pub fn after(self, stale: Option<(SocketAddr, u32)>) -> Self {
        Self { stale, ..self }
    }

    /// The party may be behind one of these.
    pub fn beside(self, places: Places) -> Self {
        Self { places, ..self }
    }

    /// The party was described anew, and spoke from `remote` until now; where it is to be heard from. One that stays
    /// where it was goes on speaking as it did.
    pub fn describe(&mut self, named: SocketAddr, remote: SocketAddr, now: Mono) -> SocketAddr {
        self.reopen();
        if named == self.named {
            return remote;
        }
        let before = Some((remote, now + ON_ITS_WAY));
        let (stale, places) = (self.stale, self.places);
        *self = Self { before, stale, places, ..Self::new(named) };
        named
    }

    /// There was an offer and an answer: another port may be taken up once more.
    pub fn reopen(&mut self) {
        (self.settled, self.trial) = (false, None);
    }

    /// Whether what comes from there, which is not where the party is heard from, may be its voice.
    pub fn may_be(&self, from: SocketAddr, now: Mono) -> bool {
        let near = from.ip() == self.named.ip() || self.places.has(from.ip());
        from == self.named || !self.settled && near && !self.was_on_its_way(from, now)
    }

    fn was_on_its_way(&self, from: SocketAddr, now: Mono) -> bool {
        self.before.is_some_and(|(before, until)| before == from && now < until)
    }

    /// Whether the party, of whose kind this packet is, is heard from there from now on. What its own key has encrypted
    /// needs no trial, and neither does the place that it named.
    pub fn takes(&mut self, from: SocketAddr, ssrc: u32, secrecy: Secrecy, now: Mono) -> bool {
        if from == self.named {
            return true;
        }
        if self.stale == Some((from, ssrc)) {
            self.refuse(from, now);
            return false;
        }
        let taken = secrecy == Secrecy::Decrypted || self.tries(from, ssrc, now);
        if taken {
            self.news = Some(Elsewhere { from, taken });
        }
        taken
    }

    /// It is heard from where it is to be heard from.
    pub fn settle(&mut self) {
        self.settled = true;
    }

    /// A packet of the party's kind is not the party's.
    pub fn refuse(&mut self, from: SocketAddr, now: Mono) {
        if self.was_on_its_way(from, now) {
            return;
        }
        self.strays = self.strays.saturating_add(1);
        if self.strays == TELLING {
            self.news = Some(Elsewhere { from, taken: false });
        }
    }

    /// What is to be told; once.
    pub fn news(&mut self) -> Option<Elsewhere> {
        self.news.take()
    }

    /// One source at a time, without a pause as long as the trial.
    fn tries(&mut self, from: SocketAddr, ssrc: u32, now: Mono) -> bool {
        let begun = Trial { from, ssrc, packets: 0, since: now, last: now };
        let trial = self.trial.get_or_insert(begun);
        let same = (trial.from, trial.ssrc) == (from, ssrc);
        match (same, now.since(trial.last) < TRIAL) {
            (true, true) => {}
            (false, true) => return false,
            (_, false) => *trial = begun,
        }
        (trial.packets, trial.last) = (trial.packets.saturating_add(1), now);
        trial.packets >= PACKETS && now.since(trial.since) >= TRIAL
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::sip::phones::Network;

    const START: Mono = Mono(3_000_000_000);

    fn place(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    fn ms(ms: u64) -> Mono {
        START + Duration::from_millis(ms)
    }

    /// After how many milliseconds of packets each `ptime` it is taken up, if at all within a minute.
    fn taken(latch: &mut Latch, from: SocketAddr, ptime: u64) -> Option<u64> {
        let mut moments = (0..60_000).step_by(ptime as usize);
        moments
            .find(|at| latch.may_be(from, ms(*at)) && latch.takes(from, 7, Secrecy::Clear, ms(*at)))
    }

    #[test]
    fn rel_t11_another_port_is_taken_up_when_it_has_spoken_for_a_while() {
        for (ptime, after) in [(10, 200), (20, 200), (30, 210), (60, 240)] {
            let mut latch = Latch::new(place(4000));
            assert_eq!(taken(&mut latch, place(4444), ptime), Some(after));
            assert_eq!(latch.news(), Some(Elsewhere { from: place(4444), taken: true }));
            assert_eq!(latch.news(), None);
        }
        let elsewhere = SocketAddr::from(([192, 0, 2, 2], 4000));
        assert_eq!(taken(&mut Latch::new(place(4000)), elsewhere, 20), None, "another address");
    }

    #[test]
    fn rel_t11_a_gateway_of_the_site_is_taken_up_as_another_port_would_be_and_nobody_else() {
        let gateways = Network { ip: [198, 51, 100, 0].into(), bits: 28 };
        let at = |host: u8| SocketAddr::from(([198, 51, 100, host], 6000));
        let new = || Latch::new(place(4000)).beside(Places::new(&[gateways]));
        assert_eq!(taken(&mut new(), at(7), 20), Some(200));
        assert_eq!(taken(&mut new(), at(16), 20), None, "a neighbour of theirs");
        let mut latch = new();
        latch.settle();
        assert_eq!(taken(&mut latch, at(7), 20), None, "it was heard from where it said");
        latch.describe(place(4002), place(4000), START);
        assert_eq!(taken(&mut latch, at(7), 20), Some(200), "once for each offer and answer");
        latch.settle();
        assert_eq!(taken(&mut latch, at(8), 20), None);
        assert!(latch.takes(place(4002), 1, Secrecy::Clear, START), "where it said, always");
    }

    #[test]
    fn rel_t11_whoever_was_heard_from_where_it_said_is_heard_from_nowhere_else() {
        let mut latch = Latch::new(place(4000));
        latch.settle();
        assert_eq!(taken(&mut latch, place(4444), 20), None);
        assert_eq!(latch.describe(place(4000), place(4000), START), place(4000));
        assert_eq!(taken(&mut latch, place(4444), 20), Some(200), "a new offer, a new chance");
        latch.settle();
        assert_eq!(taken(&mut latch, place(5555), 20), None, "once");
        assert!(latch.takes(place(4000), 1, Secrecy::Clear, START), "but where it said, always");
    }

    #[test]
    fn rel_t11_a_refresh_keeps_the_port_and_a_move_forgets_it() {
        let mut latch = Latch::new(place(4000));
        assert_eq!(taken(&mut latch, place(4444), 20), Some(200));
        assert_eq!(
            latch.describe(place(4000), place(4444), START),
            place(4444),
            "the same description"
        );
        assert_eq!(latch.describe(place(6000), place(4444), START), place(6000), "another one");
        let on_its_way = |latch: &Latch, at| !latch.may_be(place(4444), ms(at));
        assert!(on_its_way(&latch, 0) && on_its_way(&latch, 1999));
        assert!(!on_its_way(&latch, 2000), "whoever still speaks from there means it");
        (0..100).for_each(|_| latch.refuse(place(4444), START));
        assert_eq!(latch.news(), None);
        assert_eq!(taken(&mut latch, place(6666), 20), Some(200));
    }

    #[test]
    fn rel_t11_no_two_sources_make_one_trial_and_a_pause_begins_it_anew() {
        let mut latch = Latch::new(place(4000));
        let mut takes = |port, ssrc, at| latch.takes(place(port), ssrc, Secrecy::Clear, ms(at));
        for n in 0..9 {
            assert!(!takes(4444, 1, n * 20) && !takes(5555, 2, n * 20 + 5));
            assert!(!takes(4444, 3, n * 20 + 7), "another source of that port");
        }
        assert!(
            !takes(5555, 2, 360) && !takes(5555, 2, 365),
            "after a pause it is the other's turn"
        );
        assert!(!takes(5555, 2, 380) && !takes(5555, 2, 400) && !takes(5555, 2, 559));
        assert!(takes(5555, 2, 560));
    }

    #[test]
    fn rel_t11_what_its_key_has_encrypted_is_its_own_at_once() {
        let mut latch = Latch::new(place(4000));
        assert!(latch.takes(place(4444), 1, Secrecy::Decrypted, START));
        latch.settle();
        assert!(!latch.may_be(place(4446), START));
    }

    #[test]
    fn rel_t11_a_second_of_voice_from_elsewhere_is_told_once() {
        let mut latch = Latch::new(place(4000));
        let told = (0..100_000).filter(|_| {
            latch.refuse(place(9000), START);
            latch.news().is_some()
        });
        assert_eq!(told.count(), 1);
        assert_eq!(latch.describe(place(4000), place(4000), START), place(4000));
        (0..100).for_each(|_| latch.refuse(place(9000), START));
        assert_eq!(latch.news(), None, "nor again after a refresh");
    }

    #[test]
    fn rel_t11_whoever_speaks_from_one_port_whatever_he_names_is_heard_again_and_a_flood_is_counted()
     {
        let mut latch = Latch::new(place(4000));
        assert_eq!(taken(&mut latch, place(4444), 20), Some(200));
        latch.settle();
        assert_eq!(latch.describe(place(4002), place(4444), START), place(4002));
        assert_eq!(
            taken(&mut latch, place(4444), 20),
            Some(2200),
            "once it is not on its way any more"
        );
        let mut latch = Latch::new(place(4000));
        let all = (0..70_000).all(|_| !latch.takes(place(4444), 1, Secrecy::Clear, START));
        assert!(all, "in no time, and no number is too large");
    }

    #[test]
    fn rec_t8_the_last_calls_voice_is_never_this_ones() {
        let mut latch = Latch::new(place(4000)).after(Some((place(4444), 7)));
        assert_eq!(taken(&mut latch, place(4444), 20), None, "it speaks on");
        assert_eq!(latch.news(), Some(Elsewhere { from: place(4444), taken: false }));
        let another = (0..20).any(|n| latch.takes(place(4444), 8, Secrecy::Clear, ms(n * 20)));
        assert!(another, "the same telephone in another call");
    }
}
