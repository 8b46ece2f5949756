//! The quiet channels of an escalation, each with a worker, a client and limits of its own: one that
//! hangs or fails delays no other, and never the telephone. What is sent when is decided elsewhere.

mod alarms;
mod dingtalk;
mod feishu;
pub(in crate::io) mod guard;
pub mod heads;
pub(in crate::io) mod http;
mod mail;
mod modem;
mod push;
mod replies;
pub(in crate::io) mod signing;
mod sip_message;
mod sms;
mod troubles;
mod webhook;
mod wecom;
mod worker;

use crate::config::channels::{Alarms, Channel, Gateway, Modem, To, Way};
use crate::duty::ids::DeliveryId;
use crate::duty::notices::{self, Item, Kind, Text, Verdict, What};
use crate::duty::roster::{Person, Role, Roster};
use crate::io::clock;
use crate::io::slips::Slips;
use crate::io::status::Board;
use crate::io::store::{Matter, Outgoing, Store, StoreError};
use chrono::{DateTime, Utc};
use guard::Guard;
use http::{Http, Request};
use modem::Inbox;
pub use replies::{Heard, Post, Replies, Signed};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Notify};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};
use troubles::Troubles;

/// What an adapter is given to send.
pub struct Letter<'a> {
    pub name: DeliveryId,
    pub of: Of<'a>,
    pub items: &'a [Item],
    pub text: &'a Text,
    /// With which its readers may answer, one for each matter.
    pub codes: &'a [String],
    /// The duty room's own number.
    pub line: &'a str,
    pub now: DateTime<Utc>,
}

/// What it is about.
#[derive(Debug, Clone, Copy)]
pub enum Of<'a> {
    Matter(What, &'a Matter),
    /// What is wrong with the recorder, and since when; nothing any more.
    Alarm(&'a [&'static str], DateTime<Utc>),
}

impl Letter<'_> {
    /// Somebody is to look at once.
    fn is_loud(&self) -> bool {
        match self.of {
            Of::Matter(what, _) => matches!(what, What::Alert | What::Repeat),
            Of::Alarm(standing, _) => !standing.is_empty(),
        }
    }
}

/// What the channels need of the daemon.
pub struct Office {
    pub store: Store,
    pub board: Board,
    pub roster: Roster,
    pub line: String,
    /// Telephones that show texts.
    pub slips: Slips,
    /// Wakes the escalator.
    pub wake: Arc<Notify>,
}

/// A log that does not say within this who is on duty, or how a message may be answered, is not waited for.
const TOLD_WITHIN: Duration = Duration::from_secs(2);
/// How long a log that does not take the channels is left alone.
const AGAIN: Duration = Duration::from_secs(1);

/// Serves every channel until `stopping`; where the log is busy or full, as soon as it takes them.
pub async fn start(
    channels: Vec<Channel>,
    office: Office,
    stopping: &CancellationToken,
) -> Vec<JoinHandle<()>> {
    let troubles = Troubles::new(office.board.clone());
    let mut channels: Vec<Made> =
        channels.into_iter().map(|channel| Made::new(channel, &office)).collect();
    let board = &office.board;
    let alarms = channels.iter().filter_map(|made| made.tells_alarms(board, &troubles, stopping));
    let mut tasks: Vec<_> = alarms.collect();
    channels.retain(|made| made.alarms != Alarms::Only);
    match set(&channels, &office, &troubles).await {
        Ok(()) => tasks.extend(serve(channels, &office, &troubles, stopping)),
        Err(error) if error.is_worth_waiting_for() => {
            let stopping = stopping.clone();
            tasks.push(tokio::spawn(serve_later(channels, office, troubles, stopping)));
        }
        Err(_) => {}
    }
    tasks
}

/// A channel, and who speaks to it, or why nobody can.
struct Made {
    plan: notices::Channel,
    alarms: Alarms,
    sender: Result<Arc<Sender>, String>,
}

impl Made {
    fn new(channel: Channel, office: &Office) -> Self {
        let (plan, alarms) = (channel.plan.clone(), channel.alarms);
        Self { plan, alarms, sender: Sender::new(channel, office).map(Arc::new) }
    }

    /// It waits for no log: where there is no recording, there may be none.
    fn tells_alarms(
        &self,
        board: &Board,
        troubles: &Troubles,
        stopping: &CancellationToken,
    ) -> Option<JoinHandle<()>> {
        if self.alarms == Alarms::No {
            return None;
        }
        let sender = Arc::clone(self.sender.as_ref().ok()?);
        let (board, troubles) = (board.clone(), troubles.clone());
        Some(tokio::spawn(alarms::Teller { sender, board, troubles }.keep(stopping.clone())))
    }
}

async fn set(channels: &[Made], office: &Office, troubles: &Troubles) -> Result<(), StoreError> {
    let plans = channels.iter().map(|channel| channel.plan.clone()).collect();
    let set = office.store.set_channels(plans, clock::now()).await;
    if let Err(error) = &set {
        error!(%error, "the channels are not served: the log does not take them");
    }
    for channel in channels {
        match &set {
            Ok(()) => troubles.clear(&channel.plan.name),
            Err(error) => troubles.add(&channel.plan.name, &error.to_string()),
        }
    }
    set
}

async fn serve_later(
    channels: Vec<Made>,
    office: Office,
    troubles: Troubles,
    stopping: CancellationToken,
) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            () = stopping.cancelled() => return,
        }
        match set(&channels, &office, &troubles).await {
            Ok(()) => break,
            Err(error) if error.is_worth_waiting_for() => {}
            Err(_) => return,
        }
    }
    for worker in serve(channels, &office, &troubles, &stopping) {
        let _ = worker.await;
    }
}

fn serve(
    channels: Vec<Made>,
    office: &Office,
    troubles: &Troubles,
    stopping: &CancellationToken,
) -> Vec<JoinHandle<()>> {
    let mut workers = vec![];
    for Made { plan, sender, .. } in channels {
        let name = plan.name;
        match sender {
            Ok(sender) => {
                if let Some(inbox) = sender.inbox(office, troubles) {
                    workers.push(tokio::spawn(inbox.keep(stopping.clone())));
                }
                let (store, board) = (office.store.clone(), office.board.clone());
                let worker = worker::Worker { sender, store, board, troubles: troubles.clone() };
                workers.push(tokio::spawn(worker.serve(stopping.clone())));
            }
            Err(why) => {
                error!(channel = name, why, "this channel cannot be served");
                troubles.add(&name, &why);
            }
        }
    }
    workers
}

/// One channel: how it is spoken to.
pub struct Sender {
    channel: Channel,
    http: Http,
    tokens: wecom::Tokens,
    store: Store,
    /// The list of the configuration.
    roster: Roster,
    line: String,
    slips: Slips,
    /// Who speaks with the modem.
    serial: Arc<Mutex<()>>,
}

impl Sender {
    fn new(channel: Channel, office: &Office) -> Result<Self, String> {
        let guard = Guard { allow: channel.allow.clone() };
        let http = Http::new(guard, channel.ca.as_deref())?;
        let (roster, line) = (office.roster.clone(), office.line.clone());
        let (tokens, store) = (wecom::Tokens::default(), office.store.clone());
        let slips = office.slips.clone();
        let serial = Arc::default();
        Ok(Self { channel, http, tokens, store, roster, line, slips, serial })
    }

    /// Where the modem is answered to.
    fn inbox(&self, office: &Office, troubles: &Troubles) -> Option<Inbox> {
        let Way::Modem(way) = &self.channel.way else { return None };
        way.replies.then(|| Inbox {
            channel: self.channel.plan.name.clone(),
            way: way.clone(),
            serial: Arc::clone(&self.serial),
            post: Post::of(office),
            troubles: troubles.clone(),
        })
    }

    pub fn plan(&self) -> &notices::Channel {
        &self.channel.plan
    }

    /// One try, within its limit.
    pub async fn send(&self, outgoing: &Outgoing) -> Verdict {
        let limit = self.channel.plan.kind.limit(outgoing.nth);
        within(limit, self.speak(outgoing, limit)).await
    }

    async fn speak(&self, outgoing: &Outgoing, limit: Duration) -> Verdict {
        let until = tokio::time::Instant::now() + limit;
        let (what, items, line) = (outgoing.what, &outgoing.items, &self.line);
        let codes = self.codes(outgoing).await;
        let text = match self.channel.plan.kind {
            Kind::Sms | Kind::Modem if codes.is_empty() => notices::short_text(what, items, line),
            Kind::Sms | Kind::Modem => notices::asking_text(what, items, &codes, line),
            // A display has few lines, and a packet few bytes: what is to be done is not what goes.
            Kind::SipMessage => notices::short_text(what, items, line),
            _ => notices::text(what, items, line),
        };
        let letter = Letter {
            name: outgoing.name,
            of: Of::Matter(outgoing.what, &outgoing.matter),
            items: &outgoing.items,
            text: &text,
            codes: &codes,
            line,
            now: clock::now().wall,
        };
        let left = until.saturating_duration_since(tokio::time::Instant::now());
        self.carry(&letter, outgoing.person.as_deref(), left).await
    }

    /// To one person alone, or to all that the channel is for.
    async fn carry(&self, letter: &Letter<'_>, person: Option<&str>, limit: Duration) -> Verdict {
        let until = tokio::time::Instant::now() + limit;
        let answer = async |request: Request| self.http.send(request, limit).await;
        match &self.channel.way {
            Way::Webhook(way) => webhook::verdict(answer(webhook::request(way, letter)).await),
            Way::WecomBot(way) => wecom::verdict(answer(wecom::robot_request(way, letter)).await),
            Way::WecomApp(way) => wecom::send(way, letter, &self.http, &self.tokens, limit).await,
            Way::DingtalkBot(way) => {
                dingtalk::verdict(answer(dingtalk::request(way, letter)).await)
            }
            Way::FeishuBot(way) => feishu::verdict(answer(feishu::request(way, letter)).await),
            Way::Ntfy(way) => push::verdict(answer(push::ntfy_request(way, letter)).await),
            Way::Gotify(way) => push::verdict(answer(push::gotify_request(way, letter)).await),
            Way::Mail(way) => {
                let ca = self.channel.ca.as_deref();
                let guard = self.http.guard();
                mail::send(way, letter, guard, ca, limit).await
            }
            Way::SipMessage(to) => {
                let (to, roster) = self.recipients(to, person).await;
                sip_message::send(&to, letter, &roster, &self.slips).await
            }
            Way::Modem(way) => {
                let _alone = self.serial.lock().await;
                let (to, roster) = self.recipients(&way.to, person).await;
                let way = &Modem { to, ..way.clone() };
                let left = until.saturating_duration_since(tokio::time::Instant::now());
                modem::send(way, letter, &roster, left).await
            }
            Way::Sms(way) => {
                let mut under_way = JoinSet::new();
                let (to, roster) = self.recipients(&way.to, person).await;
                for request in sms::requests(&Gateway { to, ..way.clone() }, letter, &roster) {
                    let http = self.http.clone();
                    under_way.spawn(async move { http.send(request, limit).await });
                }
                let answers = under_way.join_all().await;
                let verdicts = answers.into_iter().map(|answer| sms::verdict(way, answer));
                sms::together(verdicts.collect())
            }
        }
    }
}

impl Sender {
    /// By which its readers may answer, from now on; none where they may not.
    async fn codes(&self, outgoing: &Outgoing) -> Vec<String> {
        let to = match &self.channel.way {
            Way::Sms(way) if way.replies.is_some() => &way.to,
            Way::Modem(way) if way.replies => &way.to,
            _ => return vec![],
        };
        let (to, roster) = self.recipients(to, outgoing.person.as_deref()).await;
        let people = sms::people(&to, &roster);
        let may_answer = matches!(outgoing.what, What::Alert | What::Repeat);
        if !may_answer || people.is_empty() {
            return vec![];
        }
        let deliveries = outgoing.tries.iter().map(|(delivery, _)| *delivery).collect();
        let codes = self.store.texted(deliveries, people, clock::now());
        match tokio::time::timeout(TOLD_WITHIN, codes).await {
            Ok(Ok(codes)) => return codes,
            Ok(Err(error)) => warn!(%error, "a short message goes out that nobody can answer"),
            Err(_) => warn!("a short message goes out that nobody can answer: the log is slow"),
        }
        vec![]
    }

    /// Whom the channel is for, and who they are now; or one person alone.
    async fn recipients(&self, to: &[To], person: Option<&str>) -> (Vec<To>, Roster) {
        let now = self.roster().await;
        let Some(name) = person else { return (to.to_vec(), now) };
        let role = Role::Leader;
        let person = self.roster.named(name).or(now.named(name));
        let people = person.map(|person| Person { role, ..person.clone() }).into_iter().collect();
        (vec![To::Role(role)], Roster { people })
    }

    /// Who holds each role now; the list itself where the log does not say.
    async fn roster(&self) -> Roster {
        let now = self.store.roster_now(&self.roster, clock::now());
        match tokio::time::timeout(TOLD_WITHIN, now).await {
            Ok(Ok(now)) => return now,
            Ok(Err(error)) => error!(%error, "who is on duty cannot be read"),
            Err(_) => error!("the log does not say who is on duty"),
        }
        // The list of the configuration counts.
        self.roster.clone()
    }
}

/// The adapters keep the limit themselves; this holds whatever they do.
async fn within(limit: Duration, sent: impl Future<Output = Verdict>) -> Verdict {
    let sent = tokio::time::timeout(limit + Duration::from_secs(1), sent).await;
    sent.unwrap_or_else(|_| Verdict::Unknown { why: "timeout".to_owned() })
}

fn json_body(body: &serde_json::Value) -> Option<(String, Vec<u8>)> {
    Some(("application/json; charset=utf-8".to_owned(), body.to_string().into_bytes()))
}

/// At most so many bytes, whole characters.
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// A provider's word, as it may stand in the log: short, and only what is printed.
fn tame(word: &str) -> String {
    word.chars().filter(char::is_ascii_graphic).take(64).collect()
}

#[cfg(test)]
mod tests;
