//! One thread of a process, held still from outside as a disk holds it that does not answer.

use crate::process::Process;
use std::fs;
use std::ptr::null_mut;

/// It goes on when this is dropped.
pub struct Frozen(libc::pid_t);

impl Frozen {
    pub fn thread(process: &Process, name: &str) -> Self {
        let tasks = fs::read_dir(format!("/proc/{}/task", process.id())).expect("it runs");
        let named = tasks.map(|task| task.expect("a thread")).find(|task| {
            fs::read_to_string(task.path().join("comm")).is_ok_and(|its| its.trim() == name)
        });
        let id = named.expect("a thread of that name").file_name();
        let id = id.to_str().and_then(|id| id.parse().ok()).expect("a number");
        asks(libc::PTRACE_SEIZE, id);
        let frozen = Self(id);
        asks(libc::PTRACE_INTERRUPT, id);
        // SAFETY: the thread is ours to wait for since it was seized; how it stopped is not asked.
        assert_eq!(unsafe { libc::waitpid(id, null_mut(), libc::__WALL) }, id, "it stands still");
        frozen
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        asks(libc::PTRACE_DETACH, self.0);
    }
}

fn asks(request: libc::c_uint, id: libc::pid_t) {
    // SAFETY: these requests read and write no memory of ours.
    let done = unsafe { libc::ptrace(request, id, null_mut::<u8>(), null_mut::<u8>()) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}
