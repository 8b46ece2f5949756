//! What systemd is told: ready, alive as long as calls are handled, stopping.

use crate::calls::Room;
use crate::daemon::Plan;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

#[test]
fn systemd_is_told_and_its_watchdog_fed() {
    let Some(room) = Room::open() else { return };
    let path = room.folder.path().join("notify");
    let supervisor = UnixDatagram::bind(&path).expect("a socket");
    supervisor.set_read_timeout(Some(Duration::from_secs(4))).expect("a timeout");
    let told = || {
        let mut bytes = [0; 512];
        let length = supervisor.recv(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes[..length]).into_owned())
    };
    let next = |wanted: &str| {
        std::iter::from_fn(told)
            .take(20)
            .find(|message| message.contains(wanted))
            .unwrap_or_else(|| panic!("systemd was not told {wanted}"))
    };
    let notify = path.display().to_string();
    let environment = [("NOTIFY_SOCKET", notify.as_str()), ("WATCHDOG_USEC", "1000000")];
    let mut daemon = room.daemon(&Plan { environment: &environment, ..Plan::default() });
    next("READY=1");
    for _ in 0..3 {
        next("WATCHDOG=1");
    }
    // A frozen daemon feeds nothing: systemd would end it.
    daemon.process.signal(libc::SIGSTOP);
    supervisor.set_read_timeout(Some(Duration::from_millis(1500))).expect("a timeout");
    let late = std::iter::from_fn(told).take(20).count();
    assert!(late < 20, "still fed");
    daemon.process.signal(libc::SIGCONT);
    supervisor.set_read_timeout(Some(Duration::from_secs(4))).expect("a timeout");
    next("WATCHDOG=1");
    daemon.process.signal(libc::SIGTERM);
    next("STOPPING=1");
    assert_eq!(daemon.process.wait_end(Duration::from_secs(10)).code(), Some(0));
}
