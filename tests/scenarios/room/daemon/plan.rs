//! The line that the room's daemon is started with.

use super::{CHANNELS, ENTRY_BUDGET, RESERVED, port_of};
use crate::room::people::{self, DAEMON_HOST, DOMAIN, LINE, PASSWORD};
use dutyline::duty::call::arrival::CallerRules;
use dutyline::duty::dial_plan::DialPlan;
use dutyline::duty::journal::Urgency;
use dutyline::duty::line_plan::{Answering, LinePlan, SilencePlan, SrtpPlan};
use dutyline::protocol::places::Places;
use dutyline::protocol::rtp::Channel;
use dutyline::protocol::sip::{Account, Habits, Peer, Transport};
use std::time::Duration;

pub fn line_plan() -> LinePlan {
    let account = Account {
        local: people::daemon(),
        pbx: Peer { transport: Transport::Udp, addr: people::pbx() },
        peers: vec![],
        habits: Habits::default(),
        domain: DOMAIN.to_owned(),
        user: LINE.to_owned(),
        display: "值班室".to_owned(),
        auth_user: LINE.to_owned(),
        password: PASSWORD.to_owned(),
        realm: None,
        expires: 90,
        others: vec![],
        session_expires: 1800,
        also_trusted: vec![],
        agent: "dutyline".to_owned(),
    };
    LinePlan {
        account,
        answer_supervision: true,
        keys_in_voice: false,
        media_address: DAEMON_HOST,
        places: Places::default(),
        rtp_ports: (0..CHANNELS).map(|n| port_of(Channel(n))).collect(),
        phones: people::ring_plan(),
        rings: None,
        numbers: vec![],
        reserved_channels: RESERVED,
        entry_budget: ENTRY_BUDGET,
        srtp: SrtpPlan::default(),
        callers: CallerRules { emergency: Some(Urgency::Urgent), ..CallerRules::default() },
        finish: Duration::ZERO,
        answering: Answering {
            silence: SilencePlan { both: None, one: None },
            ..Answering::default()
        },
        dial: DialPlan {
            known: people::ring_plan().into_iter().map(|phone| phone.target).collect(),
            allow: vec!["3xxx".to_owned()],
            per_day: 100,
        },
        registrar: None,
        self_test: None,
    }
}
