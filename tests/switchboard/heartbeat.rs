//! The witness and its telephone in virtual time, and the daemon that it listens to.

use crate::world::{World, ms, seconds};
use dutyline::duty::heartbeat::{
    Audit, Failing, Heart, Message, Order, Signs, Vigil, VigilPlan, Witness,
};
use dutyline::duty::ids::EscalationId;
use dutyline::duty::journal::{AttemptResult, Fact};
use dutyline::duty::prompts;
use dutyline::duty::switchboard::{Errand, Input};
use dutyline::protocol::now::Mono;
use dutyline::protocol::random::Random;
use dutyline::protocol::rtp::Party;
use std::time::Duration;
use uuid::Uuid;

/// Extensions of the duty desk.
const DESK: [&str; 2] = ["201", "202"];

struct Hosts {
    /// The witness's own line.
    world: World,
    vigil: Vigil,
    told: usize,
    heart: Heart,
    random: Random,
    beats_at: Mono,
    /// It beats, its beats arrive, and so do the answers.
    alive: bool,
    sent: Vec<Message>,
    orders: Vec<Order>,
}

impl Hosts {
    fn new() -> Self {
        let mut world = World::new(&[], 4, 0, 3);
        world.ack = None;
        let desk = DESK.map(str::to_owned).to_vec();
        let plan = VigilPlan { desk, silence: seconds(55), ring: seconds(40) };
        let vigil = Vigil::new(plan, Random::from_seed([5; 32]), world.now.mono);
        let (heart, random) = (Heart::default(), Random::from_seed([6; 32]));
        let beats_at = world.now.mono;
        let mut hosts = Self {
            world,
            vigil,
            told: 0,
            heart,
            random,
            beats_at,
            alive: true,
            sent: vec![],
            orders: vec![],
        };
        hosts.pass(seconds(1));
        hosts
    }

    fn pass(&mut self, time: Duration) {
        let end = self.world.now.mono + time;
        while self.world.now.mono < end {
            if self.beats_at <= self.world.now.mono {
                self.beats_at = self.world.now.mono + Heart::EVERY;
                if self.alive {
                    self.beat();
                }
            }
            self.world.pass(ms(100));
            self.settle();
            self.vigil.handle_timeout(self.world.now);
            self.settle();
        }
    }

    fn beat(&mut self) {
        let beat = self.heart.beat(self.world.now.mono, &mut self.random);
        self.deliver(beat);
    }

    fn deliver(&mut self, beat: Message) {
        self.sent.push(beat);
        self.vigil.handle_message(beat, self.world.now);
        self.settle();
    }

    /// What the witness wants is done; what its line says it learns.
    fn settle(&mut self) {
        loop {
            let facts: Vec<Fact> = self.world.facts[self.told..].to_vec();
            self.told = self.world.facts.len();
            for fact in &facts {
                self.vigil.handle_fact(fact, self.world.now);
            }
            let Some(order) = self.vigil.poll() else { return };
            match order.clone() {
                Order::Answer(answer) if self.alive => {
                    if self.heart.handle(answer) {
                        self.beat();
                    }
                }
                Order::Line(input) => self.world.tell(input),
                Order::Answer(_) | Order::Silent(_) | Order::Back { .. } => {}
            }
            self.orders.push(order);
        }
    }

    fn calls(&self) -> usize {
        let calls = |order: &&Order| matches!(order, Order::Line(Input::Notify(_)));
        self.orders.iter().filter(calls).count()
    }

    fn results(&self) -> Vec<AttemptResult> {
        let ended = |fact: &Fact| match fact {
            Fact::AttemptEnded { result, .. } => Some(*result),
            _ => None,
        };
        self.world.facts.iter().filter_map(ended).collect()
    }
}

#[test]
fn esc_84_the_desk_is_called_within_a_minute_of_the_last_beat_and_a_key_ends_it() {
    let mut hosts = Hosts::new();
    hosts.pass(seconds(600));
    assert_eq!(hosts.calls(), 0, "it beats");
    assert_eq!(hosts.heart.witness(hosts.world.now.mono), Witness::Listens);
    hosts.alive = false;
    let frozen = hosts.world.now.mono;
    let mut rung = None;
    while rung.is_none() {
        hosts.pass(ms(100));
        rung = hosts.world.rung(DESK[0]);
        let after = hosts.world.now.mono.since(frozen);
        assert!(after <= seconds(56), "{after:?}");
    }
    let after = hosts.world.now.mono.since(frozen);
    assert!(after >= seconds(49), "{after:?}");
    hosts.world.pick_up(rung.unwrap().0);
    hosts.pass(seconds(2));
    assert_eq!(hosts.world.spoken(), Some(prompts::SILENT));
    hosts.world.press(Party::Leader, '3');
    hosts.pass(ms(200));
    assert_eq!(hosts.world.spoken(), Some(prompts::WRONG_KEY), "only key 1 means something");
    hosts.world.press(Party::Leader, '1');
    hosts.pass(ms(200));
    assert_eq!(hosts.world.spoken(), Some(prompts::TAKEN));
    hosts.world.prompt_ends();
    hosts.pass(seconds(1800));
    assert_eq!(hosts.results(), [AttemptResult::Acknowledged], "whoever knows is left alone");
    hosts.pass(seconds(1790));
    assert_eq!(hosts.calls(), 1);
    hosts.pass(seconds(20));
    assert_eq!(hosts.calls(), 2, "an hour later whoever has the desk by then");
    let (desk, _) = DESK.iter().find_map(|number| hosts.world.rung(number)).expect("it rings");
    hosts.world.refuse(desk, 486);
    // The next silence is another one.
    hosts.alive = true;
    hosts.pass(seconds(60));
    assert!(hosts.orders.iter().any(|order| matches!(order, Order::Back { called: true, .. })));
    hosts.alive = false;
    hosts.pass(seconds(60));
    assert_eq!(hosts.calls(), 3);
}

#[test]
fn esc_84_the_desk_is_called_in_turn_until_the_beats_are_back() {
    let mut hosts = Hosts::new();
    hosts.alive = false;
    hosts.pass(seconds(57));
    let (first, _) = hosts.world.rung(DESK[0]).expect("the desk rings");
    hosts.world.refuse(first, 486);
    hosts.pass(seconds(16));
    let (second, _) = hosts.world.rung(DESK[1]).expect("the other telephone of the desk");
    hosts.pass(seconds(60));
    assert!(hosts.world.rung(DESK[0]).is_some(), "and the first again");
    let _ = second;
    hosts.alive = true;
    hosts.pass(seconds(6));
    let cancelled = AttemptResult::Cancelled;
    assert_eq!(hosts.results(), [AttemptResult::Busy, AttemptResult::NoAnswer, cancelled]);
    hosts.pass(seconds(300));
    assert_eq!(hosts.results().len(), 3, "nobody is called while it beats");
    let errand = hosts.orders.iter().filter_map(|order| match order {
        Order::Line(Input::Notify(call)) => Some(call.errand),
        _ => None,
    });
    assert!(errand.collect::<Vec<_>>().iter().all(|errand| *errand == Errand::Silent));
}

#[test]
fn esc_84_what_was_recorded_and_is_sent_again_is_no_sign_of_life() {
    let mut hosts = Hosts::new();
    hosts.pass(seconds(300));
    hosts.alive = false;
    let recorded = hosts.sent.clone();
    for beat in recorded.into_iter().rev().take(40) {
        hosts.deliver(beat);
        hosts.pass(seconds(2));
    }
    assert!(hosts.calls() > 0, "the desk is called all the same");
    // Nor is what the witness itself said.
    let answers: Vec<Message> = hosts
        .orders
        .iter()
        .filter_map(|order| match order {
            Order::Answer(message) => Some(*message),
            _ => None,
        })
        .collect();
    let before = hosts.orders.len();
    for answer in answers.into_iter().rev().take(20) {
        hosts.deliver(answer);
    }
    assert_eq!(hosts.orders.len(), before);
}

#[test]
fn esc_84_a_witness_that_is_gone_is_known_within_two_minutes_and_so_is_one_without_a_line() {
    let mut hosts = Hosts::new();
    hosts.pass(seconds(60));
    let mut random = Random::from_seed([9; 32]);
    let gone = hosts.world.now.mono;
    let mut now = gone;
    let mut known = None;
    while known.is_none() && now.since(gone) < seconds(120) {
        let _ = hosts.heart.beat(now, &mut random);
        now = now + Heart::EVERY;
        known = match hosts.heart.witness(now) {
            Witness::Gone { since } => Some(since),
            Witness::Unknown | Witness::Listens | Witness::Deaf => None,
        };
    }
    assert!(now.since(gone) <= seconds(65), "{:?}", now.since(gone));
    let mut hosts = Hosts::new();
    let down = Fact::LineDown { status: 408, why: "no answer".to_owned(), since: None };
    hosts.vigil.handle_fact(&down, hosts.world.now);
    hosts.pass(seconds(6));
    assert_eq!(hosts.heart.witness(hosts.world.now.mono), Witness::Deaf);
    hosts.vigil.handle_fact(&Fact::LineUp, hosts.world.now);
    hosts.pass(seconds(6));
    assert_eq!(hosts.heart.witness(hosts.world.now.mono), Witness::Listens);
}

#[test]
fn esc_84_no_beat_while_an_escalation_is_overdue_or_a_task_stands_still() {
    let at = |seconds: u64| Mono(0) + Duration::from_secs(1000 + seconds);
    let id = EscalationId(Uuid::from_u128(1));
    let well = Signs { control: ms(900), escalator: ms(20), due: Some(vec![]) };
    let due = Signs { due: Some(vec![id]), ..well.clone() };
    let mut audit = Audit::default();
    assert_eq!(audit.look(&well, at(0)), None);
    assert_eq!(audit.look(&due, at(5)), None, "what is due may be done within moments");
    assert_eq!(audit.look(&due, at(10)), None);
    assert_eq!(audit.look(&due, at(15)), Some(Failing::Overdue(vec![id])));
    assert_eq!(audit.look(&well, at(20)), None, "done");
    assert_eq!(audit.look(&due, at(25)), None, "due anew");
    assert_eq!(audit.look(&due, at(625)), None, "the host slept: it is done now");
    let unreadable = Signs { due: None, ..well.clone() };
    assert_eq!(audit.look(&unreadable, at(630)), Some(Failing::Unreadable));
    let stands = Signs { escalator: seconds(20), ..well.clone() };
    assert_eq!(audit.look(&stands, at(635)), Some(Failing::Escalator));
    let stands = Signs { control: seconds(20), ..well };
    assert_eq!(audit.look(&stands, at(640)), Some(Failing::Control));
}

#[test]
fn esc_84_recorded_messages_of_either_side_take_no_beat_from_the_other() {
    let mut hosts = Hosts::new();
    hosts.pass(seconds(60));
    let beat = *hosts.sent.last().expect("it beats");
    let answered = |order: &Order| match order {
        Order::Answer(message) => Some(*message),
        _ => None,
    };
    let answer = hosts.orders.iter().find_map(answered).expect("it is answered");
    for _ in 0..300 {
        for _ in 0..20 {
            hosts.vigil.handle_message(beat, hosts.world.now);
            hosts.heart.handle(answer);
        }
        // What the witness answers to a recorded beat does not get through.
        while hosts.vigil.poll().is_some() {}
        hosts.pass(seconds(1));
    }
    assert_eq!(hosts.calls(), 0, "its beats count");
    assert_eq!(hosts.heart.witness(hosts.world.now.mono), Witness::Listens);
}

#[test]
fn esc_84_a_witness_is_not_gone_because_our_own_host_slept() {
    let mut hosts = Hosts::new();
    hosts.pass(seconds(60));
    let mut random = Random::from_seed([9; 32]);
    let mut now = hosts.world.now.mono;
    let _ = hosts.heart.beat(now, &mut random);
    now = now + seconds(600);
    let _ = hosts.heart.beat(now, &mut random);
    assert_eq!(hosts.heart.witness(now), Witness::Listens, "it has had no time to answer");
}

#[test]
fn esc_84_a_witness_is_not_gone_because_our_audit_fails_and_is_while_it_was_before() {
    let mut hosts = Hosts::new();
    hosts.pass(seconds(60));
    let mut random = Random::from_seed([9; 32]);
    let mut now = hosts.world.now.mono;
    let _ = hosts.heart.beat(now, &mut random);
    for after in (5..600).step_by(5) {
        let witness = hosts.heart.witness(now + seconds(after));
        assert_eq!(witness, Witness::Listens, "the last beat is lost, and no other is sent");
    }
    let mut hosts = Hosts::new();
    hosts.pass(seconds(60));
    for _ in 0..20 {
        now = hosts.world.now.mono;
        let _ = hosts.heart.beat(now, &mut random);
        hosts.world.now = hosts.world.now + Heart::EVERY;
    }
    for after in [0, 100, 500] {
        let witness = hosts.heart.witness(now + seconds(after));
        assert!(matches!(witness, Witness::Gone { .. }), "{witness:?}");
    }
}
