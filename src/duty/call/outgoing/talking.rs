//! Officer and called party talk: what either does, and what the officer's phone asks.

use super::{End, Outgoing, State};
use crate::duty::call::LegEvent;
use crate::duty::call::bridge::{Bridge, Guest, HungUp};
use crate::duty::call::desk::Desk;
use crate::duty::call::keys::Via;
use crate::duty::call::pickup::Picker;
use crate::duty::journal::Disposition;
use crate::protocol::now::{Mono, Now};
use crate::protocol::rtp::{Party, Prompt, Tone};
use crate::protocol::sip::{Incoming as Invite, LegId};

impl Outgoing {
    pub(super) fn talking(&mut self, leg: LegId, event: LegEvent, desk: &mut Desk, now: Now) {
        let State::Talking(bridge) = &mut self.state else { return };
        match event {
            event if bridge.is_target(leg) => {
                if bridge.handle_target(event, desk, now) {
                    self.left_alone(desk, now);
                }
            }
            LegEvent::Refer { refer } => bridge.handle_refer(leg, &refer, desk, now),
            LegEvent::Offer { sdp } => bridge.handle_offer(leg, sdp.as_deref(), desk, now),
            LegEvent::Answer { sdp } => bridge.handle_answer(leg, &sdp, desk, now),
            LegEvent::Key(key) => {
                let party = if bridge.is_guest(leg) {
                    Party::Leader
                } else if bridge.is_officer(leg) {
                    Party::Officer
                } else {
                    Party::Caller
                };
                bridge.handle_key(party, key, Via::Info, desk, now);
            }
            LegEvent::Ended(ending) => {
                if let Some(hung_up) = bridge.handle_ended(leg, ending, desk, now) {
                    self.hung_up(&hung_up, desk, now);
                }
            }
            // Somebody to whom the call was handed on picked up as he was given up.
            LegEvent::Answered { .. } => desk.sip.bye(leg, now),
            LegEvent::Cancelled { .. }
            | LegEvent::Progress { .. }
            | LegEvent::Refused { .. }
            | LegEvent::OfferRefused { .. } => {}
        }
    }

    pub fn bridge(&mut self) -> Option<&mut Bridge> {
        match &mut self.state {
            State::Talking(bridge) => Some(bridge),
            State::Entering { .. } | State::Desk(_) | State::Dialling { .. } | State::Over => None,
        }
    }

    /// Whom we called is in another call.
    pub fn gave_away(&mut self, desk: &mut Desk, now: Now) {
        let (disposition, by) = (Disposition::Answered, Some(Party::Officer));
        let why = "its called party was joined to another call";
        self.end(&End { disposition, by, status: 200, why }, desk, now);
    }

    /// Another phone of the room takes the officer's place.
    pub fn handle_replaced(
        &mut self,
        replaced: LegId,
        who: (LegId, &Invite),
        desk: &mut Desk,
        now: Now,
    ) {
        let picker = Picker::new(self.id, who, desk, now);
        let is_officers =
            |bridge: &Bridge| bridge.is_officer(replaced) || bridge.is_target(replaced);
        let taken = match &mut self.state {
            State::Talking(bridge) if picker.may && is_officers(bridge) => {
                picker.takes(bridge, desk, now)
            }
            _ => Err(603),
        };
        if let Err(status) = taken {
            picker.refuse(status, desk, now);
        }
    }

    /// Whether a leader may join.
    pub fn has_room(&self) -> bool {
        matches!(&self.state, State::Talking(bridge) if bridge.has_room())
    }

    pub fn seat(&mut self, guest: Guest, desk: &mut Desk, now: Now) {
        if let State::Talking(bridge) = &mut self.state {
            bridge.seat(guest, desk, now);
        }
    }

    pub(super) fn talking_timeout(&mut self, desk: &mut Desk, now: Now) {
        let State::Talking(bridge) = &mut self.state else { return };
        if bridge.target_timeout(desk, now) {
            self.left_alone(desk, now);
        } else if let Some(hung_up) = bridge.handle_timeout(desk, now) {
            self.hung_up(&hung_up, desk, now);
        }
    }

    /// A key in the voice stream of a party.
    pub fn handle_key(&mut self, party: Party, key: char, desk: &mut Desk, now: Now) {
        if let State::Talking(bridge) = &mut self.state {
            bridge.handle_key(party, key, Via::Rtp, desk, now);
        }
    }

    /// Where the trunk tells nothing of it, the busy tone says that the far end is gone, or never came.
    pub fn handle_tone(&mut self, party: Party, tone: Tone, since: Now, desk: &mut Desk, now: Now) {
        if !matches!(tone, Tone::Busy | Tone::Congestion) {
            return;
        }
        if party == Party::Leader {
            return self.leader_is_gone(since, desk, now);
        }
        if party == Party::Officer {
            return self.stranger_is_gone(since, desk, now);
        }
        if party != Party::Caller {
            return;
        }
        match &self.state {
            State::Talking(_) => {
                self.hang_up(200, desk, now);
                let why = "the called party is gone, as the busy tone says";
                let (disposition, by) = (Disposition::Answered, Some(Party::Caller));
                self.end(&End { disposition, by, status: 200, why }, desk, since);
            }
            State::Dialling { far, .. } => {
                desk.sip.cancel(far.leg, now);
                self.far_refuses(486, desk, now);
            }
            State::Entering { .. } | State::Desk(_) | State::Over => {}
        }
    }

    fn leader_is_gone(&mut self, since: Now, desk: &mut Desk, now: Now) {
        let State::Talking(bridge) = &mut self.state else { return };
        if bridge.leader_is_gone(since, desk, now) {
            self.hang_up(200, desk, now);
            let why = "the leader hung up, as the busy tone says";
            let (disposition, by) = (Disposition::Answered, Some(Party::Leader));
            self.end(&End { disposition, by, status: 200, why }, desk, since);
        }
    }

    fn stranger_is_gone(&mut self, since: Now, desk: &mut Desk, now: Now) {
        let State::Talking(bridge) = &mut self.state else { return };
        if bridge.stranger_is_gone(since, desk, now) {
            self.hang_up(200, desk, now);
            let why = "who was joined hung up, as the busy tone says";
            let (disposition, by) = (Disposition::Answered, Some(Party::Officer));
            self.end(&End { disposition, by, status: 200, why }, desk, since);
        }
    }

    pub fn handle_voice(&mut self, party: Party, quiet_since: Option<Mono>) {
        if let State::Talking(bridge) = &mut self.state {
            bridge.handle_voice(party, quiet_since);
        }
    }

    pub fn handle_played(&mut self, prompt: Prompt) {
        if let State::Dialling { officer, .. } = &mut self.state {
            officer.handle_played(prompt);
        }
    }

    fn hung_up(&mut self, hung_up: &HungUp, desk: &mut Desk, now: Now) {
        let HungUp { disposition, by, why } = hung_up;
        self.end(&End { disposition: *disposition, by: *by, status: 200, why }, desk, now);
    }

    /// The officer handed the call on and left, and nobody took it.
    fn left_alone(&mut self, desk: &mut Desk, now: Now) {
        self.hang_up(200, desk, now);
        let why = "nobody took the call that was handed on";
        let disposition = Disposition::Answered;
        self.end(&End { disposition, by: None, status: 200, why }, desk, now);
    }
}
