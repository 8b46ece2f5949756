//! A call that goes on beside a flood: what its two hear, and what is recorded of it.

use crate::calls::Room;
use crate::daemon::{Daemon, Plan};
use crate::twin::{FarEnd, TrunkCaller, Voice};
use crate::wave;
use dutyline::protocol::rtp::{Codec, g711};
use std::fs;
use std::net::SocketAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(20);

/// One who dialled, one who answered, and what each says: 50 packets of A-law a second.
pub struct Talk {
    pub room: Room,
    pub daemon: Daemon,
    pub far_end: FarEnd,
    pub caller: TrunkCaller,
    /// The daemon's ports for the officer and the caller.
    pub ports: [SocketAddr; 2],
    pub says: [Vec<i16>; 2],
}

impl Talk {
    pub fn begin(plan: &Plan<'_>, seconds: u32) -> Option<Self> {
        let room = Room::open()?;
        let far_end = FarEnd::start(&room.ports);
        let daemon = room.daemon(plan);
        let mut caller = TrunkCaller::new(&room.ports, "13800130007");
        assert_eq!(caller.call("1001"), 200);
        let ports = [far_end.invited().media(), caller.remote_media()];
        let length = usize::try_from(seconds).expect("a few");
        let says = [wave::voice(61, length), wave::voice(62, length)];
        for socket in [&far_end.media, &caller.media] {
            socket.set_nonblocking(true).expect("a socket of ours");
        }
        Some(Self { room, daemon, far_end, caller, ports, says })
    }

    /// Both say all they have to say; how many packets each heard of how many.
    pub fn speak(&self) -> [(usize, usize); 2] {
        let ends = [&self.far_end.media, &self.caller.media];
        let mut voices = [Voice::new(7), Voice::new(40_009)];
        let mut heard = [0; 2];
        let (start, count) = (Instant::now(), self.says[0].len() / 160);
        let listen = |heard: &mut [usize; 2]| {
            for (end, heard) in ends.iter().zip(heard) {
                while end.recv(&mut [0; 2048]).is_ok() {
                    *heard += 1;
                }
            }
        };
        for tick in 0..count {
            for one in 0..2 {
                let mut sound = [0; 160];
                let samples = &self.says[one][tick * 160..][..160];
                for (byte, sample) in sound.iter_mut().zip(samples) {
                    *byte = g711::encode(Codec::Pcma, *sample);
                }
                let packet = voices[one].packet(&sound);
                ends[one].send_to(&packet, self.ports[one]).expect("sent");
            }
            let next = start + TICK * u32::try_from(tick + 1).expect("few");
            sleep(next.saturating_duration_since(Instant::now()));
            listen(&mut heard);
        }
        sleep(10 * TICK);
        listen(&mut heard);
        heard.map(|heard| (heard, count))
    }

    /// Hung up, one entry, and its recording is what was said, sample for sample.
    pub fn is_recorded(&self) {
        self.caller.hang_up();
        self.daemon
            .row_is("SELECT disposition FROM call WHERE answered_by IS NOT NULL", "answered");
        let call = "SELECT id FROM call WHERE disposition = 'answered'";
        let recorded = self.daemon.recording(call);
        for (side, said) in [(1, &self.says[0]), (0, &self.says[1])] {
            let found = wave::compare(said, &recorded.channels[side]).expect("the voice");
            assert!(found.is_whole() && found.same + 800 >= said.len(), "{found:?}");
        }
    }

    /// Resident memory in bytes, and open descriptors.
    pub fn holds(&self) -> (u64, usize) {
        let folder = format!("/proc/{}", self.daemon.process.id());
        let statm = fs::read_to_string(format!("{folder}/statm")).expect("it runs");
        let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
        let open = fs::read_dir(format!("{folder}/fd")).expect("it runs").count();
        (pages.expect("a number") * 4096, open)
    }
}
