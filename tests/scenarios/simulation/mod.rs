//! Random shifts: callers, officers, leaders, wires, log and power do what they like, and after
//! every step the promises are compared with a naive model of what was seen from outside.
//! `SEED=7` replays one shift.

mod promises;

use crate::room::people::{
    DESK, DIRECTOR, HEAD, LEADER, LEADER_OFFICE, PBX_HOST, SPARE, SUBSTITUTE,
};
use crate::room::{Room, Weather, millis, minutes, seconds};
use dutyline::demo::phone::{Manner, State};
use dutyline::duty::ids::EntryId;
use dutyline::duty::journal::Urgency;
use dutyline::io::store::{EntryView, EscalationState, wait};
use dutyline::protocol::now::Mono;
use dutyline::protocol::random::Random;
use promises::Model;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const SHIFTS: u64 = 200;
const STEPS: usize = 45;
const CALLERS: u64 = 9;
const OFFICERS: [&str; 2] = [DESK, SPARE];
const LEADERS: [&str; 5] = [LEADER, LEADER_OFFICE, SUBSTITUTE, DIRECTOR, HEAD];

#[test]
fn two_hundred_random_shifts_keep_the_promises() {
    if let Ok(seed) = std::env::var("SEED") {
        Shift::new(seed.parse().expect("SEED is a number")).run();
        return;
    }
    let next = AtomicU64::new(1);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let worked = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| work(&next))).collect();
        workers.into_iter().map(|worker| worker.join()).fold([0; 6], |mut sum, counted| {
            let counted = counted.expect("a shift broke a promise: see its SEED above");
            sum.iter_mut().zip(counted).for_each(|(sum, count)| *sum += count);
            sum
        })
    });
    let [calls, answered, escalations, acknowledged, crashes, survived] = worked;
    println!(
        "{calls} calls, {answered} answered, {escalations} escalations, \
         {acknowledged} acknowledged, {crashes} crashes, {survived} calls survived one"
    );
    assert!(worked.iter().all(|count| *count >= SHIFTS / 4), "too little happened: {worked:?}");
}

fn work(next: &AtomicU64) -> [u64; 6] {
    let mut sum = [0; 6];
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed > SHIFTS {
            return sum;
        }
        let counted = Shift::new(seed).run();
        sum.iter_mut().zip(counted).for_each(|(sum, count)| *sum += count);
    }
}

struct Shift {
    seed: u64,
    room: Room,
    random: Random,
    model: Model,
    /// When the plug goes in again, and when the daemon is started again.
    plug_in: Option<Mono>,
    restart: Option<Mono>,
    crashes: u64,
}

impl Drop for Shift {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("replay this shift with SEED={}", self.seed);
        }
    }
}

impl Shift {
    fn new(seed: u64) -> Self {
        let mut room = Room::with_seed(seed);
        let random = room.fork_random();
        let model = Model::default();
        Self { seed, room, random, model, plug_in: None, restart: None, crashes: 0 }
    }

    fn run(mut self) -> [u64; 6] {
        for _ in 0..STEPS {
            self.something_happens();
            let pause = self.random.between(millis(1), seconds(12));
            self.pass(pause);
        }
        self.calm_down();
        let room = &self.room;
        let log = room.all_views();
        let answered =
            |view: &&EntryView| view.row.call.as_ref().is_some_and(|call| call.answered.is_some());
        let escalations: Vec<_> = log.iter().flat_map(|view| &view.escalations).collect();
        let acknowledged = |state| state == EscalationState::Acknowledged;
        [
            log.len() as u64,
            log.iter().filter(answered).count() as u64,
            escalations.len() as u64,
            escalations.iter().filter(|one| acknowledged(one.row.state)).count() as u64,
            self.crashes,
            promises::survived(room),
        ]
    }

    fn chance(&mut self, of_a_hundred: u64) -> bool {
        self.random.below(100) < of_a_hundred
    }

    fn one_of<T: Copy>(&mut self, things: &[T]) -> T {
        things[self.random.below(things.len() as u64) as usize]
    }

    fn something_happens(&mut self) {
        match self.random.below(100) {
            0..18 => self.somebody_calls(),
            18..44 => self.somebody_at_the_desk(),
            44..52 => self.somebody_hangs_up(),
            52..64 => self.somebody_speaks(),
            64..72 => self.something_is_urgent(),
            72..84 => self.a_leader_does_something(),
            84..88 => self.habits_change(),
            88..92 => self.the_weather_changes(),
            92..95 => self.the_log_stalls(),
            95..97 => self.the_pbx_is_unplugged(),
            _ => self.the_daemon_goes(),
        }
    }

    fn somebody_calls(&mut self) {
        let number = format!("10{}", 1 + self.random.below(CALLERS));
        let idle = self
            .room
            .posts
            .iter()
            .all(|post| post.number != number || post.phone.state() == State::OnHook);
        if idle {
            self.room.caller_tries(&number);
        }
    }

    fn somebody_at_the_desk(&mut self) {
        let rings = |number: &&str| self.room.state(number) == State::Ringing;
        let number = OFFICERS.into_iter().find(rings).unwrap_or(DESK);
        let status = self.one_of(&[486, 603, 480, 404, 500]);
        let picks_up = self.chance(85);
        let at = self.room.at(number);
        self.room.act(at, |post, now| {
            if picks_up { post.phone.pick_up(now) } else { post.phone.refuse(status, now) }
        });
    }

    fn somebody_hangs_up(&mut self) {
        let busy: Vec<usize> = (0..self.room.posts.len())
            .filter(|at| self.room.posts[*at].phone.state() != State::OnHook)
            .collect();
        if !busy.is_empty() {
            let at = self.one_of(&busy);
            self.room.act(at, |post, now| post.phone.hang_up(now));
        }
    }

    fn somebody_speaks(&mut self) {
        let talking: Vec<usize> = (0..self.room.posts.len())
            .filter(|at| self.room.posts[*at].phone.state() == State::Talking)
            .collect();
        if talking.is_empty() {
            return;
        }
        let at = self.one_of(&talking);
        let (sample, length) = (self.random.below(128) as u8, 160 * self.random.below(30) as usize);
        self.room.act(at, |post, now| post.phone.say(&vec![sample; length], now));
    }

    fn something_is_urgent(&mut self) {
        if self.chance(40) {
            let number = self.one_of(&OFFICERS);
            let at = self.room.at(number);
            for key in ['*', '9'] {
                self.room.act(at, |post, now| post.phone.press(key, now));
            }
            return;
        }
        let rows = wait(self.room.store.recent_entries(1000)).expect("the log is read");
        if rows.is_empty() || self.room.log_is_stalled() {
            return;
        }
        let entry = rows[self.random.below(rows.len() as u64) as usize].id;
        if self.chance(85) {
            let urgency = self.one_of(&[Urgency::Urgent, Urgency::Critical]);
            self.room.officer_flags(entry, urgency);
            self.model.flagged(&self.room, entry);
        } else if self.is_open(entry) {
            self.room.officer_withdraws(entry, "核实为误报");
        }
    }

    fn is_open(&self, entry: EntryId) -> bool {
        let escalations = self.room.view(entry).escalations;
        escalations.iter().any(|one| one.row.state == EscalationState::Open)
    }

    fn a_leader_does_something(&mut self) {
        let number = self.one_of(&LEADERS);
        let at = self.room.at(number);
        match self.room.state(number) {
            State::Ringing => self.room.act(at, |post, now| post.phone.pick_up(now)),
            State::Talking => {
                let key = self.one_of(&['1', '1', '1', '5', '6', '6', '7', '*']);
                self.model.pressed(number, key, self.room.now());
                self.room.act(at, |post, now| post.phone.press(key, now));
            }
            State::OnHook | State::Dialling => {
                let manner = self.some_manner();
                self.room.set_manner(number, manner);
            }
        }
    }

    fn some_manner(&mut self) -> Manner {
        let after = self.random.between(Duration::ZERO, seconds(9));
        match self.random.below(10) {
            0..5 => Manner::Rings,
            5..8 => Manner::Answers { after },
            8 => Manner::Refuses { after, status: self.one_of(&[486, 603, 480, 404]) },
            _ => Manner::Stunned,
        }
    }

    fn habits_change(&mut self) {
        let number = self.one_of(&OFFICERS);
        let manner = self.some_manner();
        self.room.set_manner(number, manner);
    }

    fn the_weather_changes(&mut self) {
        let most_delay = self.random.between(millis(1), millis(120));
        let (loss, twice) = (self.random.below(150), self.random.below(100));
        let weather = Weather { least_delay: millis(1), most_delay, loss, twice };
        self.room.network.weather = if self.chance(50) { Weather::fair() } else { weather };
    }

    fn the_log_stalls(&mut self) {
        let time = self.random.between(millis(10), seconds(6));
        self.room.log_stalls(time);
        self.model.excuse(self.room.now().mono, time);
    }

    fn the_pbx_is_unplugged(&mut self) {
        let time = self.random.between(seconds(1), seconds(50));
        self.room.network.unplug(PBX_HOST);
        self.plug_in = Some(self.room.now().mono + time);
    }

    fn the_daemon_goes(&mut self) {
        if self.room.daemon.is_none() {
            return;
        }
        self.model.look(&self.room);
        self.model.daemon_goes(&self.room);
        self.crashes += 1;
        self.room.kill_daemon();
        let down = self.random.between(millis(100), seconds(15));
        self.restart = Some(self.room.now().mono + down);
        self.model.excuse(self.room.now().mono, down);
    }

    /// Lets time pass, with what is due meanwhile, and looks at the promises.
    fn pass(&mut self, time: Duration) {
        let end = self.room.now().mono + time;
        loop {
            let due = [self.plug_in, self.restart].into_iter().flatten().min();
            let stop = due.map_or(end, |due| due.min(end));
            self.room.pass(stop.since(self.room.now().mono));
            if self.plug_in.is_some_and(|at| at <= stop) {
                self.plug_in = None;
                self.room.network.plug_in(PBX_HOST);
            }
            if self.restart.is_some_and(|at| at <= stop) {
                self.restart = None;
                self.room.start_daemon();
            }
            if stop >= end {
                break;
            }
        }
        self.model.look(&self.room);
    }

    /// Everything works again, everybody behaves; then nothing may be left.
    fn calm_down(&mut self) {
        self.room.network.weather = Weather::fair();
        self.plug_in = None;
        self.room.network.plug_in(PBX_HOST);
        if self.room.daemon.is_none() {
            self.restart = None;
            self.room.start_daemon();
        }
        for at in 0..self.room.posts.len() {
            self.room.act(at, |post, now| post.phone.hang_up(now));
            let leader = LEADERS[..2].contains(&self.room.posts[at].number.as_str());
            let answers = Manner::Answers { after: seconds(1) };
            let manner = if leader { answers } else { Manner::Rings };
            self.room.act(at, |post, _| post.phone.set_manner(manner));
        }
        let end = self.room.now().mono + minutes(40);
        while self.room.now().mono < end && !self.all_is_settled() {
            for number in &LEADERS[..2] {
                if self.room.state(number) == State::Talking {
                    self.model.pressed(number, '1', self.room.now());
                }
            }
            self.room.leader_presses_when_asked();
            self.room.pass(millis(700));
        }
        assert!(self.all_is_settled(), "an urgent matter never comes to its end");
        self.pass(minutes(3));
        self.room.alarms();
        self.room.expect_rings(&LEADERS);
        self.room.look_around();
        self.model.look_back(&self.room);
        self.room.leave_as_it_is();
    }

    fn all_is_settled(&self) -> bool {
        let rows = wait(self.room.store.recent_entries(100_000)).expect("the log is read");
        rows.iter().filter_map(|row| row.escalation.as_ref()).all(|one| match one.state {
            EscalationState::Open => false,
            EscalationState::Acknowledged => one.leader_reached.is_some(),
            EscalationState::Withdrawn => true,
        })
    }
}
