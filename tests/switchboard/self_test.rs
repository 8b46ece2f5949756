//! 录音自检: the daemon's own call rings nobody, and nobody else is taken for it.

use crate::talking;
use crate::world::{World, phone, seconds};
use dutyline::duty::ids::CallId;
use dutyline::duty::journal::{Disposition, Fact};
use dutyline::duty::prompts::SELF_TEST;
use dutyline::duty::switchboard::Input;
use dutyline::protocol::random::Random;
use dutyline::protocol::rtp::Command;

fn world() -> World {
    World::new(&[phone("201", 20)], 10, 2, 1).may_test_itself("109")
}

fn expects(world: &mut World) -> CallId {
    let call = CallId::new(world.now, &mut Random::from_seed([7; 32]));
    world.tell(Input::ExpectTest { call });
    call
}

#[test]
fn rec_q4_the_daemons_own_call_is_answered_says_its_sentence_and_rings_no_phone() {
    let mut world = world();
    let test = expects(&mut world);
    let caller = world.dial("109");
    assert!(world.is_answered(caller));
    assert!(world.rung("201").is_none());
    let says = |command: &Command| matches!(command, Command::Play { prompt: SELF_TEST, .. });
    assert_eq!(world.media.iter().filter(|command| says(command)).count(), 1);
    world.hang_up(caller);
    let arrived = |fact: &Fact| matches!(fact, Fact::Arrived(it) if it.call == test && it.test);
    let over = |fact: &Fact| {
        let disposition = Disposition::SelfTest;
        matches!(fact, Fact::Ended { call, disposition: how, .. } if *call == test && *how == disposition)
    };
    assert!(world.facts.iter().any(arrived));
    assert!(world.facts.iter().any(over));
    assert!(world.media.contains(&Command::Finish { call: test.0 }));
    assert_eq!(world.board.channels_in_use(), 0);
}

#[test]
fn rec_q4_nobody_else_is_taken_for_it_and_it_comes_in_time_or_is_a_call_like_others() {
    let mut world = world();
    expects(&mut world);
    world.dial("101");
    assert!(world.rung("201").is_some(), "another number rings");
    let mut late = self::world();
    expects(&mut late);
    late.pass(seconds(31));
    late.dial("109");
    assert!(late.rung("201").is_some(), "too late");
    let mut twice = self::world();
    expects(&mut twice);
    twice.dial("109");
    twice.dial("109");
    assert!(twice.rung("201").is_some(), "one test is one call");
    let mut stranger = self::world();
    stranger.dial("109");
    assert!(stranger.rung("201").is_some(), "nobody has announced it");
}

#[test]
fn rec_q4_a_test_call_beside_a_conversation_disturbs_nobody_and_does_not_hang_for_ever() {
    let mut world = world();
    let (caller, officer) = talking(&mut world);
    expects(&mut world);
    let test = world.dial("109");
    assert!(world.is_answered(test));
    world.pass(seconds(31));
    assert!(world.ended(test), "it was hung up on");
    assert!(!world.ended(caller) && !world.ended(officer));
}
