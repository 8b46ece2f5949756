//! Binds what the recorder has sealed to its calls, and shows what it is doing and what it cannot do.

use super::AGAIN;
use super::cut::Cut;
use crate::duty::ids::{CallId, EntryId};
use crate::io::clock;
use crate::io::outages::Outages;
use crate::io::status::{Alarm, Board, Live, PartState};
use crate::io::store::{Finding, Gap, Key, OutageKind, Sealed, Store, StoreError};
use crate::io::tape;
use crate::protocol::now::Now;
use crate::protocol::rtp::sound::Fault;
use crate::protocol::rtp::{Codec, Party};
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// The key of the alarm that the tape is not where it belongs.
const TAPE: &str = "tape";

/// Binds finished recordings to their calls until the recorder is gone. What the recorder cannot do is shown at once,
/// whatever the log does.
pub async fn keep_recordings(
    mut events: mpsc::UnboundedReceiver<tape::Event>,
    told: Outages,
    board: Board,
    give_up: CancellationToken,
) {
    let store = told.store.clone();
    let (to_log, mut writes) = mpsc::unbounded_channel();
    let showing = async {
        let (to_log, mut cut) = (to_log, Cut::default());
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                () = cut.is_old() => {
                    cut.forget(&board);
                    continue;
                }
            };
            let Some(event) = event else { break };
            if let Some(sealed) = shown(event, &board, &told, &mut cut).await {
                // The one who reads it ends after this one.
                let _ = to_log.send(sealed);
            }
        }
    };
    let writing = async {
        while let Some(sealed) = writes.recv().await {
            written(&sealed, &store, &board, &give_up).await;
        }
    };
    tokio::join!(showing, writing);
}

async fn shown(
    event: tape::Event,
    board: &Board,
    told: &Outages,
    cut: &mut Cut,
) -> Option<Box<tape::Sealed>> {
    match event {
        tape::Event::Progress(progress) => {
            board.records(progress).iter().for_each(say_what_is_wrong);
            None
        }
        tape::Event::Sealed(sealed) => {
            if sealed.interrupted {
                cut.happened(1, board, clock::now());
            }
            Some(sealed)
        }
        tape::Event::Resumed { calls } => {
            cut.happened(calls, board, clock::now());
            None
        }
        tape::Event::Failed { call, why } => {
            let now = clock::now();
            recorder_fails(call.map(CallId), &why, board, now);
            told.began(OutageKind::Recorder, now.wall, why).await;
            None
        }
        tape::Event::Elsewhere(place) => {
            board.update(|status| drop(status.alarms.remove(TAPE)));
            match place {
                Some(place) => is_elsewhere(&place, board, clock::now()),
                None => info!("the tape is on its own disk again"),
            }
            None
        }
        tape::Event::Recovered => {
            info!("the recorder works again");
            board.update(|status| {
                status.recorder = PartState::Ok;
                status.alarms.remove("recorder");
            });
            told.over(OutageKind::Recorder).await;
            None
        }
    }
}

/// Tries again until the log takes it.
async fn written(sealed: &tape::Sealed, store: &Store, board: &Board, give_up: &CancellationToken) {
    loop {
        match bind(sealed, store).await {
            Ok(()) => break,
            Err(error) if error.is_worth_waiting_for() && !give_up.is_cancelled() => {
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) => {
                error!(%error, "what the recorder did could not be noted");
                break;
            }
        }
    }
    let call = CallId(sealed.call);
    match store.entry_of_attempt(call).await {
        Ok(Some(entry)) => board.tell(Live::Escalation { entry }),
        Ok(None) | Err(_) => board.tell(Live::Entry { entry: EntryId::from(call) }),
    }
}

/// While the call goes on.
fn say_what_is_wrong(progress: &tape::Progress) {
    for heard in &progress.parties {
        let listens = |fault| fault == Fault::Muted && heard.party != Party::Caller;
        if let Some((fault, lasts)) = heard.fault.filter(|(fault, _)| !listens(*fault)) {
            let (call, party) = (CallId(progress.call), heard.party);
            warn!(%call, ?party, ?fault, seconds = lasts.as_secs(), "no voice is recorded");
        }
    }
}

async fn bind(sealed: &tape::Sealed, store: &Store) -> Result<(), StoreError> {
    let (call, now) = (CallId(sealed.call), clock::now());
    info!(%call, ms = sealed.duration_ms, bytes = sealed.bytes, interrupted = sealed.interrupted, "recording sealed");
    let bound = match recording(sealed) {
        Ok(recording) => store.recording_sealed(call, recording, now).await?,
        Err(why) => store.recording_missing(call, &why, now).await?,
    };
    if !bound {
        match store.kept_files_of(call).await? {
            // A run that was killed had told it, and could not say so to the tape any more.
            Some(known) if known.wav.is_some() => info!(%call, "it is in the log already"),
            Some(_) | None => warn!(%call, "a recording without a call in the log"),
        }
    }
    Ok(())
}

/// As its row says it; or why nothing can be heard.
pub fn recording(sealed: &tape::Sealed) -> Result<Sealed, String> {
    let name = |party: Party| format!("{party:?}").to_lowercase();
    let gap = |gap: &tape::Gap| Gap {
        party: name(gap.party),
        from_ms: gap.from_ms,
        lasts_ms: gap.length_ms,
        untaped: gap.untaped,
    };
    let key = |key: &tape::Key| Key { party: name(key.party), at_ms: key.at_ms, key: key.key };
    let finding = |found: &tape::Finding| Finding {
        party: name(found.party),
        fault: found.fault,
        from_ms: found.from_ms,
        lasts_ms: found.length_ms,
    };
    let (Some(wav), Some(sha256)) = (&sealed.wav, &sealed.wav_sha256) else {
        return Err(nothing_heard(sealed));
    };
    Ok(Sealed {
        wav: PathBuf::from(wav),
        tape: Some(PathBuf::from(&sealed.tape)),
        sha256: sha256.clone(),
        tape_sha256: Some(sealed.tape_sha256.clone()),
        bytes: sealed.bytes,
        duration: Duration::from_millis(sealed.duration_ms),
        started: Some(sealed.started),
        gaps: sealed.gaps.iter().map(gap).collect(),
        keys: sealed.keys.iter().map(key).collect(),
        findings: sealed.findings.iter().map(finding).collect(),
        interrupted: unwhole(sealed),
    })
}

fn nothing_heard(sealed: &tape::Sealed) -> String {
    untaped(sealed)
        .or_else(|| unheard(sealed))
        .unwrap_or_else(|| "没有收到语音 · no media received".to_owned())
}

/// Why the recording does not hold everything that was said.
fn unwhole(sealed: &tape::Sealed) -> Option<String> {
    let cut = match (sealed.interrupted, sealed.resumed) {
        (true, _) => Some("服务中断，录音不完整 · the daemon died during the call"),
        (false, true) => {
            Some("通话中服务重启，录音有空白 · the daemon was restarted during the call")
        }
        (false, false) => None,
    };
    let reasons = cut.map(str::to_owned).into_iter().chain(untaped(sealed)).chain(unheard(sealed));
    let reasons: Vec<String> = reasons.collect();
    (!reasons.is_empty()).then(|| reasons.join("；"))
}

/// What came and was lost to the recorder alone.
fn untaped(sealed: &tape::Sealed) -> Option<String> {
    let packets: u64 = sealed.gaps.iter().map(|gap| gap.untaped).sum();
    let (zh, en) = ("主机太忙，没有录下的语音包", "the host was too busy; packets not recorded");
    (packets > 0).then(|| format!("{zh}：{packets} · {en}: {packets}"))
}

/// Whose voice is on the tape and cannot be heard, and why.
fn unheard(sealed: &tape::Sealed) -> Option<String> {
    let one = |undecoded: &tape::Undecoded| {
        let (zh, en) = match undecoded.party {
            Party::Caller => ("来电方", "the caller's"),
            Party::Officer => ("值班员", "the officer's"),
            Party::Leader => ("领导", "the leader's"),
            Party::Prompt => ("提示音", "our own"),
        };
        let (why_zh, why_en) = match undecoded.obstacle {
            tape::Obstacle::Encrypted => {
                ("已加密，无法解码".to_owned(), "encrypted, not decodable".to_owned())
            }
            tape::Obstacle::Codec(Codec::Unknown) => {
                ("编码未知，无法解码".to_owned(), "in an unknown codec, not decodable".to_owned())
            }
            tape::Obstacle::Codec(codec) => (
                format!("编码为 {}，无法解码", codec.name()),
                format!("{}, not decodable here", codec.name()),
            ),
        };
        let packets = undecoded.packets;
        format!(
            "{zh}语音{why_zh}，原始数据包已保留（{packets}） · {en} voice is {why_en}; its {packets} packets are kept"
        )
    };
    let all: Vec<String> = sealed.undecoded.iter().map(one).collect();
    (!all.is_empty()).then(|| all.join("；"))
}

/// Nothing is lost; the officer goes on, and the technician comes.
fn is_elsewhere(place: &tape::Elsewhere, board: &Board, now: Now) {
    let folder = place.folder.display();
    error!(folder = %folder, why = place.why, "the tape is kept on another disk");
    let (zh, en) = languages(&place.why);
    let alarm = Alarm {
        since: now.wall,
        zh: format!(
            "数据盘写不进去，录音改存到 {folder}，没有漏录，电话照常接听。请值班员照常值班，通知管理员检查数据盘，修好前不要拔另一块盘，也不要删除该文件夹（{zh}）"
        ),
        en: format!(
            "the data disk takes nothing: what is said is recorded in {folder}, nothing is lost. Have the data disk mended; until then leave the other disk and that folder alone ({en})"
        ),
    };
    board.update(|status| drop(status.alarms.insert(TAPE, alarm)));
}

fn recorder_fails(call: Option<CallId>, why: &str, board: &Board, now: Now) {
    error!(call = call.map(tracing::field::display), why, "the recorder fails");
    let (zh, en) = languages(why);
    board.update(|status| {
        status.recorder = PartState::Failed { since: now.wall, why: why.to_owned() };
        status.alarms.entry("recorder").or_insert_with(|| Alarm {
            since: now.wall,
            zh: format!("未在录音，请手工记录（{zh}）"),
            en: format!("NOT RECORDING, write it down: {en}"),
        });
    });
}

/// What is said on the terminal in both.
fn languages(why: &str) -> (&str, &str) {
    why.split_once(" · ").unwrap_or((why, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of 97 packets the recorder is to blame, of the rest the network.
    #[test]
    fn rec_d7b_a_recording_that_lacks_what_came_is_not_whole_and_its_row_says_why() {
        let gap = |from_ms, untaped| tape::Gap {
            party: Party::Caller,
            from_ms,
            length_ms: 1000,
            untaped,
        };
        let mut sealed = tape::Sealed {
            call: uuid::Uuid::from_u128(1),
            wav: Some("a.wav".to_owned()),
            tape: "a.tape".to_owned(),
            wav_sha256: Some("0".repeat(64)),
            tape_sha256: "0".repeat(64),
            samples: 8000,
            duration_ms: 1000,
            bytes: 16_044,
            started: clock::now().wall,
            interrupted: false,
            resumed: false,
            packets: vec![],
            gaps: vec![gap(0, 0), gap(3000, 90), gap(6000, 7)],
            undecoded: vec![],
            keys: vec![],
            findings: vec![],
        };
        let row = recording(&sealed).unwrap();
        assert!(row.interrupted.unwrap().contains("没有录下的语音包：97"));
        assert_eq!(row.gaps[1].untaped, 90);
        sealed.gaps.truncate(1);
        assert_eq!(recording(&sealed).unwrap().interrupted, None, "the network's loss is a gap");
    }

    /// The log stands still: the officer is told all the same.
    #[tokio::test]
    async fn rec_q5_rel_14_that_nobody_records_is_shown_at_once_and_until_it_is_mended() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("a.db"), clock::random()).unwrap();
        let (tell, events) = mpsc::unbounded_channel();
        let (board, give_up) = (Board::new(), CancellationToken::new());
        let told = Outages { orders: mpsc::channel(1).0, store: store.clone() };
        let keeping = tokio::spawn(keep_recordings(events, told, board.clone(), give_up));
        let until = async |shown: bool| {
            while board.status().alarms.contains_key("recorder") != shown {
                tokio::task::yield_now().await;
            }
        };
        tell.send(tape::Event::Failed {
            call: None,
            why: "磁盘已满 · the disk is full".to_owned(),
        })
        .unwrap();
        until(true).await;
        let alarm = board.status().alarms["recorder"].clone();
        assert_eq!(alarm.zh, "未在录音，请手工记录（磁盘已满）");
        assert_eq!(alarm.en, "NOT RECORDING, write it down: the disk is full");
        let place = tape::Elsewhere { folder: "/second/.tape".into(), why: "EIO".to_owned() };
        tell.send(tape::Event::Elsewhere(Some(place))).unwrap();
        tell.send(tape::Event::Recovered).unwrap();
        until(false).await;
        let status = board.status();
        assert!(status.alarms[TAPE].zh.contains("/second/.tape"), "where it is: {status:?}");
        assert!(status.alarms[TAPE].zh.contains("没有漏录"));
        assert_eq!(status.recorder, PartState::Ok);
        tell.send(tape::Event::Elsewhere(None)).unwrap();
        while !board.status().alarms.is_empty() {
            tokio::task::yield_now().await;
        }
        drop(tell);
        keeping.await.unwrap();
        let outages = store.outages(5).await.unwrap();
        let [outage] = &outages[..] else { panic!("{outages:?}") };
        assert!(outage.kind == OutageKind::Recorder && outage.to.is_some(), "{outage:?}");
    }
}
