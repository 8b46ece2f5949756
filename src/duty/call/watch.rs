//! Whether a conversation is still one: when each side was last heard, who holds, how long it lasts.

use crate::duty::line_plan::Answering;
use crate::protocol::now::{Deadline, Mono, earlier};
use crate::protocol::rtp::Party;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// **Handle one thing, then wait for the next or `deadline`.** A hold, or a party that announced
/// that it sends nothing, stops the watch; it begins anew after.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Watch {
    began: Mono,
    /// Since when silence counts.
    since: Mono,
    caller: Side,
    officer: Side,
    /// The alarm about its length has been raised.
    told: bool,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Side {
    /// When it was last heard, while it is not.
    quiet: Option<Mono>,
    holds: bool,
    mute: bool,
}

/// What has come about by waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// Nothing was heard of this party, or of nobody, for so long.
    Silent(Option<Party>, Duration),
    /// The call lasts suspiciously long.
    Long,
}

impl Watch {
    pub fn new(now: Mono) -> Self {
        let side = Side::default();
        Self { began: now, since: now, caller: side, officer: side, told: false }
    }

    /// Nothing was heard of the party since then; none: it is heard again.
    pub fn handle_voice(&mut self, party: Party, quiet_since: Option<Mono>) {
        self.side(party).quiet = quiet_since;
    }

    /// What the party's latest description says. True where its hold began or ended with it.
    pub fn handle_description(&mut self, party: Party, holds: bool, mute: bool, now: Mono) -> bool {
        let side = self.side(party);
        let changed = side.holds != holds;
        let same = !changed && side.mute == mute;
        side.holds = holds;
        side.mute = mute;
        if !same {
            self.since = now;
        }
        changed
    }

    pub fn is_held(&self) -> bool {
        self.caller.holds || self.officer.holds
    }

    pub fn handle_timeout(&mut self, plan: &Answering, now: Mono) -> Option<Finding> {
        if let Some((at, finding)) = self.silence(plan)
            && at <= now
        {
            return Some(finding);
        }
        let long = !self.told && self.began + plan.long_call <= now;
        self.told |= long;
        long.then_some(Finding::Long)
    }

    pub fn deadline(&self, plan: &Answering) -> Option<Deadline> {
        let silence = self.silence(plan).map(|(at, _)| (at, "nothing is heard any more"));
        let long = (self.began + plan.long_call, "call lasts suspiciously long");
        earlier(silence, (!self.told).then_some(long))
    }

    /// When silence ends the call, if it lasts.
    fn silence(&self, plan: &Answering) -> Option<(Mono, Finding)> {
        let paused = self.is_held() || self.caller.mute || self.officer.mute;
        if paused {
            return None;
        }
        let after = |quiet: Mono, limit: Duration| quiet.max(self.since) + limit;
        let one = |party, side: Side| {
            let limit = plan.silence.one?;
            Some((after(side.quiet?, limit), Finding::Silent(Some(party), limit)))
        };
        let both = || {
            let limit = plan.silence.both?;
            let quiet = self.caller.quiet?.max(self.officer.quiet?);
            Some((after(quiet, limit), Finding::Silent(None, limit)))
        };
        let sides = [one(Party::Caller, self.caller), one(Party::Officer, self.officer)];
        both().into_iter().chain(sides.into_iter().flatten()).min_by_key(|(at, _)| *at)
    }

    fn side(&mut self, party: Party) -> &mut Side {
        match party {
            Party::Caller => &mut self.caller,
            Party::Officer | Party::Leader | Party::Prompt => &mut self.officer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono(seconds * 1_000_000_000)
    }

    /// Ends after 60 s of silence of both, after 180 s of one.
    fn plan() -> Answering {
        Answering::default()
    }

    #[test]
    fn sig_23_both_silent_end_it_sooner_than_one() {
        let mut watch = Watch::new(at(0));
        watch.handle_voice(Party::Caller, Some(at(10)));
        assert_eq!(watch.deadline(&plan()), Some((at(190), "nothing is heard any more")));
        watch.handle_voice(Party::Officer, Some(at(100)));
        assert_eq!(watch.handle_timeout(&plan(), at(159)), None);
        let finding = watch.handle_timeout(&plan(), at(160));
        assert_eq!(finding, Some(Finding::Silent(None, Duration::from_secs(60))));
        watch.handle_voice(Party::Officer, None);
        let finding = watch.handle_timeout(&plan(), at(190));
        let limit = Duration::from_secs(180);
        assert_eq!(finding, Some(Finding::Silent(Some(Party::Caller), limit)));
    }

    #[test]
    fn sig_23_a_hold_stops_the_watch_and_its_end_begins_it_anew() {
        let mut watch = Watch::new(at(0));
        assert!(watch.handle_description(Party::Officer, true, true, at(1)));
        assert!(!watch.handle_description(Party::Officer, true, true, at(2)));
        watch.handle_voice(Party::Officer, Some(at(1)));
        watch.handle_voice(Party::Caller, Some(at(1)));
        assert_eq!(watch.handle_timeout(&plan(), at(601)), None);
        assert!(watch.handle_description(Party::Officer, false, false, at(602)));
        assert_eq!(watch.handle_timeout(&plan(), at(661)), None);
        assert!(watch.handle_timeout(&plan(), at(662)).is_some());
    }

    #[test]
    fn who_announced_silence_is_not_waited_for() {
        let mut watch = Watch::new(at(0));
        assert!(!watch.handle_description(Party::Caller, false, true, at(1)));
        watch.handle_voice(Party::Caller, Some(at(1)));
        assert_eq!(watch.handle_timeout(&plan(), at(1000)), None);
    }

    #[test]
    fn sig_23_eight_hours_are_an_alarm_once() {
        let mut watch = Watch::new(at(0));
        let (due, _) = watch.deadline(&plan()).unwrap();
        assert_eq!(due, at(8 * 3600));
        assert_eq!(watch.handle_timeout(&plan(), due), Some(Finding::Long));
        assert_eq!(watch.handle_timeout(&plan(), due), None);
        assert_eq!(watch.deadline(&plan()), None);
    }

    #[test]
    fn nothing_ends_it_where_the_plan_says_so() {
        let mut plan = plan();
        (plan.silence.one, plan.silence.both) = (None, None);
        let mut watch = Watch::new(at(0));
        watch.handle_voice(Party::Caller, Some(at(0)));
        watch.handle_voice(Party::Officer, Some(at(0)));
        assert_eq!(watch.handle_timeout(&plan, at(7 * 3600)), None);
    }
}
