//! A memory cgroup (v1): what is in it together has so many bytes, and the kernel ends one of them when they want more.
//! Needs root.

use crate::process::Process;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const GROUPS: &str = "/sys/fs/cgroup/memory";

pub struct Cage(PathBuf);

impl Cage {
    /// `None` where there may be none, with a printed reason.
    pub fn of(bytes: u64) -> Option<Self> {
        let path = Path::new(GROUPS).join(format!("dutyline-{}", std::process::id()));
        let made = fs::create_dir(&path)
            .and_then(|()| fs::write(path.join("memory.limit_in_bytes"), bytes.to_string()));
        if let Err(fault) = made {
            println!("skipped: a memory cgroup needs root and cgroup v1: {fault}");
            return None;
        }
        Some(Self(path))
    }

    /// For a shell: what follows goes on inside, and is the first whom the kernel ends there.
    pub fn enter_first(&self) -> String {
        format!("{}; echo 1000 > /proc/$$/oom_score_adj", self.enter())
    }

    fn enter(&self) -> String {
        format!("echo $$ > {}/cgroup.procs", self.0.display())
    }

    /// Somebody inside who takes so many MiB for good.
    pub fn greedy(&self, folder: &Path, mib: u32) -> Process {
        let script = format!("{}; head -c {mib}M /dev/zero | tail | sleep 600", self.enter());
        Process::start("greedy", folder, Command::new("sh").args(["-c", &script]))
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        // Whoever was inside is gone by now; a group that is not empty stays, and is no harm.
        let _ = fs::remove_dir(&self.0);
    }
}
