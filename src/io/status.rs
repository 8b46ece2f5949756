//! The state of line, recorder and disk, and what happens right now: shared with the page.

use crate::duty::figures::Figures;
use crate::duty::ids::{CallId, EntryId};
use crate::duty::journal::Arrival;
use crate::duty::placed::Refusal;
use crate::io::tape::{Heard, Progress};
use crate::protocol::now::Now;
use crate::protocol::rtp::Party;
use crate::protocol::rtp::quality::{Grade, Quality};
use crate::protocol::rtp::sound::Fault;
use crate::protocol::sip::claims::Diverted;
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::collections::BTreeMap;
use tokio::sync::{broadcast, watch};

/// Always in sight on the officer's page.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Status {
    pub line: LineState,
    /// Of the duty numbers beside the line's own.
    pub numbers: BTreeMap<String, LineState>,
    /// Calls with an open voice channel.
    pub calls: usize,
    pub recorder: PartState,
    pub log: PartState,
    pub disk: DiskState,
    /// What is wrong now and how to mend it, by a stable key; shown until it is mended.
    pub alarms: BTreeMap<&'static str, Alarm>,
    /// When the line was tested last by this run.
    pub self_tested: Option<DateTime<Utc>>,
    /// Whether the last self-test of each duty number was good.
    pub self_tests: BTreeMap<String, bool>,
    /// None where there is no second copy of recordings.
    pub copies: Option<CopyState>,
}

/// Files that have no second copy yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CopyState {
    pub left: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum LineState {
    #[default]
    Starting,
    Registered {
        since: DateTime<Utc>,
    },
    /// `status`: the registrar's answer, 408 for none.
    Lost {
        since: DateTime<Utc>,
        status: u16,
        why: String,
    },
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum PartState {
    #[default]
    Ok,
    Failed {
        since: DateTime<Utc>,
        why: String,
    },
}

/// Free space where recordings are kept, in bytes, and the days it lasts for at the rate of an
/// always busy line.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct DiskState {
    pub free: u64,
    pub days: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alarm {
    pub since: DateTime<Utc>,
    /// What is wrong and the remedy, in Chinese and in English.
    pub zh: String,
    pub en: String,
}

/// Something happened that a page may want to show at once. The page fetches the rest.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Live {
    /// A call rings. `caller` is the number, `name` the contact's or the display name.
    Ringing {
        entry: EntryId,
        caller: String,
        name: String,
        /// The PBX vouches for the number.
        vouched: bool,
        /// The duty number that was called; empty for the line's own.
        called: String,
        /// Who had the call before, the first first.
        diverted: Vec<String>,
        at: DateTime<Utc>,
    },
    /// The call was answered, ended, was flagged, was filled in: its row and form have changed.
    Entry {
        entry: EntryId,
    },
    /// A call that somebody wanted to make is not made.
    NotPlaced {
        call: CallId,
        why: Refusal,
    },
    /// An attempt of its escalation changed.
    Escalation {
        entry: EntryId,
    },
    Status,
    /// What is being recorded, twice a second.
    Levels {
        calls: Vec<Level>,
    },
}

/// How much of a recording is safe, and how loud its two sides are: dB below full scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Level {
    pub entry: EntryId,
    pub safe: u64,
    pub left: u8,
    pub right: u8,
}

impl Level {
    pub fn of(progress: &Progress) -> Self {
        let of = |left: bool| {
            let side = progress.parties.iter().filter(|one| left == (one.party == Party::Caller));
            side.map(|one| one.peak).min().unwrap_or(u8::MAX)
        };
        let entry = CallId(progress.call).into();
        Self { entry, safe: progress.safe.as_secs(), left: of(true), right: of(false) }
    }
}

impl Live {
    /// A call that has just come; `name` is the contact's or the display name.
    pub fn ringing(arrival: &Arrival, name: &str, now: Now) -> Self {
        let by = |diverted: &Diverted| match diverted.by.user.as_str() {
            "" => diverted.by.display.clone(),
            number => number.to_owned(),
        };
        Self::Ringing {
            entry: EntryId::from(arrival.call),
            caller: arrival.caller.clone(),
            name: name.to_owned(),
            vouched: arrival.vouched,
            called: arrival.called.clone(),
            diverted: arrival.diverted.iter().map(by).collect(),
            at: now.wall,
        }
    }
}

/// How whoever is heard now is heard.
pub type Voices = BTreeMap<(CallId, Party), Quality>;

/// Cheap to clone; handed to whoever reports or shows.
#[derive(Debug, Clone)]
pub struct Board {
    status: watch::Sender<Status>,
    voices: watch::Sender<Voices>,
    tapes: watch::Sender<BTreeMap<CallId, Progress>>,
    figures: watch::Sender<Figures>,
    /// Who listens to which call.
    listeners: watch::Sender<Vec<(CallId, String)>>,
    live: broadcast::Sender<Live>,
}

impl Board {
    pub fn new() -> Self {
        Self {
            status: watch::Sender::new(Status::default()),
            voices: watch::Sender::new(Voices::new()),
            tapes: watch::Sender::new(BTreeMap::new()),
            figures: watch::Sender::new(Figures::default()),
            listeners: watch::Sender::new(vec![]),
            live: broadcast::Sender::new(256),
        }
    }

    /// Changes the status; tells the pages if it is different afterwards.
    pub fn update(&self, change: impl FnOnce(&mut Status)) {
        let changed = self.status.send_if_modified(|status| {
            let before = status.clone();
            change(status);
            *status != before
        });
        if changed {
            self.tell(Live::Status);
        }
    }

    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Every state of it from now on, or the last of several.
    pub fn changes(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// A party is heard so; the pages are told when its mark is another one.
    pub fn hears(&self, call: CallId, party: Party, quality: Quality) {
        let grade = |quality: Quality| Some(quality.mos?.latest.grade());
        let mut before: Option<Grade> = None;
        self.voices.send_modify(|voices| {
            before = voices.insert((call, party), quality).and_then(grade);
        });
        if before != grade(quality) {
            self.tell(Live::Entry { entry: call.into() });
        }
    }

    /// The call is over: whoever was heard in it under another name is forgotten too.
    pub fn forget_voices(&self, call: CallId) {
        self.voices.send_modify(|voices| voices.retain(|(of, _), _| *of != call));
    }

    /// A party is heard no more.
    pub fn forget_voice(&self, call: CallId, party: Party) {
        self.voices.send_modify(|voices| {
            voices.remove(&(call, party));
        });
    }

    /// The parties of a call who are heard now.
    pub fn voices(&self, call: CallId) -> Vec<(Party, Quality)> {
        let voices = self.voices.borrow();
        let of = voices.range((call, Party::Caller)..=(call, Party::Prompt));
        of.map(|((_, party), quality)| (*party, *quality)).collect()
    }

    pub fn all_voices(&self) -> Voices {
        self.voices.borrow().clone()
    }

    /// These calls are being recorded so; the pages are told, and look again where something else is wrong than before.
    /// Gives the calls where that is so.
    pub fn records(&self, progress: Vec<Progress>) -> Vec<Progress> {
        let faults = |progress: &Progress| -> Vec<(Party, Option<Fault>)> {
            let fault = |one: &Heard| (one.party, one.fault.map(|(fault, _)| fault));
            progress.parties.iter().map(fault).collect()
        };
        let calls = progress.iter().map(Level::of).collect();
        let now = progress.into_iter().map(|one| (CallId(one.call), one)).collect();
        let before = self.tapes.send_replace(now);
        let all = self.tapes.borrow();
        let others =
            all.iter().filter(|(call, now)| before.get(*call).map(faults) != Some(faults(now)));
        let changed: Vec<Progress> = others.map(|(_, now)| now.clone()).collect();
        drop(all);
        for one in &changed {
            self.tell(Live::Entry { entry: CallId(one.call).into() });
        }
        self.tell(Live::Levels { calls });
        changed
    }

    /// How this call is being recorded.
    pub fn tape(&self, call: CallId) -> Option<Progress> {
        self.tapes.borrow().get(&call).cloned()
    }

    /// What the control task has counted, once a second.
    pub fn report(&self, figures: Figures) {
        self.figures.send_replace(figures);
    }

    pub fn figures(&self) -> Figures {
        self.figures.borrow().clone()
    }

    /// Somebody listens to the call, as long as what is given back is kept.
    pub fn listens(&self, call: CallId, name: &str) -> Listens {
        let who = (call, name.to_owned());
        self.listeners.send_modify(|all| all.push(who.clone()));
        self.tell(Live::Entry { entry: call.into() });
        Listens { board: self.clone(), who }
    }

    /// Who listens to the call now.
    pub fn listeners(&self, call: CallId) -> Vec<String> {
        let all = self.listeners.borrow();
        all.iter().filter(|(of, _)| *of == call).map(|(_, name)| name.clone()).collect()
    }

    pub fn tell(&self, live: Live) {
        // No page is open: nobody to tell.
        let _ = self.live.send(live);
    }

    pub fn listen(&self) -> broadcast::Receiver<Live> {
        self.live.subscribe()
    }
}

/// Somebody who listens to a call that goes on.
#[derive(Debug)]
pub struct Listens {
    board: Board,
    who: (CallId, String),
}

impl Drop for Listens {
    fn drop(&mut self) {
        self.board.listeners.send_modify(|all| {
            if let Some(at) = all.iter().position(|one| *one == self.who) {
                all.remove(at);
            }
        });
        self.board.tell(Live::Entry { entry: self.who.0.into() });
    }
}

impl Default for Board {
    fn default() -> Self {
        Self::new()
    }
}
