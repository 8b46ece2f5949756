//! The daemon itself, as its users start it: the real program with a configuration file.

use crate::kamailio::Kamailio;
use crate::ports::Ports;
use crate::process::{Process, wait_until};
use crate::wave::{self, Wave};
use rusqlite::{Connection, OpenFlags};
use std::fmt::Write;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// `RestartSec` of the unit.
const SUPERVISOR: Duration = Duration::from_millis(200);

/// What differs from test to test.
#[derive(Clone, Copy)]
pub struct Plan<'a> {
    /// Officers' phones and their seconds of ringing.
    pub phones: &'a [(&'a str, u32)],
    pub leaders: &'a [(&'a str, &'a str)],
    pub password: &'a str,
    pub transport: &'a str,
    /// In the place of the PBX's usual address, as the configuration writes it.
    pub pbx: Option<&'a str>,
    /// In the place of 127.0.0.1 and the usual port.
    pub listen: Option<&'a str>,
    /// A program that starts it, with arguments.
    pub through: &'a [&'a str],
    /// Seconds that it asks its registration for.
    pub expires: u32,
    /// More keys of `[line]`.
    pub line: &'a str,
    /// Keys of `[answering]`.
    pub answering: &'a str,
    pub channels: u16,
    /// In the place of the test's own.
    pub first_port: Option<u16>,
    /// Further keys of `[media]`, and of each of `[[phones]]`.
    pub media: &'a str,
    pub of_phones: &'a str,
    /// Further keys of `[storage]`.
    pub storage: &'a str,
    /// Further keys of `[web]`.
    pub web: &'a str,
    /// Further sections.
    pub more: &'a str,
    pub environment: &'a [(&'a str, &'a str)],
    /// What it writes of what it does.
    pub log: &'a str,
}

impl Default for Plan<'_> {
    fn default() -> Self {
        Self {
            phones: &[("2001", 20), ("2002", 20)],
            leaders: &[("leader", "3001")],
            password: "secret1001",
            transport: "udp",
            pbx: None,
            listen: None,
            through: &[],
            expires: 60,
            line: "",
            answering: "",
            channels: 11,
            first_port: None,
            media: "",
            of_phones: "",
            storage: "",
            web: "",
            more: "",
            environment: &[],
            log: "dutyline=debug",
        }
    }
}

pub struct Daemon {
    pub process: Process,
    folder: PathBuf,
}

impl Daemon {
    /// Starts it and waits until the PBX has its registration.
    pub fn start(folder: &Path, ports: &Ports, pbx: &Kamailio, plan: &Plan<'_>) -> Self {
        let before = pbx.count("REGISTER 1001");
        let mut daemon = Self::spawn(folder, ports, plan);
        wait_until("the line's registration", Duration::from_secs(10), || {
            assert_eq!(daemon.process.ended(), None, "the daemon ended");
            (pbx.count("REGISTER 1001") > before).then_some(())
        });
        daemon
    }

    /// Starts it and waits for nothing.
    pub fn spawn(folder: &Path, ports: &Ports, plan: &Plan<'_>) -> Self {
        let own = folder.join("dutyline");
        fs::create_dir_all(&own).expect("a folder");
        fs::write(own.join("line-password"), format!("{}\n", plan.password)).expect("written");
        fs::write(own.join("dutyline.toml"), config(ports, plan)).expect("written");
        let program = [plan.through, &[env!("CARGO_BIN_EXE_dutyline")]].concat();
        let mut command = Command::new(program[0]);
        command.args(&program[1..]);
        command.args(["run", "--config", "dutyline.toml", "--log", plan.log]);
        command.current_dir(&own).env_remove("DUTYLINE_LINE_PASSWORD");
        command.envs(plan.environment.iter().copied());
        let process = Process::start("dutyline", folder, &mut command);
        Self { process, folder: own }
    }

    /// As its supervisor does, a moment after it has ended.
    pub fn restart(&mut self, folder: &Path, ports: &Ports, plan: &Plan<'_>) {
        std::thread::sleep(SUPERVISOR);
        *self = Self::spawn(folder, ports, plan);
    }

    /// Its file says this from now on, and it is told to read it.
    pub fn reload(&self, ports: &Ports, plan: &Plan<'_>) {
        fs::write(self.folder.join("dutyline.toml"), config(ports, plan)).expect("written");
        self.process.signal(libc::SIGHUP);
    }

    /// The one text that the query gives, as soon as it gives one.
    pub fn row(&self, query: &str) -> String {
        wait_until(query, Duration::from_secs(10), || self.try_row(query))
    }

    /// The one number that the query gives.
    pub fn number(&self, query: &str) -> u64 {
        self.row(query).parse().expect("a number")
    }

    /// As [`Daemon::row`]; `None` while there is no row, or no table yet.
    pub fn try_row(&self, query: &str) -> Option<String> {
        let database = self.folder.join("data/dutyline.db");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(database, flags).ok()?;
        connection.busy_timeout(Duration::from_secs(2)).ok()?;
        let text = |row: &rusqlite::Row<'_>| row.get::<_, rusqlite::types::Value>(0);
        let value = connection.query_row(query, [], text).ok()?;
        match value {
            rusqlite::types::Value::Text(text) => Some(text),
            rusqlite::types::Value::Integer(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// Waits until the query gives this.
    pub fn row_is(&self, query: &str, wanted: &str) {
        let what = format!("{query} to give {wanted:?}");
        let mut seen = None;
        wait_until(&what, Duration::from_secs(12), || {
            let value = self.try_row(query);
            if value != seen {
                println!("{query}: {value:?}");
                seen.clone_from(&value);
            }
            (value.as_deref() == Some(wanted)).then_some(())
        });
    }

    /// The same program with these arguments, beside the daemon: exit code and what it printed.
    pub fn command(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dutyline"));
        command.args(arguments).current_dir(&self.folder).env_remove("DUTYLINE_LINE_PASSWORD");
        let done = command.output().expect("started");
        let said = [done.stdout, done.stderr].concat();
        (done.status.code(), String::from_utf8_lossy(&said).into_owned())
    }

    /// An account for a leader.
    pub fn adds_leader(&self, name: &str, login: &str) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dutyline"));
        command.args(["user", "add", name, "--login", login, "--role", "leader"]);
        command.args(["--config", "dutyline.toml"]).current_dir(&self.folder);
        let mut adding = command.stdin(Stdio::piped()).spawn().expect("started");
        let mut typed = adding.stdin.take().expect("piped");
        typed.write_all(b"correct-horse\n").expect("typed");
        drop(typed);
        assert!(adding.wait().expect("ended").success());
    }

    /// Where its commands run.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn recordings(&self) -> PathBuf {
        self.folder.join("recordings")
    }

    /// Somebody's hand in its database.
    pub fn edit(&self, statements: &str) {
        let database = Connection::open(self.folder.join("data/dutyline.db")).expect("opened");
        database.busy_timeout(Duration::from_secs(5)).expect("set");
        database.execute_batch(statements).expect("edited");
    }

    /// Its database is locked until this is dropped.
    pub fn lock(&self) -> Connection {
        let database = Connection::open(self.folder.join("data/dutyline.db")).expect("opened");
        database.busy_timeout(Duration::from_secs(5)).expect("set");
        database.execute_batch("BEGIN IMMEDIATE").expect("locked");
        database
    }

    /// The one-time link of its first account.
    pub fn first_link(&mut self) -> String {
        self.process.wait_for("/first/", Duration::from_secs(10));
        let log = self.process.log();
        let link = log.split_whitespace().find(|word| word.contains("/first/"));
        link.expect("the link").to_owned()
    }

    /// Where the finished recording of the call that the query names is.
    pub fn recording_path(&self, call: &str) -> PathBuf {
        let query =
            format!("SELECT wav FROM recording WHERE call = ({call}) AND digest IS NOT NULL");
        let path = self.folder.join("recordings").join(self.row(&query));
        if path.exists() { path } else { self.folder.join(self.row(&query)) }
    }

    /// The same, read: left and right.
    pub fn recording(&self, call: &str) -> Wave {
        let path = self.recording_path(call);
        let wave = wave::read(&path).unwrap_or_else(|| panic!("no WAV at {}", path.display()));
        assert_eq!((wave.rate, wave.channels.len()), (8000, 2));
        wave
    }
}

fn config(ports: &Ports, plan: &Plan<'_>) -> String {
    assert!(plan.channels <= 11 || plan.first_port.is_some(), "a block has room for eleven");
    let mut text = format!(
        r#"
[line]
number = "63001234"
room = "值班室"
pbx = {pbx}
transport = "{transport}"
user = "1001"
password_file = "line-password"
listen = "{line}"
expires = {expires}
{more}

[media]
first_port = {media}
channels = {channels}
reserved = 2
{of_media}

[storage]
low_space_gib = 0
ballast_mib = 0
{of_storage}

[web]
listen = "127.0.0.1:{page}"
{of_web}
"#,
        pbx = plan.pbx.map_or_else(|| format!("\"127.0.0.1:{}\"", ports.pbx()), str::to_owned),
        more = plan.line,
        expires = plan.expires,
        transport = plan.transport,
        line = plan.listen.map_or_else(|| format!("127.0.0.1:{}", ports.line()), str::to_owned),
        media = plan.first_port.unwrap_or_else(|| ports.media()),
        of_media = plan.media,
        of_storage = plan.storage,
        of_web = plan.web,
        channels = plan.channels,
        page = ports.page(),
    );
    writeln!(text, "\n[answering]\n{}", plan.answering).expect("a string takes all");
    for (target, ring) in plan.phones {
        let phone = format!(
            "name = \"话机{target}\"\ntarget = \"{target}\"\nring_seconds = {ring}\n{}",
            plan.of_phones
        );
        writeln!(text, "\n[[phones]]\n{phone}").expect("a string takes all");
    }
    for (role, mobile) in plan.leaders {
        let leader = format!("name = \"{role}\"\nrole = \"{role}\"\nmobile = \"{mobile}\"");
        writeln!(text, "\n[[leaders]]\n{leader}").expect("a string takes all");
    }
    writeln!(text, "\n{}", plan.more).expect("a string takes all");
    text
}
