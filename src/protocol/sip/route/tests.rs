//! Addresses that answer, or do not, through a night.

use super::*;
use crate::protocol::sip::Transport;

const START: Mono = Mono(0);
const UNREGISTERED: Failure = Failure { undone: Undone::Register, status: 408, retry_after: None };

fn peer(n: u8) -> Peer {
    Peer { transport: Transport::Udp, addr: ([10, 0, 0, n], 5060).into() }
}

/// Addresses that answer, or do not; a night of them.
struct Night {
    route: Route,
    now: Mono,
    dead: Vec<Peer>,
    /// They answer, and refuse REGISTER.
    refuse: Vec<Peer>,
    tried: Vec<u64>,
    used: Peer,
    story: Vec<(u64, Step)>,
}

impl Night {
    fn new(count: u8, trunk: bool) -> Self {
        let peers: Vec<_> = (1..=count).map(peer).collect();
        let mut route = Route::new(&peers, trunk);
        route.start(START);
        Self {
            route,
            now: START,
            dead: vec![],
            refuse: vec![],
            tried: vec![],
            used: peer(1),
            story: vec![],
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some((at, _)) = self.route.poll_timeout().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            self.route.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    fn drain(&mut self) {
        while let Some(step) = self.route.poll() {
            match step {
                Step::Ask { peer } if !self.dead.contains(&peer) => {
                    self.route.handle_answer(peer, 200, None, self.now);
                }
                Step::Ask { .. } => {}
                Step::Try { peer } => {
                    self.tried.push(self.now.0 / 1_000_000_000);
                    self.route.handle_tried(peer, !self.refuse.contains(&peer), self.now);
                }
                Step::Use { peer, .. } => self.used = peer,
                Step::Up | Step::Down { .. } | Step::Silent => {}
            }
            if !matches!(step, Step::Ask { .. } | Step::Try { .. }) {
                self.story.push((self.now.0 / 1_000_000, step));
            }
        }
    }
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn sig_04_the_second_address_is_used_within_four_seconds_of_the_silence_of_the_first() {
    for late in 0..40 {
        let mut night = Night::new(2, false);
        night.pass(seconds(20) + Duration::from_millis(50 * late));
        assert_eq!(night.story, []);
        night.dead = vec![peer(1)];
        night.pass(seconds(4));
        assert_eq!(night.used, peer(2), "silent {late} × 50 ms later");
        assert!(matches!(night.story[..], [(_, Step::Use { lost: true, .. })]));
    }
}

#[test]
fn sig_04_the_line_goes_back_after_a_minute_of_answers_and_not_before() {
    let mut night = Night::new(2, false);
    night.pass(seconds(20));
    night.dead = vec![peer(1)];
    night.pass(seconds(30));
    night.dead = vec![];
    night.pass(seconds(59));
    assert_eq!(night.used, peer(2));
    night.dead = vec![peer(1)];
    night.pass(seconds(20));
    night.dead = vec![];
    night.pass(seconds(60));
    assert_eq!(night.used, peer(2), "the minute begins anew");
    night.pass(seconds(25));
    assert_eq!(night.used, peer(1));
    let back = Step::Use { peer: peer(1), lost: false, preferred: true, failed: false };
    assert_eq!(night.story.last().map(|(_, step)| step), Some(&back));
}

#[test]
fn sig_04_a_preferred_address_that_answers_and_refuses_register_is_not_gone_back_to() {
    let mut night = Night::new(2, false);
    night.pass(seconds(20));
    (night.dead, night.refuse) = (vec![peer(1)], vec![peer(1)]);
    night.pass(seconds(30));
    night.dead = vec![];
    night.pass(seconds(6 * 3600));
    assert_eq!((night.used, night.story.len()), (peer(2), 1));
    let pauses: Vec<_> = night.tried.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses.iter().all(|pause| (60..=970).contains(pause)), "{pauses:?}");
    assert!(pauses[0] <= 70 && pauses[20] >= 960, "{pauses:?}");
    night.refuse = vec![];
    night.pass(seconds(16 * 60 + 10));
    assert_eq!(night.used, peer(1));
    // What is waited for is not asked again, and is forgotten with the way.
    night.dead = vec![peer(1)];
    night.pass(seconds(30));
    night.dead = vec![];
    let tries = night.tried.len();
    night.route.handle_tried(peer(1), true, night.now);
    night.drain();
    assert_eq!((night.used, night.tried.len()), (peer(2), tries), "nobody has asked it");
}

#[test]
fn sig_04_a_pbx_that_answers_no_options_is_gone_back_to_by_its_register() {
    let mut night = Night::new(2, false);
    night.dead = vec![peer(1), peer(2)];
    [1, 2].into_iter().for_each(|n| night.route.handle_heard(peer(n)));
    night.pass(seconds(60));
    night.route.handle_failure(peer(1), UNREGISTERED, night.now);
    night.drain();
    night.refuse = vec![peer(1)];
    night.pass(seconds(59));
    assert_eq!((night.used, night.tried.len()), (peer(2), 0), "it has failed a moment ago");
    night.pass(seconds(600));
    assert_eq!(night.used, peer(2));
    assert!((2..=5).contains(&night.tried.len()), "{:?}", night.tried);
    night.refuse = vec![];
    night.pass(seconds(16 * 60 + 15));
    assert_eq!(night.used, peer(1));
}

#[test]
fn sig_04_where_the_used_address_refuses_another_that_grants_is_gone_to() {
    let mut night = Night::new(3, false);
    night.pass(seconds(20));
    night.refuse = vec![peer(1), peer(2)];
    night.route.handle_refused(night.now);
    night.drain();
    assert_eq!(night.used, peer(1), "the second refuses as well");
    night.pass(seconds(15));
    assert_eq!(night.used, peer(3));
    night.pass(seconds(600));
    assert_eq!(night.used, peer(3));
    // One that is registered again is left by nobody's late word.
    let mut night = Night::new(2, false);
    night.pass(seconds(20));
    night.refuse = vec![peer(2)];
    night.route.handle_refused(night.now);
    night.drain();
    night.route.handle_registered(peer(1));
    night.refuse = vec![];
    night.pass(seconds(600));
    assert_eq!((night.used, night.tried.len()), (peer(1), 1));
}

#[test]
fn with_all_of_them_gone_each_is_tried_in_turn_and_the_first_to_answer_is_kept() {
    let mut night = Night::new(3, false);
    night.pass(seconds(20));
    night.dead = vec![peer(1), peer(2), peer(3)];
    night.pass(seconds(300));
    let moves = night.story.len();
    assert!((20..200).contains(&moves), "{moves} moves in five minutes");
    night.dead = vec![peer(1), peer(2)];
    night.pass(seconds(12));
    assert_eq!(night.used, peer(3));
    let moves = night.story.len();
    night.pass(seconds(600));
    assert_eq!((night.used, night.story.len()), (peer(3), moves));
}

#[test]
fn a_pbx_that_answers_registers_but_no_options_is_not_called_silent() {
    let mut night = Night::new(2, false);
    night.dead = vec![peer(1), peer(2)];
    night.route.handle_heard(peer(1));
    night.pass(seconds(60));
    assert_eq!((night.used, night.story.len()), (peer(1), 0));
    night.route.handle_failure(peer(1), UNREGISTERED, night.now);
    night.drain();
    assert_eq!(night.used, peer(2), "its REGISTER tells");
}

#[test]
fn sig_38_a_line_without_registration_is_up_while_options_are_answered() {
    let mut night = Night::new(1, true);
    night.pass(seconds(120));
    assert_eq!(night.story, [(0, Step::Up)]);
    night.dead = vec![peer(1)];
    night.pass(seconds(120));
    let [_, (at, Step::Down { status: 408 })] = night.story[..] else {
        panic!("{:?}", night.story)
    };
    assert!((124_000..=134_000).contains(&at), "{at}");
    night.dead = vec![];
    night.pass(seconds(15));
    assert!(matches!(night.story[2..], [(_, Step::Up)]));
}

#[test]
fn sig_38_a_trunk_of_two_addresses_goes_over_without_a_gap() {
    let mut night = Night::new(2, true);
    night.pass(seconds(20));
    night.dead = vec![peer(1)];
    night.pass(seconds(4));
    assert_eq!(night.used, peer(2));
    assert!(!night.story.iter().any(|(_, step)| matches!(step, Step::Down { .. })));
    night.dead = vec![peer(1), peer(2)];
    night.pass(seconds(20));
    assert!(night.story.iter().any(|(_, step)| matches!(step, Step::Down { .. })));
    night.dead = vec![peer(1)];
    night.pass(seconds(14));
    assert_eq!((night.used, night.route.up), (peer(2), Some(true)));
}

#[test]
fn rel_22_a_changed_list_keeps_the_used_address_while_it_is_in_it() {
    let mut night = Night::new(2, false);
    night.pass(seconds(1));
    night.route.handle_list(&[peer(3), peer(1)], night.now);
    night.drain();
    assert_eq!((night.used, night.story.len()), (peer(1), 0));
    night.route.handle_list(&[], night.now);
    night.route.handle_list(&[peer(3)], night.now);
    night.drain();
    assert_eq!(night.used, peer(3));
    let moves = night.story.len();
    night.pass(seconds(60));
    assert_eq!(night.story.len(), moves, "there is no choice to be made");
}

#[test]
fn a_registered_line_with_one_address_is_told_of_its_silence_once() {
    let mut night = Night::new(1, false);
    night.route.handle_failure(peer(1), UNREGISTERED, night.now);
    night.pass(seconds(25));
    assert_eq!(night.story, [], "its REGISTER tells");
    night.dead = vec![peer(1)];
    night.pass(seconds(120));
    let [(at, Step::Silent)] = night.story[..] else { panic!("{:?}", night.story) };
    assert!((29_000..=39_000).contains(&at), "{at}");
    night.dead = vec![];
    night.pass(seconds(30));
    night.dead = vec![peer(1)];
    night.pass(seconds(30));
    assert!(matches!(night.story[1..], [(_, Step::Silent)]), "{:?}", night.story);
}

#[test]
fn an_only_address_that_never_answers_options_is_left_to_its_register() {
    let mut night = Night::new(1, false);
    night.dead = vec![peer(1)];
    night.pass(seconds(300));
    assert_eq!(night.story, []);
}

#[test]
fn an_address_that_failed_is_left_alone_for_longer_each_time_and_then_tried_again() {
    let mut night = Night::new(2, false);
    night.dead = vec![peer(1), peer(2)];
    for silent in [1, 2] {
        night.route.handle_heard(peer(silent));
    }
    let fail = |night: &mut Night, wait| {
        night.pass(wait);
        night.story.clear();
        night.route.handle_failure(night.used, UNREGISTERED, night.now);
        night.drain();
        (night.used, night.story.len())
    };
    assert_eq!(fail(&mut night, seconds(1)), (peer(2), 1));
    assert_eq!(fail(&mut night, seconds(1)), (peer(2), 0), "the first is left for four seconds");
    assert_eq!(fail(&mut night, seconds(4)), (peer(1), 1));
    assert_eq!(fail(&mut night, seconds(0)), (peer(1), 0), "the second for eight");
    assert_eq!(fail(&mut night, seconds(9)), (peer(2), 1));
    night.route.handle_registered(peer(2));
    assert_eq!(fail(&mut night, seconds(20)), (peer(1), 1));
    assert_eq!(fail(&mut night, seconds(5)), (peer(2), 1), "registered since, it begins anew");
}
