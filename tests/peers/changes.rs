//! What changes in a call and what is told of it afterwards: sessions agreed on anew, ringing and talking, a log that was
//! locked when the daemon died.

use crate::calls::{Room, talk};
use crate::daemon::Plan;
use crate::rude::is_heard;
use crate::twin::{FarEnd, Seen, TrunkCaller, Voice};
use crate::wave;
use dutyline::protocol::rtp::{Codec, g711};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(8);
const FRAME: Duration = Duration::from_millis(20);

/// Two who talk without a pause, and what each has said.
struct Speech {
    says: [Vec<i16>; 2],
    voices: [Voice; 2],
    begun: Instant,
    frames: usize,
}

impl Speech {
    fn new() -> Self {
        let says = [wave::voice(81, 20), wave::voice(82, 20)];
        let voices = [Voice::new(8), Voice::new(40_009)];
        Self { says, voices, begun: Instant::now(), frames: 0 }
    }

    /// Both go on for so many frames, each from its socket to where it is heard; how many each heard.
    fn goes_on(&mut self, ends: [(&UdpSocket, SocketAddr); 2], frames: usize) -> [usize; 2] {
        let mut heard = [0; 2];
        for (socket, _) in ends {
            socket.set_nonblocking(true).expect("a socket of ours");
        }
        for _ in 0..frames {
            for (one, (socket, to)) in ends.iter().enumerate() {
                let samples = &self.says[one][self.frames * 160..][..160];
                let sound = std::array::from_fn(|n| g711::encode(Codec::Pcma, samples[n]));
                socket.send_to(&self.voices[one].packet(&sound), to).expect("sent");
            }
            self.frames += 1;
            let next = self.begun + FRAME * u32::try_from(self.frames).expect("few");
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            for (heard, (socket, _)) in heard.iter_mut().zip(ends) {
                *heard += std::iter::from_fn(|| socket.recv(&mut [0; 1500]).ok()).count();
            }
        }
        for (socket, _) in ends {
            socket.set_nonblocking(false).expect("a socket of ours");
        }
        heard
    }
}

/// An offer that is left to us, a refresh, T.38 that is refused, another address, another port at the officer's: both
/// are heard after each, and one recording has all of it.
#[test]
fn rec_s6_and_rel_26_whatever_is_agreed_on_anew_the_voice_goes_on_in_one_recording() {
    let Some(room) = Room::open() else { return };
    let mut far_end = FarEnd::start(&room.ports);
    let daemon = room.daemon(&Plan { phones: &[("9200", 20)], ..Plan::default() });
    let mut caller = TrunkCaller::new(&room.ports, "13800130061");
    assert_eq!(caller.call("1001"), 200);
    let invite = far_end.invited();
    let ports = [caller.remote_media(), invite.media()];
    let mut speech = Speech::new();
    let mut goes_on = |what: &str, caller: &TrunkCaller, far_end: &FarEnd| {
        let ends = [(&caller.media, ports[0]), (&far_end.media, ports[1])];
        let heard = speech.goes_on(ends, 50);
        println!("{what}: of 50 packets the caller heard {}, the officer {}", heard[0], heard[1]);
        assert!(heard.iter().all(|heard| *heard > 40), "{what}: {heard:?}");
    };
    goes_on("as agreed", &caller, &far_end);
    assert_eq!(caller.leaves_the_offer(1), 200);
    goes_on("an offer of ours", &caller, &far_end);
    assert_eq!(caller.refreshes(2), 200);
    goes_on("a refresh", &caller, &far_end);
    let t38 = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
               m=image 4000 udptl t38\r\na=T38FaxVersion:0\r\n";
    assert_eq!(caller.changes_to(t38, 3).0, 488);
    goes_on("a fax refused", &caller, &far_end);
    caller.media = UdpSocket::bind("127.0.0.2:0").expect("another address");
    let moved = caller.offer().replace("c=IN IP4 127.0.0.1", "c=IN IP4 127.0.0.2");
    assert_eq!(caller.changes_to(&moved.replace("- 1 1 IN", "- 1 3 IN"), 4).0, 200);
    goes_on("another address", &caller, &far_end);
    far_end.media = UdpSocket::bind("127.0.0.1:0").expect("another port");
    far_end.updates(&invite, &far_end.media);
    let answered = |seen: Seen| matches!(seen, Seen::Answered(200, _));
    while !answered(far_end.seen.recv_timeout(SOON).expect("the answer to the UPDATE")) {}
    goes_on("another port", &caller, &far_end);
    caller.hang_up_after(5);
    far_end.is_let_go();

    daemon.row_is("SELECT disposition FROM call", "answered");
    assert_eq!(daemon.row("SELECT count(*) FROM recording"), "1");
    let recorded = daemon.recording("SELECT id FROM call");
    for (one, said) in speech.says.iter().enumerate() {
        let said = &said[..speech.frames * 160];
        let pieces = wave::stretches(said, &recorded.channels[one]);
        let there: usize = pieces.iter().map(|piece| piece.length).sum();
        let gaps = pieces.windows(2).map(|pair| pair[1].heard - pair[0].heard - pair[0].length);
        let widest = gaps.max().unwrap_or(0);
        println!("channel {one}: {there} of {} samples, widest gap {widest}", said.len());
        assert!(there + wave::RATE / 2 > said.len() && widest < wave::RATE / 4, "{pieces:?}");
    }
}

#[test]
fn rec_s9_and_rec_s5_ringing_is_not_talking_and_who_gave_up_is_to_be_called_back() {
    let Some(room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let daemon = room.daemon(&Plan { phones: &[("9180", 60)], ..Plan::default() });
    let mut caller = TrunkCaller::new(&room.ports, "13800130062");
    caller.hears_it_ring("1001");
    let invite = far_end.invited();
    talk(2);
    far_end.answers(&invite, "200 OK");
    assert_eq!(caller.is_answered(), 200);
    talk(3);
    caller.hang_up();
    far_end.is_let_go();
    let times = "SELECT answered_ms - arrived_ms BETWEEN 1900 AND 5000
        AND ended_ms - answered_ms BETWEEN 2900 AND 6000
        FROM call WHERE disposition = 'answered'";
    daemon.row_is(times, "1");
    daemon.row_is("SELECT count(*) FROM callback", "0");
    drop(caller);
    let mut caller = TrunkCaller::new(&room.ports, "13800130063");
    caller.hears_it_ring("1001");
    far_end.invited();
    talk(1);
    assert_eq!(caller.gives_up("1001"), 487);
    far_end.is_let_go();
    let times = "SELECT ended_ms - arrived_ms BETWEEN 900 AND 4000 AND answered_ms IS NULL
        FROM call WHERE disposition = 'abandoned'";
    daemon.row_is(times, "1");
    let wanted = "SELECT call.caller || ' ' || callback.state FROM callback JOIN call ON call.id = callback.call";
    daemon.row_is(wanted, "13800130063 open");
}

/// Another program holds the log when the call comes and when the daemon is killed: the next run has the row of it, and
/// the two talk on.
#[test]
fn rec_s10_what_the_log_did_not_take_is_written_by_the_next_run() {
    let Some(room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let plan = Plan { phones: &[("9200", 20)], ..Plan::default() };
    let mut daemon = room.daemon(&plan);
    let lock = daemon.lock();
    let mut caller = TrunkCaller::new(&room.ports, "13800130064");
    assert_eq!(caller.call("1001"), 200, "no call waits for the log");
    let invite = far_end.invited();
    is_heard(&far_end.media, invite.media(), &caller.media, 0x61);
    assert_eq!(daemon.row("SELECT count(*) FROM call"), "0");
    daemon.process.kill();
    drop(lock);
    daemon.restart(room.folder.path(), &room.ports, &plan);
    daemon.row_is("SELECT state || ' ' || caller FROM call", "in_call 13800130064");
    is_heard(&far_end.media, invite.media(), &caller.media, 0x62);
    caller.hang_up();
    far_end.is_let_go();
    daemon.row_is("SELECT disposition FROM call", "answered");
    assert_eq!(daemon.row("SELECT count(*) FROM entry"), "1");
}
