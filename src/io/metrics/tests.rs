//! What is shown is what happened.

use super::*;
use crate::duty::journal::{Arrival, AttemptResult, Disposition, Fact};
use crate::protocol::now::Now;
use crate::protocol::rtp::quality::{Judgement, Mos, Quality, Tally};
use crate::protocol::rtp::{Counts, Party};
use std::time::Duration;
use uuid::Uuid;

fn heard(mos: u16) -> Quality {
    let now = clock::now().wall;
    let mos = Mos(mos);
    let tally =
        Tally { expected: 500, late: 3, reordered: 2, jitter_us: 3_000, ..Tally::default() };
    let mos = Judgement { latest: mos, mean: mos, worst: mos, worst_at: now };
    Quality { since: now, tally, mos: Some(mos), far: None }
}

async fn shown(metrics: &Metrics, board: &Board) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("log.db"), clock::random()).unwrap();
    let recordings = folder.path().to_owned();
    let sources = Sources { board: board.clone(), store, recordings, backlog: Backlog::default() };
    let text = sheet::written(metrics.read(&sources).await).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn calls_voices_and_moments_add_up() {
    let (metrics, board) = (Metrics::default(), Board::new());
    let call = crate::duty::ids::CallId(Uuid::from_u128(1));
    let arrived = clock::now();
    let note = |after: u64, fact| {
        let at: Now = arrived + Duration::from_millis(after);
        metrics.take(&Noted { at, fact });
    };
    note(0, Fact::Arrived(Box::new(Arrival::from_number(call, "110", ""))));
    metrics.entered(Duration::from_millis(4));
    note(30, Fact::Rung { call, phone: "desk".into() });
    note(90, Fact::Rung { call, phone: "spare".into() });
    let (counts, quality) = (Counts { received: 500, lost: 7, ..Counts::default() }, heard(372));
    note(900, Fact::Carried { call, party: Party::Caller, counts, quality: Some(quality) });
    let (disposition, by, status) = (Disposition::BusyMissed, None, 486);
    let from = "192.0.2.1:4444".to_owned();
    note(940, Fact::Elsewhere { call, party: Party::Officer, from, taken: true });
    note(950, Fact::Ended { call, disposition, by, status, why: String::new() });
    let (attempt, result) =
        (crate::duty::ids::AttemptId(Uuid::from_u128(2)), AttemptResult::NoAnswer);
    note(950, Fact::AttemptEnded { attempt, result, status: 480 });
    for method in ["BYE", "INVITE"] {
        let (from, method) = ("192.0.2.66:5060".to_owned(), method.to_owned());
        note(960, Fact::Forged { call, from, method });
    }
    let source = "192.0.2.66".to_owned();
    note(960, Fact::Intruded { source, attempts: 7, over: true });
    board.hears(call, Party::Officer, heard(231));
    let mut figures = Figures::default();
    figures.traffic.count(true, b"SIP/2.0 486 Busy Here\r\nCSeq: 1 INVITE\r\n\r\n");
    crate::duty::figures::add(&mut figures.refused, "pace", 12);
    crate::duty::figures::add(&mut figures.connections, "framing", 3);
    board.report(figures);
    let lines = shown(&metrics, &board).await;
    for line in [
        r#"dutyline_calls_total{direction="in",disposition="busy_missed"} 1"#,
        r#"dutyline_leader_calls_total{result="no_answer"} 1"#,
        r#"dutyline_calls_refused_total{reason="pace"} 12"#,
        r#"dutyline_suspicions_total{what="forged"} 2"#,
        r#"dutyline_suspicions_total{what="password"} 7"#,
        r#"dutyline_sip_connections_ended_total{reason="framing"} 3"#,
        r#"dutyline_sip_responses_total{direction="out",method="INVITE",code="486"} 1"#,
        r#"dutyline_invite_to_entry_seconds_bucket{le="0.005"} 1"#,
        r#"dutyline_invite_to_ringing_seconds_count 1"#,
        r#"dutyline_rtp_packets_total{party="caller",fate="lost"} 7"#,
        r#"dutyline_rtp_elsewhere_total{party="officer",taken="yes"} 1"#,
        r#"dutyline_rtp_mos_bucket{party="caller",le="4.03"} 1"#,
        r#"dutyline_voices_current{grade="poor"} 1.0"#,
    ] {
        assert!(lines.iter().any(|one| one == line), "{line}\n{}", lines.join("\n"));
    }
}

#[tokio::test]
async fn what_is_wrong_is_shown_as_it_is_on_the_page() {
    let (metrics, board) = (Metrics::default(), Board::new());
    let shows = async |line: &str| shown(&metrics, &board).await.iter().any(|one| one == line);
    assert!(shows("dutyline_line_registered 0.0").await);
    assert!(shows("dutyline_recorder_up 1.0").await);
    assert!(shows("dutyline_escalations_open 0.0").await);
    board.update(|status| {
        let since = clock::now().wall;
        status.line = crate::io::status::LineState::Registered { since };
        let alarm = crate::io::status::Alarm { since, zh: "满".into(), en: "full".into() };
        status.alarms.insert("disk", alarm);
    });
    assert!(shows("dutyline_line_registered 1.0").await);
    assert!(shows(r#"dutyline_alarm{alarm="disk"} 1.0"#).await);
}
