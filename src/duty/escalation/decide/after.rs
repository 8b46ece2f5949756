//! What follows on an acknowledgement: the duty leader is reached himself, the matter is looked at, an instruction is
//! confirmed (escalation.md, rule 6, M).

use super::{ASK_AGAIN, At, Look, Want, in_flight, millis};
use crate::duty::escalation::{After, Again, Attempt, Decision, Target};
use crate::duty::journal::AttemptResult;
use crate::duty::roster::{Person, Role};
use crate::duty::switchboard::Errand;

impl Look<'_> {
    /// Somebody has acknowledged.
    pub(super) fn acknowledged(&self) -> Decision {
        let mut wants = vec![];
        let mut ends = vec![];
        if self.is_handed_on() {
            if !self.is_listened_to() {
                return Decision::RaiseAgain(Again::HandedOn);
            }
            ends.push((ASK_AGAIN, "somebody is listening to it"));
        }
        let leader = self.roster.holder(Role::Leader);
        let settled = leader.is_some_and(|leader| {
            self.handed_on(leader).is_some() || self.escalation.knows(&leader.name)
        });
        if !self.escalation.leader_reached && !settled {
            wants.extend(self.leader_himself());
            ends.push((millis(self.policy.redial_leader), "no number of the leader works"));
        }
        if let Some(after) = &self.policy.after {
            if !self.escalation.read {
                let raise = self.acked() + self.patience(after);
                if raise <= 0 && !self.is_listened_to() {
                    return Decision::RaiseAgain(Again::Unread);
                }
                ends.push(match raise <= 0 {
                    true => (ASK_AGAIN, "somebody is listening to it"),
                    false => (raise, "nobody has looked at it"),
                });
                wants.extend(self.reminder(after));
            }
            if let Some(since) = self.escalation.unconfirmed {
                wants.extend(self.desk(self.rel(since), after));
                ends.push((millis(after.confirm), "the instruction is not confirmed"));
            }
        }
        if ends.is_empty() {
            return Decision::Done;
        }
        let (calls, next) = self.sort_out(wants);
        if !calls.is_empty() {
            return Decision::Notify(calls);
        }
        self.wait(ends.into_iter().chain(next).min())
    }

    /// The duty leader commands personally (5.2): he is called until he presses the key himself.
    fn leader_himself(&self) -> Vec<Want> {
        let mut wants: Vec<Want> = self.redial_leader().into_iter().collect();
        let leader = self.roster.holder(Role::Leader);
        wants.extend(leader.and_then(|leader| self.follow_up(Role::Leader, leader, None, false)));
        wants
    }

    fn acked(&self) -> At {
        self.escalation.acked.as_ref().map_or(0, |acked| self.rel(acked.at))
    }

    /// Whoever was reminded has pressed 3, and knows no more of it than that there is something, or has heard it and
    /// instructed nothing.
    fn is_handed_on(&self) -> bool {
        let (read, instructed) = (self.escalation.read, self.escalation.unconfirmed.is_some());
        let of_reminder = |one: &Attempt| one.errand == Errand::Remind && one.handed_on.is_some();
        let mut handed = self.escalation.attempts.iter().filter(|one| of_reminder(one));
        handed.any(|one| !read || (one.engaged && !instructed))
    }

    fn is_listened_to(&self) -> bool {
        in_flight(self.escalation).any(|one| one.engaged && one.handed_on.is_none())
    }

    /// After the acknowledgement: where nobody can be reminded, no longer than until he would be.
    fn patience(&self, after: &After) -> At {
        let (made, _) = self.made(Errand::Remind);
        let reminder = after.remind.get(made).filter(|_| self.who_knows().is_none());
        millis(*reminder.unwrap_or(&after.raise_again))
    }

    /// Whoever has acknowledged, where he is still on duty; else the duty leader, where he has too.
    fn who_knows(&self) -> Option<&Person> {
        let acked = self.escalation.acked.as_ref()?;
        let leader = self.roster.holder(Role::Leader);
        let leader = leader.filter(|leader| self.escalation.knows(&leader.name));
        self.roster.named(&acked.person).or(leader)
    }

    /// Whoever has acknowledged is called when he has not looked at it for so long.
    fn reminder(&self, after: &After) -> Option<Want> {
        let person = self.who_knows()?;
        let (made, again) = self.made(Errand::Remind);
        let due = self.acked() + millis(*after.remind.get(made)?);
        self.errand(person, Errand::Remind, due.max(again), "he has not looked at it")
    }

    fn desk(&self, since: At, after: &After) -> Option<Want> {
        let officer = self.roster.holder(Role::Officer)?;
        let of_desk = |attempt: &&Attempt| attempt.errand == Errand::Confirm;
        let last = self.escalation.attempts.iter().rev().find(of_desk);
        let last = last.map_or(since, |last| self.rel(last.started).max(since));
        let (_, again) = self.made(Errand::Confirm);
        let due = (last + millis(after.confirm)).max(again);
        self.errand(officer, Errand::Confirm, due, "the instruction is not confirmed")
    }

    /// How many calls of this kind came to something, and when one that did not may be made again.
    fn made(&self, errand: Errand) -> (usize, At) {
        let failed = |attempt: &Attempt| {
            matches!(
                attempt.ended,
                Some((_, AttemptResult::ChannelFailed | AttemptResult::Interrupted))
            )
        };
        let calls = self.escalation.attempts.iter().filter(|attempt| attempt.errand == errand);
        let (lost, made): (Vec<&Attempt>, Vec<&Attempt>) = calls.partition(|one| failed(one));
        let again = lost.last().and_then(|last| last.ended).map(|(at, _)| self.rel(at));
        (made.len(), again.map_or(At::MIN / 4, |at| at + millis(self.policy.channel_retry)))
    }

    fn errand(&self, person: &Person, errand: Errand, at: At, why: &'static str) -> Option<Want> {
        let number = self.living(person).first().copied()?.to_owned();
        let role = match errand {
            Errand::Confirm => person.role,
            Errand::Tell
            | Errand::Remind
            | Errand::Silent
            | Errand::Drill
            | Errand::RollCall
            | Errand::CheckNumber => self.roster.role_of(&person.name)?,
        };
        let ring = self.policy.ring;
        let person = person.name.clone();
        let (place, after_cut, joins) = (None, false, None);
        let target = Target { place, role, person, number, ring, errand, after_cut, joins, why };
        Some(Want { at, target })
    }
}
