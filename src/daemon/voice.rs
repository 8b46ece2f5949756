//! What the telephone needs: media, tape, checkpoint and control threads, by the configuration.

use super::DRAIN_WITHIN;
use crate::config::copies::Copies;
use crate::config::{Config, OtherNumber, SelfTest, Storage};
use crate::duty::checkpoint::GoesOn;
use crate::duty::ladder::Traced;
use crate::duty::line_plan::LinePlan;
use crate::duty::switchboard::Input;
use crate::io::checkpoint::{self, Keeper, Left};
use crate::io::ladder::traces;
use crate::io::line::{self, Line, Wiring};
use crate::io::logbook::{Told, facts};
use crate::io::media::{self, Media, MediaPlan};
use crate::io::pulse::Pulse;
use crate::io::self_test::{self, Tested};
use crate::io::slips::{self, Slips};
use crate::io::status::{Board, LineState};
use crate::io::tape::{self, Other, Tape, TapePlan};
use crate::io::tls::Door;
use crate::io::{listening, prompts, wav_file};
use crate::protocol::rtp::Prompt;
use crate::protocol::sip::{Account, Habits, Peer, Transport};
use anyhow::Context;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tracing::error;

/// The threads that the telephone needs, and what they report.
pub struct Voice {
    pub media: Arc<Media>,
    pub tape: Tape,
    pub line: Line,
    pub orders: mpsc::Sender<Input>,
    /// Answered by the control task.
    pub asks: mpsc::Sender<oneshot::Sender<GoesOn>>,
    pub slips: Slips,
    pub facts: Told,
    pub traced: mpsc::Receiver<Traced>,
    pub recordings: mpsc::UnboundedReceiver<tape::Event>,
    pub wanted: mpsc::Receiver<listening::Wanted>,
    pub pulse: Pulse,
    pub keeper: Keeper,
}

impl Voice {
    /// The PBX is told that there is no duty line.
    pub async fn leave(&mut self) {
        if self.orders.send(Input::Shutdown).await.is_ok() {
            let _ = tokio::time::timeout(DRAIN_WITHIN, self.line.ended()).await;
        }
    }
}

pub fn start_voice(
    config: &Config,
    peers: Vec<Peer>,
    sockets: line::Sockets,
    left: Left,
    board: Board,
) -> anyhow::Result<Voice> {
    let (media_events, from_media) = mpsc::unbounded_channel();
    let (media, feed, rtp_ports) =
        media::start(media_plan(config), prompts::load(own_prompts(config)), media_events)
            .context("cannot open the RTP ports")?;
    let media = Arc::new(media);
    let (tape_events, recordings) = mpsc::unbounded_channel();
    let tape_plan = TapePlan {
        data: config.storage.data.clone(),
        recordings: config.storage.recordings.clone(),
        others: other_places(&config.storage),
        open: left.checkpoint.taped().into_iter().map(|call| call.0).collect(),
    };
    let tape = tape::start(tape_plan, feed, tape_events);
    let (changes, keeper) = checkpoint::start(config.storage.data.join("calls.checkpoint"), &left);
    let (orders, to_line) = line::orders();
    let (asks, asked) = mpsc::channel(1);
    let (to_log, facts) = facts();
    let (to_ladders, traced) = traces();
    let (fetches, wanted) = listening::queue();
    let ended = slips::outcomes();
    let slips = Slips::new(orders.clone(), ended.clone());
    let pulse = Pulse::default();
    let plan = line_plan(config, peers, sockets.local_addr()?, rtp_ports);
    board.update(|status| {
        let numbers = plan.numbers.iter().map(|one| (one.number.clone(), LineState::Starting));
        status.numbers = numbers.collect();
    });
    let wiring = Wiring {
        media: Arc::clone(&media),
        media_events: from_media,
        facts: to_log,
        board,
        traces: to_ladders,
        orders: to_line,
        asked,
        door: config.line.tls.clone().map(Door::new),
        fetches,
        slips: ended,
        pulse: pulse.clone(),
        left: left.checkpoint,
        keeper: changes,
    };
    let line = line::start(sockets, plan, wiring).context("cannot start the control thread")?;
    Ok(Voice {
        media,
        tape,
        line,
        orders,
        asks,
        slips,
        facts,
        traced,
        recordings,
        wanted,
        pulse,
        keeper,
    })
}

/// Where the running tape goes on while the data disk does not take it.
fn other_places(storage: &Storage) -> Vec<Other> {
    let copies = match &storage.copies {
        Some(Copies::Folder(folder)) => Some(folder),
        Some(Copies::Bucket(_)) | None => None,
    };
    let roots = [&storage.recordings].into_iter().chain(copies);
    roots.map(|root| Other::beside(&storage.data, root)).collect()
}

/// How the daemon calls itself, where an extension is configured for it.
pub fn self_test_plan(config: &Config, peers: &[Peer]) -> Option<self_test::Plan> {
    let (test, line) = (config.self_test.as_ref()?, &config.line);
    let peers: Vec<Peer> =
        peers.iter().map(|peer| Peer { transport: Transport::Udp, ..*peer }).collect();
    let pbx = peers.first().copied().unwrap_or(Peer::nowhere(Transport::Udp));
    Some(self_test::Plan {
        account: Account {
            local: line.listen,
            pbx,
            peers,
            habits: Habits { trunk: false, ..line.habits.clone() },
            domain: line.domain.clone(),
            user: test.user.clone(),
            display: String::new(),
            auth_user: test.auth_user.clone(),
            password: test.password.clone(),
            realm: line.realm.clone(),
            expires: 60,
            others: vec![],
            session_expires: 0,
            also_trusted: line.trusted.clone(),
            agent: "dutyline".into(),
        },
        numbers: tested(config, test),
        listen: line.listen.ip(),
        media: config.media.listen,
        advertise: line.advertise,
        every: test.every,
        recordings: config.storage.recordings.clone(),
    })
}

/// The line's own number first.
fn tested(config: &Config, test: &SelfTest) -> Vec<Tested> {
    let line = &config.line;
    let own = Tested {
        number: String::new(),
        name: String::new(),
        shown: line.number.clone(),
        dial: test.dial.clone().unwrap_or_else(|| line.user.clone()),
    };
    let other = |one: &OtherNumber| Tested {
        number: one.plan.number.clone(),
        name: one.plan.name.clone(),
        shown: one.plan.number.clone(),
        dial: one.test_dial.clone().unwrap_or_else(|| one.aor.user.clone()),
    };
    [own].into_iter().chain(config.numbers.iter().map(other)).collect()
}

fn media_plan(config: &Config) -> MediaPlan {
    MediaPlan {
        listen: config.media.listen,
        first_port: config.media.first_port,
        channels: config.media.channels,
        realtime: config.media.realtime,
        places: config.media.places,
    }
}

fn line_plan(
    config: &Config,
    peers: Vec<Peer>,
    bound: SocketAddr,
    rtp_ports: Vec<u16>,
) -> LinePlan {
    let line = &config.line;
    LinePlan {
        account: Account {
            local: SocketAddr::new(line.advertise, bound.port()),
            pbx: peers.first().copied().unwrap_or(Peer::nowhere(line.transport)),
            peers,
            habits: line.habits.clone(),
            domain: line.domain.clone(),
            user: line.user.clone(),
            display: String::new(),
            auth_user: line.auth_user.clone(),
            password: line.password.clone(),
            realm: line.realm.clone(),
            expires: line.expires,
            others: config.numbers.iter().map(|number| number.aor.clone()).collect(),
            session_expires: line.session_expires,
            also_trusted: line.trusted.clone(),
            agent: "dutyline".into(),
        },
        answer_supervision: line.answer_supervision,
        keys_in_voice: line.keys_in_voice,
        media_address: line.advertise,
        places: config.media.places,
        rtp_ports,
        phones: config.phones.clone(),
        rings: config.rings.clone(),
        numbers: config.numbers.iter().map(|number| number.plan.clone()).collect(),
        reserved_channels: usize::from(config.media.reserved),
        entry_budget: config.storage.entry_budget,
        callers: config.callers.clone(),
        finish: line.finish,
        answering: config.answering.clone(),
        srtp: config.media.srtp,
        dial: config.dial.clone(),
        registrar: config.registrar.clone(),
        self_test: config.self_test.as_ref().map(|test| test.shown_as.clone()),
    }
}

/// What the site says in its own voice; ours where a file cannot be read any more.
fn own_prompts(config: &Config) -> Vec<(Prompt, Vec<i16>)> {
    let read = |(prompt, path): &(Prompt, PathBuf)| match wav_file::read_file(path) {
        Ok(channels) => Some((*prompt, channels.into_iter().next()?)),
        Err(error) => {
            error!(file = %path.display(), %error, "cannot be read: the built-in voice says it");
            None
        }
    };
    config.prompts.iter().filter_map(read).collect()
}
