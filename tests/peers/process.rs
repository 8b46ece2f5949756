//! A child process with its log in a file: awaited by what it writes, ended by its id.

use std::fs::{self, File};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often something that gives no event is looked at.
const LOOK: Duration = Duration::from_millis(15);

/// Looks until `found` finds something; panics with `what` when it does not in time.
pub fn wait_until<T>(what: &str, limit: Duration, mut found: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = found() {
            return value;
        }
        assert!(start.elapsed() < limit, "waited {limit:?} in vain for {what}");
        sleep(LOOK);
    }
}

pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts it with both outputs in `folder/name.log`.
    pub fn start(name: &str, folder: &Path, command: &mut Command) -> Self {
        let log = folder.join(format!("{name}.log"));
        let out = File::options().create(true).append(true).open(&log).expect("a log file");
        let both = out.try_clone().expect("a second handle");
        command.stdin(Stdio::null()).stdout(out).stderr(both).process_group(0);
        // SAFETY: prctl with these arguments only marks the child; it is async-signal-safe.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
                Ok(())
            });
        }
        let child =
            command.spawn().unwrap_or_else(|fault| panic!("{name} does not start: {fault}"));
        Self { name: name.into(), child, log, ended: None }
    }

    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits until `text` is in the log.
    pub fn wait_for(&mut self, text: &str, limit: Duration) {
        let start = Instant::now();
        loop {
            let log = self.log();
            if log.contains(text) {
                return;
            }
            let gone = self.ended();
            assert!(
                gone.is_none() && start.elapsed() < limit,
                "{}: no {text:?} within {limit:?} (ended: {gone:?}); its log:\n{log}",
                self.name
            );
            sleep(LOOK);
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: i32) {
        if self.ended.is_none() {
            let id = i32::try_from(self.child.id()).expect("a process id");
            // SAFETY: the child has not been waited for, so the id is still its own.
            unsafe { libc::kill(id, signal) };
        }
    }

    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("a child of ours");
        }
        self.ended
    }

    pub fn wait_end(&mut self, limit: Duration) -> ExitStatus {
        let name = self.name.clone();
        wait_until(&format!("the end of {name}"), limit, || self.ended())
    }

    /// Asks it to end; its code, or minus the signal that ended it.
    pub fn stop(&mut self, limit: Duration) -> i32 {
        self.signal(libc::SIGTERM);
        let status = self.wait_end(limit);
        status.code().unwrap_or_else(|| -status.signal().unwrap_or(0))
    }

    pub fn kill(&mut self) {
        self.signal(libc::SIGKILL);
        self.wait_end(Duration::from_secs(5));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(libc::SIGCONT);
        self.signal(libc::SIGTERM);
        let start = Instant::now();
        while self.ended().is_none() && start.elapsed() < Duration::from_secs(3) {
            sleep(LOOK);
        }
        if self.ended().is_none() {
            self.signal(libc::SIGKILL);
            let _ = self.child.wait();
        }
        // Whom it started and left behind, as chromedriver its browser.
        let group = i32::try_from(self.child.id()).expect("a process id");
        // SAFETY: the group is the child's own; one that is empty is an error and no more.
        unsafe { libc::kill(-group, libc::SIGKILL) };
        if std::thread::panicking() {
            eprintln!("---- {} ----\n{}", self.name, self.log());
        }
    }
}
