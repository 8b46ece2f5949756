//! Deliveries that kills cut (esc_43): none is lost, and none that arrived is called failed.

use super::*;
use crate::duty::ids::CallId;
use crate::duty::journal::Arrival;
use crate::protocol::random::Random;

const DELIVERIES: u16 = 600;
const KILLS: u32 = 60;
const OFTEN: u64 = 10;

/// What the provider makes of a try: whether it arrives, and what we hear of that.
fn fate(random: &mut Random) -> (bool, Verdict) {
    let unknown = || Verdict::Unknown { why: "timeout".to_owned() };
    match (random.below(OFTEN), random.below(3)) {
        (0, 0) => (false, http_500()),
        (0, 1) => (false, unknown()),
        (0, _) => (true, unknown()),
        _ => (true, accepted()),
    }
}

/// Kills come between the claim and the wire, or between the wire and what was heard of it.
fn run(seed: u8) {
    let mut random = Random::from_seed([seed; 32]);
    let hook = Channel { repeat: None, ..channel("平台", Kind::Webhook) };
    let store = store();
    let starts = |seconds| wait(store.set_channels(vec![hook.clone()], at(seconds))).unwrap();
    starts(0.0);
    let (mut now, mut kills) = (0.0, 0);
    for n in 1..=DELIVERIES {
        now += 60.0;
        let call = CallId(uuid::Uuid::from_u128(u128::from(n) + 10_000));
        note(&store, now, Fact::Arrived(Box::new(Arrival::from_number(call, "110", ""))));
        wait(store.flag(&officer(), call.into(), Urgency::Urgent, at(now))).unwrap();
        let (mut name, mut arrived, mut unheard) = (None, 0, 0);
        loop {
            let look = next(&store, &hook, now);
            let Some(sent) = look.send else {
                let Some((until, _)) = look.until else { break };
                now = until.since(at(0.0).mono).as_secs_f64();
                continue;
            };
            assert_eq!(*name.get_or_insert(sent.name), sent.name, "one delivery, one id");
            let killed = kills < KILLS && random.below(OFTEN) == 0;
            let (arrives, verdict) = match killed {
                true => (random.below(2) == 0, Verdict::Unknown { why: String::new() }),
                false => fate(&mut random),
            };
            arrived += u32::from(arrives);
            unheard += u32::from(arrives && verdict != accepted());
            now += 1.0;
            if killed {
                kills += 1;
                starts(now);
                continue;
            }
            let known = verdict == accepted();
            ends(&store, &hook, &sent, verdict, now);
            if known {
                break;
            }
        }
        assert_eq!(next(&store, &hook, now).send, None, "once it is known, no more");
        let progress = format!(
            "SELECT progress FROM delivery WHERE escalation =
               (SELECT id FROM escalation WHERE entry = '{call}')"
        );
        assert_eq!(one::<String>(&store, &progress), "accepted", "delivery {n} of run {seed}");
        assert_eq!(arrived, 1 + unheard, "delivery {n} of run {seed}: twice only if nobody knew");
    }
    assert_eq!(kills, KILLS);
    wait(store.verify_audit()).unwrap();
}

#[test]
fn esc_43_of_six_hundred_deliveries_with_sixty_kills_none_is_lost_or_wrongly_called_failed() {
    run(1);
}

/// As the specification has it; `tests/all --long soak`.
#[test]
#[ignore = "takes a minute"]
fn esc_43_of_six_hundred_deliveries_with_sixty_kills_none_is_lost_in_any_of_twenty_runs() {
    (1..=20).for_each(run);
}
