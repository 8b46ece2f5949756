//! Messages that cross, get lost, come twice or late: what each side is told stays true.

use super::*;
use crate::protocol::sip::Ending;

const LONG: Duration = Duration::from_secs(200);

fn refused(events: &[Event]) -> Option<u16> {
    events.iter().find_map(|event| match event {
        Event::Refused { status, .. } => Some(*status),
        _ => None,
    })
}

#[test]
fn sig_08_cancel_waits_for_the_first_provisional_response() {
    let mut world = World::calm();
    let leg = world.line.invite(call(), world.now);
    world.line.cancel(leg, world.now);
    let (line, pbx) = world.settle();
    assert_eq!(world.talk(), ["> INVITE", "< 100", "> CANCEL", "< 200", "< 487", "> ACK"]);
    assert_eq!(refused(&line), Some(487));
    let [Event::Incoming { leg: theirs, .. }, Event::Cancelled { leg, .. }] = &pbx[..] else {
        panic!("{pbx:?}")
    };
    assert_eq!(theirs, leg);
    world.pbx.answer(*theirs, SDP.into(), world.now);
    world.pbx.refuse(*theirs, 486, None, world.now);
    assert_eq!(world.pass(LONG), (vec![], vec![]));
    assert!(world.is_clean());
}

#[test]
fn sig_08_a_200_that_crosses_our_cancel_is_an_answer() {
    let mut world = World::calm();
    let ours = world.line.invite(call(), world.now);
    let theirs = incoming(&world.settle().1);
    world.pbx.ring(theirs, None, world.now);
    world.settle();
    world.pbx.answer(theirs, SDP.into(), world.now);
    world.line.cancel(ours, world.now);
    let (line, pbx) = world.settle();
    assert_eq!(line, [Event::Answered { leg: ours, sdp: Some(SDP.into()) }]);
    assert_eq!(pbx, [Event::Confirmed { leg: theirs }]);
    world.line.bye(ours, world.now);
    let (line, pbx) = world.pass(LONG);
    assert_eq!(line, [Event::Ended { leg: ours, ending: Ending::OurBye }]);
    assert_eq!(pbx, [Event::Ended { leg: theirs, ending: Ending::Bye }]);
    assert!(world.is_clean());
}

#[test]
fn section_9_1_a_cancel_that_nobody_answers_ends_after_64_t1() {
    let mut world = World::calm();
    let leg = world.line.invite(call(), world.now);
    world.settle();
    world.weather.lost = 1000;
    world.line.cancel(leg, world.now);
    assert_eq!(refused(&world.pass(Duration::from_secs(31)).0), None);
    assert_eq!(refused(&world.pass(Duration::from_secs(2)).0), Some(487));
    assert_eq!(world.line.load(), (0, 0));
}

#[test]
fn section_13_3_1_4_a_200_without_ack_is_repeated_then_the_session_is_lost() {
    let mut world = World::calm();
    world.pbx.invite(call(), world.now);
    let ours = incoming(&world.settle().0);
    world.weather.lost = 1000;
    world.line.answer(ours, SDP.into(), world.now);
    let (line, _) = world.pass(LONG);
    assert_eq!(line, [Event::Ended { leg: ours, ending: Ending::Lost }]);
    let talk: Vec<_> = world.talk().into_iter().filter(|word| word.starts_with('>')).collect();
    assert_eq!(talk.iter().filter(|word| *word == "> 200").count(), 11);
    assert_eq!(talk.last().unwrap(), "> BYE");
    assert_eq!(world.line.load(), (0, 0));
}

#[test]
fn section_15_our_bye_waits_for_the_ack() {
    let mut world = World::calm();
    let theirs = world.pbx.invite(call(), world.now);
    let ours = incoming(&world.settle().0);
    world.line.answer(ours, SDP.into(), world.now);
    world.line.bye(ours, world.now);
    let (line, pbx) = world.settle();
    assert_eq!(line, [Event::Ended { leg: ours, ending: Ending::OurBye }]);
    assert_eq!(pbx[1..], [Event::Ended { leg: theirs, ending: Ending::Bye }]);
    assert_eq!(world.talk()[2..], ["> 200", "< ACK", "> BYE", "< 200"]);
    world.pass(LONG);
    assert!(world.is_clean());
}

#[test]
fn section_15_both_hang_up_at_once() {
    let (mut world, ours, theirs) = established();
    world.line.bye(ours, world.now);
    world.pbx.bye(theirs, world.now);
    let (line, pbx) = world.pass(LONG);
    assert_eq!(line, [Event::Ended { leg: ours, ending: Ending::OurBye }]);
    assert_eq!(pbx, [Event::Ended { leg: theirs, ending: Ending::OurBye }]);
    assert!(world.is_clean());
}

/// Follows what one side is told: nothing about a leg before it exists or after its end.
#[derive(Default)]
struct Ledger {
    open: BTreeMap<LegId, bool>,
    over: Vec<LegId>,
    talked: usize,
    /// Offers of its own that were answered.
    agreed: usize,
}

impl Ledger {
    fn note(&mut self, events: Vec<Event>) {
        for event in events {
            let (leg, over) = match &event {
                Event::Incoming { leg, .. } => {
                    assert_eq!(self.open.insert(*leg, false), None, "{event:?}");
                    continue;
                }
                Event::Confirmed { leg } | Event::Answered { leg, .. } => {
                    let talks = self.open.insert(*leg, true);
                    assert_eq!(talks, Some(false), "{event:?}");
                    self.talked += 1;
                    continue;
                }
                Event::Progress { leg, .. }
                | Event::Offer { leg, .. }
                | Event::OfferRefused { leg, .. }
                | Event::Answer { leg, .. }
                | Event::Refer { leg, .. }
                | Event::Info { leg, .. } => (*leg, false),
                Event::Cancelled { leg, .. }
                | Event::Refused { leg, .. }
                | Event::Ended { leg, .. } => (*leg, true),
                Event::Registered { .. }
                | Event::RegistrationFailed { .. }
                | Event::Unregistered
                | Event::Moved { .. }
                | Event::NotMoved { .. }
                | Event::TurnedAway(_)
                | Event::Intruded(_)
                | Event::Forged { .. }
                | Event::SlipEnded { .. }
                | Event::Dropped { .. } => continue,
            };
            assert!(self.open.contains_key(&leg), "{event:?}");
            self.agreed += usize::from(matches!(event, Event::Answer { .. }));
            if over {
                self.open.remove(&leg);
                self.over.push(leg);
            }
        }
    }

    fn refused(&mut self, leg: LegId) {
        if self.open.remove(&leg).is_some() {
            self.over.push(leg);
        }
    }
}

/// How many times a side was told that a session stands, and that its own offer was answered.
fn stormy_shift(seed: u8, transport: Transport) -> (usize, usize) {
    let weather = match transport {
        Transport::Udp => Weather { lost: 250, doubled: 250, delay: Duration::from_millis(700) },
        Transport::Tcp | Transport::Tls => {
            Weather { delay: Duration::from_millis(1), ..Weather::default() }
        }
    };
    let mut world = World::over(transport, seed, weather);
    for end in [&mut world.line, &mut world.pbx] {
        end.account.session_expires = 90;
    }
    let mut dice = Random::from_seed([seed.wrapping_add(100); 32]);
    let mut ledgers = [Ledger::default(), Ledger::default()];
    for _ in 0..120 {
        let who = dice.below(2) as usize;
        let legs: Vec<_> = ledgers[who].open.keys().copied().collect();
        let end = if who == 0 { &mut world.line } else { &mut world.pbx };
        let (now, leg) = (world.now, legs.get(dice.below(legs.len() as u64) as usize));
        match (dice.below(14), leg) {
            (0 | 1, _) | (_, None) => {
                let leg = end.invite(call(), now);
                ledgers[who].open.insert(leg, false);
            }
            (2, Some(&leg)) => end.ring(leg, None, now),
            (3 | 4, Some(&leg)) => end.answer(leg, SDP.into(), now),
            (5, Some(&leg)) => {
                let ringing = matches!(end.legs.state(leg), Some(State::Ringing { .. }));
                end.refuse(leg, 486, None, now);
                if ringing {
                    ledgers[who].refused(leg);
                }
            }
            (6, Some(&leg)) => end.cancel(leg, now),
            (7, Some(&leg)) => end.bye(leg, now),
            (8, Some(&leg)) => end.ring(leg, Some(SDP.into()), now),
            (9 | 10, Some(&leg)) => end.offer(leg, format!("v=0 {seed}").into(), now),
            (11, Some(&leg)) => end.refuse_offer(leg, 488, now),
            (_, Some(_)) => legs.iter().for_each(|&leg| end.accept_offer(leg, SDP.into(), now)),
        }
        // Now and then long enough for sessions to be refreshed.
        let longest = if dice.below(20) == 0 { 50_000 } else { 1500 };
        let wait = Duration::from_millis(dice.below(longest));
        let (line, pbx) = world.pass(wait);
        ledgers[0].note(line);
        ledgers[1].note(pbx);
    }
    let mut rounds = 0;
    while !(ledgers[0].open.is_empty() && ledgers[1].open.is_empty() && world.is_clean()) {
        rounds += 1;
        assert!(rounds < 30, "seed {seed}: {:?} {:?}", world.line.load(), world.pbx.load());
        let now = world.now;
        for (who, end) in [&mut world.line, &mut world.pbx].into_iter().enumerate() {
            for leg in ledgers[who].open.keys().copied().collect::<Vec<_>>() {
                end.bye(leg, now);
                end.cancel(leg, now);
                if matches!(end.legs.state(leg), Some(State::Ringing { .. })) {
                    end.refuse(leg, 480, None, now);
                    ledgers[who].refused(leg);
                }
            }
        }
        let (line, pbx) = world.pass(Duration::from_secs(20));
        ledgers[0].note(line);
        ledgers[1].note(pbx);
    }
    assert_eq!(world.line.poll_timeout(), None);
    (ledgers[0].talked + ledgers[1].talked, ledgers[0].agreed + ledgers[1].agreed)
}

#[test]
fn sig_32_storms_leave_no_session_and_no_contradiction_behind() {
    let sum = |all: (usize, usize), one: (usize, usize)| (all.0 + one.0, all.1 + one.1);
    let udp = (0..60).map(|seed| stormy_shift(seed, Transport::Udp)).fold((0, 0), sum);
    let tcp = (0..10).map(|seed| stormy_shift(seed, Transport::Tcp)).fold((0, 0), sum);
    assert!(udp.0 > 300 && tcp.0 > 80, "{udp:?} and {tcp:?} sessions are no storm");
    assert!(udp.1 > 50 && tcp.1 > 20, "{udp:?} and {tcp:?} exchanges are no storm");
}
