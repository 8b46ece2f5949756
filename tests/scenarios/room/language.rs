//! What people do in the room, and what they see: the words that scenarios are written in.

use super::people::{DESK, LEADER, LEADER_OFFICE, LINE};
use super::{Post, Prompt, Room, millis, seconds};
use dutyline::demo::phone::{Able, Event, Manner, State};
use dutyline::duty::ids::EntryId;
use dutyline::duty::switchboard::Input;
use dutyline::io::status::Live;
use dutyline::protocol::now::Mono;
use dutyline::protocol::sip::{Peer, Transport};
use std::time::Duration;

/// Everything that ought to happen at once happens within so long on fair wires.
const AT_ONCE: Duration = Duration::from_secs(2);
/// Nobody presses a key earlier; the daemon is deaf for the first second.
const LISTENS: Duration = Duration::from_millis(1300);

impl Room {
    /// The place of the telephone with this number.
    pub fn at(&self, number: &str) -> usize {
        let mut posts = self.posts.iter().enumerate().rev();
        posts.find(|(_, post)| post.number == number).expect("a telephone of the room").0
    }

    pub fn phone(&self, number: &str) -> &Post {
        &self.posts[self.at(number)]
    }

    pub fn state(&self, number: &str) -> State {
        self.phone(number).phone.state()
    }

    /// Somebody outside dials the duty line. Nothing is said of what comes of it.
    pub fn caller_tries(&mut self, number: &str) {
        self.caller_tries_as(number, number);
    }

    pub fn caller_tries_as(&mut self, number: &str, display: &str) {
        self.dials(number, display, LINE);
    }

    fn dials(&mut self, number: &str, display: &str, line: &str) {
        self.is_known(number, display);
        let at = self.at(number);
        self.act(at, |post, now| post.phone.dial(line, now));
    }

    /// Somebody outside with a telephone.
    fn is_known(&mut self, number: &str, display: &str) {
        if !self.posts.iter().any(|post| post.number == number) {
            self.callers += 1;
            let random = self.fork_random();
            self.posts.push(Post::caller(number, display, self.callers, random));
        }
    }

    /// Somebody outside dials the duty line, and the call comes by this address of the PBX.
    pub fn calls_by(&mut self, pbx: std::net::SocketAddr, number: &str) {
        self.callers += 1;
        let (random, other) = (self.fork_random(), self.fork_random());
        self.posts.push(Post::caller(number, number, self.callers, random).by(pbx, other));
        self.caller_tries(number);
    }

    /// Somebody outside dials the duty line, and the call pops up on the officer's page.
    pub fn caller_dials(&mut self, number: &str) -> EntryId {
        self.caller_dials_as(number, number)
    }

    pub fn caller_dials_as(&mut self, number: &str, display: &str) -> EntryId {
        self.calls(number, display, LINE)
    }

    /// Somebody outside dials another of the room's duty numbers.
    pub fn caller_dials_number(&mut self, number: &str, line: &str) -> EntryId {
        self.calls(number, number, line)
    }

    fn calls(&mut self, number: &str, display: &str, line: &str) -> EntryId {
        let before = self.entries.len();
        let seen = self.popped_up().len();
        self.dials(number, display, line);
        self.until("the call pops up on the page", seconds(6), |room| {
            room.popped_up()[seen..].iter().any(|(_, caller)| caller == number)
        });
        let popped = self.popped_up();
        let (entry, _) =
            popped[seen..].iter().find(|(_, caller)| caller == number).expect("it did");
        self.entries.push(*entry);
        self.who.insert(*entry, number.to_owned());
        assert_eq!(self.entries.len(), before + 1);
        *entry
    }

    /// Entries that popped up since the daemon started, with the number shown.
    pub fn popped_up(&self) -> Vec<(EntryId, String)> {
        let live = self.daemon.iter().flat_map(|daemon| &daemon.live);
        live.filter_map(|(_, live)| match live {
            Live::Ringing { entry, caller, .. } => Some((*entry, caller.clone())),
            Live::Entry { .. }
            | Live::NotPlaced { .. }
            | Live::Escalation { .. }
            | Live::Status
            | Live::Levels { .. } => None,
        })
        .collect()
    }

    /// The officer picks up the telephone of the desk, and the two are connected.
    pub fn officer_answers(&mut self, entry: EntryId) {
        self.picks_up(DESK);
        self.are_connected(entry);
    }

    /// Waits until this telephone rings, and takes note of it.
    pub fn rings(&mut self, number: &str, within: Duration) {
        let at = self.at(number);
        let what = format!("{number} rings");
        self.until(&what, within, |room| room.posts[at].phone.state() == State::Ringing);
        self.posts[at].unexpected.clear();
    }

    /// This telephone rings, and somebody picks it up.
    pub fn picks_up(&mut self, number: &str) {
        self.rings(number, AT_ONCE);
        let at = self.at(number);
        self.act(at, |post, now| post.phone.pick_up(now));
    }

    /// This telephone rings, and refuses with this status.
    pub fn refuses(&mut self, number: &str, status: u16) {
        self.rings(number, AT_ONCE);
        let at = self.at(number);
        self.act(at, |post, now| post.phone.refuse(status, now));
    }

    /// The receiver is put down, and the line notices.
    pub fn hangs_up(&mut self, number: &str) {
        let at = self.at(number);
        self.act(at, |post, now| post.phone.hang_up(now));
        self.until("the receiver is down", AT_ONCE, |room| {
            room.posts[at].phone.state() == State::OnHook
        });
    }

    pub fn are_connected(&mut self, entry: EntryId) {
        let at = self.at(&self.who[&entry].clone());
        self.until("the caller is through", AT_ONCE, |room| {
            room.posts[at].phone.state() == State::Talking
        });
    }

    pub fn caller_hangs_up(&mut self, entry: EntryId) {
        let number = self.who[&entry].clone();
        self.hangs_up(&number);
    }

    /// The caller's telephone says so by itself.
    pub fn caller_hears_the_end(&mut self, entry: EntryId) -> Event {
        let at = self.at(&self.who[&entry].clone());
        self.until("the caller's call ends", seconds(40), |room| {
            room.posts[at].phone.state() == State::OnHook
        });
        self.posts[at].last().expect("its end").clone()
    }

    /// Keys, one after the other, as a hand presses them.
    pub fn presses(&mut self, number: &str, keys: &str) {
        let at = self.at(number);
        for key in keys.chars() {
            self.act(at, |post, now| post.phone.press(key, now));
            self.pass(millis(300));
        }
    }

    /// The voice of this telephone comes from another port from now on, and is wanted there.
    pub fn moves_its_voice(&mut self, number: &str, port: u16) {
        let at = self.at(number);
        let place = std::net::SocketAddr::new(self.posts[at].host, port);
        self.act(at, |post, now| post.phone.move_to(place, now));
        self.pass(millis(200));
    }

    /// Says something, and waits until it is said.
    pub fn says(&mut self, number: &str, speech: &[u8]) {
        let at = self.at(number);
        self.act(at, |post, now| post.phone.say(speech, now));
        self.until("it is said", seconds(600), |room| !room.posts[at].phone.is_speaking());
        self.pass(millis(50));
    }

    pub fn leader_answers(&mut self) {
        self.answers_and_listens(LEADER);
    }

    /// This telephone rings, somebody picks it up and hears the beginning of what is said.
    pub fn answers_and_listens(&mut self, number: &str) {
        self.picks_up(number);
        self.pass(LISTENS);
    }

    pub fn leader_presses(&mut self, key: char) {
        self.presses(LEADER, &key.to_string());
    }

    /// Bytes that reach the daemon as if the PBX had sent them.
    pub fn pbx_sends(&mut self, bytes: &[u8]) {
        let from = Peer { transport: Transport::Udp, addr: super::people::pbx() };
        self.order(|daemon, now| daemon.handle_message(from, bytes.to_vec(), now));
    }

    pub fn stop_daemon(&mut self) {
        self.order(|daemon, now| daemon.tell(Input::Shutdown, now));
        self.until("the daemon has drained", seconds(5), |room| {
            room.daemon.as_ref().is_some_and(|daemon| daemon.drained)
        });
        // The log and the recorder finish what they have.
        self.until("everything is written", seconds(5), |room| {
            room.daemon.as_ref().is_some_and(|daemon| !daemon.has_unwritten_facts())
        });
        self.kill_daemon();
    }

    /// What this telephone can do, from its next call on.
    pub fn is_able(&mut self, number: &str, able: Able) {
        self.is_known(number, number);
        let at = self.at(number);
        self.act(at, |post, _| post.phone.set_able(able));
    }

    pub fn set_manner(&mut self, number: &str, manner: Manner) {
        let at = self.at(number);
        self.act(at, |post, _| post.phone.set_manner(manner));
    }

    /// The receiver is put down; nobody waits for the other side to hear of it.
    pub fn hangs_up_unheard(&mut self, number: &str) {
        let at = self.at(number);
        self.act(at, |post, now| post.phone.hang_up(now));
    }

    /// These telephones rang, as they ought to.
    pub fn expect_rings(&mut self, numbers: &[&str]) {
        for number in numbers {
            let at = self.at(number);
            self.posts[at].unexpected.clear();
        }
    }

    /// From now on every write takes the log so long.
    pub fn log_takes(&mut self, time: Duration) {
        self.store_speed = time;
        self.order(|daemon, _| daemon.store_speed = time);
    }

    /// Whoever of the leader's two telephones hears the prompt presses 1, once.
    pub fn leader_presses_when_asked(&mut self) {
        for number in [LEADER, LEADER_OFFICE] {
            let at = self.at(number);
            let since = self.posts[at].phone.heard().first().map(|first| first.at);
            let asked = self.state(number) == State::Talking
                && self.heard(number).contains(&Prompt::Urgent)
                && since.is_some_and(|at| self.now().mono.since(at) >= LISTENS);
            if asked && !self.posts[at].phone.is_speaking() && !self.posts[at].pressed {
                self.posts[at].pressed = true;
                self.act(at, |post, now| post.phone.press('1', now));
            }
        }
    }

    /// As `pass`, but not beyond `end`.
    pub fn pass_until(&mut self, end: Mono, most: Duration) {
        let left = end.since(self.now().mono);
        self.pass(left.min(most));
    }

    /// The log answers nobody for so long.
    pub fn log_stalls(&mut self, time: Duration) {
        let until = self.now().mono + time;
        self.order(|daemon, _| daemon.stall_log(until));
    }

    /// From now on nothing is written down for a next run.
    pub fn keeper_stalls(&mut self) {
        self.daemon.as_mut().expect("a daemon").keeper_stalls = true;
    }

    pub fn log_is_stalled(&self) -> bool {
        let now = self.now().mono;
        self.daemon.as_ref().is_none_or(|daemon| daemon.stalled_until > now)
    }

    /// The alarms so far; they are known from now on.
    pub fn alarms(&mut self) -> Vec<String> {
        self.daemon.as_mut().map(|daemon| std::mem::take(&mut daemon.alarms)).unwrap_or_default()
    }

    pub fn calls_in_progress(&self) -> usize {
        self.daemon.as_ref().map_or(0, |daemon| daemon.switchboard.calls())
    }
}
