//! 旁听 at the real daemon: a leader at the page hears both sides of a call that goes on, sample for sample and less than a
//! second later, in a browser and over HTTP; the officer sees it, and it ends with the call.

use crate::browser::Browser;
use crate::calls::Room;
use crate::daemon::Plan;
use crate::officer::Officer;
use crate::twin::{FarEnd, TrunkCaller, Voice};
use dutyline::protocol::rtp::{Codec, g711};
use fantoccini::key::Key;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(20);
/// Behind what is said.
const BEHIND: Duration = Duration::from_secs(1);

/// What one says, packet by packet: other bytes each time.
fn words(seed: u32, n: u32) -> [u8; 160] {
    let mut state = (seed.wrapping_mul(747_796_405) ^ n.wrapping_mul(2_891_336_453)) | 1;
    std::array::from_fn(|_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 11) as u8
    })
}

fn samples(seed: u32, packets: std::ops::Range<u32>) -> Vec<i16> {
    let table = g711::decoding(Codec::Pcma);
    packets.flat_map(|n| words(seed, n)).map(|byte| table[usize::from(byte)]).collect()
}

/// Speaks until told to be quiet; when each packet was sent.
fn speaks(
    from: UdpSocket,
    to: SocketAddr,
    seed: u32,
    quiet: &Arc<AtomicBool>,
) -> JoinHandle<Vec<Instant>> {
    let quiet = Arc::clone(quiet);
    thread::spawn(move || {
        let (mut voice, mut sent, start) = (Voice::new(seed), vec![], Instant::now());
        while !quiet.load(Ordering::Relaxed) {
            from.send_to(&voice.packet(&words(seed, sent.len() as u32)), to).expect("sent");
            sent.push(Instant::now());
            sleep((start + TICK * sent.len() as u32).saturating_duration_since(Instant::now()));
        }
        sent
    })
}

/// Where this packet of somebody begins in what was heard.
fn place(heard: &[i16], seed: u32, n: u32) -> Option<usize> {
    let said = samples(seed, n..n + 1);
    heard.windows(said.len()).position(|window| window == said)
}

/// 张主任 in a browser, while somebody else listens too.
async fn presses_listen(leader: &Officer, officer: &Officer, entry: &str) {
    let browser = Browser::start_with(&["--autoplay-policy=no-user-gesture-required"]).await;
    browser.goto(&leader.at("/login")).await;
    browser.type_into("account", "zhang").await;
    browser.type_into("password", "correct-horse").await;
    browser.press(Key::Enter).await;
    browser.see("a[href=\"/keeping\"]").await;
    browser.goto(&leader.at(&format!("/?entry={entry}"))).await;
    browser.see("[data-listen]").await;
    // What leaves the page is looked at where it goes to the loudspeaker.
    let watch = "const make = AudioContext.prototype.createBufferSource;
        window.loud = 0;
        AudioContext.prototype.createBufferSource = function () {
          const source = make.call(this);
          const start = source.start;
          source.start = function (at) {
            const sides = [0, 1].map((side) => this.buffer.getChannelData(side).some((one) => Math.abs(one) > 0.05));
            if (sides[0] && sides[1] && at - this.context.currentTime < 0.7) window.loud += this.buffer.length;
            return start.call(this, at);
          };
          return source;
        };";
    browser.script(watch).await;
    browser.click("[data-listen]").await;
    browser
        .until_within(Duration::from_secs(15), "two seconds of both sides", async || {
            browser.script("return window.loud").await.as_f64().unwrap_or(0.0) >= 16_000.0
        })
        .await;
    browser.see_text("[data-part=head]", "正在旁听：张主任").await;
    browser.see_text("[data-part=recall]", "停止旁听").await;
    assert!(officer.reads(entry).contains("正在旁听：张主任"), "the officer sees it");
    browser.shot("70-a-leader-listens").await;
    browser.click("[data-listen]").await;
    browser
        .until("the other one alone listens", async || {
            browser.text("[data-part=head]").await.matches("正在旁听").count() == 1
        })
        .await;
    assert_eq!(officer.reads(entry).matches("正在旁听：").count(), 1);
    browser.end().await;
}

#[test]
fn a_leader_hears_both_sides_of_a_call_that_goes_on_sample_for_sample_within_a_second() {
    let Some(room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let plan = Plan { phones: &[("9200", 20)], ..Plan::default() };
    let mut daemon = room.daemon(&plan);
    let officer = Officer::first(&mut daemon);
    daemon.adds_leader("张主任", "zhang");
    let leader = officer.beside("zhang");
    let mut caller = TrunkCaller::new(&room.ports, "13800130071");
    assert_eq!(caller.call("1001"), 200);
    let to = [caller.remote_media(), far_end.invited().media()];
    let quiet = Arc::new(AtomicBool::new(false));
    let sockets = [&caller.media, &far_end.media].map(|one| one.try_clone().expect("a socket"));
    let [one, other] = sockets;
    let speakers = [speaks(one, to[0], 71, &quiet), speaks(other, to[1], 72, &quiet)];
    let entry = daemon.row("SELECT id FROM call WHERE caller LIKE '%13800130071'");
    sleep(Duration::from_secs(2));

    let path = format!("/recordings/{entry}/live?why=%E7%9D%A3%E5%90%AC");
    let listening = {
        let leader = leader.beside("zhang");
        thread::spawn(move || leader.hears(&path))
    };
    sleep(Duration::from_secs(4));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(presses_listen(&leader, &officer, &entry));
    quiet.store(true, Ordering::Relaxed);
    let sent = speakers.map(|speaker| speaker.join().expect("spoke"));
    sleep(Duration::from_millis(700));
    caller.hang_up();
    far_end.is_let_go();
    let over = Instant::now();
    let pieces = listening.join().expect("listened");
    assert!(over.elapsed() < Duration::from_secs(4), "it ends with the call");

    let bytes: Vec<u8> = pieces.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
    let frames = bytes.chunks_exact(4);
    let sample = |frame: &[u8], at: usize| i16::from_le_bytes([frame[at], frame[at + 1]]);
    let sides = [0, 2].map(|at| frames.clone().map(|frame| sample(frame, at)).collect::<Vec<_>>());
    let mut worst = Duration::ZERO;
    for ((heard, sent), seed) in sides.iter().zip(&sent).zip([71, 72]) {
        // From the fourth second on, where he surely listens: three seconds without a sample that differs.
        let begin = place(heard, seed, 200).unwrap_or_else(|| panic!("{seed} is heard"));
        let wanted = samples(seed, 200..350);
        let differ = heard[begin..].iter().zip(&wanted).filter(|(a, b)| a != b).count();
        assert_eq!(differ, 0, "of {} samples of {seed}", wanted.len());
        for n in 200..350 {
            let last = (begin + (n as usize - 200 + 1) * 160) * 4;
            let mut so_far = 0;
            let came = pieces.iter().find(|(_, bytes)| {
                so_far += bytes.len();
                so_far >= last
            });
            let came = came.expect("it was heard").0;
            worst = worst.max(came.saturating_duration_since(sent[n as usize]));
        }
    }
    assert!(worst < BEHIND, "{worst:?}");
    println!("heard at most {worst:?} after it was sent");
    let audit = "SELECT group_concat(actor || ' ' || action, '; ') FROM
        (SELECT * FROM audit WHERE action LIKE 'recording.listen%' ORDER BY id)";
    let audit = daemon.row(audit);
    assert_eq!(audit.matches("张主任 recording.listen;").count(), 2, "{audit}");
    assert_eq!(audit.matches("张主任 recording.listened").count(), 2, "{audit}");
    let reason = "SELECT detail FROM audit WHERE action = 'recording.listen' ORDER BY id LIMIT 1";
    assert_eq!(daemon.row(reason), "督听");
}
