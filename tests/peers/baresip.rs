//! A baresip phone: a WAV as its microphone, both directions recorded, driven over its TCP control.

use crate::ports::Ports;
use crate::process::{Process, wait_until};
use crate::wave;
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Where a phone is registered and what it says.
pub struct Setup<'a> {
    /// Extension; its password at the PBX is `secret` before it.
    pub user: &'a str,
    /// Number of order among the phones of a test.
    pub order: u16,
    pub says: &'a [i16],
    /// Further parameters of the account, such as `;answermode=auto`.
    pub extra: &'a str,
}

pub struct Baresip {
    process: Process,
    pub user: String,
    records: PathBuf,
    control: TcpStream,
    messages: Receiver<Value>,
}

impl Baresip {
    /// Starts it and waits until it is registered.
    pub fn start(folder: &Path, ports: &Ports, setup: &Setup<'_>) -> Self {
        Self::with_calls(folder, ports, setup, 8)
    }

    /// As [`Baresip::start`], a phone that is busy with so many calls.
    pub fn with_calls(folder: &Path, ports: &Ports, setup: &Setup<'_>, calls: u8) -> Self {
        let here = ("127.0.0.1", "127.0.0.1");
        Self::set_up(here, folder, ports, setup, calls, ports.pbx()).once_registered()
    }

    /// As [`Baresip::start`], at another address of the host that the calling thread is on, with its PBX elsewhere.
    pub fn start_at(places: (&str, &str), folder: &Path, ports: &Ports, setup: &Setup<'_>) -> Self {
        Self::set_up(places, folder, ports, setup, 8, ports.pbx()).once_registered()
    }

    /// As [`Baresip::start`], registered at this port in the place of the PBX.
    pub fn at(folder: &Path, ports: &Ports, setup: &Setup<'_>, port: u16) -> Self {
        Self::unregistered(folder, ports, setup, port).once_registered()
    }

    /// As [`Baresip::at`]; whether it is registered is not waited for.
    pub fn unregistered(folder: &Path, ports: &Ports, setup: &Setup<'_>, port: u16) -> Self {
        Self::set_up(("127.0.0.1", "127.0.0.1"), folder, ports, setup, 8, port)
    }

    fn once_registered(mut self) -> Self {
        self.process_says("} 200 OK (", Duration::from_secs(15));
        self
    }

    /// Waits until this is in its log.
    pub fn process_says(&mut self, text: &str, limit: Duration) {
        self.process.wait_for(text, limit);
    }

    fn set_up(
        (host, pbx): (&str, &str),
        folder: &Path,
        ports: &Ports,
        setup: &Setup<'_>,
        calls: u8,
        port: u16,
    ) -> Self {
        let own = folder.join(format!("phone-{}", setup.user));
        let records = own.join("rec");
        fs::create_dir_all(&records).expect("a folder");
        wave::write_mono(&own.join("says.wav"), setup.says);
        let user = setup.user;
        let codecs =
            if setup.extra.contains("audio_codecs=") { "" } else { "audio_codecs=PCMA,PCMU;" };
        let config = config(&own, host, ports, setup.order);
        let config = config.replace("call_max_calls 8", &format!("call_max_calls {calls}"));
        fs::write(own.join("config"), config).expect("written");
        let known = setup.extra.contains("auth_pass=");
        let password = if known { String::new() } else { format!("auth_pass=secret{user};") };
        let account = format!(
            "<sip:{user}@{pbx}:{port}>;auth_user={user};{password}regint=120;\
             {codecs}ptime=20{extra}\n",
            extra = setup.extra
        );
        fs::write(own.join("accounts"), account).expect("written");
        fs::write(own.join("contacts"), "").expect("written");
        let mut command = Command::new("baresip");
        command.arg("-f").arg(&own);
        let process = Process::start(&format!("baresip-{user}"), folder, &mut command);
        let port = ports.phone_control(setup.order);
        let control = wait_until("the phone's control", Duration::from_secs(5), || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        let (sender, messages) = channel();
        let reader = control.try_clone().expect("a second handle");
        thread::spawn(move || read_messages(reader, &sender));
        Self { process, user: user.into(), records, control, messages }
    }

    /// Gives a command; its answer is not waited for.
    pub fn tell(&mut self, command: &str, parameters: &str) {
        let message = json!({"command": command, "params": parameters, "token": command});
        let text = message.to_string();
        let frame = format!("{}:{text},", text.len());
        self.control.write_all(frame.as_bytes()).expect("the phone takes commands");
    }

    pub fn dial(&mut self, number: &str) {
        self.tell("dial", number);
    }

    pub fn accept(&mut self) {
        self.tell("accept", "");
    }

    /// The plug is pulled: nobody is told.
    pub fn vanishes(&mut self) {
        self.process.kill();
    }

    /// Puts the other one on hold, by `a=sendonly`.
    pub fn hold(&mut self) {
        self.tell("hold", "");
    }

    pub fn resume(&mut self) {
        self.tell("resume", "");
    }

    pub fn hangup(&mut self) {
        self.tell("hangup", "");
    }

    /// Presses a key for a moment.
    pub fn press(&mut self, key: char) {
        self.tell("sndcode", &key.to_string());
    }

    /// Waits for an event of this type and returns it; earlier ones of other types are passed over.
    pub fn wait(&mut self, kind: &str, limit: Duration) -> Value {
        let start = Instant::now();
        let mut passed = vec![];
        loop {
            let left = limit.saturating_sub(start.elapsed());
            let Ok(message) = self.messages.recv_timeout(left) else {
                panic!("{}: no {kind} within {limit:?}; passed over {passed:?}", self.user);
            };
            if message["type"] == kind {
                return message;
            }
            passed.push(message["type"].to_string());
        }
    }

    /// The next event, if there is one.
    pub fn event(&mut self) -> Option<Value> {
        self.messages.try_recv().ok()
    }

    /// Keys that it has heard since it was last asked for an event.
    pub fn keys(&mut self) -> String {
        let pressed = self.messages.try_iter().filter(|event| event["type"] == "CALL_DTMF_START");
        pressed.filter_map(|event| event["param"].as_str().map(str::to_owned)).collect()
    }

    pub fn incoming(&mut self, limit: Duration) -> Value {
        self.wait("CALL_INCOMING", limit)
    }

    pub fn established(&mut self) {
        self.wait("CALL_ESTABLISHED", Duration::from_secs(10));
    }

    pub fn closed(&mut self) -> Value {
        self.wait("CALL_CLOSED", Duration::from_secs(10))
    }

    /// Nobody calls it for so long.
    pub fn stays_idle(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while let Ok(message) =
            self.messages.recv_timeout(end.saturating_duration_since(Instant::now()))
        {
            assert_ne!(message["type"], "CALL_INCOMING", "{} is called again", self.user);
        }
    }

    /// What it heard in its last call, once the file is closed.
    pub fn heard(&self) -> Vec<i16> {
        self.record("-dec.wav")
    }

    fn record(&self, end: &str) -> Vec<i16> {
        let newest = || {
            let files = fs::read_dir(&self.records).ok()?.filter_map(Result::ok);
            let fits = |path: &PathBuf| path.to_string_lossy().ends_with(end);
            files.map(|file| file.path()).filter(fits).max()
        };
        wait_until("the phone's recording", Duration::from_secs(5), || {
            wave::read(&newest()?).map(|wave| wave::narrow(&wave))
        })
    }
}

/// Netstrings of JSON: events and answers.
fn read_messages(mut stream: TcpStream, sender: &Sender<Value>) {
    let mut held = vec![];
    let mut chunk = [0; 8192];
    while let Ok(length @ 1..) = stream.read(&mut chunk) {
        held.extend_from_slice(&chunk[..length]);
        while let Some(colon) = held.iter().position(|byte| *byte == b':') {
            let digits = std::str::from_utf8(&held[..colon]).expect("a netstring");
            let length: usize = digits.parse().expect("a netstring's length");
            let end = colon + 1 + length;
            if held.len() <= end {
                break;
            }
            if let Ok(message) = serde_json::from_slice(&held[colon + 1..end])
                && sender.send(message).is_err()
            {
                return;
            }
            held.drain(..=end);
        }
    }
}

fn config(own: &Path, host: &str, ports: &Ports, order: u16) -> String {
    let sip = ports.phone(order);
    let media = ports.phone_media(order);
    let own = own.display();
    format!(
        "poll_method epoll
sip_listen {host}:{sip}
call_local_timeout 60
call_max_calls 8
audio_player aubridge,sink{sip}
audio_source aufile,{own}/says.wav
audio_alert aubridge,alert{sip}
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
audio_level no
audio_buffer 20-160
ausrc_format s16
auplay_format s16
auenc_format s16
audec_format s16
rtp_ports {media}-{last}
rtcp_mux no
jitter_buffer_delay 2-10
rtp_stats yes
net_interface {host}
module_path {modules}
module g711.so
module g722.so
module opus.so
module srtp.so
module sndfile.so
module aufile.so
module ausine.so
module aubridge.so
module_tmp uuid.so
module_tmp account.so
module_app menu.so
module_app debug_cmd.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
snd_path {own}/rec
",
        last = media + 7,
        control = ports.phone_control(order),
        modules = modules().display(),
    )
}

fn modules() -> PathBuf {
    let places = ["/usr/lib/baresip/modules", "/usr/lib64/baresip/modules"];
    let found = places.iter().map(PathBuf::from).find(|folder| folder.join("g711.so").exists());
    found.expect("baresip's modules")
}
