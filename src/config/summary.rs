//! The configuration in a few lines for a person to read over; secrets are masked.

use super::channels::{Alarms, Channel};
use super::{Config, Heartbeat, OtherNumber, Witness};
use crate::duty::journal::Urgency;
use crate::duty::line_plan::{Phone, Ring};
use crate::duty::roll_call::RollCallPlan;
use crate::duty::roster::{Person, Role};
use std::fmt::Write;

impl Config {
    pub fn summary(&self) -> String {
        let mut out = String::new();
        let mut row = |name: &str, value: String| {
            writeln!(out, "  {name:<12}{value}").expect("a string takes all");
        };
        let line = &self.line;
        let transport = line.transport.name().to_ascii_lowercase();
        let pbx: Vec<_> = line.pbx.iter().map(ToString::to_string).collect();
        let pbx = pbx.join(", ");
        row("line", format!("{} {}", line.number, line.room));
        row("pbx", format!("{pbx} {transport}, {}@{}", line.user, line.domain));
        row("password", "******".into());
        if !line.answer_supervision {
            row("trunk", "FXO: a key tells the answer, busy tone the end".into());
        }
        if line.keys_in_voice {
            row("keys", "as tones in the voice too, where a telephone has no other way".into());
        }
        row("listen", format!("{}, as {}", line.listen, line.advertise));
        phones(self).into_iter().for_each(|(name, value)| row(&name, value));
        for person in &self.roster.people {
            row(role(person.role), format!("{} {}", person.name, numbers(person)));
        }
        for channel in &self.channels {
            let plan = &channel.plan;
            row("channel", format!("{} {:?}, {}", plan.name, plan.kind, told(channel)));
        }
        lamps(&self.lamp).into_iter().for_each(|text| row("lamp", text));
        let media = &self.media;
        let last = u32::from(media.first_port) + 2 * u32::from(media.channels) - 1;
        let calls = (media.channels - media.reserved) / 2;
        let ports = format!("{} ports {}-{last}", media.listen, media.first_port);
        row("voice", format!("{ports}, {calls} calls, {} channels for leaders", media.reserved));
        row("data", self.storage.data.display().to_string());
        row("recordings", recordings(self));
        if let Some(copies) = &self.storage.copies {
            row("copies", copies.to_string());
        }
        row("page", format!("http://{}", self.web.listen));
        if let Some(metrics) = &self.metrics {
            row("metrics", format!("http://{}/metrics", metrics.listen));
        }
        witnesses(&self.witness).into_iter().for_each(|text| row("witness", text));
        match &self.heartbeat {
            Some(Heartbeat::Watched { witness, .. }) => row("heartbeat", format!("to {witness}")),
            Some(Heartbeat::Watches { listen, plan, .. }) => {
                let silence = plan.silence.as_secs();
                let desk = plan.desk.join(", ");
                row("heartbeat", format!("at {listen}, calls {desk} after {silence} s of silence"));
            }
            None => {}
        }
        if let Some(test) = &self.self_test {
            let every = test.every.map(|every| format!(", every {} min", every.as_secs() / 60));
            row("self-test", format!("by {}{}", test.user, every.unwrap_or_default()));
        }
        if let Some(at) = schedule(&self.roll_call) {
            row("roll-call", at);
        }
        let site = &self.callers.numbering;
        let prefixes = site.outside_prefixes.join(", ");
        row("callers", format!("area code {:?}, outside prefix {prefixes:?}", site.area_code));
        row("contacts", self.contacts.len().to_string());
        out
    }
}

/// Officers' phones, and the other numbers with theirs.
fn phones(config: &Config) -> Vec<(String, String)> {
    let phone = |(at, phone): (usize, &Phone)| {
        let value = format!("{} {}, {} s", phone.target, phone.name, phone.ring.as_secs());
        (format!("phone {}", at + 1), value)
    };
    let number = |number: &OtherNumber| {
        let (aor, plan) = (&number.aor, &number.plan);
        let named = |ring: &Ring| config.phones.get(ring.place).map(|phone| phone.name.as_str());
        let phones: Vec<_> = plan.rings.iter().filter_map(named).collect();
        let phones = phones.join(", ");
        ("number".to_owned(), format!("{} {}, as {}: {phones}", plan.number, plan.name, aor.user))
    };
    let all = config.phones.iter().enumerate().map(phone);
    all.chain(config.numbers.iter().map(number)).collect()
}

/// Of what.
fn told(channel: &Channel) -> String {
    let least = if channel.plan.least == Urgency::Critical { "特急" } else { "急, 特急" };
    match channel.alarms {
        Alarms::No => least.to_owned(),
        Alarms::Too => format!("{least}, alarms of the recorder"),
        Alarms::Only => "alarms of the recorder alone".to_owned(),
    }
}

fn witnesses(witness: &Witness) -> Vec<String> {
    let every = witness.every.as_secs();
    let folder = witness.folder.as_ref().map(|to| format!("{}, every {every} s", to.display()));
    let webhook = witness.webhook.as_ref().map(|to| to.hook.url.clone());
    folder.into_iter().chain(webhook).collect()
}

fn recordings(config: &Config) -> String {
    let folder = config.storage.recordings.display();
    match config.flac {
        Some(after) => format!("{folder}, as FLAC after {} days", after.num_days()),
        None => folder.to_string(),
    }
}

fn schedule(plan: &RollCallPlan) -> Option<String> {
    let at: Vec<_> = plan.at.iter().map(|at| at.format("%H:%M").to_string()).collect();
    (!at.is_empty()).then(|| at.join(", "))
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Leader => "leader",
        Role::Substitute => "substitute",
        Role::OfficeDirector => "director",
        Role::Head => "head",
        Role::Officer => "officer",
    }
}

fn lamps(roles: &[Role]) -> Option<String> {
    let named: Vec<_> = roles.iter().map(|one| role(*one)).collect();
    (!named.is_empty()).then(|| format!("at the office telephone of {}", named.join(", ")))
}

fn numbers(person: &Person) -> String {
    let numbers = [person.mobile.as_deref(), person.office.as_deref()];
    numbers.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
