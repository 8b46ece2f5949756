//! Many matters at once, everything that may fail at once, and what the log shows of it afterwards.

use crate::room::people::{DESK, DIRECTOR, HEAD, LEADER, LEADER_OFFICE, SUBSTITUTE};
use crate::room::{Prompt, Room, millis, minutes, seconds};
use dutyline::demo::phone::{Manner, State};
use dutyline::duty::escalation::After;
use dutyline::duty::ids::{CallId, DeliveryId, EntryId};
use dutyline::duty::journal::{Arrival, AttemptResult, Disposition, Fact, Noted, Urgency};
use dutyline::duty::notices::{Channel, Kind, Progress, Verdict};
use dutyline::io::store::{EscalationView, ReadHow, wait};
use dutyline::protocol::now::Mono;
use std::time::Duration;

const LEADERS: [&str; 5] = [LEADER, LEADER_OFFICE, SUBSTITUTE, DIRECTOR, HEAD];

/// A call that was missed.
fn missed(room: &mut Room) -> EntryId {
    let (now, mut random) = (room.now(), room.fork_random());
    let call = CallId::new(now, &mut random);
    let ended = Fact::Ended {
        call,
        disposition: Disposition::Missed,
        by: None,
        status: 487,
        why: String::new(),
    };
    let arrived = Fact::Arrived(Box::new(Arrival::from_number(call, "13800138000", "")));
    for fact in [arrived, ended] {
        room.store.apply(&Noted { at: now, fact }).expect("the log in memory takes it");
    }
    call.into()
}

fn escalation(room: &Room, entry: EntryId) -> EscalationView {
    room.view(entry).escalations.into_iter().next().expect("an escalation")
}

/// Two hundred at once over a line with thirty channels: one phone rings, and is about all of them.
#[test]
fn esc_31_of_two_hundred_matters_at_once_each_rings_within_half_a_minute() {
    let mut room = Room::open();
    let entries: Vec<EntryId> = (0..200).map(|_| missed(&mut room)).collect();
    let flagged = room.now().wall;
    entries.iter().for_each(|entry| room.officer_flags_urgent(*entry));
    room.rings(LEADER, seconds(1));
    room.pass(seconds(30));
    let rang = |entry: &EntryId| {
        let rang = room.attempts(*entry).iter().filter_map(|attempt| attempt.ringing).min();
        (rang.expect("it rang") - flagged).to_std().expect("afterwards")
    };
    let mut waited: Vec<Duration> = entries.iter().map(rang).collect();
    waited.sort();
    let (median, p99, longest) = (waited[100], waited[197], waited[199]);
    println!("first ring after {median:?}, p99 {p99:?}, {longest:?} at most");
    assert!(p99 <= seconds(30), "{p99:?}");
    assert!(longest <= median * 2 + millis(50), "none waits for the others: {longest:?}");
    room.leader_answers();
    assert_eq!(room.heard(LEADER)[0], Prompt::Several);
    for _ in 0..10 {
        room.leader_presses('1');
        room.pass(millis(100));
        room.leader_presses('#');
        room.pass(millis(700));
    }
    room.hangs_up(LEADER);
    let known = entries.iter().filter(|entry| room.is_acknowledged(**entry)).count();
    assert_eq!(known, 10, "each key was for one of them");
    room.rings(LEADER, seconds(20));
    room.pass(seconds(1));
    let ringing =
        |entry: &&EntryId| room.attempts(**entry).last().is_some_and(|last| last.ended.is_none());
    assert_eq!(entries.iter().filter(ringing).count(), 190, "the rest, in one call again");
    room.leave_as_it_is();
}

/// What a channel's worker does, in a provider's manner: `verdict` comes so long after each try.
struct Provider {
    channel: Channel,
    takes: Duration,
    verdict: Verdict,
    tries: usize,
    under_way: Option<(Mono, Vec<(DeliveryId, u32)>)>,
}

impl Provider {
    fn new(name: &str, kind: Kind, takes: Duration, verdict: Verdict) -> Self {
        let repeat = Some(Duration::from_secs(600));
        let channel = Channel {
            name: name.to_owned(),
            kind,
            least: Urgency::Urgent,
            repeat,
            to_leader: false,
        };
        Self { channel, takes, verdict, tries: 0, under_way: None }
    }

    fn pass(&mut self, room: &Room) {
        let now = room.now();
        if let Some((_, tries)) = self.under_way.take_if(|(due, _)| *due <= now.mono) {
            let ended = room.store.notice_ended(&self.channel, tries, self.verdict.clone(), now);
            wait(ended).expect("it is written");
        }
        if self.under_way.is_none() {
            let look = wait(room.store.next_notice(&self.channel, now)).expect("it is read");
            self.tries += usize::from(look.send.is_some());
            self.under_way = look.send.map(|sent| (now.mono + self.takes, sent.tries));
        }
    }
}

/// The leader is busy, then a machine answers; a webhook hangs, the mail server is down.
#[test]
fn rel_33_whatever_fails_the_next_rung_comes_in_its_time_and_every_attempt_is_in_the_log() {
    let mut room = Room::open();
    let hangs = Verdict::Unknown { why: "timeout".to_owned() };
    let down = Verdict::Retry { after: None, why: "connection refused".to_owned() };
    let mut providers = [
        Provider::new("接口", Kind::Webhook, seconds(5), hangs),
        Provider::new("邮件", Kind::Mail, millis(20), down),
    ];
    let channels = providers.iter().map(|one| one.channel.clone()).collect();
    wait(room.store.set_channels(channels, room.now())).expect("it is written");
    let entry = missed(&mut room);
    room.set_manner(LEADER, Manner::Refuses { after: seconds(1), status: 486 });
    room.officer_flags_urgent(entry);
    let flagged = room.now().wall;
    let (mut rung, mut busy) = (None, 0);
    for second in 0..200 {
        if second == 15 {
            room.set_manner(LEADER, Manner::Answers { after: seconds(2) });
        }
        providers.iter_mut().for_each(|one| one.pass(&room));
        room.pass(seconds(1));
        let view = escalation(&room, entry);
        let calls = view.attempts.iter().any(|one| one.ended.is_none());
        let waits = view.notices.iter().any(|one| one.progress == Progress::Waiting);
        busy = if calls || waits { second } else { busy };
        assert!(second - busy <= 20, "nothing is under way since {busy} s");
        let substitute = view.attempts.iter().find(|one| one.person != "张局");
        rung = rung.or(substitute.map(|one| one.started - flagged));
    }
    let rung = rung.expect("the next rung").to_std().expect("afterwards");
    assert!((seconds(179)..=seconds(181)).contains(&rung), "{rung:?}");
    let results: Vec<_> = room.attempts(entry).iter().filter_map(|one| one.result).collect();
    assert_eq!(results[0], AttemptResult::Busy);
    assert!(results.contains(&AttemptResult::AnsweredNoKey), "the machine: {results:?}");
    let view = escalation(&room, entry);
    for provider in &providers {
        let rows = view.notices.iter().filter(|one| one.channel == provider.channel.name);
        let tries: usize = rows.map(|one| one.tries.len()).sum();
        assert!(provider.tries >= 3 && tries == provider.tries, "each try is a row: {tries}");
    }
    wait(room.store.verify_audit()).expect("the trail is whole");
    room.expect_rings(&LEADERS);
    room.officer_withdraws(entry, "演练结束");
    room.pass(minutes(2));
    room.expect_rings(&LEADERS);
}

/// 发起 → 振铃 → 接听 → 听录音 → 知悉 → 批示 → 回执: each with its own time, none inferred, in one log.
#[test]
fn rec_l5_from_the_flag_to_the_confirmed_instruction_every_step_has_its_time_in_one_log() {
    let mut room = Room::open();
    room.rules(|policy, _| policy.after = Some(After::default()));
    let entry = room.caller_dials("101");
    room.officer_answers(entry);
    room.pass(seconds(20));
    room.caller_hangs_up(entry);
    room.pass(seconds(1));
    room.officer_flags(entry, Urgency::Critical);
    // He does not pick up: the next call, and the next person, come by themselves.
    room.until("another leader is called", seconds(130), |room| {
        room.attempts(entry).iter().any(|one| one.person != "张局")
    });
    room.expect_rings(&LEADERS);
    room.until("the leader's phone rings", seconds(90), |room| {
        room.state(LEADER) == State::Ringing
    });
    room.leader_answers();
    room.presses(LEADER, "2");
    room.pass(seconds(5));
    room.presses(LEADER, "1");
    room.presses(LEADER, "9");
    room.until("he may speak", seconds(3), |room| room.heard(LEADER).last() == Some(&Prompt::Beep));
    room.pass(seconds(6));
    room.presses(LEADER, "#");
    room.pass(seconds(5));
    room.until("the desk rings", seconds(130), |room| room.state(DESK) == State::Ringing);
    room.picks_up(DESK);
    room.pass(millis(1500));
    room.presses(DESK, "1");
    room.pass(seconds(5));
    room.expect_rings(&LEADERS);
    let view = escalation(&room, entry);
    let his = view.attempts.iter().find(|one| one.acknowledged).expect("his call");
    let known = view.row.acknowledged.as_ref().expect("he knows");
    let read = view.row.read.as_ref().expect("he has heard what it is");
    let said = &view.instructions[0];
    let (confirmed, _) = said.confirmed.as_ref().expect("the desk has it");
    assert_eq!(read.how, ReadHow::Recording);
    assert!((4_000..7_000).contains(&his.heard_ms), "{} ms", his.heard_ms);
    let steps = [
        view.row.raised,
        view.attempts[0].started,
        his.started,
        his.ringing.expect("it rang"),
        his.answered.expect("he took it"),
        read.at,
        known.at,
        said.from,
        *confirmed,
    ];
    assert!(steps.is_sorted(), "{steps:?}");
    assert!(view.attempts.iter().any(|one| one.person != "张局"));
    wait(room.store.verify_audit()).expect("the trail is whole");
}
